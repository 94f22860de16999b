"""An ensemble: networks whose predictions are averaged, in one file."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np

from ..common import checks
from ..common.attributes import Guarded
from ..common.types import Array
from ..data.tables import Table, as_input_parts
from ..storage import model_file, tree_codec
from . import model_io, network_checks
from .network import Network
from .network_export import EnsembleExport

KIND, MEMBERS = "ensemble", "members"
"""The kind of the file, and the key of the networks in it."""


class Ensemble(Guarded, EnsembleExport):
    """Networks for the same inputs and outputs, whose predictions are averaged.

    Probabilities are averaged as they are, not their logits. The networks are not copied: where one
    is trained further, the ensemble predicts by its new parameters. Their sizes may differ between
    inputs and outputs. ``len``, indices and iteration give the networks.

    Args:
        nets: at least one ``Network``, all with the same number of inputs, number of outputs,
            output activation, dtype and, where they have some, names of columns.

    Raises:
        ValueError, TypeError: nets is not as above.

    >>> nets = [fastbp.Network([3, 8, 2], output="softmax", seed=seed) for seed in range(5)]
    >>> ensemble = fastbp.Ensemble(nets)
    >>> ensemble
    fastbp.Ensemble(<5 networks of 3 inputs and 2 outputs>)  # 250 parameters
    >>> mean, std = ensemble.predict(np.ones((100, 3)), return_std=True)
    >>> mean.shape, std.shape
    ((100, 2), (100, 2))

    """

    _remedies: ClassVar[dict[str, str]] = {
        "nets": "make a new Ensemble of these networks",
        "feature_names_in": "each of its networks has its own",
    }

    def __init__(self, nets: Iterable[Network]) -> None:
        self._nets = _as_members(nets)

    @property
    def nets(self) -> tuple[Network, ...]:
        """The networks."""
        return self._nets

    @property
    def n_parameters(self) -> int:
        """The number of parameters of all networks."""
        return sum(net.n_parameters for net in self._nets)

    @property
    def feature_names_in(self) -> tuple[str, ...] | None:
        """The names of the columns of X that the networks learned from; None without names."""
        return next((n.feature_names_in for n in self._nets if n.feature_names_in), None)

    def __len__(self) -> int:
        return len(self._nets)

    def __getitem__(self, place: int) -> Network:
        return self._nets[place]

    def __iter__(self) -> Iterator[Network]:
        return iter(self._nets)

    def __repr__(self) -> str:
        n_in, n_out = self._nets[0].sizes[0], self._nets[0].sizes[-1]
        what = f"<{len(self)} networks of {n_in} inputs and {n_out} outputs>"
        return f"fastbp.Ensemble({what})  # {self.n_parameters:,} parameters"

    @overload
    def predict(
        self, X: Any, out: Array | None = None, return_std: Literal[False] = False
    ) -> Array: ...

    @overload
    def predict(
        self, X: Any, out: Array | None = None, *, return_std: Literal[True]
    ) -> tuple[Array, Array]: ...

    def predict(
        self, X: Any, out: Array | None = None, return_std: bool = False
    ) -> Array | tuple[Array, Array]:
        """The mean (n, n_out) of the networks' outputs for the rows of X (n, n_in).

        Args:
            X: as for ``Network.predict``; files are read once.
            out: array to fill with the mean, as for ``Network.predict``.
            return_std: return (mean, std), where std (n, n_out) is the standard deviation of the
                networks' outputs, sqrt(mean_k (p_k - mean)^2): how far they disagree.

        Raises:
            ValueError, TypeError: as ``Network.predict``; return_std is no bool.

        >>> nets = [fastbp.Network([1, 1]) for _ in range(2)]
        >>> for net, slope in zip(nets, (1.0, 3.0)):
        ...     net.set_parameters(weights=[[[slope]]], biases=[[0.0]])
        >>> fastbp.Ensemble(nets).predict([[1.0], [2.0]], return_std=True)
        (array([[2.],
               [4.]], dtype=float32), array([[1.],
               [2.]], dtype=float32))

        """
        checks.flag(return_std, "return_std")
        first = self._nets[0]
        whole, parts = as_input_parts(X, first.sizes[0], "X", self.feature_names_in)
        mean = network_checks.as_out(out, whole, first.sizes[-1], first.dtype)
        squares = np.zeros_like(mean, subok=False) if return_std else None
        for x in parts:
            rows = slice(x.first, x.first + len(x.array))
            self._average(x, np.asarray(mean)[rows], None if squares is None else squares[rows])
        if squares is None:
            return mean
        return mean, np.sqrt(squares / len(self))

    def _average(self, x: Table, mean: Array, squares: Array | None) -> None:
        """Fill ``mean``, and add the squared deviations to ``squares`` (Welford, 1962)."""
        self._nets[0].fill(x, mean)
        p = np.empty_like(mean)
        for count, net in enumerate(self._nets[1:], 2):
            net.fill(x, p)
            p -= mean
            mean += p / count
            if squares is not None:
                squares += p * p * ((count - 1) / count)

    def predict_classes(self, X: Any, threshold: float = 0.5) -> Array:
        """The classes of the rows of X by the mean of the networks' outputs.

        It returns and raises what ``Network.predict_classes`` does.

        >>> nets = [fastbp.Network([3, 8, 2], output="softmax", seed=seed) for seed in range(5)]
        >>> fastbp.Ensemble(nets).predict_classes(np.ones((1, 3))).shape
        (1,)
        """
        output = self._nets[0].output
        limit = network_checks.as_threshold(threshold, output)
        return network_checks.as_classes(self.predict(X), output, limit)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks to one file, from which ``Ensemble.load`` makes the ensemble again.

        The file and the errors are those of ``Network.save``.

        >>> nets = [fastbp.Network([3, 2], seed=seed) for seed in range(2)]
        >>> fastbp.Ensemble(nets).save("ensemble.safetensors")
        >>> fastbp.Ensemble.load("ensemble.safetensors")
        fastbp.Ensemble(<2 networks of 3 inputs and 2 outputs>)  # 16 parameters

        """
        members, tensors = to_dict(self)
        model_file.write(path, KIND, {MEMBERS: members}, tensors)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        verify: bool = True,
        functions: model_io.Functions | None = None,
    ) -> Self:
        """The ensemble that ``save`` wrote. Arguments and errors are those of ``fastbp.load``."""
        model_io.check_functions(functions)
        meta, tensors = model_file.read(path, KIND, verify)
        with model_file.naming(path):
            nets = from_dict(tree_codec.get(meta, MEMBERS, dict), tensors, functions)
            if tensors:
                raise ValueError(f"tensor {min(tensors)!r:.80} is not used")
            return cls(nets)


