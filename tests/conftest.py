"""How tests are run: Hypothesis, Ctrl-C, and the markers that select."""

import signal

import pytest
from hypothesis import settings

# The same examples every time. A first call compiles, so that it is slow without fault.
settings.register_profile("fastbp", derandomize=True, deadline=None, database=None)
settings.load_profile("fastbp")

# A shell's background jobs ignore Ctrl-C, which some tests send to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """``quick(only)`` and ``slow(only)`` mark tests whose parameters have this part in their id."""
    for item in items:
        for mark in [mark for mark in item.own_markers if mark.name in ("quick", "slow")]:
            if mark.args and mark.args[0] not in item.callspec.id:
                item.own_markers.remove(mark)
