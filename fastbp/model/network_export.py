"""Networks to and from the forms of other programs.

What is called here imports what it needs: torch_modules.py, or fastbp.export, which stands above.
"""

import os
from typing import TYPE_CHECKING, Any, Literal, cast

from ..common.optional import need

if TYPE_CHECKING:
    from .ensemble import Ensemble
    from .network import Network


class NetworkExport:
    """The base of ``Network``: torch, ONNX, C and Fortran."""

    def to_torch(self) -> Any:
        """A torch.nn.Sequential, on the CPU, that predicts the same, with copies of all parameters.

        Linear and the activation for each hidden layer, with LayerNorm between them if layers are
        normalized; then Linear and the output activation. fastbp/model/torch_modules.py has modules
        for residual layers and for the scaling of inputs and targets, which torch lacks.
        ModuleNotFoundError without torch, ValueError for an activation of your own and for a
        network that embeds numbers.

        >>> module = fastbp.Network([3, 8, 2], output="softmax").to_torch()
        >>> [type(layer).__name__ for layer in module]
        ['Linear', 'ReLU', 'Linear', 'Softmax']
        """
        net = _without_embedding(self, "torch")
        need("torch", "torch", "to_torch")
        from . import torch_modules

        return torch_modules.to_torch(net)

    def to_onnx(self, path: str | os.PathLike[str], opset: int = 18) -> None:
        """Write the network to an ONNX file, which every ONNX runtime predicts with.

        Its input is X (N, n_in), for any number of rows N, and its output Y (N, n_out), both of
        the network's dtype and in raw units: scaling is part of the graph. Outputs are those of
        ``predict`` up to rounding, as another order of sums gives it. Operators are those of the
        standard. In float64 activations are made of operators that onnxruntime has in float64.
        The metadata have fastbp's version and ``feature_names_in``. The file replaces an older one
        atomically. ``fastbp.from_onnx`` reads it.

        Args:
            path: the file, by custom called ``....onnx``; its folder exists.
            opset: the version of ONNX's operators, from 18 to the newest that onnx knows. The
                graph is the same; a runtime must know the version.

        Raises:
            ValueError: an activation is your own, the network embeds numbers, a parameter is not
                finite, the parameters take more than 2 GiB, or opset is not as above. Nothing has
                been written.
            TypeError: opset is no integer.
            OSError: the file cannot be written. An older file is unchanged.
            ModuleNotFoundError: onnx is not installed.

        >>> fastbp.Network([3, 8, 2], output="softmax", seed=0).to_onnx("model.onnx")
        >>> fastbp.from_onnx("model.onnx")
        fastbp.Network([3, 8, 2], output='softmax', seed=0)  # 50 parameters

        """
        need("onnx", "onnx", "to_onnx")
        from ..export import onnx_writer

        onnx_writer.to_onnx(_without_embedding(self, "ONNX"), path, opset)

    def to_c(
        self,
        path: str | os.PathLike[str],
        derivatives: bool = False,
        weights: Literal["source", "file"] = "source",
    ) -> None:
        """Write the network as C99 that allocates nothing and needs no library but libm.

        For ``surrogate.c`` there are also ``surrogate.h``, which says how to call it, and
        ``surrogate_test.c``, a program that compares it with fastbp's formulas. Public names begin
        with that of the file. One row or a batch is a call, which any number of threads makes, each
        with a context of its own. Loops are such that compilers make vectors of them, given
        ``-O3 -march=native -ffp-contract=fast``. Results differ from those of ``predict`` by
        rounding; NaN in a row makes its results NaN.

        Args:
            path: the .c file; its folder exists. Its name without ending has letters, digits and
                single underscores, at most 40. Older files are replaced, each in one go.
            derivatives: with functions for the Jacobian, and for J^T v; the numbers take twice the
                space.
            weights: "source" for parameters in the .c file, or "file" for those in
                ``surrogate.bin``, which a function reads: for large networks, and for parameters
                that change without another compilation.

        Raises:
            ValueError: an argument is not as above; an activation is your own; the network embeds
                numbers; a parameter is not finite. Nothing has been written.
            TypeError: an argument is not as above.
            OSError: a file cannot be written.

        >>> fastbp.Network([3, 8, 2], activation="tanh").to_c("surrogate.c")
        >>> import pathlib
        >>> sorted(path.name for path in pathlib.Path().glob("surrogate*"))
        ['surrogate.c', 'surrogate.h', 'surrogate_test.c']

        """
        from ..export import c_files

        c_files.to_c(_without_embedding(self, "C"), path, derivatives, weights)

    def to_fortran(
        self,
        path: str | os.PathLike[str],
        derivatives: bool = False,
        weights: Literal["source", "file"] = "source",
    ) -> None:
        """Write the network as a Fortran module over the files of ``to_c``, which it writes, too.

        The module has the name of the file, and functions for arrays (features, batch), or
        (features,) for one row; the Jacobian is (inputs, outputs, batch). Each returns a status,
        0 where all is well. An array of wrong extents is refused.

        Args:
            path: the .f90 file, else as for ``to_c``.
            derivatives: as for ``to_c``.
            weights: as for ``to_c``.

        Raises:
            ValueError, TypeError, OSError: as ``to_c``.

        >>> fastbp.Network([3, 8, 2], activation="tanh").to_fortran("surrogate.f90")
        >>> import pathlib
        >>> sorted(path.name for path in pathlib.Path().glob("surrogate*"))
        ['surrogate.c', 'surrogate.f90', 'surrogate.h', 'surrogate_test.c']

        """
        from ..export import c_files

        c_files.to_fortran(_without_embedding(self, "Fortran"), path, derivatives, weights)


