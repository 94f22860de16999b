"""What fastbp reaches beside other programs: ``python -m bench.company``.

784-256-128-10 is trained at batch 128 by Adam, in processes of its own, which take turns in windows
of some seconds: two trainings at once against one alone; the default number of threads against each
fixed one while another program keeps a core busy; and the default against one thread in processes
that were confined to one CPU after they had started. Batches are predicted by turns with products
of NumPy against predictions alone. torch runs beside fastbp where it is installed. Every rate is
kept in the file of this processor in bench/results. It takes about eight minutes on two CPUs.
"""

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from statistics import median

from bench import environment, machine, results, table
from bench.results import OURS
from bench.trainee import AFTER, PREDICT, PREDICT_BETWEEN, TRAIN, Trainee

TITLE = "In company: updates or predictions a second, as a ratio"
TOGETHER, BUSY, PINNED, BETWEEN = "together", "busy", "pinned", "between"
QUESTIONS = {
    TOGETHER: "two trainings at once, together, over one alone",
    BUSY: "a core is busy: the default number of threads over the best fixed one",
    PINNED: "confined to one CPU: the default number of threads over one thread",
    BETWEEN: "predictions between products of NumPy, over predictions alone",
}
SIDES = (OURS, f"{OURS}{AFTER}torch", "torch")
"""torch brings an OpenMP of its own: where it was imported first, fastbp's threads are its."""
ALONE, DEFAULT = "alone", "default"
ALL_COUNTS = 8
"""Up to so many CPUs, every number of threads is tried."""

SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""A program that keeps a core busy. It ends with the process that started it."""


def counts(cpus):
    """The fixed numbers of threads that are tried."""
    if cpus <= ALL_COUNTS:
        return list(range(1, cpus + 1))
    powers = [1 << i for i in range(cpus.bit_length())]
    return sorted({*powers, cpus - 1, cpus})


def rate(trainees, seconds, task=TRAIN):
    """What all of them do in a second, at once."""
    for trainee in trainees:
        trainee.begin(seconds, task)
    return sum(trainee.end() for trainee in trainees)


def in_turn(groups, rounds, seconds, tasks=None):
    """{name: the rate of each round} of {name: trainees that run at once}.

    tasks: {name: what they do}, where that is not training.
    """
    rates, order = {name: [] for name in groups}, list(groups)
    for _ in range(rounds):
        for name in order:
            task = (tasks or {}).get(name, TRAIN)
            rates[name].append(rate(groups[name], seconds, task))
        order.reverse()
    return rates


@contextmanager
def started(settings):
    """{name: [a trainee]} of {name: (side, threads)}, whose processes end with the block."""
    with ExitStack() as stack:
        groups = {}
        for name, setting in settings.items():
            trainee = Trainee(*setting)
            stack.callback(trainee.close)
            groups[name] = [trainee]
        yield groups


@contextmanager
def busy_core():
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def together(side, rounds, seconds):
    with started({"one": (side, 0), "other": (side, 0)}) as both:
        groups = {ALONE: both["one"], TOGETHER: both["one"] + both["other"]}
        return in_turn(groups, rounds, seconds)


def busy(side, rounds, seconds):
    fixed = {str(n): (side, n) for n in counts(environment.available_cpus())}
    with started({DEFAULT: (side, 0)} | fixed) as groups, busy_core():
        return in_turn(groups, rounds, seconds)


def pinned(side, rounds, seconds):
    with started({DEFAULT: (side, 0), "1": (side, 1)}) as groups:
        for trainees in groups.values():
            trainees[0].pin()
        return in_turn(groups, rounds, seconds)


def between(side, rounds, seconds):
    with started({ALONE: (side, 0)}) as groups:
        tasks = {ALONE: PREDICT, BETWEEN: PREDICT_BETWEEN}
        return in_turn(groups | {BETWEEN: groups[ALONE]}, rounds, seconds, tasks)


MEASURES = {TOGETHER: together, BUSY: busy, PINNED: pinned, BETWEEN: between}


def ratio(question, rates):
    """The median over rounds of the ratio of a question."""
    if question in (TOGETHER, BETWEEN):
        above, below = question, ALONE
    else:
        fixed = [name for name in rates if name != DEFAULT]
        above, below = DEFAULT, max(fixed, key=lambda name: median(rates[name]))
    return median(a / b for a, b in zip(rates[above], rates[below], strict=True))


def told(question, found):
    """A ratio as text; "-" where it was not measured."""
    return f"{ratio(question, found[question]):.2f}" if question in found else "-"


def rows(processors):
    """Questions down, processors and sides across, of {name: what ``main`` keeps}."""
    columns = {
        f"{name} {side}".strip(): found
        for name, kept in processors.items()
        for side, found in kept["rates"].items()
    }
    return [
        ["", *columns],
        *(
            [text, *(told(question, found) for found in columns.values())]
            for question, text in QUESTIONS.items()
        ),
    ]


def is_installed(side):
    return all(map(find_spec, side.split(AFTER)))


def obstacle():
    """Why this system cannot answer the questions; empty if it can."""
    if not hasattr(os, "sched_setaffinity"):
        return "bench.company is skipped: this system cannot confine a process to a CPU."
    if environment.available_cpus() < 2:
        return "bench.company is skipped: this process may use one CPU alone."
    return ""


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.company", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=7, help="windows of each (default: 7)")
    add("--seconds", type=float, default=2.0, help="of a window (default: 2)")
    add("--print", action="store_true", help="print the table of this run and write no file")
    options = parser.parse_args(arguments)
    if why := obstacle():
        raise SystemExit(why)
    rates = {}
    for side in filter(is_installed, SIDES):
        rates[side] = {
            question: measure(side, options.rounds, options.seconds)
            for question, measure in MEASURES.items()
        }
        print(f"{side}: {rates[side]}", file=sys.stderr, flush=True)
    found = {"kernels": machine.kernels(), "rates": rates}
    print(table.plain(rows({"": found})))
    if not options.print:
        results.note("company", found, environment.available_cpus())


if __name__ == "__main__":
    main()