def to_dict(ensemble: Ensemble) -> tuple[dict[str, Any], dict[str, Array]]:
    """(what the networks are besides tensors, for JSON, by their numbers; their tensors)."""
    nets = ensemble.nets
    model_io.check_names([f for net in nets for f in net.custom_activations if f is not None])
    tensors = {
        f"{_prefix(i)}{name}": array
        for i, net in enumerate(nets)
        for name, array in model_io.tensors(net).items()
    }
    return {str(i): model_io.to_dict(net) for i, net in enumerate(nets)}, tensors


def from_dict(
    members: Mapping[str, Any],
    tensors: dict[str, Array],
    functions: model_io.Functions | None = None,
) -> list[Network]:
    """The networks that ``to_dict`` described; it takes their tensors out of ``tensors``."""
    return [
        model_io.from_dict(
            tree_codec.get(members, str(i), dict), _taken(tensors, _prefix(i)), functions
        )
        for i in range(len(members))
    ]


def _prefix(number: int) -> str:
    return f"{MEMBERS}.{number}."


def _taken(tensors: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Take the tensors whose names begin with ``prefix``, without it, out of ``tensors``."""
    own = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in own}


def _as_members(nets: Iterable[Network]) -> tuple[Network, ...]:
    if isinstance(nets, Network) or not isinstance(nets, Iterable):
        raise TypeError(f"nets is a {type(nets).__name__}, expected a list of Networks")
    members = tuple(nets)
    for place, net in enumerate(members):
        if not isinstance(net, Network):
            raise TypeError(f"nets[{place}] is a {type(net).__name__}, expected a Network")
    if not members:
        raise ValueError("nets is empty, expected at least one Network")
    first = _facts(members[0])
    for place, net in enumerate(members):
        for what, came in _facts(net).items():
            if came != first[what]:
                raise ValueError(
                    f"nets[{place}] has {what} {came}, and nets[0] has {first[what]}: an ensemble "
                    "averages outputs of the same kind for the same inputs"
                )
    _check_columns(members)
    return members


def _facts(net: Network) -> dict[str, Any]:
    output = net.custom_activations[-1] or net.output
    return {
        "inputs": net.sizes[0],
        "outputs": net.sizes[-1],
        "the output activation": output,
        "dtype": net.dtype.name,
    }


def _check_columns(members: tuple[Network, ...]) -> None:
    named = [(i, net.feature_names_in) for i, net in enumerate(members) if net.feature_names_in]
    for place, names in named:
        if names != named[0][1]:
            raise ValueError(
                f"nets[{place}] learned from the columns {names!s:.80}, and nets[{named[0][0]}] "
                f"from {named[0][1]!s:.80}: train all on the same columns in the same order"
            )
