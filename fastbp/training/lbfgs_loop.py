"""The iterations of L-BFGS as the epochs of a fit."""

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np

from ..callbacks.base import StopTraining
from ..components.lbfgs import LBFGS
from . import full_gradients, row_weights
from .fitting import Fit
from .lbfgs_search import minimize
from .row_order import RowOrder


class LbfgsLoop:
    """The loop of ``Trainer.fit`` for the optimizer LBFGS; see ``Loop``.

    Each iteration is on all rows and counts as an epoch. The fit cannot be resumed, because the
    memory of earlier iterations is SciPy's.
    """

    nests: ClassVar[bool] = False

    def __init__(self, fit: Fit, order: RowOrder, rule: LBFGS) -> None:
        self._fit, self._order, self._rule = fit, order, rule
        self._started = 0.0

    def prepare(self) -> None:
        """See ``Loop``."""
        self._fit.core.outcome = None
        row_weights.weigh(self._fit.core, self._order)

    def to_dict(self) -> None:
        """See ``Loop``."""

    def run(self) -> None:
        """See ``Loop``."""
        core, epochs = self._fit.core, self._fit.watch.state.epochs
        order = replace(self._order, shuffle=False)
        self._started = time.perf_counter()
        with suppress(StopTraining):
            if core.group is None:
                gradients = partial(full_gradients.of_rows, core, order)
                core.outcome = minimize(self._rule, core.net, gradients, epochs, self._end)
                return
            from . import lbfgs_ranks

            parts = lbfgs_ranks.PartGradients(core, core.group, order)
            core.outcome = lbfgs_ranks.minimize(self._rule, parts, epochs, self._end)

    def _end(self, number: int, loss: float) -> None:
        """What SciPy calls after each iteration; StopTraining ends the search."""
        fit = self._fit
        fit.has_changed = True
        fit.watch.advance(number, 0, self._order.rows)
        fit.cursor.ended = np.array([loss])
        fit.cursor.ended_seconds = time.perf_counter() - self._started
        fit.end_call(ends_step=False)
        if fit.watch.stopped:
            raise StopTraining
        self._started = time.perf_counter()
