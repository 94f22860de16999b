"""Draws the gallery's pictures from the examples: ``python scripts/examples/pictures.py``.

Needs matplotlib (``pip install 'fastbp[plot]'``), writes pictures/*.png, and takes some seconds.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import flame
import numpy as np
import overfitting
import reinforce
import surrogate
import xor
from matplotlib import pyplot as plt

FOLDER = Path(__file__).with_name("pictures")
COLORS = ["#c0392b", "#4878a8", "#5ba37a", "#e39a3b"]


def axes(title: str, x: str, y: str) -> plt.Axes:
    """Return the axes of a new figure."""
    _, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    ax.set_title(title, loc="left", fontsize=10)
    ax.set(xlabel=x, ylabel=y)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def keep(ax: plt.Axes, name: str) -> None:
    """Write a figure, without date and version: the same data make the same bytes."""
    ax.figure.savefig(FOLDER / f"{name}.png", dpi=100, metadata={"Software": None})
    plt.close(ax.figure)


def draw_xor() -> None:
    ax = axes("XOR: loss of five seeds, learning rate 5", "epoch", "loss")
    for seed in range(5):
        ax.plot(xor.train(lr=5.0, epochs=2000, seed=seed)[1], linewidth=1)
    ax.set_yscale("log")
    keep(ax, "xor")


def draw_overfitting() -> None:
    ax = axes("Validation loss of a network that overfits", "epoch", "val_loss")
    for remedy, color in zip(overfitting.REMEDIES, COLORS, strict=True):
        history, _ = overfitting.train(remedy)
        ax.plot(history["val_loss"], color=color, linewidth=1, label=remedy)
    ax.set_ylim(0.3, 1.5)
    ax.legend(frameon=False, fontsize=8)
    keep(ax, "overfitting")


def draw_surrogate() -> None:
    model = surrogate.train()[0].compiled()
    ax = axes("Van der Pol oscillator by RK4, 1000 steps of 0.01", "x", "dx/dt")
    for exact, style in ((True, "-"), (False, "--")):
        path = surrogate.integrate(model, 1.0, 0.0, 0.01, 1000, exact)
        label = "true right-hand side" if exact else "network"
        ax.plot(*path.T, style, color=COLORS[not exact], label=label)
    ax.legend(frameon=False, fontsize=8)
    keep(ax, "surrogate")


def draw_flame() -> None:
    model = flame.compiled(flame.train()[0])
    ax = axes("A flame front at times 5, 10, 15 and 20", "place", "temperature")
    for exact, style in ((True, "-"), (False, "--")):
        label = "true reaction rate" if exact else "network"
        for u in flame.burn(model, exact)[0]:
            x = flame.WIDTH * np.arange(flame.CELLS)
            ax.plot(x, u[:, 0], style, color=COLORS[not exact], linewidth=1.5, label=label)
            label = None
    ax.legend(frameon=False, fontsize=8)
    keep(ax, "flame")


def draw_reinforce() -> None:
    ax = axes("REINFORCE: mean return of the episodes, at most 200", "update", "return")
    for seed, color in enumerate(COLORS[:3]):
        model = reinforce.new_trainer(seed).compiled()
        returns = reinforce.learn(model, 100, np.random.default_rng(seed))
        ax.plot(returns, color=color, linewidth=1, label=f"seed {seed}")
    ax.legend(frameon=False, fontsize=8)
    keep(ax, "reinforce")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for draw in (draw_xor, draw_overfitting, draw_surrogate, draw_flame, draw_reinforce):
        draw()
