"""Frozen specifications, which are dataclasses: optimizers, schedules, losses with a number."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any


def check_fields(spec: object, **checks: Callable[[Any, str], Any]) -> None:
    """Replace what the user wrote in these fields by its plain Python form.

    checks: for each field a function of (value, name), such as those of checks.py. They raise
    TypeError for what is no number, ValueError for a number out of range.
    """
    for field, check in checks.items():
        value = check(getattr(spec, field), f"{type(spec).__name__}: {field}")
        object.__setattr__(spec, field, value)


def describe(spec: Any) -> Any:
    """A specification as JSON has it: its kind and its fields. Anything else as it is."""
    if not dataclasses.is_dataclass(spec):
        return list(spec) if isinstance(spec, tuple) else spec
    fields = {field.name: describe(getattr(spec, field.name)) for field in dataclasses.fields(spec)}
    return {"kind": type(spec).__name__} | fields


def build(described: Any, kinds: Mapping[str, type], name: str) -> Any:
    """What ``describe`` was given. ValueError, TypeError for what it cannot have returned.

    kinds: the specifications that there may be, by name.
    """
    if not isinstance(described, dict) or described.get("kind") not in kinds:
        raise ValueError(f"{name} is {described!r:.80}, expected one of {', '.join(kinds)}")
    kind = kinds[described["kind"]]
    fields = {field.name for field in dataclasses.fields(kind)}
    if described.keys() != fields | {"kind"}:
        raise ValueError(f"{name} has fields {sorted(described)}, expected {sorted(fields)}")
    values = {
        field: build(value, kinds, f"{name}: {field}") if isinstance(value, dict) else value
        for field, value in described.items()
        if field != "kind"
    }
    return kind(**values)
