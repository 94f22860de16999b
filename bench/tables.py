"""fastbp.tabular beside other models on real tables: ``python -m bench.tables``.

Each peer is fitted on splits of each table, with its defaults, on two threads, in a process of its
own. Results are stored one by one in bench/tables.json: a run that was stopped goes on where it
stopped. A trial that took longer than the limit is tried again under a longer one alone; one that
failed is told, and tried again by the next run. Scores do not depend on what else runs. The seconds
of a trial beside other programs do not count, until ``--alone`` measures it again. Then the section
of bench/README.md is rendered.
"""

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import environment, machine, table, tables_data, tables_page, tables_results
from bench.tables_data import SPLITS, TASKS, downloads
from bench.tables_peers import PEERS, THREADS
from bench.tables_results import Result

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 3600


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__)
    add = parser.add_argument
    add("--half", choices=tables_data.HALVES, default=tables_data.TUNING, help="default: tuning")
    add("--tables", nargs="+", choices=TASKS, help="default: all of the half")
    names = ", ".join(PEERS)
    add("--only", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER", help=names)
    add("--splits", nargs="+", type=int, choices=range(SPLITS), default=list(range(SPLITS)))
    add("--limit", type=int, default=LIMIT_SECONDS, help=f"seconds a trial ({LIMIT_SECONDS})")
    add("--again", action="store_true", help="measure also what is in the file, and replace it")
    add("--alone", action="store_true", help="measure also what other programs ran beside")
    add("--render", action="store_true", help="measure nothing: render bench/README.md")
    options = parser.parse_args(arguments)
    half = [name for name, task in TASKS.items() if task.half == options.half]
    options.tables = options.tables or half
    others = [name for name in options.tables if name not in half]
    if others:
        parser.error(f"{', '.join(others)}: not of the half {options.half}; see --half")
    return options


def trials(options, results):
    """(task, split, peer) of what is wanted and not there yet, table by table."""
    counts = {r.key for r in results if r.is_timed or not options.alone}
    there = {r.key for r in results if r.scores or r.limit_s >= options.limit} & counts
    return [
        (TASKS[name], split, PEERS[peer])
        for name in options.tables
        for split in options.splits
        for peer in options.only
        if split < PEERS[peer].splits and (options.again or (name, split, peer) not in there)
    ]


def versions(peer):
    """{package: version}; SystemExit with what to install where one is missing."""
    try:
        return {name: version(name) for name in peer.packages}
    except PackageNotFoundError as error:
        raise SystemExit(
            f"{peer.name} needs {error.name}: pip install -e '.[tables]', or leave it out by --only"
        ) from error


def surroundings():
    """The environment of a trial: THREADS threads for every library that asks it."""
    environ = environment.fair(os.environ, THREADS)
    return environ | {"OMP_NUM_THREADS": str(THREADS)}


class TrialError(Exception):
    """A trial ended without a result; what it said."""


def measured(task, split, peer, limit):
    """What bench.tables_trial found; {} past the limit, TrialError where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, "-m", "bench.tables_trial", task.name, str(split), peer.name]
        try:
            done = subprocess.run(
                [*command, str(file)],
                cwd=ROOT,
                env=surroundings(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {}
        if done.returncode:
            raise TrialError(done.stderr)
        return json.loads(file.read_text(encoding="utf-8"))


def run(task, split, peer, limit):
    """The Result of a trial."""
    found = measured(task, split, peer, limit)
    return Result(
        table=task.name,
        split=split,
        peer=peer.name,
        cpu=machine.processor(),
        threads=THREADS,
        day=dt.datetime.now(dt.UTC).date().isoformat(),
        limit_s=limit,
        versions=versions(peer),
        **found,
    )


def said(result):
    """A line on a result."""
    place = f"{result.table}, split {result.split}, {result.peer}"
    if not result.scores:
        return f"{place}: nothing within {result.limit_s} s"
    values = ", ".join(f"{name} {value:.4f}" for name, value in result.scores.items())
    beside = "" if result.is_timed else f", beside {result.others:.1f} processors' other work"
    return f"{place}: {values}, {result.train_seconds:.1f} s{beside}"


def fetch(tasks):
    """Have the tables on this machine before the clock of a trial runs."""
    for task in tasks:
        try:
            tables_data.load(task)
        except downloads.Unobtainable as error:
            raise SystemExit(f"The table {task.name} is not to be had: {error}") from error


def run_all(wanted, limit):
    """Run trials and keep their results; the number of those that failed."""
    failed = 0
    for i, (task, split, peer) in enumerate(wanted, 1):
        try:
            result = run(task, split, peer, limit)
        except TrialError as error:
            failed += 1
            text = f"{task.name}, split {split}, {peer.name} failed:\n{error}"
        else:
            tables_results.keep(result)
            text = said(result)
        print(f"[{i}/{len(wanted)}] {text}", flush=True)
    return failed


def measure(options):
    """Run what is wanted and not there; the number of trials that failed."""
    wanted = trials(options, tables_results.load())
    for peer in {peer.name: peer for _, _, peer in wanted}.values():
        versions(peer)
    fetch({task.name: task for task, _, _ in wanted}.values())
    failed = run_all(wanted, options.limit)
    print(*tables_page.plain(tables_results.load()), sep="\n\n")
    return failed


def main(arguments=None):
    options = parse(arguments)
    failed = 0 if options.render else measure(options)
    table.insert(table.PAGE, tables_page.page(), table.TABLES)
    if failed:
        raise SystemExit(f"{failed} trials failed: the same command tries them again")


if __name__ == "__main__":
    main()
