"""A minute of everything at many sizes: memory flat, nothing left open, no drift."""

import sys

import processes
import pytest

SECONDS = 60


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory and handles from /proc")
def test_a_minute():
    program = f"import soak; soak.main({SECONDS})"
    assert "no drift" in processes.run(program)
