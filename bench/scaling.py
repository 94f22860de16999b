"""Training on two ranks beside one process, and torch's DDP: ``python -m bench.scaling``.

Each case is trained by Adam in processes of their own (bench.ranks), which take turns in short
windows: one process of two threads, two ranks of one thread by each reduction, and torch's
DistributedDataParallel on gloo. Strong scaling: the same batch. Weak: twice the batch on two ranks,
beside one thread and the batch itself. The time that the ranks take to add up the gradient is told
apart, and compared with the all-reduce of the MPI library. The windows are kept in the file of this
processor in bench/results. It takes about five minutes on two CPUs.
"""

import argparse
import socket
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from statistics import mean, median

from bench import environment, machine, ranks, results, table
from bench.cases import CASES
from bench.ranks import DDP, FAST, LIBRARY, MESSAGES, ONE_THREAD, ORDERED, TWICE, TWO_THREADS

TITLE = "Two ranks of one thread: milliseconds of an update, by Adam"
EXCHANGE_TITLE = "What the exchange of an update takes"
SUMS_TITLE = "Adding up 8 MB on two ranks"
NAMES = ("medium", "large", "xlarge")
PAIRS, WINDOW = 9, 0.25
STRONG, WEAK = "strong", "weak"
WHO = {
    STRONG: (TWO_THREADS, ORDERED, FAST, MESSAGES, DDP),
    WEAK: (ONE_THREAD, ORDERED, FAST, DDP),
}
COUNT, LAPS = 2_000_000, 15
"""Elements of a sum of 8 MB, and how often it is made."""

SAME_LOSS, MOST_IDLE = 1e-3, 0.02
"""How far losses may differ between sides; the share of a core that one may use in its pause."""


def rows_of(kind, name, case):
    """Rows of an update: all sides train twice the batch in weak scaling, but one thread alone."""
    return case.batch * (TWICE if kind == WEAK and name != ONE_THREAD else 1)


def measure(case, sides, pairs):
    """{STRONG or WEAK: {side: {what: its windows}}} of a case."""
    with ExitStack() as stack:
        jobs = {}
        for name in sides:
            jobs[name] = ranks.Job(name, case.name)
            stack.callback(jobs[name].close)
        check_losses(jobs)
        found = {
            kind: windows(
                {name: jobs[name] for name in who if name in jobs},
                lambda name, kind=kind: rows_of(kind, name, case),
                pairs,
            )
            for kind, who in WHO.items()
        }
    check_rest(found)
    return found


def windows(jobs, rows, pairs):
    """{side: {what: its windows}}; the sides take turns. rows: of an update of a side."""
    laps, order = {}, list(jobs)
    for name, job in jobs.items():
        job.window(rows(name), 1)
        laps[name] = max(1, round(WINDOW / job.window(rows(name), 1)["seconds"]))
    found = {name: {} for name in jobs}
    for _ in range(pairs):
        for name in order:
            for what, value in jobs[name].window(rows(name), laps[name]).items():
                found[name].setdefault(what, []).append(value)
        order.reverse()
    return found


def check_losses(jobs):
    """SystemExit where the sides do not train alike; a side's loss is the mean of its ranks'."""
    losses = {name: mean(each[-1] for each in job.losses) for name, job in jobs.items()}
    first = next(iter(losses.values()))
    if any(abs(loss - first) > SAME_LOSS * abs(first) for loss in losses.values()):
        raise SystemExit(f"the sides do not the same work: their losses are {losses}")


def check_rest(found):
    """Say which sides kept a core busy while it was not their turn."""
    for kind, sides in found.items():
        for name, told in sides.items():
            if median(told["idle"]) > MOST_IDLE:
                share = f"{median(told['idle']):.0%} of a core"
                print(f"{kind}, {name}: uses {share} out of its turn", file=sys.stderr)


def measure_sums():
    """{way: seconds} in which two ranks add up 8 MB."""
    job = ranks.Job(ORDERED, NAMES[0])
    try:
        found = job.run(count=COUNT, laps=LAPS)
    finally:
        job.close()
    return {way: max(each[way] for each in found) for way in found[0]}


# Tables


