"""The tables of one processor, made from its results alone, and its page in bench/results.

A ratio is the time of a peer over the time of fastbp: above 1 fastbp is faster.
"""

from statistics import median

from bench import company, provenance, scaling, scaling_model, sharing, stage_table, sweep
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

START = "Start (what is compiled is cached, unless it says cold)"

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


def case_of(race):
    return f"{race.case} {race.optimizer}".strip()


def time_of(race):
    """Time of a unit as the tables give it: of an update in an epoch."""
    return significant(race.microseconds(OURS) / updates(race))


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
            case_of(race),
            time_of(race),
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
    for measure in measures_of(results.races.values()):
        for race in in_order(results.of(measure)):
            ahead = sorted((race.ratio(name), name) for name in race.others if race.ratio(name) < 1)
            if ahead:
                case = case_of(race)
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


def measures_of(races):
    """The measures that ran, in the order of TITLES."""
    ran = dict.fromkeys(race.measure for race in races)
    return [m for m in TITLES if m in ran] + [m for m in ran if m not in TITLES]


def sections(results):
    """(title, rows) of every table."""
    for measure in measures_of(results.races.values()):
        yield TITLES.get(measure, measure), race_rows(results.of(measure))
    notes = results.notes
    if "memory" in notes:
        yield f"Memory of a training process ({notes['memory_of']})", memory_rows(notes["memory"])
    if "start" in notes:
        yield START, start_rows(notes["start"])
    for title, kept in notes.get("stages", {}).items():
        yield f"Stages of a step: {title}", stage_table.rows(kept)
    if "company" in notes:
        yield company.TITLE, company.rows({"": notes["company"]})
    for note, of in (("scaling", scaling), ("scaling model", scaling_model)):
        if note in notes:
            yield from of.sections(notes[note])


def figures(folder, path):
    """Markdown lines of the figures of a folder; path: from the page to that folder."""
    return [f"![{text}]({path}/{n})" for n, text in FIGURES.items() if (folder / n).exists()]


FIGURES = {
    "ratios.png": "How many times as long each peer takes for a training step",
    "roofline.png": "GFLOP/s of the training steps below the ceilings of the machine",
    "sweep.png": "fastbp against the best peer over widths, batches and depths",
    "scaling.png": "Time of an update on 1 to 1,024 nodes, as a model predicts it",
}
"""Text of each figure of a processor, by file name."""


def facts(results):
    """What is known about the machine, and about its cores."""
    found = [f"{name} {value}" for name, value in results.notes["machine"].items()]
    races = results.races.values()
    return [*found, *([f"cores with {sharing.told(races)}"] if races else [])]


def peak(results):
    """The median FMA peak of all races, GFLOP/s."""
    return median(peak for race in results.races.values() for peak in race.peaks)


NOTICE = (
    "This page is made by `scripts/bench`. [The page of all processors](../README.md) says how "
    "each figure is measured."
)


def page(results, points, folder, path):
    """All that was measured on one processor: a page of its own. folder: of its figures."""
    name = results.notes["machine"]["cpu"]
    parts = [
        f"# fastbp on {name}",
        f"{NOTICE} {TINY}" if results.races else NOTICE,
        f"{', '.join(facts(results))}.",
        provenance.told(results, points),
        *figures(folder, path),
    ]
    parts += [f"**{title}**\n\n{markdown(rows)}" for title, rows in sections(results)]
    behind = losses_of(results, points)
    if results.races:
        parts.append(f"## Where fastbp loses\n\n{behind}")
    return "\n\n".join(parts) + "\n"


def losses_of(results, points):
    """The list of everything in which a peer is ahead on one processor, as Markdown."""
    lines = [*losses(results), *resource_losses(results.notes), *sweep.report_lines(points)]
    return "\n".join(lines) or "Nowhere in these tables."
