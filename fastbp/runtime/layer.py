"""Numba's threading layer, started so that its threads soon sleep while they wait.

GNU OpenMP's threads spin while they wait for work, by default for milliseconds. As soon as one of
them has to wait for a processor, because another program or another training runs, a region takes 6
to 8 times as long. Threads that sleep at once end that, but are woken slowly: on a Zen 3 with two
shared cores an update of 784-256-128-10 in ``fit``, batch 128, takes 1.94 ms with a GOMP_SPINCOUNT
of 0, 1.09 with ``SPINS``, 1.12 with 300,000, the default (``python -m bench --measures epoch
--cases medium --print``). pace.py does the rest.

GNU OpenMP reads its settings when it is loaded. It keeps those of whoever loads it first.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import numba

SPINS = 10_000
"""Turns of GNU OpenMP's waiting loop before a thread sleeps: some 0.2 ms, more than two regions of
a step lie apart."""

BLOCK_MILLISECONDS = 1
"""The same for LLVM's OpenMP."""

SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""Variables by which a user says how OpenMP's threads wait, of any OpenMP, GNU's and LLVM's: they
are left as they are."""


@cache
def start() -> str:
    """Start the threading layer, if that has not happened; its name: "omp", "tbb", "workqueue"."""
    if numba.config.THREADING_LAYER not in ("tbb", "workqueue"):
        _load_openmp()
    numba.get_num_threads()  # starts it
    return str(numba.threading_layer())


@cache
def _counter() -> Callable[[], int]:
    start()
    # numba.get_num_threads takes two locks first, which cost ten times as much.
    quick: Callable[[], int] | None = getattr(numba.np.ufunc.parallel, "_get_num_threads", None)
    return quick or numba.get_num_threads


def num_threads() -> int:
    """``numba.get_num_threads()``: the number that the user has set in this thread."""
    return _counter()()


def _load_openmp() -> None:
    """Load OpenMP, where there is one, with threads that sleep unless the user says how they wait.

    The settings are in the environment only meanwhile: other libraries and child processes keep
    theirs.
    """
    if "OMP_WAIT_POLICY" in os.environ:
        return
    wanted = {"GOMP_SPINCOUNT": str(SPINS), "KMP_BLOCKTIME": str(BLOCK_MILLISECONDS)}
    settings = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(settings)
    try:
        with suppress(ImportError):
            import numba.np.ufunc.omppool  # noqa: F401
    finally:
        for name in settings:
            del os.environ[name]
