"""The tables and figures of bench/README.md and of README.md, made from the results alone.

A ratio is the time of a peer over the time of fastbp: above 1 fastbp is faster.
"""

from statistics import median

from bench.cases import CASES
from bench.peers import SIDES
from bench.results import OURS
from bench.startup import WHOLE
from bench.table import markdown, significant

TITLES = {
    "step": "One training step",
    "epoch": "One epoch of `fit`: shuffled, gather included",
    "predict": "Prediction",
    "online": "Online learning, an update a row: fastbp inside `@njit`, JAX as a scan",
    "row by row": "One row predicted: fastbp inside `@njit`, JAX as a scan",
    "one row": "One row predicted, from Python",
}
"""Title of each measure, in the order of the page. Other measures follow under their own names."""

TINY = "tiny is timed per update of full-batch fits of 1000."

UNITS = {"epoch": "µs an update"}
"""Unit of the times of a measure, where it is not plain µs."""


def peers_of(races):
    """Every peer that ran in one of the races, in the order of SIDES."""
    ran = {name for race in races for name in race.others}
    return [name for name in SIDES if name in ran] + sorted(ran - set(SIDES))


def in_order(races):
    """Races sorted by the order of their cases in CASES."""
    place = {name: i for i, name in enumerate(CASES)}
    return sorted(races, key=lambda race: place.get(race.case, len(place)))


def ratio_cell(race, name):
    return f"{race.ratio(name):.2f}x" if name in race.seconds else "-"


def updates(race):
    """Updates in one timed unit: those of an epoch, else 1."""
    return CASES[race.case].epoch_batches if race.measure == "epoch" else 1


def race_rows(races):
    """The heading and one row for each race."""
    peers = peers_of(races)
    unit = UNITS.get(races[0].measure, "µs")
    head = ["case", f"fastbp {unit}", "GFLOP/s", "% of peak", *(f"vs {name}" for name in peers)]
    rows = [
        [
            f"{race.case} {race.optimizer}".strip(),
            significant(race.microseconds(OURS) / updates(race)),
            significant(race.gflops(OURS)),
            f"{100 * race.share_of_peak(OURS):.1f}",
            *(ratio_cell(race, name) for name in peers),
        ]
        for race in in_order(races)
    ]
    return [head, *rows]


def memory_rows(memory):
    head = ["library", "peak RSS MB", "of it imports MB", "a step allocates"]
    rows = [
        [name, f"{m['peak'] / 1e6:.0f}", f"{m['imports'] / 1e6:.0f}", allocated(m["step"])]
        for name, m in memory.items()
    ]
    return [head, *rows]


def allocated(count):
    """Bytes as text; None for allocations that tracemalloc cannot see."""
    if count is None:
        return "not visible"
    return f"{count} B" if count < 10_000 else f"{count / 1e6:.1f} MB"


def start_rows(start):
    head = ["in a fresh process", "seconds"]
    return [head, *([what, f"{median(seconds):.2f}"] for what, seconds in start.items())]


def losses(results):
    """One line for each case in which a peer is faster."""
    lines = []
    for measure in measures_of(results):
        for race in in_order(results.of(measure)):
            ahead = sorted((race.ratio(name), name) for name in race.others if race.ratio(name) < 1)
            if ahead:
                case = f"{race.case} {race.optimizer}".strip()
                slower = ", ".join(f"{name} ({ratio:.2f}x)" for ratio, name in ahead)
                what = measure if measure == case else f"{measure}, {case}"
                lines.append(f"- {what}: slower than {slower}")
    return lines


def resource_losses(notes):
    """One line for each of memory and start in which a peer needs less."""
    lines = []
    memory = {name: m["peak"] / 1e6 for name, m in notes.get("memory", {}).items()}
    lines += less("peak memory", memory, "MB", ".0f")
    starts = {
        what.removesuffix(f": {WHOLE}"): median(seconds)
        for what, seconds in notes.get("start", {}).items()
        if what.endswith(f": {WHOLE}")
    }
    return lines + less(WHOLE, starts, "s", ".2f")


def less(what, values, unit, form):
    if OURS not in values:
        return []
    ours = values.pop(OURS)
    below = sorted((value, name) for name, value in values.items() if value < ours)
    named = ", ".join(f"{name} ({value:{form}} {unit})" for value, name in below)
    return [f"- {what}: fastbp takes {ours:{form}} {unit}, more than {named}"] if named else []


def measures_of(results):
    """The measures that ran, in the order of TITLES."""
    ran = {race.measure: None for race in results.races.values()}
    return [m for m in TITLES if m in ran] + [m for m in ran if m not in TITLES]


def sections(results):
    """(title, rows) of every table."""
    for measure in measures_of(results):
        yield TITLES.get(measure, measure), race_rows(results.of(measure))
    notes = results.notes
    if "memory" in notes:
        yield f"Memory of a training process ({notes['memory_of']})", memory_rows(notes["memory"])
    if "start" in notes:
        yield "Start (what is compiled is cached, unless it says cold)", start_rows(notes["start"])


def caption(results):
    """How the tables were measured, and on which machine."""
    peaks = [peak for race in results.races.values() for peak in race.peaks]
    pairs = sorted({len(race.peaks) for race in results.races.values()})
    facts = ", ".join(f"{name} {value}" for name, value in results.notes["machine"].items())
    return (
        f"Medians of {pairs[0]} to {pairs[-1]} rounds of windows, all sides in turn in one run; a "
        "ratio is the median of the ratios of neighboring windows, and above 1 fastbp is faster. "
        f"{TINY} Peak is a loop of fused multiply-adds on registers alone, measured in between: "
        f"{median(peaks):.0f} GFLOP/s on the median. {facts}."
    )


FIGURES = {
    "ratios.png": "How many times as long each peer takes for a training step",
    "roofline.png": "GFLOP/s of the training steps below the ceilings of the machine",
    "sweep.png": "fastbp against the best peer over widths, batches and depths",
}
"""Text of each figure, by file name."""


def figures(folder, names=tuple(FIGURES), path="figures"):
    """Markdown lines of the figures that exist; path: from the page to their folder."""
    return [f"![{FIGURES[n]}]({path}/{n})" for n in names if (folder / n).exists()]


def page(results, folder, sweep_lines=()):
    """The text between the markers of bench/README.md."""
    parts = [caption(results), *figures(folder)]
    parts += [f"**{title}**\n\n{markdown(rows)}" for title, rows in sections(results)]
    behind = [*losses(results), *resource_losses(results.notes), *sweep_lines]
    parts.append("### Where fastbp loses\n\n" + ("\n".join(behind) or "Nowhere in these tables."))
    return "\n\n".join(parts)


def summary(results, folder):
    """The text between the markers of README.md: one figure, one table, and the losses."""
    machine = results.notes["machine"]
    facts = ", ".join(f"{name} {machine[name]}" for name in ("cpu", "threads") if name in machine)
    steps = results.of("step")
    text = (
        f"Time of one training step ({facts}). `vs` is the time of a peer over the time of fastbp: "
        f"above 1 fastbp is faster. {TINY}"
    )
    parts = [text, *figures(folder, ["ratios.png"], "bench/figures")]
    if steps:
        parts.append(markdown(race_rows(steps)))
    return "\n\n".join([*parts, *_where_behind(losses(results), results.notes)])


def _where_behind(lines, notes):
    """A paragraph on the cases in which a peer is ahead; nothing where there are none."""
    found = [*lines, *resource_losses(notes)]
    return ["Where fastbp loses here:\n\n" + "\n".join(found)] if found else []
