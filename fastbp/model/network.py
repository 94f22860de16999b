"""The network: layer sizes, activations, and the parameters."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any, Literal, Self, overload

import numpy as np
import numpy.typing as npt
from numpy import empty, ndarray

from ..common import checks
from ..common.attributes import Guarded
from ..common.literals import DtypeName, InitName
from ..common.signatures import explained
from ..common.types import Array
from ..components import activations, initializers, user_functions
from ..components.number_embedding import NumberEmbedding
from ..data.scaling import Scaling
from ..data.tables import Table
from ..kernels.tables import arenas, layout
from ..runtime import fast_path
from ..runtime.arrays import Dataset, raise_status
from ..runtime.locking import exclusive
from . import network_checks
from .network_arrays import NetworkArrays, initial_layers
from .network_data import NetworkData, read_only
from .network_export import NetworkExport
from .network_predictions import NetworkPredictions, checked_outputs, outputs_and_jacobian


class Network(NetworkData, NetworkPredictions, NetworkExport, Guarded):
    """A multilayer perceptron: fully connected layers, an activation after each.

    Its repr is the call that makes it, with the number of parameters as a comment.

    Args:
        sizes: units of each layer, the inputs first: at least two integers >= 1.
        activation: of the hidden layers: one name, or a sequence of one name per hidden layer. In
            place of a name, your own activation: an njit function ``f(z) -> (a, da/dz)`` of one
            number, called by its address from the compiled kernels. Where it raises, or a or da/dz
            is not finite, a is NaN: predictions show it, and no update is made. Its arithmetic is
            vectorized; functions of ``math`` are called for one number at a time, and
            ``fastbp.math`` has an exp and a tanh that are vectorized.
        output: activation of the last layer, likewise. Your own activation goes with every loss
            that takes any output activation (kernels/base/codes.py).
        init: name of a rule in fastbp/components/initializers.py; "auto" is He's normal for the
            relu family (relu, leaky_relu, elu, softplus, silu, gelu, mish) and Glorot's uniform for
            all others. Biases start at 0.
        seed: of the initial weights, an integer in [0, 2**63); None draws one.
        dtype: "float32", or "float64" for the same kernels in double precision.
        layer_norm: every hidden layer computes a = activation(LN(W x + b)): over its units
            LN(z) = gain (z - mean) / sqrt(variance + 1e-5) + shift, with gains that start at 1 and
            shifts at 0, and are learned. Where the variance overflows LN(z) is NaN. (torch's
            LayerNorm; Ba, Kiros and Hinton, 2016.)
        residual: a hidden layer that is as wide as the layer before, or as the inputs, adds its
            inputs to its activations; not the first with a number_embedding. (He et al., 2016.)
        number_embedding: a ``NumberEmbedding``: learned embeddings of columns of X, in front of the
            first layer. Such a network has no form in torch, ONNX, C and Fortran.

    Raises:
        ValueError, TypeError: an argument is not as above; layer_norm without a hidden layer,
            residual without one as wide as the layer before; your own activation raises, or its
            da/dz differs from central differences.
        MemoryError: there is not enough memory for the parameters.

    >>> fastbp.Network([784, 512, 10], output="softmax", seed=0)
    fastbp.Network([784, 512, 10], output='softmax', seed=0)  # 407,050 parameters

    """

    arrays: NetworkArrays
    _remedies = network_checks.REMEDIES
    _init = "auto"  # of pickles of 0.1.0, which did not keep theirs

    @explained("fastbp.Network")
    def __init__(
        self,
        sizes: Sequence[int],
        activation: activations.ActivationLike | Sequence[activations.ActivationLike] = "relu",
        output: activations.OutputLike = "identity",
        init: InitName = "auto",
        seed: int | None = None,
        dtype: DtypeName | npt.DTypeLike = "float32",
        layer_norm: bool = False,
        residual: bool = False,
        number_embedding: NumberEmbedding | None = None,
    ) -> None:
        self._sizes = network_checks.as_sizes(sizes)
        self._embed(number_embedding)
        hidden = network_checks.as_hidden(activation, len(self.sizes) - 2)
        self._activations = (*hidden, activations.lookup(output, "output"))
        for one in self._activations:
            initializers.lookup(init, one.rectifier)
        self._seed = checks.seed(seed)
        self._dtype = network_checks.as_dtype(dtype)
        self._init = init
        self._layer_norm = checks.flag(layer_norm, "layer_norm")
        self._residual = checks.flag(residual, "residual")
        network_checks.check_options(self._spec())
        try:
            layout.check_room(self._spec())
            layers = initial_layers(self._spec(), self._activations, init, self.seed)
            self._make_arrays(chain(layers, self._initial_embedding(self.seed)), Scaling())
            self._given = self.arrays.checksum()
        except MemoryError as error:
            raise MemoryError(
                f"sizes {list(self.sizes)} make {self.n_parameters} parameters, and there is no "
                "memory for them: make the layers smaller"
            ) from error

    @classmethod
    def blank(cls, *arguments: Any, **options: Any) -> Self:
        """A network of zeros, for fastbp itself, which then sets the parameters of a file."""
        net = cls(*arguments, **options | {"init": "zeros"})
        net._init = cls._init
        return net

    def __repr__(self) -> str:
        from . import description

        return description.as_text(self, self._init)

    def summary(self) -> None:
        """Print a table of the layers, and the number of parameters and their bytes in memory.

        Like Keras's summary, it returns None. "residual" says whether a layer adds its inputs;
        "standardized" says which of inputs and targets the network scales.

        >>> fastbp.Network([4, 8, 8, 3], output="softmax", layer_norm=True).summary()
        layer  activation  shape   parameters  layer norm  residual
        1      relu        4 -> 8          56  yes         no
        2      relu        8 -> 8          88  yes         no
        3      softmax     8 -> 3          27  no          no
        171 parameters, 684 bytes of float32; standardized: no
        """
        from . import description

        print(description.as_table(self))

    def _spec(self) -> layout.PlanSpec:
        spec = layout.PlanSpec(
            self.sizes,
            tuple(a.code for a in self._activations),
            self.dtype.itemsize,
            extended=self.layer_norm or self.residual or any(self.custom_activations),
            layer_norm=self.layer_norm,
            residual=self.residual,
            custom_activations=tuple(
                user_functions.activation_address(f, self.dtype.itemsize) if f else 0
                for f in self.custom_activations
            ),
        )
        return self._with_embedding(spec)

    def _make_arrays(self, layers: Iterable[arenas.Layer], scaled: Scaling) -> None:
        parts = self._spec(), self._activations, layers, scaled, self._embedded_columns
        vars(self)["arrays"] = NetworkArrays(*parts)
        self._fast_path: fast_path.Prediction | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Parameters are in natural shapes. Keys are those of 0.1.0, whose pickles load."""
        state = {k: v for k, v in vars(self).items() if k not in ("arrays", "_fast_path")}
        with exclusive(self.arrays.lock):
            return state | {"layers": self.arrays.layers(), "_scaling": self.arrays.scaling}

    def __setstate__(self, state: dict[str, Any]) -> None:
        of_arrays = ("layers", "_scaling")
        vars(self).update((key, value) for key, value in state.items() if key not in of_arrays)
        self._dtype = np.dtype(self._dtype.name)  # the fast path asks for this very object
        self._make_arrays(state["layers"], state.get("_scaling", Scaling()))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, the inputs first."""
        return self._sizes

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations, one a layer, the output's last; of own ones, the function's."""
        return tuple(a.name for a in self._activations)

    @property
    def custom_activations(self) -> tuple[Callable[..., Any] | None, ...]:
        """The functions of activations of your own, one a layer, None where it is none."""
        return tuple(a.function for a in self._activations)

    @property
    def own_activations(self) -> tuple[Callable[..., Any] | None, ...]:
        """``custom_activations`` under its name in 0.1.0."""
        return self.custom_activations

    @property
    def output(self) -> str:
        """Name of the output activation."""
        return self._activations[-1].name

    @property
    def seed(self) -> int:
        """The seed of the initial weights."""
        return self._seed

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters and outputs."""
        return self._dtype

    @property
    def layer_norm(self) -> bool:
        """Whether hidden layers are normalized."""
        return self._layer_norm

    @property
    def residual(self) -> bool:
        """Whether hidden layers as wide as the layer before add their inputs."""
        return self._residual

    @property
    def n_parameters(self) -> int:
        """Weights, biases, gains, shifts, and those of a number_embedding, counted."""
        count = self._embedding_count + (2 * sum(self.sizes[1:-1]) if self.layer_norm else 0)
        return count + sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))

    @property
    def weights(self) -> list[Array]:
        """Fresh read-only copies of the weights, (n_in, n_out) for each layer.

        The list, too, is the caller's: ``net.weights[0] = W`` does not reach the network, which
        ``set_parameters`` does.
        """
        return self._copies(0)

    @property
    def biases(self) -> list[Array]:
        """Fresh read-only copies of the biases, (n_out,) for each layer."""
        return self._copies(1)

    @property
    def gains(self) -> list[Array]:
        """Fresh read-only copies of the gains, (n_out,) for each hidden layer; [] without any."""
        return self._copies(2)

    @property
    def shifts(self) -> list[Array]:
        """Fresh read-only copies of the shifts, (n_out,) for each hidden layer; [] without any."""
        return self._copies(3)

    def _copies(self, part: int) -> list[Array]:
        return [read_only(array) for array in self.arrays.part(part)]

    @explained("net.set_parameters")
    def set_parameters(
        self,
        weights: Sequence[Any],
        biases: Sequence[Any],
        gains: Sequence[Any] | None = None,
        shifts: Sequence[Any] | None = None,
        layers: Sequence[int] | None = None,
    ) -> None:
        """Copy in weights, (n_in, n_out) for each layer, and biases, (n_out,) for each layer.

        A network with layer_norm takes gains and shifts, too, (n_out,) for each hidden layer; None
        keeps them. layers: the numbers of the layers that are given, from 1 as in ``summary``; the
        others stay; None for all. A trainer keeps its moments. ValueError or TypeError, with
        nothing changed, where a count, shape or dtype does not fit or a value is not finite.

        >>> net = fastbp.Network([2, 1])
        >>> net.set_parameters(weights=[[[2.0], [3.0]]], biases=[[1.0]])
        >>> print(net.predict([[1.0, 1.0]]))
        [[6.]]
        """
        is_new = not (self._is_trained or self.arrays.scaling.any)
        self.arrays.set_parameters(weights, biases, gains, shifts, layers)
        self._given = self.arrays.checksum() if is_new else None

    @overload
    def predict(
        self,
        X: Any,
        out: Array | None = ...,
        layer: int | None = ...,
        jacobian: Literal[False] = ...,
    ) -> Array: ...

    @overload
    def predict(
        self, X: Any, out: Array | None = ..., layer: None = ..., *, jacobian: Literal[True]
    ) -> tuple[Array, Array]: ...

    def predict(
        self,
        X: Any,
        out: Array | None = None,
        layer: int | None = None,
        jacobian: bool = False,
    ) -> Array | tuple[Array, Array]:
        """Outputs (n, n_out) of the rows of X (n, n_in); safe from many threads at once.

        While another thread trains, an update may be visible in some parameters only. For one
        output, ``predict(X)[:, 0]`` goes with targets (n,): NumPy would broadcast them against
        (n, 1).

        Args:
            X: numbers of any real dtype, order and strides; SciPy's CSR matrices, tables and files
                as for ``fit``.
            out: array to fill and return, (n, n_out), C-contiguous, of the network's dtype.
            layer: k for the activations (n, sizes[k]) of layer k, from 1 as in ``summary``, in
                place of the outputs. Parameters are copied in each call: ``net[:k]`` copies once.
            jacobian: True for (outputs, ``jacobian(X)``), in one pass. The last bits of few rows'
                outputs may differ from those without it.

        Raises:
            ValueError: layer and jacobian are both given: ``net[:k]`` has a Jacobian of its own.
            ValueError, TypeError: an argument is not as above, its columns have other names than
                ``feature_names_in``, or X holds NaN or Inf, in which case out may be partly
                written.

        >>> fastbp.Network([3, 8, 2]).predict(np.ones((100, 3))).shape
        (100, 2)

        """
        if jacobian is not False and checks.flag(jacobian, "jacobian"):
            if layer is not None:
                raise ValueError("layer is given with jacobian=True: use net[:layer].jacobian(X)")
            return outputs_and_jacobian(self, X, out)
        if layer is not None:
            from . import network_parts

            k = network_parts.layer_number(layer, len(self._sizes) - 1)
            return network_parts.activations_of(self, k, X, out)
        p = self.fast_outputs(X, out)
        return checked_outputs(self, X, out) if p is None else p

    def __getitem__(self, where: slice) -> "Network":
        """``net[:k]``: a network of the first k layers, with copies of their parameters.

        It has the scaling of inputs and the names of columns; ``net[:]`` has that of targets, too.
        ``net[:-1]`` has all layers but the last. TypeError for an index. ValueError for another
        slice, and where layer k is a hidden one that is normalized or adds its inputs, which the
        last layer of a network cannot: ``predict(X, layer=k)`` gives its activations.

        >>> fastbp.Network([4, 8, 2, 8, 4], activation="tanh", seed=0)[:2]
        fastbp.Network([4, 8, 2], activation='tanh', output='tanh', seed=0)  # 58 parameters
        """
        from . import network_parts

        return network_parts.first_layers(self, where)

    def allclose(self, other: "Network", rtol: float = 1e-5, atol: float = 1e-8) -> bool:
        """Whether ``other`` has the same layers, and parameters and scaling as close as given.

        Numbers a and b are close where abs(a - b) <= atol + rtol abs(b), as in ``numpy.allclose``:
        NaN never. Activations of your own must be the same functions. dtypes and names of columns
        are not compared. TypeError where ``other`` is no Network.

        >>> net = fastbp.Network([4, 8, 3], seed=0)
        >>> net.allclose(fastbp.Network([4, 8, 3], seed=0))
        True
        """
        from . import network_parts

        return network_parts.allclose(self, other, rtol, atol)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file, from which ``fastbp.load`` makes it again.

        It is a safetensors file, which any reader of these opens: parameters in natural shapes, the
        other properties that ``predict`` needs, and a checksum. It replaces an older file
        atomically: the file is complete at any time, and on the disk when this returns.

        Args:
            path: the file, by custom called ``....safetensors``; its folder exists.

        Raises:
            ValueError: a parameter is not finite. Nothing has been written.
            OSError: the file cannot be written. An older file is unchanged.

        >>> fastbp.Network([3, 2], seed=1).save("model.safetensors")
        >>> fastbp.load("model.safetensors")
        fastbp.Network([3, 2], seed=1)  # 8 parameters

        """
        from . import model_io

        model_io.save(self, path)

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        verify: bool = True,
        functions: Mapping[str, Callable[..., Any]] | None = None,
    ) -> "Network":
        """``fastbp.load``: the network of a file, with the same arguments and errors.

        >>> fastbp.Network([3, 2], seed=1).save("model.safetensors")
        >>> fastbp.Network.load("model.safetensors")
        fastbp.Network([3, 2], seed=1)  # 8 parameters
        """
        from . import model_io

        return model_io.read(path, verify, functions)

    def fill(self, x: Table, out: Array) -> Array:
        """Fill a checked ``out`` with the outputs of checked rows, for fastbp itself."""
        if not self.fast_fill(x, out):
            path = self._fast_path or self._make_fast_path()
            data, inference = Dataset(x), self.arrays.inference
            status = inference.run(path.limit, data, out=np.asarray(out))
            raise_status(status, data, inference.arrays)
        return out

    def fast_fill(self, x: Table, out: Array) -> bool:
        """Fill a checked ``out`` by the fast path, for fastbp itself; whether it has."""
        if x.is_sparse:
            return False
        path = self._fast_path or self._make_fast_path()
        return len(x.array) <= path.most_rows and path.table_code(
            path.header, x.descriptor, np.asarray(out)
        )

    def fast_outputs(self, X: Any, out: Array | None) -> Array | None:
        """``predict`` by the fast path, for fastbp itself; None where X or out must be checked."""
        if type(X) is not ndarray or X.dtype is not self._dtype or not X.flags.carray:
            return None
        header, code, _, most_rows, _, _ = self._fast_path or self._make_fast_path()
        try:
            if len(X) > most_rows:
                return None
            if out is None:
                out = empty((len(X), self._sizes[-1]), self._dtype)
            elif type(out) is not ndarray or out.dtype is not self._dtype:
                return None  # Numba may take swapped bytes for the native dtype
            return out if code(header, X, out) else None
        except TypeError:  # not an array of two dimensions
            return None

    def _make_fast_path(self) -> fast_path.Prediction:
        arrays = self.arrays.for_inference()
        self._fast_path = made = fast_path.prediction(arrays, self.n_parameters)
        if self.arrays.spec is not arrays.spec:  # another thread has just begun to scale
            self._fast_path = None
        return made
