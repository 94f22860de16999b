"""Memory of training, each library in its own process: peak RSS, and what a step allocates."""

from pathlib import Path

from bench import fresh

CASE, OPTIMIZER = "large", "adam"
STEPS, BATCHES = 20, 4

VISIBLE = ("fastbp", "numpy", "scikit-learn")
"""Sides whose arrays tracemalloc sees. It sees NumPy's, and not those of torch and JAX."""

PROGRAM = """
import json
from bench import memory
print(json.dumps(memory.of({name!r})))
"""


def peak_rss():
    """Peak bytes of memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a child begins with its parent's
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    import resource  # not on Windows
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def of(name):
    """Peak RSS of this process after the import and after training, and bytes of a step."""
    from bench.cases import CASES
    from bench.environment import available_cpus
    from bench.peers import load

    kind = load(name)
    imported = peak_rss()
    side = kind(CASES[CASE], OPTIMIZER, available_cpus())
    batches = [tuple(map(side.own, pair)) for pair in side.case.batches(BATCHES)]
    for i in range(STEPS):
        float(side.step(*batches[i % BATCHES]))
    peak = peak_rss()
    step = allocated(side, batches[0]) if name in VISIBLE else None
    return {"imports": imported, "peak": peak, "step": step}


def allocated(side, batch):
    """Largest number of bytes that a step has allocated at once."""
    import tracemalloc

    tracemalloc.start()
    side.step(*batch)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    side.step(*batch)
    return tracemalloc.get_traced_memory()[1] - before


def measure(sides, say):
    """{side: what ``of`` says} of each side that runs."""
    found = {}
    for name in sides:
        answer = fresh.answer(PROGRAM.format(name=name))
        if answer is not None:
            found[name] = answer
            say(f"memory {name}: {answer['peak'] / 1e6:.0f} MB")
    return found
