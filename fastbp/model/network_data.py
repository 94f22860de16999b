"""What a network knows of the data: names of columns, means and scales."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..common import checks
from ..common.signatures import explained
from ..common.types import Array, Floats
from ..data import moments, scaling
from ..data.names import Names
from ..data.scaling import Scaling
from ..runtime import fast_path
from .network_embedding import NetworkEmbedding


class NetworkData(NetworkEmbedding):
    """The base of ``Network``: names of columns, and the scaling of inputs and targets."""

    _dtype: np.dtype[Any]
    _fast_path: fast_path.Prediction | None
    _feature_names: Names = None
    _given: int | None = None
    """The checksum of parameters that have no function to keep, because the network is new."""

    @property
    def feature_names_in(self) -> Names:
        """The names of the columns of the first DataFrame that the network has learned from.

        fit, fit_batches, step and standardize keep them, where all names are str; files have them.
        Later tables with names must have the same, in the same order: ValueError. None before.
        """
        return self._feature_names

    def keep_names(self, names: Names) -> None:
        """Keep the names of columns, for fastbp itself."""
        self._feature_names = names

    @property
    def _is_trained(self) -> bool:
        """Whether the parameters are others than those that a new network was made or set to."""
        return self._given != self.arrays.checksum()

    def standardize(self, X: Any, y: Any = None, *, comm: Any = None) -> None:
        """Standardize inputs, and with y also targets, by their mean and standard deviation.

        Make it the first thing that a network learns. A network that has been trained, or loaded,
        keeps the function that it computes, up to rounding: its first layer, and with y its last,
        take up the change. The parameters of a new network, of the seed or of ``set_parameters``,
        stay as they are. Moments of a trainer that has made updates stay those of the scaling
        before: ``trainer.reset_optimizer()`` forgets them.

        From now on the network takes (x - mean) / scale of every input, and trainers take
        (y - mean) / scale of every target; outputs come back as p scale + mean. Data keep their
        units in every call of ``predict`` and ``embed``. A constant column gets scale 1. Losses are
        of standardized targets, without units: an mse of 1 is that of the mean of y as prediction.
        Without y the scaling of targets stays.

        X and y are read once, a part at a time, in float64: they may be memory-mapped, or lie in
        files of h5py or zarr. For other streams there is ``standardize_batches``. Values are
        rounded to the network's dtype before they are scaled. Trainers that exist follow; models
        that ``compiled()`` made before the network's first scaling do not, and say so.

        Args:
            X: (n, n_in), numbers of any real dtype, order and strides: the training data.
            y: (n, n_out), (n,) for one column, or (n, n_out / 2) for losses "gaussian_nll" and
                "beta_nll", whose outputs become means and log-variances in units of y.
            comm: a communicator of mpi4py, each rank of which passes rows of its own, or none (an
                array with 0 rows): mean and deviation are over the rows of all, and the same on
                all (fastbp/distributed/README.md).

        Raises:
            ValueError, TypeError: X or y is not as above, has less than two rows, or has NaN or
                Inf; a column's spread is too small beside its mean for the network's dtype; y is
                given for softmax outputs, or integers or bool for sigmoid ones, as labels are; a
                trainer of this network has a loss of classes or counts, or of your own, which do
                not go with scaled targets; the network is trained and cannot keep its function,
                because its first layer is residual, or its outputs have an activation and y is
                given. Nothing has changed.

        >>> net = fastbp.Network([1, 1])
        >>> net.standardize([[1.0], [3.0]])
        >>> print(net.input_mean, net.input_scale)
        [2.] [1.]

        """
        self._scale_by(lambda estimate: estimate.add(X, y), comm)

    def standardize_batches(
        self, batches: Iterable[Any] | Callable[[], Iterable[Any]], *, comm: Any = None
    ) -> None:
        """``standardize`` by a stream: by the mean and deviation over all rows of its batches.

        Args:
            batches: an iterable of X, or of (X, y) to standardize targets, too, or a function that
                returns one, as ``Trainer.fit_batches`` takes them; a third item, of weights, plays
                no part. It is read once: fit_batches needs a new one then. For labels, which are
                not standardized, pass X alone: ``(X for X, y in batches())``.
            comm: as for ``standardize``: each rank passes batches of its own.

        Raises:
            ValueError, TypeError: as ``standardize``. Nothing has changed.

        >>> net = fastbp.Network([1, 1])
        >>> net.standardize_batches([[1.0], [3.0]] for _ in range(5))
        >>> print(net.input_mean, net.input_scale)
        [2.] [1.]

        """
        self._scale_by(lambda estimate: moments.of_batches(batches, estimate), comm)

    @explained("net.initialize_from")
    def initialize_from(self, X: Any, seed: int | None = None) -> None:
        """Draw all parameters anew, so that what enters each unit has variance 1 on rows of X.

        Make it after ``standardize``, and before training. Weights are normal numbers, those of
        each unit divided by the standard deviation of their products with its inputs over the rows;
        a unit whose products do not vary keeps their size at 1. A bias is minus a convex
        combination of these products in five rows, so that the unit bends amid the data. Gains
        become 1 and shifts 0. (RealMLP's start: fastbp/model/data_init.py has the sources.) Moments
        of trainers stay.

        Args:
            X: (n, n_in), n >= 2, as for ``predict``: a sample of the training data, of which some
                thousand rows are enough. It is read at once, and all its activations are in memory.
            seed: of the draws, an integer in [0, 2**63); None for that of the network.

        Raises:
            ValueError, TypeError: an argument is not as above, or X has NaN or Inf. Nothing has
                changed.

        >>> net = fastbp.Network([2, 1], output="identity", seed=0)
        >>> X = np.array([[0.0, 5.0], [1.0, 7.0], [2.0, 3.0]])
        >>> net.initialize_from(X)
        >>> print(net.predict(X).std(axis=0).round(5))
        [1.]

        """
        from . import data_init

        seed, names = self._seed if seed is None else checks.seed(seed), self._feature_names
        embedding = self._initial_embedding(seed)
        self.arrays.set_layers(data_init.layers_for(self.arrays, X, names, seed, embedding))
        self._given = None  # rows fitted it: standardize must keep what it computes

    def _scale_by(self, add: Callable[[moments.Estimate], None], comm: Any) -> None:
        """Scale by the rows that ``add`` gives an estimate, and those of the other ranks."""
        if comm is None:
            self._scale_by_estimate(add, None)
            return
        from ..distributed.group import group_of

        group = group_of(comm)
        with group.call("net.standardize"):
            self._scale_by_estimate(add, group.of_all)

    def _scale_by_estimate(
        self,
        add: Callable[[moments.Estimate], None],
        of_all: Callable[[Any], list[Any]] | None,
    ) -> None:
        output = self.arrays.spec.activations[-1]
        of_network = self._sizes[0], self._sizes[-1], output, self._feature_names
        estimate = moments.Estimate(*of_network, takes_none=of_all is not None)
        add(estimate)
        if of_all is not None:
            estimate.join(of_all)
        wanted = estimate.scaling(self._dtype, self.arrays.scaling.targets)
        self._scale(wanted, keeps_function=self._is_trained)
        self.keep_names(estimate.columns)

    @explained("net.set_scaling")
    def set_scaling(
        self,
        *,
        input_mean: Any = None,
        input_scale: Any = None,
        target_mean: Any = None,
        target_scale: Any = None,
    ) -> None:
        """Set the means and scales of ``standardize``: inputs become (x - mean) / scale.

        The parameters stay as they are, so that a trained network computes something else.
        Each call sets all four: a mean that is not given is 0, a scale that is not given is 1.
        Without arguments nothing is scaled any more.

        Args:
            input_mean: a number, or (n_in,).
            input_scale: a number above 0, or (n_in,).
            target_mean: a number, or one for each target.
            target_scale: a number above 0, or one for each target.

        Raises:
            ValueError, TypeError: an argument is not as above, or a trainer of this network has a
                loss that goes with no scaled targets. Nothing has changed.

        >>> net = fastbp.Network([784, 10])
        >>> net.set_scaling(input_scale=255)  # pixels of images

        """
        counts = scaling.target_counts(self._sizes[-1])
        inputs = scaling.given(input_mean, input_scale, (self._sizes[0],), "input")
        self._scale(Scaling(inputs, scaling.given(target_mean, target_scale, counts, "target")))

    def _scale(self, wanted: Scaling, keeps_function: bool = False) -> None:
        try:
            self.arrays.set_scaling(wanted, keeps_function)
        finally:
            self._fast_path = None  # it may be that of the plain kernels

    @property
    def input_mean(self) -> Floats | None:
        """The mean subtracted from inputs: a read-only copy, (n_in,), or None."""
        return _copy_of(self.arrays.scaling.inputs, "mean")

    @property
    def input_scale(self) -> Floats | None:
        """The deviation that inputs are then divided by: a read-only copy, (n_in,), or None."""
        return _copy_of(self.arrays.scaling.inputs, "scale")

    @property
    def target_mean(self) -> Floats | None:
        """The mean subtracted from targets: a read-only copy, one for each, or None."""
        return _copy_of(self.arrays.scaling.targets, "mean")

    @property
    def target_scale(self) -> Floats | None:
        """The deviation that targets are then divided by: a read-only copy, one each, or None."""
        return _copy_of(self.arrays.scaling.targets, "scale")


def read_only(array: Array) -> Array:
    """``array``, which can no longer be written to."""
    array.flags.writeable = False
    return array


def _copy_of(units: scaling.Units | None, part: str) -> Floats | None:
    return None if units is None else read_only(getattr(units, part).copy())
