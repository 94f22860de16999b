"""A minute of everything at many sizes: memory flat, nothing left open, no drift."""

import sys

import pytest

from support import processes

pytestmark = pytest.mark.slow

SECONDS = 60


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory and handles from /proc")
def test_a_minute():
    program = f"from support import soak; soak.main({SECONDS})"
    assert "no drift" in processes.run(program)
