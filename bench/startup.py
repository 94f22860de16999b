"""What a process pays before its first step: imports, loading kernels, compiling them.

``python -m bench.startup`` measures each in fresh processes, taken in turns, and prints medians in
seconds; a cold process has an empty kernel cache. torch appears where it is installed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from statistics import median

from bench import table

WIDTHS = {"16": "512", "8": "256", "4": "128"}
"""FASTBP_VECTOR_BITS for so many float32 in a vector."""

IMPORT = """
import time
start = time.perf_counter()
import {}
print(time.perf_counter() - start)
"""

FIRST_STEP = """
import time
import numba, numpy as np
start = time.perf_counter()
import fastbp
net = fastbp.Network([20, 64, 2], output="softmax", seed=0)
trainer = fastbp.Trainer(net, loss="cross_entropy", optimizer=fastbp.Adam(), seed=0)
trainer.step(np.ones((32, 20), np.float32), np.zeros(32, int))
print(time.perf_counter() - start)
"""

COMPILE = """
import time
from fastbp.kernels import run
start = time.perf_counter()
{}
print(time.perf_counter() - start)
"""

VARIANTS = {
    "float32 serial": "run.code(4)",
    "float32 serial and parallel": "run.load(4)",
    "float64 serial": "run.code(8)",
    "float64 serial and parallel": "run.load(8)",
}


def seconds(program, environ, cache=None):
    """What the program says it took, in a fresh process; ``cache`` is the folder of kernels."""
    settings = {} if cache is None else {"NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environ | settings, check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout)


def cold(program, environ):
    with tempfile.TemporaryDirectory() as empty:
        return seconds(program, environ, empty)


def measures(warm, widths):
    """(what, float32 a vector) -> a function of no arguments that measures it once."""
    plain = dict(os.environ)
    found = {
        (f"import {name}", ""): lambda name=name: seconds(IMPORT.format(name), plain, warm)
        for name in ("numba", "fastbp", "torch")
        if find_spec(name)
    }
    beyond = "import and first step beyond import numba"
    found[f"warm {beyond}", ""] = lambda: seconds(FIRST_STEP, plain, warm)
    found[f"cold {beyond}", ""] = lambda: cold(FIRST_STEP, plain)
    for width in widths:
        environ = plain | {"FASTBP_VECTOR_BITS": WIDTHS[width]}
        for name, call in VARIANTS.items():
            program = COMPILE.format(call)
            found[f"compile {name}", width] = lambda p=program, e=environ: cold(p, e)
    return found


def measure(repeats, widths):
    """The seconds of every measure, a round of all of them at a time."""
    with tempfile.TemporaryDirectory() as warm:
        todo = measures(warm, widths)
        seconds(FIRST_STEP, dict(os.environ), warm)
        rounds = [{key: once() for key, once in todo.items()} for _ in range(repeats)]
    return {key: [taken[key] for taken in rounds] for key in todo}


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="processes each (default: 3)")
    parser.add_argument("--widths", nargs="*", choices=WIDTHS, default=list(WIDTHS))
    options = parser.parse_args()
    rows = [["seconds", "width", "median", "least", "most"]]
    for (what, width), taken in measure(options.repeats, options.widths).items():
        rows.append([what, width, *(f"{f(taken):.3f}" for f in (median, min, max))])
    print(table.plain(rows))


if __name__ == "__main__":
    main()
