"""Callbacks that follow one value of History."""

import math
from typing import Any

from ..common import checks
from ..kernels.tables.arenas import Layer
from ..storage.tree_codec import get
from .base import Callback, FitState, StopTraining

MODES = {"loss": "min", "accuracy": "max"}
"""Which of its values is the better, by the last word of a key that fastbp itself computes."""


class Monitor:
    """A key of History, and which of its values is the better.

    mode "auto": the smaller for a loss, the greater for an accuracy; for another key a ValueError
    that asks for "min" or "max". NaN is never better.
    """

    def __init__(self, key: str, mode: str) -> None:
        if not isinstance(key, str):
            raise TypeError(f"monitor is {key!r}, expected a key of History: 'val_loss'")
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ValueError(f"mode is {mode!r}, expected 'auto', 'min' or 'max'")
        if mode == "auto" and key.removeprefix("val_") not in MODES:
            raise ValueError(
                f"mode is 'auto', but monitor is {key!r}: is a smaller value the better, or a "
                "greater? Say mode='min' or mode='max'"
            )
        self.key = key
        self._smaller = (mode if mode != "auto" else MODES[key.removeprefix("val_")]) == "min"
        self.worst = math.inf if self._smaller else -math.inf

    def value(self, state: FitState) -> float:
        """That of the last epoch; ValueError if History has no such key."""
        values = state.values
        if self.key not in values:
            raise ValueError(
                f"monitor is {self.key!r}, but this fit's History has only "
                f"{', '.join(map(repr, values))}: val_ keys need validation_data or "
                "validation_fraction, and those of your own metrics=..."
            )
        return values[self.key]

    def better(self, value: float, best: float, by: float = 0.0) -> bool:
        """Whether ``value`` is better than ``best`` by more than ``by``."""
        return value < best - by if self._smaller else value > best + by

    def better_by_share(self, value: float, best: float, worker: float) -> bool:
        """Whether ``value`` is better than ``best`` by more than this share of it."""
        return value < best * (1 - worker) if self._smaller else value > best * (1 + worker)


class EarlyStopping(Callback):
    """Stops when a value has not become better for some epochs; brings back the best weights.

    Args:
        monitor: the key of History to follow.
        patience: stop after so many epochs in a row without a better value, >= 1.
        min_delta: a value is better than the best if it is so by more than this, >= 0.
        mode: "min" or "max", whichever value is the better; "auto" knows for loss and accuracy.
        restore_best: when fit ends, in whatever way, give the network the parameters that it had
            after the best epoch. Moments and the moving average (ema_decay) stay as they are.

    Attributes:
        best, best_epoch: the best value, and its epoch, from 1; 0 before there is one.

    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best: bool = True,
    ) -> None:
        self._monitor = Monitor(monitor, mode)
        self._patience = checks.integer(patience, "patience", 1)
        self._min_delta = checks.not_negative(min_delta, "min_delta")
        self._restore_best = checks.flag(restore_best, "restore_best")
        self._begin()

    def _begin(self) -> None:
        self.best, self.best_epoch = self._monitor.worst, 0
        self._parameters: list[Layer] | None = None

    def state_dict(self) -> dict[str, Any]:
        """See ``Callback``."""
        return {"best": self.best, "best_epoch": self.best_epoch, "parameters": self._parameters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``Callback``."""
        self.best, self.best_epoch = get(state, "best", float), get(state, "best_epoch", int)
        layers = get(state, "parameters", lambda value: value is None or isinstance(value, list))
        self._parameters = layers and [tuple(layer) for layer in layers]

    def on_fit_begin(self, state: FitState) -> None:
        """Forget an earlier fit."""
        self._begin()

    def on_epoch_end(self, state: FitState) -> None:
        """Keep the parameters, or stop."""
        value = self._monitor.value(state)
        if self._monitor.better(value, self.best, self._min_delta):
            self.best, self.best_epoch = value, state.epoch
            if self._restore_best:
                self._parameters = state.trainer.net._layers()
        elif state.epoch - self.best_epoch >= self._patience:
            raise StopTraining

    def on_fit_end(self, state: FitState) -> None:
        """Bring the best parameters back."""
        if self._parameters:
            state.trainer.net._set_layers(self._parameters)
            self._parameters = None


class ReduceLROnPlateau(Callback):
    """Lowers ``trainer.lr`` when a value has not become better for some epochs.

    The rule is that of torch.optim.lr_scheduler.ReduceLROnPlateau with threshold_mode="rel".

    Args:
        monitor: the key of History to follow.
        factor: lr is multiplied by it, in (0, 1).
        patience: epochs in a row without a better value that lr outlives, >= 0: the one after them
            lowers it.
        threshold: a value is better than the best if it is below best (1 - threshold), or with
            mode "max" above best (1 + threshold), >= 0.
        cooldown: epochs after a reduction in which none counts as one without a better value.
        min_lr: lr is never set below it, >= 0.
        mode: "min" or "max", whichever value is the better; "auto" knows for loss and accuracy.

    """

    SMALLEST_CHANGE = 1e-8
    """A smaller one is not made: torch's eps."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        *,
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "auto",
    ) -> None:
        self._monitor = Monitor(monitor, mode)
        self._factor = checks.between_zero_and_one(factor, "factor")
        self._patience = checks.integer(patience, "patience", 0)
        self._threshold = checks.not_negative(threshold, "threshold")
        self._cooldown = checks.integer(cooldown, "cooldown", 0)
        self._min_lr = checks.not_negative(min_lr, "min_lr")
        self._begin()

    def _begin(self) -> None:
        self._best, self._bad, self._cooling = self._monitor.worst, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """See ``Callback``."""
        return {"best": self._best, "bad": self._bad, "cooling": self._cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``Callback``."""
        self._best = get(state, "best", float)
        self._bad, self._cooling = get(state, "bad", int), get(state, "cooling", int)

    def on_fit_begin(self, state: FitState) -> None:
        """Forget an earlier fit."""
        self._begin()

    def on_epoch_end(self, state: FitState) -> None:
        """Count the epochs without a better value; lower lr after too many."""
        value = self._monitor.value(state)
        if self._monitor.better_by_share(value, self._best, self._threshold):
            self._best, self._bad = value, 0
        else:
            self._bad += 1
        if self._cooling:
            self._cooling, self._bad = self._cooling - 1, 0
        if self._bad > self._patience:
            self._reduce(state)
            self._cooling, self._bad = self._cooldown, 0

    def _reduce(self, state: FitState) -> None:
        lr = max(state.trainer.lr * self._factor, self._min_lr)
        if state.trainer.lr - lr > self.SMALLEST_CHANGE:
            state.trainer.lr = lr
