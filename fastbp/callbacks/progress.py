"""The progress bar of fit: tqdm's, for terminals and notebooks."""

import sys
from typing import Any

from .base import Callback, FitState


def bar_for(progress: bool | str) -> "Bar | None":
    """A bar, or None; "auto" is True on a terminal and in a notebook.

    ValueError for anything but True, False and "auto".
    """
    if not (isinstance(progress, bool) or (isinstance(progress, str) and progress == "auto")):
        raise ValueError(f"progress is {progress!r}, expected True, False or 'auto'")
    if progress is False or sys.stderr is None:
        return None
    return Bar() if progress is True or _is_watched() else None


def _is_watched() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


class Bar(Callback):
    """Shows the rows done of those of all epochs, the speed, and the last epoch's values."""

    _bar: Any

    def on_fit_begin(self, state: FitState) -> None:
        """Show it."""
        from tqdm.auto import tqdm  # late: it would lengthen the import of fastbp

        total = state.epochs * state.rows or None  # a stream's length is not known
        self._bar = tqdm(total=total, unit=" samples", unit_scale=True, dynamic_ncols=True)
        self.show(state)

    def show(self, state: FitState) -> None:
        """Bring it up to date; it is drawn ten times a second at most."""
        epoch = min(state.epoch + 1, state.epochs)
        self._bar.set_description_str(f"epoch {epoch}/{state.epochs}", refresh=False)
        self._bar.set_postfix_str(_numbers(state.values), refresh=False)
        self._bar.update(state.samples - self._bar.n)

    def on_fit_end(self, state: FitState) -> None:
        """Leave it as it stands."""
        self.show(state)
        self._bar.close()


def _numbers(values: dict[str, float]) -> str:
    shown = (key for key in values if key != "samples_per_second")
    return ", ".join(f"{key} {values[key]:.4g}" for key in shown)
