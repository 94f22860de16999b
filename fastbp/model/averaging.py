"""The mean of the outputs of several networks, and how far they disagree."""

from collections.abc import Sequence
from typing import NamedTuple
from weakref import ref

import numpy as np

from ..common.types import Array, Floats, Ints
from ..data.scaling import Units
from ..data.tables import Table
from ..kernels.entry import embed_server
from ..runtime.compiled_model import EnsembleModel
from ..runtime.ensemble_handle import ensemble_model, keep
from .network import Network
from .network_arrays import Fold


class Uncertainty(NamedTuple):
    """What an ensemble of a Gaussian likelihood predicts; all (n, targets), in units of y.

    std^2 is aleatoric^2 + epistemic^2: the variance of the mixture of the networks' distributions.
    """

    mean: Array
    """sum_k m_k / M, of the means m_k of M networks."""
    std: Array
    """The standard deviation."""
    aleatoric: Array
    """sqrt(sum_k s_k^2 / M), of the networks' own deviations s_k: noise, which more rows leave."""
    epistemic: Array
    """sqrt(sum_k (m_k - mean)^2 / M): how far the networks disagree, less so with more rows."""


class Sums(NamedTuple):
    """Sums over networks, float64 (rows, targets): float32 has no square of 1e-23."""

    squares: Floats
    """Of squared deviations of the means from their mean."""
    variances: Floats
    """Of the networks' own variances; 0 where they have none."""

    def part(self, rows: slice) -> "Sums":
        """Views of some rows."""
        return Sums(self.squares[rows], self.variances[rows])


def average(nets: Sequence[Network], x: Table, mean: Array, sums: Sums | None) -> None:
    """Fill ``mean`` (rows, targets) and, where they are wanted, add to sums of 0 (Welford, 1962).

    Where networks have twice as many outputs as there are targets, the others are logarithms of
    variances. kernels/entry/ensemble_server.py does the same.
    """
    targets = mean.shape[1]
    outputs = np.empty((len(mean), nets[0].sizes[-1]), mean.dtype)
    p, logarithms = outputs[:, :targets], outputs[:, targets:]
    for number, net in enumerate(nets, 1):
        net.fill(x, outputs)
        if number == 1:
            mean[:] = p
        else:
            p -= mean
            mean += p / number
            if sums is not None:
                d = p.astype(np.float64)
                sums.squares[:] += d * d * ((number - 1) / number)
        if sums is not None and logarithms.size:
            with np.errstate(over="ignore"):
                sums.variances[:] += np.exp(logarithms.astype(np.float64))


class _Follower:
    """Ends the model of an ensemble as soon as one of its networks begins to scale.

    Its kernels are those of a network that does not. See ``network_arrays.Follower``.
    """

    def __init__(self, header: Ints) -> None:
        self._header = ref(header)

    def check_scaling(self, targets: Units | None) -> None:
        """Any is right."""

    def follow_scaling(self) -> None:
        """End the model."""
        header = self._header()
        if header is not None:
            header[embed_server.HERE] = 0

    def fold_average(self, fold: Fold) -> None:
        """There is none."""


def compiled(nets: Sequence[Network], rows: int, targets: int) -> EnsembleModel:
    """The model of networks that predict up to ``rows`` rows of ``targets`` columns."""
    arrays = [net.arrays.for_inference() for net in nets]
    model = ensemble_model(arrays, rows, targets)
    follower = _Follower(model.header)
    keep(model.header, follower)
    for net, one in zip(nets, arrays, strict=True):
        if not one.spec.scaling:
            net.arrays.followers.add(follower)
            if net.arrays.spec is not one.spec:  # another thread has just begun to scale
                follower.follow_scaling()
    return model
