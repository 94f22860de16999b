"""What a member's fit tells: its best epoch is kept, each is passed on, and it ends in time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..callbacks.base import Callback, FitState, StopTraining
from ..kernels.tables.arenas import Layer
from ..storage.tree_codec import get
from .bookmarks import Bookmark


class Watch(Callback):
    """Keeps the best epoch, tells of each, and stops where it must.

    The best epoch has the highest accuracy on the rows held out, for numbers the lowest loss; of
    equal ones it is the last, as in RealMLP. ``is_over`` is asked ten times a second. The column
    "lr" of the History is the learning rate at the end of each epoch. The bookmark keeps how far it
    is, now and then and where it stops.
    """

    def __init__(
        self,
        is_over: Callable[[], bool],
        tell: Callable[[FitState], object] | None = None,
        bookmark: Bookmark | None = None,
    ) -> None:
        self._is_over, self._tell, self.bookmark = is_over, tell, bookmark
        self._best, self._layers = np.inf, list[Layer]()
        self.best_epoch = self.epochs = 0
        self.state: FitState

    def state_dict(self) -> dict[str, Any]:
        """See ``Callback``."""
        return {
            "best": float(self._best),
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "layers": [list(layer) for layer in self._layers],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``Callback``."""
        self._best, layers = get(state, "best", float), get(state, "layers", list)
        self.best_epoch, self.epochs = get(state, "best_epoch", int), get(state, "epochs", int)
        self._layers = [tuple(layer) for layer in layers]

    def on_fit_begin(self, state: FitState) -> None:
        """Keep the state, which has the history even where fit raises."""
        self.state = state

    def on_epoch_end(self, state: FitState) -> None:
        """Keep the parameters if they are the best so far; stop where the time is over."""
        self.epochs = state.epoch
        state.history.extend(lr=[state.trainer.scheduled_lr])
        self._consider(state)
        if self._tell is not None:
            self._tell(state)
        self.between_calls(state)

    def between_calls(self, state: FitState) -> None:
        """Keep how far it is; stop where the time is over."""
        is_over = self._is_over()
        if self.bookmark is not None:
            self.bookmark.keep(state.trainer, at_once=is_over)
        if is_over:
            raise StopTraining(resumable=True)

    def on_fit_end(self, state: FitState) -> None:
        """Bring the best parameters back."""
        if state.is_cut:
            self._consider(state)
        if self._layers:
            state.trainer.net.arrays.set_layers(self._layers)

    def _consider(self, state: FitState) -> None:
        values = state.values
        if "val_loss" not in values:
            return
        found = -values["val_accuracy"] if "val_accuracy" in values else values["val_loss"]
        if found <= self._best:
            self._best, self._layers = found, state.trainer.net.arrays.layers()
            self.best_epoch = len(state.history["loss"])
