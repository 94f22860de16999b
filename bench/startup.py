"""What a process pays before its first step: imports, loading kernels, compiling them.

``python -m bench.startup`` measures each in fresh processes, taken in turns, and prints medians in
seconds; a cold process has an empty kernel cache. torch appears where it is installed.
``scripts/bench --measures start`` puts the first steps of all peers beside them.
"""

import argparse
import tempfile
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from statistics import median

from bench import fresh, table
from bench.environment import available_cpus

WIDTHS = {"16": "512", "8": "256", "4": "128"}
"""FASTBP_VECTOR_BITS by the number of float32 in a vector."""

TIMED = """
import time
{before}
start = time.perf_counter()
{timed}
print(time.perf_counter() - start)
"""

FIRST_STEP = f"""
from bench.cases import CASES
from bench.peers import load
side = load({{name!r}})(CASES["small"], "sgd", {available_cpus()})
float(side.step(*map(side.own, side.case.rows(side.case.batch))))
"""
"""The first step of a side; only the modules that it needs are imported."""

SHIP = """
import os
from pathlib import Path
from fastbp.kernels.entry.ship import ship
ship(Path(os.environ["SHIPPED"]))
print(0)
"""
SHIPPED = """
import os
from pathlib import Path
from fastbp.kernels.base import shipped
shipped.FOLDER = Path(os.environ["SHIPPED"])
"""
"""Makes what a wheel ships (scripts/wheel), and uses it as if it were installed from one."""

WHOLE = "import and first step"
BEYOND = f"{WHOLE} beyond import numba"

VARIANTS = {
    "float32 serial": "run.code(4, False)",
    "float32 serial, extended": "run.code(4, True)",
    "float32 all": "run.load(4)",
    "float64 serial": "run.code(8, False)",
    "float64 serial, extended": "run.code(8, True)",
    "float64 all": "run.load(8)",
}


@dataclass(frozen=True)
class Program:
    """Code that one process runs. cold: it finds no compiled kernel."""

    timed: str
    before: str = ""
    cold: bool = False
    environ: dict[str, str] = field(default_factory=dict)

    def seconds(self, warm):
        """Seconds in a fresh process; None if it fails. warm: the folder of compiled kernels."""
        text = TIMED.format(before=self.before, timed=self.timed)
        if not self.cold:
            return fresh.answer(text, NUMBA_CACHE_DIR=warm, **self.environ)
        with tempfile.TemporaryDirectory() as empty:
            return fresh.answer(text, NUMBA_CACHE_DIR=empty, **self.environ)


def first_steps(sides):
    """{(what, ""): Program} of importing a side and making a step; of a cold fastbp as well."""
    found = {(f"{name}: {WHOLE}", ""): Program(FIRST_STEP.format(name=name)) for name in sides}
    own = FIRST_STEP.format(name="fastbp")
    return found | {
        (f"fastbp: {WHOLE}, cold", ""): Program(own, cold=True),
        (f"fastbp: {WHOLE}, cold, from a wheel", ""): Program(SHIPPED + own, cold=True),
    }


def imports():
    """The same of importing libraries alone."""
    names = [name for name in ("numba", "fastbp", "torch") if find_spec(name)]
    return {(f"import {name}", ""): Program(f"import {name}") for name in names}


def own_parts(widths):
    """The same of fastbp's own share of a first step, and of compiling, for widths of a vector."""
    step, numba = FIRST_STEP.format(name="fastbp"), "import numba, numpy"
    found = {
        (f"warm {BEYOND}", ""): Program(step, numba),
        (f"cold {BEYOND}", ""): Program(step, numba, cold=True),
        (f"cold {BEYOND}, from a wheel", ""): Program(SHIPPED + step, numba, cold=True),
    }
    for width in widths:
        environ = {"FASTBP_VECTOR_BITS": WIDTHS[width]}
        for name, call in VARIANTS.items():
            program = Program(call, "from fastbp.kernels.entry import run", True, environ)
            found[f"compile {name}", width] = program
    return found


def measure(programs, repeats):
    """{key: seconds of each round} of {key: Program}; who fails is left out, and stderr says why.

    A round of the warm ones before the first fills caches, of kernels and of files.
    """
    with tempfile.TemporaryDirectory() as warm, tempfile.TemporaryDirectory() as modules:
        if any(SHIPPED in program.timed for program in programs.values()):
            fresh.answer(SHIP, SHIPPED=modules)
            programs = {
                key: replace(program, environ=program.environ | {"SHIPPED": modules})
                for key, program in programs.items()
            }
        able = {
            key: program
            for key, program in programs.items()
            if program.cold or program.seconds(warm) is not None
        }
        rounds = [{key: p.seconds(warm) for key, p in able.items()} for _ in range(repeats)]
    return {key: [taken[key] for taken in rounds] for key in able}


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="processes each (default: 3)")
    parser.add_argument("--widths", nargs="*", choices=WIDTHS, default=list(WIDTHS))
    options = parser.parse_args()
    rows = [["seconds", "width", "median", "least", "most"]]
    programs = imports() | own_parts(options.widths)
    for (what, width), taken in measure(programs, options.repeats).items():
        rows.append([what, width, *(f"{f(taken):.3f}" for f in (median, min, max))])
    print(table.plain(rows))


if __name__ == "__main__":
    main()
