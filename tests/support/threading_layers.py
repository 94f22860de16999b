"""Numba's threading layers: a test runs in a process of its own under each that is installed."""

import sys
from functools import cache
from pathlib import Path

import pytest

from support import processes

POOLS = {"workqueue": "workqueue", "omp": "omppool", "tbb": "tbbpool"}

each_layer = pytest.mark.parametrize("layer", POOLS)

_FIND = """
import importlib
try:
    importlib.import_module("numba.np.ufunc.%s")
except ImportError as error:
    print(error)
"""


def settings(layer):
    """Environment of a process with this layer and two threads; skips where there is no layer."""
    if missing := _missing(layer):
        pytest.skip(f"Numba has no layer {layer} here: {missing}")
    return _settings(layer)


def _settings(layer):
    # pip installs tbb where no loader looks by itself.
    library = str(Path(sys.prefix, "lib"))
    return {"LD_LIBRARY_PATH": library, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}


@cache
def _missing(layer):
    return processes.run(_FIND % POOLS[layer], **_settings(layer)).strip()
