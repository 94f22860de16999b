"""Frozen specifications, which are dataclasses: optimizers, schedules, losses with a number."""

from collections.abc import Callable
from typing import Any


def settle(spec: object, **checks: Callable[[Any, str], Any]) -> None:
    """Replace what the user wrote in these fields by its plain Python form.

    checks: for each field a function of (value, name), such as those of checks.py. They raise
    TypeError for what is no number, ValueError for a number out of range.
    """
    for field, check in checks.items():
        value = check(getattr(spec, field), f"{type(spec).__name__}: {field}")
        object.__setattr__(spec, field, value)
