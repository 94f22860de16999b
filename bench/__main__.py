"""Races fastbp against its peers, interleaved, and writes every window to one JSON file.

A run adds to the file of this processor in bench/results; a case that is run again replaces its old
entry, and files of other processors stay. All figures and pages are then made from these files.
"""

import argparse
import os
import sys

from bench import environment, machine, pages, report, table
from bench.cases import CASES, LEARNING_RATES
from bench.peers import SIDES
from bench.results import OURS, Results, path_of

RACES = ("step", "epoch", "predict", "online", "one row", "row by row")
NOTES = ("memory", "start", "bandwidth")
"""Measures that are no races."""

START_ROUNDS = 5


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def parse(arguments):
    cpus = environment.available_cpus()
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    add = parser.add_argument
    every = [*RACES, *NOTES]
    add("--measures", nargs="*", choices=every, default=every, help="default: all; none: render")
    add("--cases", nargs="+", choices=CASES, default=list(CASES))
    add("--optimizers", nargs="+", choices=LEARNING_RATES, default=list(LEARNING_RATES))
    add("--peers", nargs="+", choices=[n for n in SIDES if n != OURS], default=list(SIDES)[1:])
    add("--threads", type=positive, default=cpus, help=f"of every side (default: {cpus})")
    add("--pairs", type=positive, help="windows of each side (default: 15; 5 for xlarge)")
    add("--print", action="store_true", help="print the tables of this run and write no file")
    options = parser.parse_args(arguments)
    if options.threads > cpus:
        parser.error(f"--threads {options.threads}: this process may use {cpus} CPUs")
    return options


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure_races(options, results, keep):
    # NumPy and fastbp: not before the environment is settled
    from bench import measures

    wanted = [name for name in RACES if name in options.measures]
    names = [OURS, *options.peers]
    for task in measures.tasks(wanted, options.cases, options.optimizers):
        race = measures.measure(task, names, options.threads, options.pairs)
        results.add(race)
        ratios = ", ".join(f"{name} {race.ratio(name):.2f}x" for name in race.others)
        say(f"{task}: {table.significant(race.microseconds(OURS))} µs; {ratios}")
        keep()


def measure_notes(options, results, keep):
    from bench import memory, startup, stream

    sides = [name for name in (OURS, *options.peers) if name != "onnxruntime"]
    if "bandwidth" in options.measures:
        results.notes["bandwidth"] = stream.ceilings(options.threads)
    if "memory" in options.measures:
        results.notes["memory_of"] = f"{memory.CASE} {memory.OPTIMIZER}"
        results.notes["memory"] = memory.measure(sides, say)
        keep()
    if "start" in options.measures:
        say(f"start: {START_ROUNDS} rounds of fresh processes")
        taken = startup.measure(startup.imports() | startup.first_steps(sides), START_ROUNDS)
        results.notes["start"] = {what: seconds for (what, _), seconds in taken.items()}
    keep()


def show(results):
    for title, rows in report.sections(results):
        print(f"\n{title}\n{table.plain(rows)}")
    print("\nSlower than a peer:", *report.losses(results), sep="\n")


def main(arguments=None):
    options = parse(arguments)
    environment.run_in(environment.fair(os.environ, options.threads), "bench")
    pages.check()  # before minutes of measuring, not after them
    path = path_of(machine.processor())
    results = Results() if options.print else Results.load(path)
    if options.measures:
        results.notes["machine"] = machine.facts(options.threads)

    def keep():
        if not options.print:
            results.save(path)

    if options.measures:
        measure_races(options, results, keep)
        measure_notes(options, results, keep)
        show(results)
    if not options.print:
        pages.render()


if __name__ == "__main__":
    main()
