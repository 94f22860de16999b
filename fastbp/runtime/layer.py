"""Numba's threading layer, started so that its threads sleep while they wait.

GNU OpenMP's threads spin while they wait for work, by default for milliseconds. As soon as one of
them has to wait for a processor, because another program or another training runs, a region takes 6
to 8 times as long. Sleeping threads end that (a Zen 3, two shared cores), and cost nothing that
could be seen there in a training alone.

GNU OpenMP reads its settings when it is loaded. It keeps those of whoever loads it first; where
that was another library, pace.py notices what spinning costs.
"""

import os
from contextlib import suppress
from functools import cache

import numba

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says how OpenMP's threads wait: they are left as they are."""


@cache
def start() -> str:
    """Start the threading layer, if that has not happened; its name: "omp", "tbb", "workqueue"."""
    if numba.config.THREADING_LAYER not in ("tbb", "workqueue"):
        _load_openmp()
    numba.get_num_threads()  # starts it
    return str(numba.threading_layer())


def _load_openmp() -> None:
    """Load OpenMP, where there is one, with threads that sleep unless the user says how they wait.

    The setting is in the environment only meanwhile: other libraries and child processes keep
    theirs.
    """
    if any(name in os.environ for name in SETTINGS):
        return
    os.environ["OMP_WAIT_POLICY"] = "passive"
    try:
        with suppress(ImportError):
            import numba.np.ufunc.omppool  # noqa: F401
    finally:
        del os.environ["OMP_WAIT_POLICY"]