def ratio(found, above, below, what="seconds"):
    """The median over windows of a ratio of two sides; None where one was not there."""
    if above not in found or below not in found:
        return None
    pairs = zip(found[above][what], found[below][what], strict=True)
    return median(a / b for a, b in pairs)


def times(value):
    return "-" if value is None else f"{value:.2f}x"


def milliseconds(found, name, what="seconds"):
    if what not in found.get(name, {}):
        return "-"
    return table.significant(1e3 * median(found[name][what]))


def rows(kept):
    """Cases down, of what ``main`` keeps."""
    head = ["", "one process", "ordered", "fast", "DDP", "ordered, speed", "fast, speed"]
    made = [[*head, "DDP over ordered"]]
    for name, of_case in kept["cases"].items():
        for kind, alone in ((STRONG, TWO_THREADS), (WEAK, ONE_THREAD)):
            found = of_case[kind]
            made.append(
                [
                    f"{name}, {kind}",
                    *(milliseconds(found, side) for side in (alone, ORDERED, FAST, DDP)),
                    *(times(ratio(found, alone, side)) for side in (ORDERED, FAST)),
                    times(ratio(found, DDP, ORDERED)),
                ]
            )
    return made


def exchange_rows(kept):
    """What adding up the gradient takes: milliseconds, and the share of the update."""
    sides = (ORDERED, MESSAGES, FAST)
    made = [["", "gradient MB", *(f"{side}: ms" for side in sides), "MB sent by a rank"]]
    for name, of_case in kept["cases"].items():
        found = of_case[STRONG]
        cells = [
            f"{milliseconds(found, side, 'exchange')} ({ratio_of_exchange(found, side)})"
            for side in sides
        ]
        sent = median(found[MESSAGES]["sent"]) / 1e6
        gradient = 4e-6 * (CASES[name].weights + sum(CASES[name].sizes[1:]))
        made.append([name, f"{gradient:.1f}", *cells, f"{sent:.1f}"])
    return made


def ratio_of_exchange(found, side):
    told = found[side]
    share = median(a / b for a, b in zip(told["exchange"], told["seconds"], strict=True))
    return f"{share:.0%}"


def sum_rows(kept):
    library = kept["sums"][LIBRARY]
    body = [[w, f"{1e3 * s:.2f}", times(s / library)] for w, s in kept["sums"].items()]
    return [["", "ms", "of the library's time"], *body]


def sections(kept):
    """(title, rows) of the tables of a processor."""
    yield TITLE, rows(kept)
    yield EXCHANGE_TITLE, exchange_rows(kept)
    yield SUMS_TITLE, sum_rows(kept)


def obstacle():
    """Why this system cannot measure it; empty if it can."""
    if ranks.launcher() is None or find_spec("mpi4py") is None:
        return "bench.scaling needs an MPI: pip install 'fastbp[mpi]' mpich"
    if not hasattr(socket, "AF_UNIX"):
        return "bench.scaling is skipped: this system has no local sockets."
    if environment.available_cpus() < 2:
        return "bench.scaling is skipped: this process may use one CPU alone."
    return ""


def of_the_same(kernels):
    """The cases that were measured before with the same kernels."""
    before = results.of_this_processor().notes.get("scaling", {"kernels": "", "cases": {}})
    return before["cases"] if before["kernels"] == kernels else {}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    add = parser.add_argument
    add("--cases", nargs="*", choices=NAMES, default=list(NAMES))
    add("--pairs", type=int, default=PAIRS, help=f"windows of each side (default: {PAIRS})")
    add("--print", action="store_true", help="print the tables of this run and write no file")
    options = parser.parse_args(arguments)
    if why := obstacle():
        raise SystemExit(why)
    sides = [name for name in ranks.SIDES if find_spec(ranks.SIDES[name].library)]
    kept = {"kernels": machine.kernels(), "sums": measure_sums(), "cases": {}}
    if not options.print:
        kept["cases"] = of_the_same(kept["kernels"])
    for name in options.cases:
        kept["cases"][name] = measure(CASES[name], sides, options.pairs)
        if not options.print:
            results.note("scaling", kept, environment.available_cpus())
        print(f"{name} is measured", file=sys.stderr, flush=True)
    for title, found in sections(kept):
        print(f"{title}\n{table.plain(found)}\n")


if __name__ == "__main__":
    main()