def _without_embedding(network: NetworkExport, form: str) -> "Network":
    """The network itself; ValueError where it embeds numbers."""
    net = cast("Network", network)
    if net.number_embedding is not None:
        raise ValueError(
            f"the network embeds numbers, which has no form in {form} yet: make the Network "
            "without number_embedding, or predict with fastbp"
        )
    return net


def _members(ensemble: "EnsembleExport", form: str) -> "list[Network]":
    """The networks of an ensemble; ValueError where their mean is not all that it predicts."""
    found = cast("Ensemble", ensemble)
    if found.likelihood is not None:
        raise ValueError(
            f"the ensemble has likelihood {found.likelihood!r}, and its deviations have "
            f"no form in {form} yet: export each of ensemble.nets, whose outputs are means and "
            "logarithms of variances"
        )
    return [_without_embedding(net, form) for net in found.nets]


class EnsembleExport:
    """The base of ``Ensemble``: the mean of its networks for torch, ONNX, C and Fortran.

    ValueError for an ensemble with a likelihood, which predicts more than that mean.
    """

    def to_torch(self) -> Any:
        """A torch.nn.Module of the networks' modules, which predicts their mean.

        ``Network.to_torch`` says what these are and what is raised. ValueError for an ensemble with
        a likelihood, which predicts more than the mean.

        >>> module = fastbp.Ensemble([fastbp.Network([3, 2], seed=0)] * 2).to_torch()
        >>> len(module.members)
        2
        """
        need("torch", "torch", "to_torch")
        nets = _members(self, "torch")
        from ..export import torch_file

        return torch_file.Mean([net.to_torch() for net in nets])

    def to_onnx(self, path: str | os.PathLike[str], opset: int = 18) -> None:
        """Write all networks to one ONNX file, whose output Y (N, n_out) is their mean.

        Arguments, errors and the graph are those of ``Network.to_onnx``. ValueError for an ensemble
        with a likelihood, which predicts more than the mean.
        ``fastbp.from_onnx`` does not read it: it reads single networks.

        >>> nets = [fastbp.Network([3, 8, 2], output="softmax", seed=seed) for seed in range(5)]
        >>> fastbp.Ensemble(nets).to_onnx("ensemble.onnx")

        """
        need("onnx", "onnx", "to_onnx")
        nets = _members(self, "ONNX")
        from ..export import onnx_writer

        onnx_writer.mean_to_onnx(nets, path, opset)

    def to_c(self, path: str | os.PathLike[str]) -> None:
        """Write the networks as C99, with a function for the mean of their outputs.

        For ``surrogate.c`` there are ``surrogate.h``, which says how to call it,
        ``surrogate_test.c``, a program that tests it, and the files of each network,
        ``surrogate_1.c`` and ``surrogate_1.h`` and so on. What ``Network.to_c`` says holds here.

        Args:
            path: the .c file, as for ``Network.to_c``.

        Raises:
            ValueError, TypeError, OSError: as ``Network.to_c``; ValueError for an ensemble with a
                likelihood, which predicts more than the mean.

        >>> fastbp.Ensemble([fastbp.Network([3, 2], seed=0)] * 2).to_c("surrogate.c")
        >>> import pathlib
        >>> sorted(path.name for path in pathlib.Path().glob("surrogate*.c"))
        ['surrogate.c', 'surrogate_1.c', 'surrogate_2.c', 'surrogate_test.c']

        """
        from ..export import c_files

        c_files.mean_to_c(_members(self, "C"), path)

    def to_fortran(self, path: str | os.PathLike[str]) -> None:
        """Write the networks as a Fortran module over the files of ``to_c``, which come, too.

        Args:
            path: the .f90 file, as for ``Network.to_fortran``, which says how it is called.

        Raises:
            ValueError, TypeError, OSError: as ``to_c``.

        >>> fastbp.Ensemble([fastbp.Network([3, 2], seed=0)] * 2).to_fortran("surrogate.f90")

        """
        from ..export import c_files

        c_files.mean_to_fortran(_members(self, "Fortran"), path)


