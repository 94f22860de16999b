"""The pictures of a report. Needs matplotlib: the only file that does, imported late.

Each is an SVG of its own, which follows the reader's choice of light or dark. No text of the user
gets into one: names stand in the page.
"""

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter

from ..common.types import Floats
from .report_page import Picture, number
from .report_scores import Bin

INK, FAINT, MARK, WARM = "#010203", "#010204", "#010205", "#010206"
"""What stands for the colours of a theme until the picture is SVG."""

POINTS = "#3b82c4"
"""Of clouds of points, which are pixels: the same on light and on dark paper."""

LIGHT = {INK: "#1d2430", FAINT: "#d0d6de", MARK: "#2468b4", WARM: "#b4501a"}
DARK = {INK: "#e4e8ee", FAINT: "#3a4250", MARK: "#6cabf0", WARM: "#f09a5c"}

RC = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fastbp",
    "text.parse_math": False,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}

SIZE = (4.4, 3.4)
"""Inches of a picture."""

DPI = 150
"""Of what is pixels inside a picture."""

MOST_POINTS = 4000
"""Of a cloud."""

SPAN = 100.0
"""A loss that falls by more than this factor is shown on a logarithmic scale."""

PANELS = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
    "lr": "learning rate",
}
"""The keys of a History that are drawn."""


def _drawn(draw: Callable[[Figure], None]) -> str:
    """The data URI of a figure that ``draw`` fills; the user's own settings play no part."""
    file = io.StringIO()
    with matplotlib.style.context(["default", RC]):
        figure = Figure(figsize=SIZE, layout="constrained")
        draw(figure)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", dpi=DPI, metadata=nothing)
    svg = file.getvalue()
    svg = _themed(svg[svg.index("<svg") :])  # the lines above name files elsewhere
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _themed(svg: str) -> str:
    """The SVG with variables for colours, and with their values in light and in dark."""
    light, dark = (
        ";".join(f"--c{ink[1:]}:{color}" for ink, color in theme.items()) for theme in (LIGHT, DARK)
    )
    for ink in LIGHT:
        svg = svg.replace(ink, f"var(--c{ink[1:]})")
    rules = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
    start, end, rest = svg.partition(">")
    return f"{start}{end}<style>{rules}</style>{rest}"


def training(
    histories: Sequence[Mapping[str, Sequence[float]]], kept: Sequence[int]
) -> list[Picture]:
    """Curves of the members. kept: of each the epoch, from 1, whose parameters it has; or empty."""
    found = []
    for key, title in PANELS.items():
        lines = [np.array(one[key], dtype=np.float64) for one in histories if one.get(key)]
        if len(lines) == len(histories) > 0:
            found.append(_curves(lines, title, kept))
    return found


