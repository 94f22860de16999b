"""Tables of where the time of a step goes, made from what ``bench.stages`` keeps.

A kept table has the case, the threads, the kernels, and for each optimizer the seconds of the
stages and of a whole step, and the FMA peak in GFLOP/s.
"""

from bench import table
from bench.cases import CASES

STAGES = GATHER, FORWARD, LOSS, BACKWARD, WEIGHTS = range(5)
NAMES = ("gather", "forward", "loss", "backward", "weights")


def flops_of(case, stage):
    """FLOPs of the matrix products of a stage; 0 where there are none."""
    products = 2 * case.batch * case.weights
    below = products - 2 * case.batch * case.sizes[0] * case.sizes[1]
    return {FORWARD: products, BACKWARD: below, WEIGHTS: products}.get(stage, 0)


def table_of(case, threads, found, kernels):
    """{title: table} of one case."""
    title = f"{case}, {threads} thread{'s' if threads > 1 else ''}"
    return {title: {"case": case, "threads": threads, "kernels": kernels, "found": found}}


def line(name, seconds, flops, peak):
    if not flops:
        return [name, table.significant(1e6 * seconds), "-", "-"]
    rate = flops / seconds / 1e9
    return [
        name,
        table.significant(1e6 * seconds),
        table.significant(rate),
        f"{100 * rate / peak:.1f}",
    ]


def rows(kept):
    """The lines of one table: the stages, of which only the last knows the optimizer."""
    case, found = CASES[kept["case"]], kept["found"]
    lines = [["stage", "µs", "GFLOP/s", "% of peak"]]
    first = next(iter(found.values()))
    for stage in STAGES[:-1]:
        seconds = first["stages"][stage]
        lines.append(line(NAMES[stage], seconds, flops_of(case, stage), first["peak"]))
    for optimizer, taken in found.items():
        name, seconds = f"{NAMES[WEIGHTS]}, {optimizer}", taken["stages"][WEIGHTS]
        lines.append(line(name, seconds, flops_of(case, WEIGHTS), taken["peak"]))
    for optimizer, taken in found.items():
        whole = sum(taken["stages"])
        lines.append(line(f"sum, {optimizer}", whole, case.flops, taken["peak"]))
        lines.append(line(f"Trainer.step, {optimizer}", taken["step"], case.flops, taken["peak"]))
    return lines


def side_by_side(processors):
    """(title, rows) of each table. processors: {name: {title: table}}, each with some tables."""
    titles = dict.fromkeys(title for tables in processors.values() for title in tables)
    for title in titles:
        columns = {name: rows(kept[title]) for name, kept in processors.items() if title in kept}
        head = ["stage", *(f"{name} {what}" for name in columns for what in ("µs", "% of peak"))]
        by_line = zip(*(lines[1:] for lines in columns.values()), strict=True)
        yield (
            title,
            [head, *([cells[0][0], *(c[i] for c in cells for i in (1, 3))] for cells in by_line)],
        )
