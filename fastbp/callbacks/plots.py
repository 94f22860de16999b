"""The curves of fit and of find_lr. Needs matplotlib: the only file that does, imported late."""

import io
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..common.types import Floats

TRAIN, VALIDATION = "#4c72b0", "#dd8452"
INK, FAINT = "#333333", "#dddddd"

SPAN = 100.0
"""A loss that falls by more than this factor is shown on a logarithmic scale."""

FEW = 30
"""The largest number of epochs that are drawn with a point each."""


class Curves(Figure):
    """A figure that no backend manages, and that a notebook shows nevertheless."""

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        self.savefig(image, format="png", dpi=110)
        return image.getvalue()


def curves(history: dict[str, list[float]]) -> Figure:
    """A panel for the loss and one for each metric; ValueError if there is no epoch."""
    if not any(history.values()):
        raise ValueError("the History has no epochs, so that there is nothing to plot: call fit")
    keys = (key.removeprefix("val_") for key in history if key != "samples_per_second")
    names = list(dict.fromkeys(keys))
    rows = -(-len(names) // 3)
    columns = -(-len(names) // rows)
    figure = Curves(figsize=(4.8 * columns, 3.6 * rows), layout="constrained", facecolor="white")
    for place, name in enumerate(names, 1):
        _panel(figure.add_subplot(rows, columns, place), name, history)
    return figure


def _panel(axes: Axes, name: str, history: dict[str, list[float]]) -> None:
    lines = [(name, "training", TRAIN), (f"val_{name}", "validation", VALIDATION)]
    for key, label, color in lines:
        if key in history:
            _line(axes, history[key], label, color)
    shown = [value for key, _, _ in lines for value in history.get(key, ())]
    if name == "loss" and min(shown) > 0 and max(shown) > SPAN * min(shown):
        axes.set_yscale("log")
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(name.replace("_", " "), color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    _dress(axes)


def _line(axes: Axes, values: Sequence[float], label: str, color: str) -> None:
    marker = "o" if len(values) <= FEW else ""
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=color, lw=1.8, ls="-", marker=marker, ms=3.5, label=label)


def sweep(lrs: Floats, losses: Floats, smoothed: Floats, suggestion: float) -> Figure:
    """The losses of find_lr over the learning rate, with its suggestion."""
    figure = Curves(figsize=(4.8, 3.6), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.plot(lrs, losses, color=TRAIN, alpha=0.4, lw=1, label="batch")
    axes.plot(lrs, smoothed, color=TRAIN, lw=1.8, label="smoothed")
    if not math.isnan(suggestion):
        label = f"suggestion {suggestion:.2g}"
        axes.axvline(suggestion, color=VALIDATION, ls="--", lw=1.2, label=label)
    # The scale is that of the losses before the lowest: later ones may be far larger.
    before = losses[: int(smoothed.argmin()) + 1]
    low, high = before.min(), before.max()
    if low < high:
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", color=INK)
    axes.set_ylabel("loss", color=INK)
    _dress(axes)
    return figure


def _dress(axes: Axes) -> None:
    axes.set_facecolor("white")
    axes.grid(visible=True, color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK)
    axes.legend(frameon=False, labelcolor=INK)
