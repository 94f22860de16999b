"""The figures: ratios to peers, the roofline, and the heat map of the sweep."""

import math
from itertools import cycle

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator

from bench import scaling_model, sweep
from bench.cases import CASES
from bench.report import in_order, peers_of
from bench.results import OURS

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "svg.hashsalt": "fastbp",
}
OPTIMIZERS = {"sgd": "SGD with momentum", "adam": "Adam"}
INK, OUR_COLOR = "#333333", "#c0392b"
COLORS = ["#4878a8", "#e39a3b", "#b5762a", "#5ba37a", "#9a79b8", "#888888"]
MARKS = {"sgd": "o", "adam": "^"}


def draw(results, points, folder):
    """Write every figure of one processor whose data exist."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = in_order(results.of("step"))
    with mpl.rc_context(STYLE):
        if steps:
            keep(ratios(steps), folder / "ratios.png")
        if steps and "bandwidth" in results.notes:
            keep(roofline(steps, results.notes["bandwidth"]), folder / "roofline.png")
        if points:
            keep(heat_map(points), folder / "sweep.png")
        if "scaling model" in results.notes:
            keep(
                nodes(scaling_model.inputs(results.notes["scaling model"])), folder / "scaling.png"
            )


def keep(figure, path):
    # No date or version in the file: the same data make the same bytes.
    figure.savefig(path, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def draw_steps(everything, path):
    """Write the figure of all processors."""
    steps = {name: in_order(results.of("step")) for name, (results, _) in everything.items()}
    with mpl.rc_context(STYLE):
        if any(steps.values()):
            keep(best_ratios(steps), path)


def ratios(races):
    """Bars of time of a peer over time of fastbp, a panel for each optimizer."""
    cases, peers = list(dict.fromkeys(race.case for race in races)), peers_of(races)

    def heights(optimizer):
        mine = {race.case: race for race in races if race.optimizer == optimizer}
        return {
            name: [
                mine[case].ratio(name) if case in mine and name in mine[case].seconds else math.nan
                for case in cases
            ]
            for name in peers
        }

    return panels({optimizer: heights(optimizer) for optimizer in optimizers_of(races)}, cases)


def best_ratios(steps):
    """Bars of time of the best peer over time of fastbp, by processor."""
    every = [race for races in steps.values() for race in races]
    cases = list(dict.fromkeys(race.case for race in in_order(every)))

    def heights(optimizer):
        found = {}
        for name, races in steps.items():
            mine = {race.case: race for race in races if race.optimizer == optimizer}
            found[name] = [
                mine[case].ratio(mine[case].best_peer) if case in mine else math.nan
                for case in cases
            ]
        return found

    return panels({optimizer: heights(optimizer) for optimizer in optimizers_of(every)}, cases)


def optimizers_of(races):
    return [name for name in OPTIMIZERS if any(race.optimizer == name for race in races)]


def panels(heights, cases):
    """heights: {optimizer: {name: one ratio a case, nan where there is none}}."""
    figure, axes = plt.subplots(
        len(heights),
        1,
        figsize=(9, 2.9 * len(heights)),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (optimizer, bars_of) in zip(axes[:, 0], heights.items(), strict=True):
        bars(ax, bars_of)
        ax.set_xticks(range(len(cases)), cases)
        ax.set_title(f"Training step, {OPTIMIZERS[optimizer]}", loc="left")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), frameon=False, loc="outside upper center")
    return figure


def bars(ax, heights):
    """A group of bars for each case."""
    wide = 0.8 / len(heights)
    n_cases = len(next(iter(heights.values())))
    for i, ((name, column), color) in enumerate(zip(heights.items(), cycle(COLORS), strict=False)):
        at = [c + (i - (len(heights) - 1) / 2) * wide for c in range(n_cases)]
        drawn = ax.bar(at, column, 0.92 * wide, label=name, color=color, zorder=2)
        labels = ["" if math.isnan(h) else short(h) for h in column]
        ax.bar_label(drawn, labels, fontsize=7, padding=1, color=INK)
    ax.set_yscale("log")
    known = [h for column in heights.values() for h in column if not math.isnan(h)]
    ax.set_ylim(min(0.5, 0.8 * min(known)), 2 * max(known))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    ax.yaxis.set_minor_formatter("")
    ax.axhline(1, color=OUR_COLOR, linewidth=1.2, zorder=3)
    ax.text(n_cases - 0.5, 1, " fastbp", color=OUR_COLOR, va="center", ha="left")
    ax.set_xlim(-0.5, n_cases - 0.5)
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel("times as long as fastbp")
    ax.grid(axis="y", color="#dddddd", linewidth=0.6, zorder=0)


def short(ratio):
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def roofline(races, ceilings):
    """GFLOP/s by flop per byte of weights, moments and activations; log scales."""
    figure, ax = plt.subplots(figsize=(8, 4.8))
    placed = [(CASES[r.case], r) for r in races]
    xs = [case.flops / case.bytes_moved(race.optimizer) for case, race in placed]
    ys = [race.gflops(OURS) for _, race in placed]
    low, high = min(xs) / 2, max(xs) * 4
    for threads, ceiling in ceilings.items():
        roof(ax, low, high, threads, ceiling)
    for x, y, (case, race) in zip(xs, ys, placed, strict=True):
        color = COLORS[list(CASES).index(case.name)]
        ax.plot(x, y, MARKS[race.optimizer], color=color, markersize=8, zorder=3)
    for name in CASES:
        mine = [i for i, (case, _) in enumerate(placed) if case.name == name]
        if mine:
            top = max(mine, key=xs.__getitem__)
            text = ax.annotate(name, (xs[top], ys[top]), xytext=(9, -4), textcoords="offset points")
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    marks = [
        plt.Line2D([], [], marker=mark, linestyle="", color=INK, label=OPTIMIZERS[name])
        for name, mark in MARKS.items()
    ]
    ax.legend(handles=marks, frameon=False, loc="lower right")
    ax.set(xscale="log", yscale="log", xlim=(low, high), title="Training steps of fastbp")
    ax.set_ylim(min(ys) / 2, 2 * max(c["gflops"] for c in ceilings.values()))
    ax.set_xlabel("flop per byte of weights, moments and activations read or written")
    ax.set_ylabel("GFLOP/s")
    plain = "{:g}".format
    ax.xaxis.set_major_formatter(lambda value, _: plain(value))
    ax.yaxis.set_major_formatter(lambda value, _: plain(value))
    ax.grid(color="#e5e5e5", linewidth=0.6)
    ax.set_axisbelow(True)
    return figure


def roof(ax, low, high, threads, ceiling):
    """One ceiling: memory bandwidth times intensity, up to the FMA peak."""
    corner = ceiling["gflops"] / ceiling["gb"]
    xs = np.array([low, corner, high])
    line = "-" if threads != "1" else "--"
    ax.plot(xs, np.minimum(ceiling["gflops"], ceiling["gb"] * xs), line, color=INK, linewidth=1.3)
    plural = "s" if threads != "1" else ""
    text = f"{threads} thread{plural}: {ceiling['gflops']:.0f} GFLOP/s, {ceiling['gb']:.0f} GB/s"
    over = threads != "1"
    ax.annotate(
        text,
        (high, ceiling["gflops"]),
        xytext=(-2, 4 if over else -4),
        textcoords="offset points",
        ha="right",
        va="bottom" if over else "top",
        fontsize=8,
        color=INK,
    )


def heat_map(points):
    """Time of the best peer over time of fastbp, width by batch, a panel for each depth."""
    depths = sorted({p.depth for p in points})
    columns = min(2, len(depths))
    rows = -(-len(depths) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.6 * columns, 4.2 * rows), squeeze=False, layout="constrained"
    )
    for ax in axes.flat[len(depths) :]:
        ax.set_visible(False)
    for ax, depth in zip(axes.flat, depths, strict=False):
        image = panel(ax, [p for p in points if p.depth == depth])
        ax.set_title(f"{depth} layer{'s' * (depth > 1)}", loc="left")
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    ticks = [1 / 4, 1 / 2, 1, 2, 4, 8, 16]
    bar.set_ticks([math.log2(t) for t in ticks], labels=[f"{t:g}x" for t in ticks])
    bar.set_label("time of the best peer / time of fastbp")
    return figure


def panel(ax, points):
    grid = np.full((len(sweep.WIDTHS), len(sweep.BATCHES)), np.nan)
    for p in points:
        grid[sweep.WIDTHS.index(p.width), sweep.BATCHES.index(p.batch)] = p.ratio
    colors = mpl.colormaps["RdBu"].with_extremes(bad="#eeeeee")
    norm = mpl.colors.TwoSlopeNorm(0, -2, 4)
    image = ax.imshow(np.log2(grid), origin="lower", cmap=colors, norm=norm, aspect="auto")
    for (row, column), ratio in np.ndenumerate(grid):
        if not math.isnan(ratio):
            strong = not 1 / 2 < ratio < 6
            color = "white" if strong else INK
            ax.text(column, row, short(ratio), ha="center", va="center", fontsize=7, color=color)
    ax.set_xticks(range(len(sweep.BATCHES)), sweep.BATCHES)
    ax.set_yticks(range(len(sweep.WIDTHS)), sweep.WIDTHS)
    ax.tick_params(length=0)
    ax.set(xlabel="batch", ylabel="width")
    for side in ax.spines.values():
        side.set_visible(False)
    return image


WAYS = {"ordered": "-", "fast": "--", "bfloat16": ":"}


def nodes(inputs):
    """Predicted time of an update by the number of nodes, a panel for each case and scaling."""
    kinds = {scaling_model.WEAK: "its batch on each node", scaling_model.STRONG: "16,384 rows"}
    figure, axes = plt.subplots(
        len(kinds), len(inputs), figsize=(11, 6.4), sharex=True, squeeze=False, layout="constrained"
    )
    for row, (kind, text) in zip(axes, kinds.items(), strict=True):
        for ax, (name, measured) in zip(row, inputs.items(), strict=True):
            times_of_nodes(ax, kind, CASES[name], measured)
            ax.set_title(f"{name}, {text}", loc="left")
        row[0].set_ylabel("predicted ms of an update")
    for ax in axes[-1]:
        ax.set_xlabel("nodes")
    handles = [
        plt.Line2D([], [], color=color, label=name)
        for name, color in zip(scaling_model.NETWORKS, COLORS[::2], strict=True)
    ]
    handles += [plt.Line2D([], [], color=INK, linestyle=s, label=n) for n, s in WAYS.items()]
    handles.append(plt.Line2D([], [], color="#bbbbbb", linewidth=4, label="no network"))
    figure.legend(handles=handles, ncols=7, frameon=False, loc="outside upper center")
    return figure


def times_of_nodes(ax, kind, case, measured):
    counts = scaling_model.NODES

    def times(link, way):
        return [
            1e3 * scaling_model.predicted(case, measured, n, of_kind(kind, case, n), link, way)
            for n in counts
        ]

    ax.plot(counts, times(scaling_model.NO_DELAY, "fast"), color="#bbbbbb", linewidth=4)
    for link, color in zip(scaling_model.NETWORKS.values(), COLORS[::2], strict=True):
        for way, style in WAYS.items():
            ax.plot(counts, times(link, way), style, color=color, linewidth=1.3)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_locator(LogLocator(subs=(1.5, 2, 3, 5)))
    for set_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        set_formatter(lambda value, _: f"{value:g}")
    ax.grid(color="#e5e5e5", linewidth=0.6)


def of_kind(kind, case, count):
    """Rows of an update on so many nodes."""
    return scaling_model.STRONG_ROWS if kind == scaling_model.STRONG else count * case.batch
