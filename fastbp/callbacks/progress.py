"""The progress bar of fit: tqdm's, for terminals and notebooks."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..kernels.base import caution
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
    """Whether stderr is a terminal or a notebook."""
    return "ipykernel" in sys.modules or caution.is_terminal()


class Bar(Callback):
    """Shows the rows done of those of all epochs, the speed, and the last epoch's values.

    Where stderr cannot be written to (any more), there is no bar, and the fit goes on.
    """

    _bar: Any = None

    def on_fit_begin(self, state: FitState) -> None:
        """Show it."""
        self._draw(self._open, state)
        self.show(state)

    def show(self, state: FitState) -> None:
        """Bring it up to date; it is drawn ten times a second at most."""
        if self._bar is not None:
            self._draw(self._update, state)

    def on_fit_end(self, state: FitState) -> None:
        """Leave it as it stands."""
        self.show(state)
        if self._bar is not None:
            self._draw(self._close, state)

    def _draw(self, part: Callable[[FitState], None], state: FitState) -> None:
        """Draw, and give the bar up where that fails."""
        try:
            part(state)
        except Exception:  # noqa: BLE001 - whatever a host's stderr raises: closed, a broken pipe
            bar, self._bar = self._bar, None
            if bar is not None:
                with suppress(Exception):  # or tqdm would try once more when it is collected
                    bar.close()

    def _open(self, state: FitState) -> None:
        from tqdm.auto import tqdm  # late: it would lengthen the import of fastbp

        total = state.epochs * state.rows or None  # a stream's length is not known
        self._bar = tqdm(total=total, unit=" samples", unit_scale=True, dynamic_ncols=True)

    def _update(self, state: FitState) -> None:
        epoch = min(state.epoch + 1, state.epochs)
        self._bar.set_description_str(f"epoch {epoch}/{state.epochs}", refresh=False)
        self._bar.set_postfix_str(_numbers(state.values), refresh=False)
        self._bar.update(state.samples - self._bar.n)

    def _close(self, _state: FitState) -> None:
        self._bar.close()


def _numbers(values: dict[str, float]) -> str:
    shown = (key for key in values if key != "samples_per_second")
    return ", ".join(f"{key} {values[key]:.4g}" for key in shown)
