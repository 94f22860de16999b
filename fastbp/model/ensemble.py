"""An ensemble: networks whose predictions are averaged, in one file, and in compiled code."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np

from ..common import checks, registry
from ..common.attributes import Guarded
from ..common.types import Array, Floats
from ..data.tables import as_input_parts
from ..runtime.compiled_model import EnsembleModel
from ..storage import model_file, tree_codec
from . import averaging, model_io, network_checks
from .averaging import Sums, Uncertainty
from .network import Network
from .network_export import EnsembleExport

KIND, MEMBERS, LIKELIHOOD = "ensemble", "members", "likelihood"
"""The kind of the file, and the keys in it; that of the likelihood only where there is one."""

GAUSSIAN: Literal["gaussian"] = "gaussian"


class Ensemble(Guarded, EnsembleExport):
    """Networks for the same inputs and outputs, whose predictions are averaged.

    Probabilities are averaged as they are, not their logits. The networks are not copied: where one
    is trained further, the ensemble predicts by its new parameters. Their sizes may differ between
    inputs and outputs. ``len``, indices and iteration give the networks.

    Networks of loss "gaussian_nll" or ``BetaNLL`` have means and logarithms of variances as
    outputs. With likelihood="gaussian" the ensemble is a deep ensemble (Lakshminarayanan et al.,
    NeurIPS 2017): it predicts the mean and the variance of the mixture of their normal
    distributions, as columns of targets.

    Args:
        nets: at least one ``Network``, all with the same number of inputs, number of outputs,
            output activation, dtype and, where they have some, names of columns.
        likelihood: "gaussian", or None for networks that predict values alone.

    Raises:
        ValueError, TypeError: nets or likelihood is not as above; with "gaussian" the number of
            outputs is odd, their activation is not identity, or the networks scale as many targets
            as they have outputs.

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
        "likelihood": "make a new Ensemble of these networks",
    }

    def __init__(
        self, nets: Iterable[Network], likelihood: Literal["gaussian"] | None = None
    ) -> None:
        self._nets = _as_members(nets)
        self._likelihood = _as_likelihood(likelihood, self._nets)

    @property
    def nets(self) -> tuple[Network, ...]:
        """The networks."""
        return self._nets

    @property
    def likelihood(self) -> Literal["gaussian"] | None:
        """What the outputs of the networks are: "gaussian", or None for values."""
        return self._likelihood

    @property
    def n_targets(self) -> int:
        """The columns of a prediction: outputs of a network, half of them with a likelihood."""
        outputs = self._nets[0].sizes[-1]
        return outputs if self._likelihood is None else outputs // 2

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
        given = "" if self._likelihood is None else f", likelihood={self._likelihood!r}"
        return f"fastbp.Ensemble({what}{given})  # {self.n_parameters:,} parameters"

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
        """The mean (n, targets) of the networks' outputs for the rows of X (n, n_in).

        Targets are the outputs; with a Gaussian likelihood the first half of them, the means.

        Args:
            X: as for ``Network.predict``; files are read once.
            out: array to fill with the mean, as for ``Network.predict``.
            return_std: return (mean, std), where std (n, targets) is the standard deviation of the
                networks' outputs, sqrt(mean_k (p_k - mean)^2): how far they disagree. With a
                Gaussian likelihood it is that of the prediction, which has the networks' own
                variances in it; ``predict_uncertainty`` tells both parts.

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
        wanted = checks.flag(return_std, "return_std")
        mean, sums = self._averaged(X, out, wanted)
        return mean if sums is None else (mean, self._root(sums.squares + sums.variances))

    def predict_uncertainty(self, X: Any) -> Uncertainty:
        """Mean, standard deviation and its two parts for the rows of X (n, n_in).

        X is as for ``predict``. The result is a named tuple of arrays (n, targets) in units of the
        targets: mean and std, as ``predict`` has them; aleatoric, the part of std that the networks
        have learned from the noise of the data; and epistemic, how far they disagree. std^2 is
        aleatoric^2 + epistemic^2.

        Raises:
            ValueError: the ensemble has no likelihood; otherwise as ``predict``.

        >>> nets = [fastbp.Network([1, 2], init="zeros") for _ in range(2)]
        >>> for net, mean in zip(nets, (1.0, 7.0)):
        ...     net.set_parameters(net.weights, [[mean, np.log(16.0)]])
        >>> ensemble = fastbp.Ensemble(nets, likelihood="gaussian")
        >>> mean, std, aleatoric, epistemic = ensemble.predict_uncertainty([[0.0]])
        >>> print(mean, std, aleatoric, epistemic)
        [[4.]] [[5.]] [[4.]] [[3.]]

        """
        if self._likelihood is None:
            raise ValueError(
                "the ensemble has no likelihood, so that its networks predict no variances: train "
                "them with loss=fastbp.BetaNLL() or 'gaussian_nll', and make the Ensemble with "
                "likelihood='gaussian'; predict(X, return_std=True) tells how far others disagree"
            )
        mean, sums = self._averaged(X, None, True)
        squares, variances = sums
        parts = (squares + variances, variances, squares)
        return Uncertainty(mean, *(self._root(part) for part in parts))

    def _root(self, sums: Floats) -> Array:
        """The deviation of sums over the networks."""
        with np.errstate(over="ignore"):
            return np.sqrt(sums / len(self)).astype(self._nets[0].dtype)

    @overload
    def _averaged(self, X: Any, out: Array | None, wanted: Literal[True]) -> tuple[Array, Sums]: ...

    @overload
    def _averaged(self, X: Any, out: Array | None, wanted: bool) -> tuple[Array, Sums | None]: ...

    def _averaged(self, X: Any, out: Array | None, wanted: bool) -> tuple[Array, Sums | None]:
        """The mean and, where they are wanted, the sums of deviations."""
        first = self._nets[0]
        whole, parts = as_input_parts(X, first.sizes[0], "X", self.feature_names_in)
        mean = network_checks.as_out(out, whole, self.n_targets, first.dtype)
        sums = Sums(*np.zeros((2, *mean.shape))) if wanted else None
        for x in parts:
            rows = slice(x.first, x.first + len(x.array))
            of_rows = None if sums is None else sums.part(rows)
            averaging.average(self._nets, x, np.asarray(mean)[rows], of_rows)
        return mean, sums

    def compiled(self, batch_size: int = 32) -> EnsembleModel:
        """The model with which ``fastbp.embed.predict`` predicts in your own njit code.

        ``embed.predict(model, X, mean, std)`` fills mean and std (B, targets) with what ``predict``
        returns, the std of a likelihood up to rounding, for at most ``batch_size`` rows. std may be
        left out. The networks are not copied: the model predicts by their present parameters. After
        the first scaling of a network it raises ValueError: make a new one.

        Raises:
            ValueError, TypeError: batch_size is no integer >= 1.

        >>> nets = [fastbp.Network([3, 8, 2], seed=seed) for seed in range(5)]
        >>> model = fastbp.Ensemble(nets).compiled(batch_size=1)
        >>> model
        <fastbp ensemble: float32, 5 networks, at most 1 rows>
        >>> x, mean, std = np.ones(3, np.float32), np.empty(2, np.float32), np.empty(2, np.float32)
        >>> fastbp.embed.predict(model, x, mean, std)
        >>> np.array_equal(mean, fastbp.Ensemble(nets).predict(x[None])[0])
        True

        """
        rows = checks.count(batch_size, "batch_size")
        return averaging.compiled(self._nets, rows, self.n_targets)

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
        more = {} if self._likelihood is None else {LIKELIHOOD: self._likelihood}
        model_file.write(path, KIND, {MEMBERS: members} | more, tensors)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        verify: bool = True,
        functions: model_io.Functions | None = None,
    ) -> Self:
        """The ensemble that ``save`` wrote. Arguments and errors are those of ``fastbp.load``.

        >>> fastbp.Ensemble([fastbp.Network([2, 1], seed=i) for i in range(3)]).save("three.model")
        >>> len(fastbp.Ensemble.load("three.model"))
        3

        """
        model_io.check_functions(functions)
        meta, tensors = model_file.read(path, KIND, verify)
        with model_file.naming(path):
            nets = from_dict(tree_codec.get(meta, MEMBERS, dict), tensors, functions)
            if tensors:
                raise ValueError(f"tensor {min(tensors)!r:.80} is not used")
            likelihood = tree_codec.get(meta, LIKELIHOOD, str) if LIKELIHOOD in meta else None
            return cls(nets, likelihood)


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


def _as_likelihood(value: Any, members: tuple[Network, ...]) -> Literal["gaussian"] | None:
    """``value`` itself; ValueError or TypeError where the networks cannot have it."""
    if value is None:
        return None
    registry.lookup({GAUSSIAN: None}, value, "likelihood")
    outputs, activation = members[0].sizes[-1], _facts(members[0])["the output activation"]
    needed = "means and, as many again, logarithms of variances, as of loss 'gaussian_nll'"
    if outputs % 2 or activation != "identity":
        raise ValueError(
            f"likelihood is 'gaussian', but the networks have {outputs} outputs of activation "
            f"{activation}, expected {needed}: leave it out, or train such networks"
        )
    for place, net in enumerate(members):
        if net.target_mean is not None and len(net.target_mean) != outputs // 2:
            raise ValueError(
                f"likelihood is 'gaussian', but nets[{place}] scales "
                f"{len(net.target_mean)} targets and has {outputs} outputs, expected {needed}"
            )
    return GAUSSIAN


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