def from_torch(module: Any) -> "Network":
    """Make a network with the parameters and the predictions of a torch.nn.Sequential in eval mode.

    A Sequential may have Linear layers, each followed by an optional LayerNorm and an optional
    activation that fastbp has; Flatten and Identity; nested Sequentials; and the modules of
    ``Network.to_torch``. A Linear without bias gets biases of 0; a LayerNorm without weights gets
    gains of 1 and shifts of 0. Training then changes them. Dropout is left out: pass its p to
    ``Trainer(dropout=...)``.

    torch's classifiers often end with a Linear: add Softmax(dim=1), or Sigmoid, for probabilities
    and for the losses "cross_entropy" and "bce".

    Raises:
        TypeError: module is not a Sequential.
        ValueError: it has another module, or one that fastbp lacks: GELU with tanh, slopes, alpha,
            beta and eps other than torch's defaults, LayerNorm after only some hidden layers, half
            precision, parameters that are not finite.
        ModuleNotFoundError: torch is not installed.

    >>> from torch import nn
    >>> module = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1))
    >>> net = fastbp.from_torch(module)
    >>> net.sizes, net.activations
    ((3, 8, 2), ('relu', 'softmax'))

    """
    need("torch", "torch", "from_torch")
    from . import torch_modules

    return torch_modules.from_torch(module)


def from_onnx(path: str | os.PathLike[str]) -> "Network":
    """Make a network with the parameters and the predictions of an ONNX file.

    The file's graph must be a perceptron with one input. That is what ``Network.to_onnx`` writes,
    whose parameters and scaling come back to the bit; what torch.onnx.export makes of Linear,
    LayerNorm and fastbp's activations; and what sklearn-onnx makes of MLPClassifier and
    MLPRegressor, with a StandardScaler before it, too. A Linear without bias gets biases of 0.
    Labels are left out. Where the graph gives the probabilities [1 - p, p] of two classes, the
    network gives p. Dropout is left out: pass its rate to ``Trainer(dropout=...)``.

    Nothing in the file is run. Sizes are compared with the file before memory is allocated for
    them. Parameters in further files, as torch.onnx.export writes them, are read from files beside
    this one alone.

    Args:
        path: the file, of float32 or float64, of an opset from 7 to the newest that onnx knows.

    Raises:
        ValueError: the file is no ONNX model, or damaged; its graph is no perceptron of fastbp's:
            the message names the node; a parameter is not finite.
        OSError: the file cannot be read.
        ModuleNotFoundError: onnx is not installed.

    >>> net = fastbp.Network([3, 8, 2], "gelu", "softmax", dtype="float64", seed=0)
    >>> net.to_onnx("model.onnx")
    >>> np.array_equal(fastbp.from_onnx("model.onnx").weights[0], net.weights[0])
    True

    """
    need("onnx", "onnx", "from_onnx")
    from ..export import onnx_reader

    return onnx_reader.from_onnx(path)
