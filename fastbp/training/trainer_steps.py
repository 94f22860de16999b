"""The methods of a trainer that make one update."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..runtime import fast_path
from ..runtime.arrays import Dataset
from . import derivatives, learned_names
from .collective import collective
from .datasets import as_dataset, as_step
from .gradients import as_gradients
from .trainer_queries import TrainerQueries

LABELS = np.dtype(np.int64)

ALIKE = 1.0
"""The default of jacobian_weight, by identity: step has no time to compare numbers."""


class TrainerSteps(TrainerQueries):
    """A base of ``Trainer``: ``step`` and ``apply_gradients``."""

    # step reads these: an attribute of an attribute would take longer.
    _dtype: np.dtype[Any]
    _lock: Any
    _fast_path: fast_path.Step | None

    def step(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        jacobian: Any = None,
        jacobian_weight: Any = ALIKE,
        directions: Any = None,
    ) -> float:
        """Make one update on these rows, at most ``batch_size``, and return the loss before it.

        sample_weight: of each row, (n,), >= 0; None for 1. The loss is divided by the rows, and not
        by the weights: divide all weights by their mean for the steps that ``fit`` makes. Where no
        row has weight, nothing changes and the loss is 0.

        jacobian, jacobian_weight, directions: known derivatives of these rows, as for ``fit``.

        Raises:
            ValueError, TypeError: shapes, dtypes or values do not fit, or the schedule has ended;
                nothing has changed.
            FloatingPointError: the loss was not finite; nothing has changed.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.25))
        >>> trainer.step([[1.0]], [[2.0]])
        4.0

        """
        dtype, (header, code, _, _) = self._dtype, self._fast_path or self._make_fast_path()
        if (
            type(X) is type(y) is ndarray
            and sample_weight is None
            and jacobian is directions is None
            and jacobian_weight is ALIKE
            and X.dtype is dtype
            and (y.dtype is dtype or (y.dtype is LABELS and y.ndim == 1))
            and X.flags.carray
            and y.flags.carray
        ):
            loss = math.nan
            try:  # Ctrl-C may come as soon as acquire returns: it must be inside
                if self._lock.acquire(False):
                    loss = code(header, X, y)
            except TypeError:  # another number of dimensions
                pass
            finally:
                try:  # noqa: SIM105
                    self._lock.release()
                except RuntimeError:  # see runtime/locking.py
                    pass
            if loss == loss:  # not NaN
                return loss
        return self._step_checked(X, y, sample_weight, jacobian, jacobian_weight, directions)

    def _make_fast_path(self) -> fast_path.Step:
        self._fast_path = made = self._core.fast_step()
        return made

    def _fast_update(self, data: Dataset) -> float:
        """``step`` on tables by the fast path; NaN where nothing has changed."""
        loss = math.nan
        try:  # as in step
            if self._lock.acquire(False):
                path = self._fast_path or self._make_fast_path()
                if data.weights is None or self._core.extended:
                    loss = fast_path.step_of(path, data)
        finally:
            try:  # noqa: SIM105
                self._lock.release()
            except RuntimeError:  # see runtime/locking.py
                pass
        return loss

    def _step_checked(self, X: Any, y: Any, sample_weight: Any, *known: Any) -> float:
        if self._core.group is None:
            return self._step_alone(X, y, sample_weight, *known)
        with self._core.group.call("step"):
            return self._step_alone(X, y, sample_weight, *known)

    def _step_alone(self, X: Any, y: Any, sample_weight: Any, *known: Any) -> float:
        core, read = self._core, as_dataset if type(X) is ndarray else as_step
        data = read(core, X, y, sample_weight)
        data.derivatives = derivatives.of_rows(core, data.rows, *known)
        if data.derivatives is not None:
            return core.step(data)
        loss = self._fast_update(data)
        if loss != loss:  # NaN: refused
            return core.step(data)
        learned_names.learn(core.net, data)
        return loss

    @collective
    def apply_gradients(self, gradients: Sequence[Sequence[Any]], rows: int | None = None) -> None:
        """Make one update by a gradient that was computed elsewhere.

        The optimizer, clipping, schedules, rates, average and counters are those of ``step``.
        ``loss_and_gradients`` of at most ``batch_size`` rows, followed by this, equals ``step`` to
        the bit, but for a batch whose rows all have weight 0: ``step`` makes no update then, and a
        gradient of zeros makes one. Other sources are the gradients of parts of a batch, in other
        processes for example: their mean, each times its rows, is that of the batch.

        gradients: [(dW, db), ...] as ``loss_and_gradients`` returns them, of the whole loss: no
        penalty is added. dW (n_in, n_out) and db (n_out,) of each layer, any real dtype; a
        normalized layer has (dW, db, dgain, dshift). Those of frozen layers count for nothing.
        rows: with ``comm``, the number of rows of which this rank gives the mean gradient, 0 or
        more: the update is by the mean over the rows of all ranks. None without ``comm``.

        Raises:
            ValueError, TypeError: shapes, dtypes or numbers do not fit, or the schedule has ended;
                nothing has changed.
            FloatingPointError: the norm of the gradient, which is clipped, is not finite; nothing
                has changed.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> halves = [trainer.loss_and_gradients([[x]], [[2.0]])[1] for x in (1.0, 3.0)]
        >>> mean = [tuple((a + b) / 2 for a, b in zip(*layers)) for layers in zip(*halves)]
        >>> trainer.apply_gradients(mean)
        >>> print(net.weights[0], net.biases[0])
        [[2.]] [1.]

        """
        self._core.apply_gradients(as_gradients(gradients, self._core.net), rows)
