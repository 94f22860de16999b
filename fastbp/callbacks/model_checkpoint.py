"""The callback that writes checkpoints."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..common import checks
from ..common.call_repr import as_call
from ..common.signatures import explained
from ..storage import atomic
from ..storage.tree_codec import get
from .base import Callback, FitState
from .monitors import Monitor, Monitoring

TEMPLATE = re.compile(r"\{(epoch|batch|loss|accuracy|val_\w+)\b[^{}]*\}")
"""A place for a value in the name of a file, as other libraries fill in for each epoch."""


class ModelCheckpoint(Monitoring, Callback):
    """Writes ``Trainer.save``'s file during fit, from which ``fit(resume=path)`` continues.

    The file is complete at any time: a new one replaces it atomically, when it is on the disk.
    ``path`` is the newest file. With ``keep`` above 1 the earlier files, and a copy of the newest,
    lie beside it with the number of updates in their name: run-000001200.safetensors. This callback
    runs last, so that a file has what other callbacks have done. When fit ends, unless by an error,
    the trainer is written as it is then: with the best parameters, where ``EarlyStopping`` has
    brought them back. A relative path is one of the working folder in which fit begins.

    Args:
        path: the file.
        every_epochs: number of epochs between two files, >= 1.
        every_updates: number of updates between two files, >= 1, in place of every_epochs.
        keep: number of files to keep, >= 1.
        monitor: the key of History to monitor, for save_best_only.
        save_best_only: write only after an epoch whose value is better than all before it. To keep
            the best and the newest file, use two callbacks.
        mode: "min" if the smallest value is the best, "max" if the greatest is; "auto" for losses
            and accuracies.

    Raises:
        ValueError, TypeError: an argument is not as above; in fit, History has no such key.
        OSError: in fit, a file cannot be written.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine="numpy")
    >>> checkpoint = fastbp.ModelCheckpoint("run.safetensors", every_epochs=2)
    >>> history = trainer.fit([[1.0]], [[2.0]], epochs=2, callbacks=[checkpoint])
    >>> fastbp.Trainer.load("run.safetensors").history["loss"] == history["loss"]
    True

    """

    run_last = True

    @explained("fastbp.ModelCheckpoint")
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_epochs: int = 1,
        every_updates: int | None = None,
        keep: int = 1,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: str = "auto",
    ) -> None:
        self._path = self._target = _one_file(path)
        self._every_epochs = checks.count(every_epochs, "every_epochs")
        if every_updates is not None:
            self.step_interval = checks.count(every_updates, "every_updates")
        else:
            self.step_interval = 0
        self._keep = checks.count(keep, "keep")
        self._monitor = Monitor(monitor, mode)
        self._save_best_only = checks.flag(save_best_only, "save_best_only")
        if self._save_best_only and every_updates is not None:
            raise ValueError(
                "save_best_only is True and every_updates is given, but values come after epochs: "
                "leave every_updates out"
            )
        self._begin()

    def __repr__(self) -> str:
        return as_call(
            self,
            str(self._path),
            every_epochs=self._every_epochs,
            every_updates=self.step_interval or None,
            keep=self._keep,
            monitor=self._monitor.key,
            save_best_only=self._save_best_only,
            mode=self._monitor.mode,
        )

    def _begin(self) -> None:
        self._best = self._monitor.worst
        self._kept: list[int] = []

    def state_dict(self) -> dict[str, Any]:
        """See ``Callback``."""
        compared = self._monitor.to_dict() if self._save_best_only else {}
        return {"best": self._best, "kept": self._kept} | compared

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``Callback``."""
        self._best, self._kept = get(state, "best", float), get(state, "kept", _are_counts)

    def on_fit_begin(self, state: FitState) -> None:
        """Forget an earlier fit.

        OSError if path is a folder, or its own folder does not exist. ValueError if every_updates
        is given and LBFGS trains, which makes no updates by batches.
        """
        self._begin()
        self._target = self._path.absolute()
        if state.trainer.rank == 0:
            atomic.target(self._target)
        if self.step_interval:
            _check_updates(state)

    def on_step_end(self, state: FitState) -> None:
        """Write the file, by updates."""
        self._write(state)

    def on_epoch_end(self, state: FitState) -> None:
        """Write the file, by epochs."""
        if self._save_best_only:
            value = self._monitor.value(state)
            if self._monitor.better(value, self._best):
                self._best = value
                self._write(state)
        elif not self.step_interval and state.epoch % self._every_epochs == 0:
            self._write(state)

    def on_fit_end(self, state: FitState) -> None:
        """Write the end, unless an error ended fit."""
        if state.error is None and not self._save_best_only:
            self._write(state)

    def _write(self, state: FitState) -> None:
        if state.trainer.rank > 0:
            return
        if self._keep == 1:
            state.trainer.save(self._target)
            return
        earlier = [steps for steps in self._kept if steps != state.steps]
        old, self._kept = self._kept, [*earlier, state.steps][-self._keep :]
        for steps in set(old) - set(self._kept):  # first: a file written now knows no more of it
            self._copy_of(steps).unlink(missing_ok=True)
        state.trainer.save(self._target)
        _copy(self._target, self._copy_of(state.steps))

    def _copy_of(self, steps: int) -> Path:
        return self._target.with_stem(f"{self._target.stem}-{steps:09d}")


def _copy(path: Path, copy: Path) -> None:
    """Another name for the file or, where there are no links, a copy of it."""
    copy.unlink(missing_ok=True)
    with suppress(OSError):
        os.link(path.resolve(), copy)  # of a symbolic link it would be a second one
        return
    with path.open("rb") as file, atomic.replacing(copy) as copied:
        shutil.copyfileobj(file, copied)


def _are_counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_updates(state: FitState) -> None:
    optimizer = state.trainer.optimizer
    if not optimizer.makes_updates:
        raise ValueError(
            f"every_updates is given, but optimizer {optimizer!r} makes none by batches: give "
            "every_epochs, which counts its iterations"
        )


def _one_file(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    place = TEMPLATE.search(str(file))
    if place is not None:
        raise ValueError(
            f"path is {str(file)!r}, expected the name of one file, in which {place[0]} stands as "
            "it is: name the newest file, and pass keep=n for the last n, with the number of "
            "updates in their names"
        )
    return file
