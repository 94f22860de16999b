"""Vectors of 512, 256 and 128 bits pass the same tests, each width in a process of its own."""

import platform

import pytest

from fastbp.kernels.base import width
from support import processes

pytestmark = [pytest.mark.law8, pytest.mark.slow]

PROCESSORS = {256: "haswell", 128: "nehalem"}
OTHERS = [bits for bits in width.WIDTHS if bits != width.BITS]
"""The width of this process has all tests already."""


def settings(bits):
    """Another processor where this one has wider vectors; else vectors wider than its registers."""
    if bits < width._host_bits() and platform.machine().lower() in ("x86_64", "amd64"):
        # The name alone would leave this processor's features on.
        processor = {"NUMBA_CPU_NAME": PROCESSORS[bits], "NUMBA_CPU_FEATURES": ""}
        return processor | {"FASTBP_VECTOR_BITS": None}
    return {"FASTBP_VECTOR_BITS": str(bits)}


@pytest.fixture(scope="module")
def runs():
    """All widths at once: most of their time is compilation, on one processor each."""
    started = {
        bits: processes.start(
            f"from support import narrow_vectors; raise SystemExit(narrow_vectors.main({bits}))",
            **settings(bits),
        )
        for bits in OTHERS
    }
    yield started
    for process in started.values():
        process.kill()
        process.wait()


@pytest.mark.process
@pytest.mark.parametrize("bits", OTHERS)
def test_the_core_tests_pass_at(bits, runs):
    assert " passed" in processes.finish(runs[bits])


SHOW = "from fastbp.kernels.base import width; print(width.BITS, width.lanes(4), width.lanes(8))"


@pytest.mark.process
@pytest.mark.parametrize("bits", OTHERS)
def test_the_width_can_be_chosen(bits):
    chosen = processes.run(SHOW, FASTBP_VECTOR_BITS=str(bits))
    assert chosen == f"{bits} {bits // 32} {bits // 64}\n"


@pytest.mark.parametrize("bits", ["0", "64", "257", "1024", "wide", "256 bits"])
def test_a_width_that_there_is_none_of_is_refused(bits, monkeypatch):
    monkeypatch.setenv("FASTBP_VECTOR_BITS", bits)
    with pytest.raises(ValueError, match=f"FASTBP_VECTOR_BITS is '{bits}'.*512, 256, 128"):
        width._chosen_bits()


def test_no_choice_is_that_of_the_code_generator(monkeypatch):
    monkeypatch.setenv("FASTBP_VECTOR_BITS", "")
    assert width._chosen_bits() == width._host_bits()
