"""The tables of bench/README.md and README.md: the processors side by side.

``everything`` is {name of a processor: (its Results, the points of its sweep)}. A processor appears
in the tables of what was measured there.
"""

from itertools import chain
from statistics import median

from bench import company, provenance, report, scaling, scaling_model, sharing, stage_table
from bench.report import START, TINY, TITLES, UNITS
from bench.results import OURS
from bench.table import markdown

FIGURE, NODES = "steps.png", "scaling.png"
CAPTION = "How many times as long the best peer takes for a training step"

RATIO = (
    "A ratio is the time of the peer that is fastest there over the time of fastbp: above 1 fastbp "
    "is faster."
)


def raced(everything):
    return {name: found for name, found in everything.items() if found[0].races}


def processor_rows(everything):
    """One line on each processor, with a link to its page."""
    head = ["processor", "model", "vector bits", "CPUs", "threads", "tile", "peak GFLOP/s", "cores"]
    rows = [head]
    for name, (results, _) in everything.items():
        about, races = results.notes["machine"], results.races.values()
        rows.append(
            [
                f"[`{name}`](results/{name}.md)",
                *(str(about.get(fact, "-")) for fact in ("model", "vector bits", "cpus")),
                *(str(about.get(fact, "-")) for fact in ("threads", "tile")),
                f"{report.peak(results):.0f}" if races else "-",
                sharing.told(races) if races else "-",
            ]
        )
    return rows


def measure_rows(everything, measure):
    """Cases down; time, share of the peak, and the best peer of each processor across."""
    columns = {
        name: {report.case_of(race): race for race in results.of(measure)}
        for name, (results, _) in everything.items()
        if results.of(measure)
    }
    unit = UNITS.get(measure, "µs")
    head = ["case", *(f"{n} {what}" for n in columns for what in (unit, "% of peak", "best peer"))]
    races = [race for column in columns.values() for race in column.values()]
    cases = dict.fromkeys(report.case_of(race) for race in report.in_order(races))
    rows = [[case, *chain(*(cells(c.get(case)) for c in columns.values()))] for case in cases]
    return [head, *rows]


def cells(race):
    """Time, share of the peak, and the best peer with its ratio."""
    if race is None:
        return ["-", "-", "-"]
    peer = race.best_peer
    share = f"{100 * race.share_of_peak(OURS):.1f}"
    return [report.time_of(race), share, f"{report.ratio_cell(race, peer)} {peer}"]


def note_rows(everything, note, first, unit, value):
    """What a note has down, processors across."""
    columns = {name: r.notes[note] for name, (r, _) in everything.items() if note in r.notes}
    names = dict.fromkeys(key for column in columns.values() for key in column)
    head = [first, *(f"{name} {unit}" for name in columns)]
    rows = [[n, *(value(c[n]) if n in c else "-" for c in columns.values())] for n in names]
    return [head, *rows]


def sections(everything):
    """(title, rows) of every table of the races, the memory and the start."""
    races = [race for results, _ in everything.values() for race in results.races.values()]
    for measure in report.measures_of(races):
        yield TITLES.get(measure, measure), measure_rows(everything, measure)
    notes = {note for results, _ in everything.values() for note in results.notes}
    if "memory" in notes:
        title = "Peak memory of a training process"
        yield title, note_rows(everything, "memory", "library", "MB", megabytes)
    if "start" in notes:
        yield START, note_rows(everything, "start", "in a fresh process", "s", middle)


def megabytes(memory):
    return f"{memory['peak'] / 1e6:.0f}"


def middle(seconds):
    return f"{median(seconds):.2f}"


def page(everything, folder):
    """The text of bench/README.md on the races."""
    parts = [markdown(processor_rows(everything), left=8)]
    parts.append(
        "\n".join(f"- `{n}`: {provenance.told(*found)}" for n, found in everything.items())
    )
    parts += [f"{RATIO} {TINY}", *figure(folder, "figures")]
    parts += [f"**{title}**\n\n{markdown(rows)}" for title, rows in sections(everything)]
    parts.append("### Where fastbp loses")
    for name, found in raced(everything).items():
        parts.append(f"On `{name}`:\n\n{report.losses_of(*found)}")
    return "\n\n".join(parts)


def stages(everything):
    """The text of bench/README.md on the stages of a step."""
    kept = {n: r.notes["stages"] for n, (r, _) in everything.items() if "stages" in r.notes}
    tables = stage_table.side_by_side(kept)
    return "\n\n".join(f"**{title}**\n\n{markdown(rows)}" for title, rows in tables)


def in_company(everything):
    """The text of bench/README.md on other programs beside fastbp."""
    kept = {n: r.notes["company"] for n, (r, _) in everything.items() if "company" in r.notes}
    return markdown(company.rows(kept)) if kept else "Not measured yet."


def on_ranks(everything, folder):
    """The text of bench/README.md on several ranks, and on many nodes."""
    parts = []
    for name, (r, _) in everything.items():
        for note, of in (("scaling", scaling), ("scaling model", scaling_model)):
            tables = of.sections(r.notes[note]) if note in r.notes else []
            parts += [f"**{title} (`{name}`)**\n\n{markdown(rows)}" for title, rows in tables]
        if (folder / name / NODES).exists():
            parts.append(f"![{report.FIGURES[NODES]}](figures/{name}/{NODES})")
    return "\n\n".join(parts) or "Not measured yet."


def figure(folder, path):
    return [f"![{CAPTION}]({path}/{FIGURE})"] if (folder / FIGURE).exists() else []


def summary(everything, folder):
    """The text of README.md: one figure, one table, and the losses."""
    mine = raced(everything)
    about = "; ".join(described(name, results) for name, (results, _) in mine.items())
    parts = [f"Time of one training step on {about}. {RATIO} {TINY}"]
    parts += figure(folder, "bench/figures")
    parts.append(markdown(measure_rows(mine, "step")))
    for name, (results, points) in mine.items():
        lines = report.losses_of(results, points).splitlines()
        lost = ". ".join(line.removeprefix("- ").removesuffix(".") for line in lines)
        parts.append(f"Where fastbp loses on `{name}`: {lost}.")
    return "\n\n".join(parts)


def described(name, results):
    about = results.notes["machine"]
    known = [about["model"]] if "model" in about else []
    known += [f"vectors of {about['vector bits']} bits"] if "vector bits" in about else []
    return f"`{name}` ({', '.join([*known, str(about['threads'])])} threads)"