def _curves(lines: Sequence[Floats], title: str, kept: Sequence[int]) -> Picture:
    """A line for each member, with a dot at the epoch that it kept."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for line in lines:
            epochs = range(1, len(line) + 1)
            marker = "o" if len(line) == 1 else ""
            axes.plot(epochs, line, color=MARK, lw=1.3, marker=marker, ms=4, alpha=_alpha(lines))
        for line, epoch in zip(lines, kept, strict=False):
            if 1 <= epoch <= len(line):
                axes.plot(epoch, line[epoch - 1], "o", color=WARM, ms=4.5)
        _scale(axes, np.concatenate(lines), title)
        axes.set(xlabel="epoch", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))

    count = f"{len(lines)} network{'s' if len(lines) > 1 else ''}"
    alt = (
        f"The {title} of {count} over {max(map(len, lines))} epochs: {_range(lines, 0)} at "
        f"the first and {_range(lines, -1)} at the last."
    )
    caption = f"{title[0].upper()}{title[1:]} of {count}" + ("; dots: epochs kept" if kept else "")
    return Picture(_drawn(draw), alt, caption)


def _alpha(lines: Sequence[object]) -> float:
    return max(0.35, 1 / math.sqrt(len(lines)))


def _range(lines: Sequence[Floats], epoch: int) -> str:
    values = [value for value in (line[epoch] for line in lines) if math.isfinite(value)]
    low, high = number(min(values, default=None)), number(max(values, default=None))
    return low if low == high else f"{low} to {high}"


def _scale(axes: Axes, values: Floats, title: str) -> None:
    """A logarithmic scale for a loss that falls far. Its numbers are plain, without exponents."""
    finite = values[np.isfinite(values)]
    if title.endswith("loss") and finite.size and 0 < finite.min() < finite.max() / SPAN:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def reliability(bins: Sequence[Bin], what: str) -> Picture:
    """What was stated against what came, above the shares of rows. what: "probability", say."""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        stated, came = ([getattr(one, key) for one in bins] for key in ("stated", "came"))
        bars = [[one.came - one.low for one in bins], [one.high - one.came for one in bins]]
        upper.plot((0, 1), (0, 1), color=INK, lw=0.8, ls="--")
        upper.errorbar(stated, came, bars, color=MARK, fmt="o-", lw=1.3, ms=4, elinewidth=1)
        upper.set(ylabel="share that came true", xlim=(0, 1), ylim=(0, 1))
        lower.bar(stated, [one.share for one in bins], width=0.05, color=MARK)
        lower.set(xlabel=f"{what} stated", ylabel="rows", ylim=(0, None))
        lower.yaxis.set_major_locator(MaxNLocator(2))

    points = ", ".join(f"{number(one.stated)}: {number(one.came)}" for one in bins)
    alt = f"Share of rows for which it came true, by the {what} stated: {points}."
    caption = (
        "Reliability: on the dashed line, what is said with 80% comes true in 80% of the rows. "
        "Bars: 95% intervals. Below: shares of rows"
    )
    return Picture(_drawn(draw), alt, caption)


def regression(y: Floats, p: Floats) -> list[Picture]:
    """Clouds and a histogram of true and predicted numbers (n,)."""
    some = np.random.default_rng(0).permutation(len(y))[:MOST_POINTS]
    sample = f", {len(some):,} of {len(y):,} rows" if len(some) < len(y) else ""
    error = p - y
    correlation = np.corrcoef(y, p)[0, 1] if min(np.ptp(y), np.ptp(p)) > 0 else math.nan
    low, middle, high = np.quantile(error, (0.05, 0.5, 0.95))
    spread = f"from {number(low)} (5%) over {number(middle)} (half) to {number(high)} (95%)"
    return [
        Picture(
            _drawn(lambda figure: _against(figure, y[some], p[some])),
            f"Predicted against true values; their correlation is {number(correlation)}.",
            f"Predicted against true{sample}; dashed: equal",
        ),
        Picture(
            _drawn(lambda figure: _errors(figure, p[some], error[some])),
            f"Predicted - true against predicted values; the errors go {spread}.",
            f"Error against predicted{sample}; dashed: none",
        ),
        Picture(
            _drawn(lambda figure: _histogram(figure, error)),
            f"Histogram of predicted - true: {spread}.",
            "Rows by their error, but for the lowest and the highest 0.5%; dashed: none",
        ),
    ]


def _against(figure: Figure, y: Floats, p: Floats) -> None:
    axes = figure.add_subplot()
    _cloud(axes, y, p)
    ends = min(y.min(), p.min()), max(y.max(), p.max())
    axes.plot(ends, ends, color=INK, lw=0.8, ls="--")
    axes.set(xlabel="true", ylabel="predicted")


def _errors(figure: Figure, p: Floats, error: Floats) -> None:
    axes = figure.add_subplot()
    _cloud(axes, p, error)
    axes.axhline(0, color=INK, lw=0.8, ls="--")
    axes.set(xlabel="predicted", ylabel="predicted - true")


def _cloud(axes: Axes, x: Floats, y: Floats) -> None:
    alpha = min(0.8, max(0.15, 20 / math.sqrt(len(x))))
    axes.plot(x, y, ".", color=POINTS, ms=4, mew=0, alpha=alpha, rasterized=True)
    axes.locator_params(nbins=6)


def _histogram(figure: Figure, error: Floats) -> None:
    axes = figure.add_subplot()
    low, high = np.quantile(error, (0.005, 0.995))  # one outlier would leave a single bar
    axes.hist(error[(low <= error) & (error <= high)], bins=40, color=MARK)
    axes.axvline(0, color=INK, lw=0.8, ls="--")
    axes.set(xlabel="predicted - true", ylabel="rows")
    axes.locator_params(nbins=6)


def coverage(levels: Sequence[float], shares: Sequence[float]) -> Picture:
    """The shares of true values below the predicted quantiles, by the quantiles' levels."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot((0, 1), (0, 1), color=INK, lw=0.8, ls="--")
        axes.plot(levels, shares, "o-", color=MARK, lw=1.3, ms=4)
        axes.set(xlabel="quantile predicted", ylabel="share of true values below it")
        axes.set(xlim=(0, 1), ylim=(0, 1))

    points = ", ".join(f"{number(x)}: {number(s)}" for x, s in zip(levels, shares, strict=True))
    alt = f"Shares of the true values at or below each predicted quantile: {points}."
    return Picture(_drawn(draw), alt, "Quantiles: on the dashed line, as many lie below as stated")
