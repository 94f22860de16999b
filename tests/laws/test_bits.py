"""Short training runs have the bits that were recorded, wherever, however and whenever they run.

Recorded for each vector width, with fused multiply-add and without, on x86-64, where they are the
same on every processor of that kind, under any version of LLVM and NumPy:

- All float32 arithmetic of the kernels is +, -, *, /, square root and fused multiply-add, which
  IEEE 754 defines to the last bit, in an order that the sizes and the width decide: no flag lets
  the compiler reassociate or approximate (kernels/base/flags.py), no size of a cache is asked for,
  and exp, log, tanh and erf are polynomials of ours. ``llvm.fmuladd`` is fused where, and
  only where, the processor can.
- Denormals are flushed in the same way on every x86-64 processor, on arm64 in another: there the
  test is left out.
- Double precision calls the C library for the powers of Adam's and NAdam's betas, the square root
  of 1 - beta2^t and the mean losses. Of these pow alone is not defined to the last bit: its error
  stays below 1 ULP of a double, and the factor that it makes is rounded to float32, which would
  differ for one value in some 2^28. (In float64 exp, tanh and their kin are the C library's, so
  that no float64 run is recorded.)

scripts/record_bits.py writes the record, where a change of the bits is meant.
"""

import json
import platform
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp.components import activations, losses, optimizers
from fastbp.kernels.base import width
from support import processes, threading_layers
from support.short_runs import RUNS, digests

pytestmark = pytest.mark.law4

RECORD = Path(__file__).parents[1] / "data" / "bits.json"


def machine():
    """The key of the record: vector width, and whether multiply-add is fused."""
    net = fastbp.Network([2, 1], seed=0)
    x = np.float32(1 + 2**-12)  # its square has a last bit that float32 has no room for
    net.set_parameters([np.array([[-1], [x]])], [np.zeros(1)])
    found = net.predict(np.full((64, 2), [1, x], np.float32))[0, 0]
    fused, rounded = np.float32(2**-11 + 2**-24), np.float32(2**-11)
    assert found in (fused, rounded)
    return f"{width.BITS} bits, {'fused' if found == fused else 'not fused'}"


def test_there_is_a_run_with_everything():
    assert {name for run in RUNS.values() for name in run.hidden} == set(activations.HIDDEN)
    assert {run.loss for run in RUNS.values()} == set(losses.LOSSES)
    assert {type(run.optimizer) for run in RUNS.values()} == {*optimizers.OPTIMIZERS.values()}
    assert {run.along for run in RUNS.values()} == {"", "inputs", "directions"}
    assert any(run.jacobians for run in RUNS.values())
    assert any("number_embedding" in run.kinds for run in RUNS.values())


@pytest.mark.quick
@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="recorded on x86-64"
)
def test_the_bits_are_those_recorded():
    record = json.loads(RECORD.read_text(encoding="ascii"))
    assert digests() == record[machine()]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_bits_do_not_depend_on_shares(workers):
    assert digests(workers) == digests()


@pytest.mark.slow
@pytest.mark.process
@threading_layers.each_layer
def test_the_bits_do_not_depend_on_the_threading_layer(layer):
    program = "from support import short_runs; print(short_runs.digests(2))"
    assert processes.run(program, **threading_layers.settings(layer)) == f"{digests()}\n"


@pytest.mark.slow
@pytest.mark.process
def test_the_bits_do_not_depend_on_the_cache(tmp_path):
    """Compiled anew, and loaded from what that left."""
    program = "from support import short_runs; print(short_runs.digests())"
    for _ in range(2):
        found = processes.run(program, NUMBA_CACHE_DIR=str(tmp_path))
        assert found == f"{digests()}\n"
    assert list(tmp_path.rglob("*.nbc"))
