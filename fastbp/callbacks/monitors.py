"""Callbacks that monitor one value of History."""

import math
from typing import Any

from ..common import checks
from ..common.call_repr import as_call
from ..common.signatures import explained
from ..kernels.tables.arenas import Layer
from ..model.network import Network
from ..storage.tree_codec import get
from .base import Callback, FitState, StopTraining

MODES = {"loss": "min", "jacobian_loss": "min", "accuracy": "max"}
"""Whether the smallest or the greatest value is the best, for the keys that fastbp computes."""


class Monitor:
    """A key of History, and whether its smallest or its greatest value is the best.

    mode "auto": the smallest for a loss, the greatest for an accuracy; ValueError for another key.
    NaN is never better.
    """

    mode = "auto"
    """The mode of a Monitor from a pickle of 0.1.0, which did not keep it."""

    def __init__(self, key: str, mode: str) -> None:
        if not isinstance(key, str):
            raise TypeError(f"monitor is {key!r}, expected a key of History: 'val_loss'")
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ValueError(f"mode is {mode!r}, expected 'auto', 'min' or 'max'")
        if mode == "auto" and key.removeprefix("val_") not in MODES:
            raise ValueError(
                f"mode is 'auto', but monitor is {key!r}: pass mode='min' if its smallest value is "
                "the best, mode='max' if its greatest is"
            )
        self.key, self.mode = key, mode
        self._best_is = mode if mode != "auto" else MODES[key.removeprefix("val_")]
        self._smaller = self._best_is == "min"
        self.worst = math.inf if self._smaller else -math.inf

    def to_dict(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {"monitor": self.key, "mode": self._best_is}

    def value(self, state: FitState) -> float:
        """The value of the last epoch; ValueError if History has no such key."""
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

    def better_by_share(self, value: float, best: float, share: float) -> bool:
        """Whether ``value`` is better than ``best`` by more than this share of it."""
        return value < best * (1 - share) if self._smaller else value > best * (1 + share)


class Monitoring:
    """What callbacks that compare the values of a Monitor derive from, too."""

    _monitor: Monitor

    def check_state(self, saved: dict[str, Any]) -> None:
        """ValueError where the state in a checkpoint is of another monitor; 0.1.0 wrote none."""
        for key, now in self._monitor.to_dict().items():
            then = get({key: now} | saved, key, str)
            if then != now:
                raise ValueError(
                    f"{key} of {type(self).__name__} was {then!r} and is {now!r}, and its best "
                    f"value so far would be compared with others: pass {key}={then!r}, or train on "
                    "without resume, by fastbp.Trainer.load(path).fit(...)"
                )


class EarlyStopping(Monitoring, Callback):
    """Stops when a value has not improved for some epochs, and restores the best parameters.

    Args:
        monitor: the key of History to monitor.
        patience: number of epochs in a row without an improvement after which fit stops, >= 1.
        min_delta: a change that is not larger than this is no improvement, >= 0.
        mode: "min" if the smallest value is the best, "max" if the greatest is; "auto" for losses
            and accuracies.
        restore_best: when fit ends, also by an error, set the parameters of the best epoch. Moments
            and the moving average (ema_decay) stay as they are.

    Raises:
        ValueError, TypeError: an argument is not as above; in fit, History has no such key.

    Attributes:
        best: the best value; inf or -inf before the first epoch.
        best_epoch: its epoch, from 1; 0 before the first epoch.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> stopping = fastbp.EarlyStopping(monitor="loss", patience=3, min_delta=0.1)
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=100, callbacks=[stopping])
    >>> len(history["loss"]), stopping.best_epoch
    (8, 5)

    """

    _net: Network
    _last: list[Layer] | None = None

    @explained("fastbp.EarlyStopping")
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

    def __repr__(self) -> str:
        return as_call(
            self,
            monitor=self._monitor.key,
            patience=self._patience,
            min_delta=self._min_delta,
            mode=self._monitor.mode,
            restore_best=self._restore_best,
        )

    def _begin(self) -> None:
        self.best, self.best_epoch = self._monitor.worst, 0
        self._parameters: list[Layer] | None = None
        self._last = None

    def state_dict(self) -> dict[str, Any]:
        """See ``Callback``. At the end the network has the best parameters, and "last" the last."""
        state = {"best": self.best, "best_epoch": self.best_epoch} | self._monitor.to_dict()
        return state | {"parameters": self._parameters, "last": self._last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``Callback``. A fit that had ended goes on from its last parameters."""
        self.best, self.best_epoch = get(state, "best", float), get(state, "best_epoch", int)
        self._parameters = _layers(state, "parameters")
        last = _layers({"last": None} | state, "last")  # 0.1.0 wrote none
        if last is not None:
            self._parameters = self._net.arrays.layers()
            self._net.arrays.set_layers(last)

    def on_fit_begin(self, state: FitState) -> None:
        """Forget an earlier fit."""
        self._begin()
        self._net = state.trainer.net

    def on_epoch_end(self, state: FitState) -> None:
        """Keep the parameters, or stop."""
        value = self._monitor.value(state)
        if self._monitor.better(value, self.best, self._min_delta):
            self.best, self.best_epoch = value, state.epoch
            if self._restore_best:
                self._parameters = state.trainer.net.arrays.layers()
        elif state.epoch - self.best_epoch >= self._patience:
            raise StopTraining

    def on_fit_end(self, state: FitState) -> None:
        """Restore the best parameters."""
        vars(self).pop("_net", None)
        arrays = state.trainer.net.arrays
        if self._parameters:
            self._last = arrays.layers()
            arrays.set_layers(self._parameters)
            self._parameters = None


def _layers(state: dict[str, Any], key: str) -> list[Layer] | None:
    layers = get(state, key, lambda value: value is None or isinstance(value, list))
    return layers and [tuple(layer) for layer in layers]


class ReduceLROnPlateau(Monitoring, Callback):
    """Lowers ``trainer.lr`` when a value has not improved for some epochs.

    The rule is that of torch.optim.lr_scheduler.ReduceLROnPlateau with threshold_mode="rel".

    Args:
        monitor: the key of History to monitor.
        factor: factor of a reduction of lr, in (0, 1).
        patience: number of epochs in a row without an improvement that leave lr as it is, >= 0. The
            next such epoch lowers it.
        threshold: a value improves if it is below best (1 - threshold), or with mode "max" above
            best (1 + threshold), >= 0.
        cooldown: number of epochs after a reduction that do not count as without improvement, >= 0.
        min_lr: lr is never set below it, >= 0.
        mode: "min" if the smallest value is the best, "max" if the greatest is; "auto" for losses
            and accuracies.

    Raises:
        ValueError, TypeError: an argument is not as above; in fit, History has no such key.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> plateau = fastbp.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1)
    >>> history = trainer.fit([[1.0]], [[0.0]], epochs=3, callbacks=[plateau])
    >>> history["loss"], trainer.lr
    ([0.0, 0.0, 0.0], 0.05)

    """

    SMALLEST_CHANGE = 1e-8
    """A smaller one is not made: torch's eps."""

    @explained("fastbp.ReduceLROnPlateau")
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

    def __repr__(self) -> str:
        return as_call(
            self,
            monitor=self._monitor.key,
            factor=self._factor,
            patience=self._patience,
            threshold=self._threshold,
            cooldown=self._cooldown,
            min_lr=self._min_lr,
            mode=self._monitor.mode,
        )

    def _begin(self) -> None:
        self._best, self._bad, self._cooling = self._monitor.worst, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """See ``Callback``."""
        counts = {"bad": self._bad, "cooling": self._cooling}
        return {"best": self._best} | counts | self._monitor.to_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``Callback``."""
        self._best = get(state, "best", float)
        self._bad, self._cooling = get(state, "bad", int), get(state, "cooling", int)

    def on_fit_begin(self, state: FitState) -> None:
        """Forget an earlier fit."""
        self._begin()

    def on_epoch_end(self, state: FitState) -> None:
        """Count the epochs without an improvement; lower lr after too many."""
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
