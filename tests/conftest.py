"""How tests are run: Hypothesis, and the marker ``quick``."""

import pytest
from hypothesis import settings

# The same examples every time. A first call compiles, so that it is slow without fault.
settings.register_profile("fastbp", derandomize=True, deadline=None, database=None)
settings.load_profile("fastbp")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """``quick(only)`` marks a test where the id of its parameters has this part."""
    for item in items:
        for mark in [mark for mark in item.own_markers if mark.name == "quick"]:
            if mark.args and mark.args[0] not in item.callspec.id:
                item.own_markers.remove(mark)
