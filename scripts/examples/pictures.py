"""The gallery's pictures: those of the classics, and what the simulations draw theirs with.

``python scripts/examples/pictures.py`` draws those of xor.py and overfitting.py. A simulation draws
its own: ``--picture PATH``. Both need matplotlib (``pip install 'fastbp[plot]'``).
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.pyplot import Axes

FOLDER = Path(__file__).with_name("pictures")
COLORS = ["#c0392b", "#4878a8", "#5ba37a", "#e39a3b"]


def figure(count: int) -> "list[Axes]":
    """Return the axes of a new figure, side by side."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    size = (6 if count == 1 else 4 * count, 3)
    _, found = plt.subplots(1, count, figsize=size, layout="constrained", squeeze=False)
    for ax in found[0]:
        ax.spines[["top", "right"]].set_visible(False)
    return list(found[0])


def axes(title: str, x: str, y: str) -> "Axes":
    """Return the axes of a new figure."""
    (ax,) = figure(1)
    entitle(ax, title, x, y)
    return ax


def entitle(ax: "Axes", title: str, x: str, y: str) -> None:
    """Give axes their title and names."""
    ax.set_title(title, loc="left", fontsize=10)
    ax.set(xlabel=x, ylabel=y)


def keep(ax: "Axes", path: Path | str) -> None:
    """Write a figure, without date and version: the same data make the same bytes."""
    from matplotlib import pyplot as plt

    for one in ax.figure.axes:
        if one.get_legend_handles_labels()[1]:
            one.legend(frameon=False, fontsize=8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    dpi = 100 if len(ax.figure.axes) == 1 else 80
    ax.figure.savefig(path, dpi=dpi, metadata={"Software": None})
    plt.close(ax.figure)


def draw_xor() -> None:
    """The loss of five seeds."""
    import xor

    ax = axes("XOR: loss of five seeds, learning rate 5", "epoch", "loss")
    for seed in range(5):
        ax.plot(xor.train(lr=5.0, epochs=2000, seed=seed)[1], linewidth=1)
    ax.set_yscale("log")
    keep(ax, FOLDER / "xor.png")


def draw_overfitting() -> None:
    """The validation loss of each remedy."""
    import overfitting

    ax = axes("Validation loss of a network that overfits", "epoch", "val_loss")
    for remedy, color in zip(overfitting.REMEDIES, COLORS, strict=True):
        history, _ = overfitting.train(remedy)
        ax.plot(history["val_loss"], color=color, linewidth=1, label=remedy)
    ax.set_ylim(0.3, 1.5)
    keep(ax, FOLDER / "overfitting.png")


if __name__ == "__main__":
    draw_xor()
    draw_overfitting()
