"""What happens after each epoch: the loss curve, the score, the learning rate, the end."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..callbacks.base import Callback, FitState, StopTraining
from ..common.types import Array
from ..kernels.tables import arenas
from .coefficients import Coefficients
from .objective import Objective
from .parameters import Parameters
from .rows import Rows

SMALLEST_RATE = 1e-6
"""Where an adaptive learning rate is not lowered any more."""


@dataclass
class LearningRate:
    """The learning rate of solver "sgd". rule: "constant", "invscaling" or "adaptive"."""

    rule: str
    first: float
    power: float
    learning_rate: float = 0.0

    def __post_init__(self) -> None:
        self.learning_rate = self.first

    def end_epoch(self, rows_seen: int) -> None:
        """Follow the number of rows seen so far."""
        if self.rule == "invscaling":
            self.learning_rate = self.first / (rows_seen + 1) ** self.power

    @property
    def is_lowest(self) -> bool:
        """Whether the rate stays as it is where nothing improves."""
        return self.rule != "adaptive" or self.learning_rate <= SMALLEST_RATE

    def lower(self) -> None:
        """Lower the rate, because nothing has improved."""
        self.learning_rate /= 5.0


@dataclass(eq=False, repr=False)
class Follower(Callback):
    """Tells an estimator of the epochs of its fit.

    end: takes the epochs that have ended since it was last called. at_once: the number of the next
    ones that it may hear of together.
    """

    end: Callable[[FitState], None]
    at_once: Callable[[], float]

    def on_epoch_end(self, state: FitState) -> None:
        """After one epoch, or some."""
        self.end(state)

    def on_fit_end(self, state: FitState) -> None:
        """Also after epochs that ended in one call with a batch that was refused, or Ctrl-C."""
        self.end(state)

    def epochs_at_once(self) -> float:
        """See ``CallbackList``."""
        return self.at_once()


class Epochs(Coefficients, Parameters):
    """A base of the estimators: the epochs of the stochastic solvers, by scikit-learn's rules."""

    loss_curve_: list[float]
    validation_scores_: Any
    best_validation_score_: Any
    best_loss_: Any
    _optimizer: LearningRate
    _best_layers: list[arenas.Layer]

    def _score_outputs(self, p: Array, held: Rows) -> float:
        raise NotImplementedError

    @property
    def _lacks_curves(self) -> bool:
        """Whether no fit has begun what this one needs: an earlier one had another solver, say."""
        known = vars(self)
        if self.early_stopping:
            return known.get("validation_scores_") is None
        return "loss_curve_" not in known or known.get("best_loss_") is None

    def _begin_curves(self) -> None:
        """Begin what grows from fit to fit under warm_start, and with partial_fit."""
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        if self.early_stopping:
            self._best_layers = self.net_.arrays.layers()

    def _epochs_at_once(self, held: Rows | None) -> float:
        """The next epochs of which none but the last can end the fit, or change what follows."""
        if held is not None or self._optimizer.rule == "invscaling":
            return 1
        return max(1, self.n_iter_no_change + 1 - self._no_improvement_count)

    def _end_epochs(
        self, objective: Objective, held: Rows | None, is_partial: bool, state: FitState
    ) -> None:
        """Take the epochs that have ended since the last call.

        held: the rows to score. is_partial: of a partial_fit.
        """
        while self.n_iter_ < state.epoch:
            self._end_epoch(objective, held, is_partial, state)

    def _end_epoch(
        self, objective: Objective, held: Rows | None, is_partial: bool, state: FitState
    ) -> None:
        self.t_ += state.rows
        self._add_loss(objective.reported(state.history["loss"][self.n_iter_]))
        self._count(None if held is None else self._add_score(held))
        before = self._optimizer.learning_rate
        self._optimizer.end_epoch(self.t_)
        is_over = self._no_improvement_count > self.n_iter_no_change and not self._can_lower()
        if self._optimizer.learning_rate != before:
            state.trainer.lr = self._optimizer.learning_rate * objective.scale
        if is_over:
            raise StopTraining
        if self.n_iter_ == self.max_iter and not is_partial:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=1,  # the frames above are those of callbacks
            )

    def _add_loss(self, loss: float) -> None:
        self.n_iter_ += 1
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")

    def _add_score(self, held: Rows) -> float:
        p = self.trainer_.predict(held.X, averaged=self.ema_decay is not None)
        score = self._score_outputs(p, held)
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        return score

    def _count(self, score: float | None) -> None:
        """Count the epochs that were no better than the best by ``tol``."""
        if score is None:
            worse = self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        else:
            worse = score < self.best_validation_score_ + self.tol
            if score > self.best_validation_score_:
                self.best_validation_score_, self._best_layers = score, self._trained_layers()
        self._no_improvement_count = self._no_improvement_count + 1 if worse else 0

    def _trained_layers(self) -> list[arenas.Layer]:
        """Copies of the parameters that predict: of their average, with ema_decay."""
        net = self.net_ if self.ema_decay is None else self.trainer_.averaged_network()
        return net.arrays.layers()

    def _can_lower(self) -> bool:
        """Lower the learning rate, because nothing improves; False where it stays."""
        rate = self._optimizer
        if rate.is_lowest:
            small = "Learning rate too small. " if rate.rule == "adaptive" else ""
            self._tell_no_improvement(f"{small}Stopping.")
            return False
        rate.lower()
        self._tell_no_improvement(f"Setting learning rate to {rate.learning_rate:f}")
        self._no_improvement_count = 0
        return True

    def _tell_no_improvement(self, consequence: str) -> None:
        if self.verbose:
            what = "Validation score" if self.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={self.tol:f} for "
                f"{self.n_iter_no_change} consecutive epochs. {consequence}"
            )
