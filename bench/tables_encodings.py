"""How numbers become inputs of fastbp.tabular: ``python -m bench.tables_encodings``.

The estimators with their preset "fast" and one encoding of numbers or another, on splits of the
tables of the tuning half (tables_data.py), on two threads, each in a process of its own. Results
are stored one by one in bench/encodings.json: a run that was stopped goes on where it stopped. Then
the section of bench/README.md is rendered.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean

from bench import machine, table, tables, tables_data, tables_trial
from bench.encodings import ENCODINGS, SHOWN, Encoded
from bench.tables_data import TASKS
from bench.tables_peers import THREADS, Peer

PATH = Path(__file__).with_name("encodings.json")
HALF = [name for name, task in TASKS.items() if task.half == tables_data.TUNING]


def load():
    """{"table split encoding": what a trial found}."""
    return json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}


def keep(key, found):
    """Add a result to the file, which is replaced in one go."""
    text = json.dumps(load() | {key: found}, indent=1, sort_keys=True) + "\n"
    tables_data.downloads.write_whole(PATH, text.encode())


def measured(name, split, encoding):
    """What a trial found in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        command = [sys.executable, "-m", "bench.tables_encodings", "--one"]
        command += [name, str(split), encoding, str(file)]
        subprocess.run(command, cwd=tables.ROOT, env=tables.surroundings(), check=True)
        found = json.loads(file.read_text(encoding="utf-8"))
    day = dt.datetime.now(dt.UTC).date().isoformat()
    return {
        "scores": found["scores"],
        "train_seconds": round(found["train_seconds"], 2),
        "rows": found["rows"],
        "cpu": machine.processor(),
        "threads": THREADS,
        "day": day,
    }


def one(name, split, encoding, file):
    """A trial, in this process."""
    task = TASKS[name]
    peer = Peer(encoding, lambda task, seed: Encoded(task, seed, encoding), (), compiles=True)
    found = tables_trial.trial(task, tables_data.load(task), int(split), peer)
    Path(file).write_text(json.dumps(found), encoding="utf-8")


def page():
    """The section: a table of scores, each with its ratio to that of "robust" on its splits."""
    results = load()
    lines, days, processors = [["", *HALF]], set(), set()
    by = {tuple(key.split()): found for key, found in results.items()}
    splits = {name: sorted(s for t, s, e in by if (t, e) == (name, "robust")) for name in HALF}

    for encoding in SHOWN:
        row = [encoding]
        for name in HALF:
            own = [split for split in splits[name] if (name, split, encoding) in by]
            if not own:
                row.append("-")
                continue
            mine, base = (mean(_score(by[name, s, e]) for s in own) for e in (encoding, "robust"))
            few = "" if own == splits[name] else f", {len(own)} split{'s' * (len(own) > 1)}"
            row.append(f"{mine:.4f} ({mine / base:.3f}x{few})")
            days |= {by[name, split, encoding]["day"] for split in own}
            processors |= {by[name, split, encoding]["cpu"] for split in own}
        lines.append(row)
    head = ", ".join(f"{name} {len(splits[name])}" for name in HALF)
    where, when = (", ".join(sorted(some)) for some in (processors, days))
    note = f"Splits: {head} (cpu {where}, {THREADS} threads, {when})."
    return f"{table.markdown(lines)}\n\n{note}"


def _score(found):
    return next(iter(found["scores"].values()))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.tables_encodings", description=__doc__)
    add = parser.add_argument
    add("--tables", nargs="+", choices=HALF, default=HALF)
    add("--encodings", nargs="+", choices=ENCODINGS, default=list(ENCODINGS))
    add("--splits", nargs="+", type=int, choices=range(tables_data.SPLITS), default=[0, 1])
    add("--render", action="store_true", help="measure nothing: render bench/README.md")
    add("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        one(*options.one)
        return
    wanted = [
        (name, split, encoding)
        for split in options.splits
        for name in options.tables
        for encoding in options.encodings
    ]
    for name, split, encoding in [] if options.render else wanted:
        key = f"{name} {split} {encoding}"
        if key not in load():
            keep(key, measured(name, split, encoding))
            print(key, load()[key]["scores"], load()[key]["train_seconds"], flush=True)
    table.insert(table.PAGE, page(), table.ENCODINGS)


if __name__ == "__main__":
    main()
