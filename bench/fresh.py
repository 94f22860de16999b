"""What is measured in fresh processes: memory of training, and how long the first step takes.

``python -m bench.fresh step NAME``, ``import MODULE`` and ``memory NAME`` print JSON: they are the
processes. The clock starts below the imports of this file: the interpreter's own start is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

START = time.perf_counter()

ROOT = Path(__file__).parents[1]

FIRST_CASE = "small"
MEMORY_CASE, MEMORY_OPTIMIZER = "large", "adam"
MEMORY_STEPS, MEMORY_BATCHES = 20, 4

VISIBLE = ("fastbp", "numpy", "scikit-learn")
"""Sides whose arrays tracemalloc sees: NumPy's are, those of torch and JAX are not."""

ROUNDS, COLD_ROUNDS = 5, 3


def side_of(name, case, optimizer):
    from bench.cases import CASES
    from bench.environment import available_cpus
    from bench.peers import load

    return load(name)(CASES[case], optimizer, available_cpus())


def first_step(name):
    """Seconds to the end of the first step."""
    side = side_of(name, FIRST_CASE, "sgd")
    float(side.step(*map(side.own, side.case.rows(side.case.batch))))
    return time.perf_counter() - START


def only_import(module):
    """Seconds until a module is imported."""
    import_module(module)
    return time.perf_counter() - START


def peak_rss():
    """Bytes of memory that this process had at most."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a child begins with its parent's
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def memory_of(name):
    """Peak RSS after importing the library and after some training, bytes allocated in a step."""
    from bench.peers import load

    load(name)
    imported = peak_rss()
    side = side_of(name, MEMORY_CASE, MEMORY_OPTIMIZER)
    pairs = side.case.batches(MEMORY_BATCHES)
    batches = [tuple(map(side.own, pair)) for pair in pairs]
    for i in range(MEMORY_STEPS):
        float(side.step(*batches[i % MEMORY_BATCHES]))
    peak = peak_rss()
    step = allocated(side, batches[0]) if name in VISIBLE else None
    return {"imports": imported, "peak": peak, "step": step}


def allocated(side, batch):
    """The most bytes that a step has allocated at once."""
    import tracemalloc

    tracemalloc.start()
    side.step(*batch)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    side.step(*batch)
    return tracemalloc.get_traced_memory()[1] - before


def ask(what, name, **environ):
    """The answer of a fresh process; None, and why on stderr, where it fails."""
    command = [sys.executable, "-m", "bench.fresh", what, name]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        print(f"{name} is left out of {what}: {reason}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def memory(sides, say):
    """{side: what ``memory_of`` says} of each side that runs."""
    found = {}
    for name in sides:
        answer = ask("memory", name)
        if answer is not None:
            found[name] = answer
            say(f"memory {name}: {answer['peak'] / 1e6:.0f} MB")
    return found


def imports(sides, say):
    """{what: seconds of each round}, in turn; the first round, which fills caches, is left out."""
    programs = {"import numba": ("import", "numba"), "import torch": ("import", "torch")}
    programs |= {f"{name}: import and first step": ("step", name) for name in sides}
    found = {what: [] for what in programs}
    for turn in range(ROUNDS + 1):
        for what, program in programs.items():
            seconds = ask(*program) if what in found else None
            if seconds is None:
                found.pop(what, None)
            elif turn:
                found[what].append(seconds)
        say(f"imports, round {turn} of {ROUNDS} done")
    return found | {"fastbp: import and first step, cold": cold_steps()}


def cold_steps():
    """Seconds of fastbp's first step where nothing is compiled yet."""
    seconds = []
    for _ in range(COLD_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            seconds.append(ask("step", "fastbp", NUMBA_CACHE_DIR=folder))
    return seconds


PROGRAMS = {"step": first_step, "import": only_import, "memory": memory_of}

if __name__ == "__main__":
    print(json.dumps(PROGRAMS[sys.argv[1]](sys.argv[2])))
