"""The command ``fastbp`` in this process, and a small table for it."""

import csv
import io
import random
import sys

from fastbp.command.main import main

ROWS = 300
COLUMNS = ("id", "x", "town", "day", "colour", "price")


def rows(n=ROWS, seed=0):
    """Rows of a table: colour is told by x and town, price is a number of these."""
    rng = random.Random(seed)
    for i in range(n):
        x, town = rng.uniform(-1, 1), rng.choice(["Ulm", "Bonn", "Jena"])
        day = f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}"
        colour = "red" if x + (town == "Ulm") > 0.3 else "blue"
        price = round(10 * x + 3 * (town == "Bonn"), 3)
        yield [f"A{i:04d}", round(x, 4), town, day, colour, price]


def text(header=COLUMNS, body=None, **form):
    """The table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", **form)
    if header:
        writer.writerow(header)
    writer.writerows(rows() if body is None else body)
    return out.getvalue()


def write(path, content):
    """Write text or bytes; returns the path as text."""
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)
    return str(path)


def stdin(monkeypatch, content):
    """Let stdin have this content."""
    data = content.encode() if isinstance(content, str) else content
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


class Said:
    """What a call said: exit code, stdout, stderr."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


def run(capsys, *arguments):
    """Call the command."""
    capsys.readouterr()
    code = main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return Said(code, captured.out, captured.err)


def refused(capsys, *arguments, code=1):
    """What a call that must fail said, in one line of stderr besides the progress."""
    said = run(capsys, *arguments)
    assert said.code == code, (said.code, said.out, said.err)
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err
