"""Frozen specifications (optimizers, schedules, losses with a number), and their form in files."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

ADDED = "added later"


def added(default: Any) -> Any:
    """A field with a default, which files of earlier versions do not have."""
    return dataclasses.field(default=default, metadata={ADDED: True})


def check_fields(spec: object, **checks: Callable[[Any, str], Any]) -> None:
    """Check these fields of a frozen specification, and store their plain Python form.

    checks: for each field a function of (value, name) that returns the value to store, such as
    those of checks.py. It raises TypeError for what is no number, ValueError for a number out of
    range.
    """
    for field, check in checks.items():
        value = check(getattr(spec, field), f"{type(spec).__name__}: {field}")
        object.__setattr__(spec, field, value)


def to_dict(spec: Any) -> Any:
    """What JSON has in place of ``spec``.

    A specification becomes {"kind": its class, field: value, ...}, a function {"own": its name}, a
    tuple a list. Anything else stays as it is.
    """
    if dataclasses.is_dataclass(spec):
        fields = [field.name for field in dataclasses.fields(spec)]
        return {"kind": type(spec).__name__} | {f: to_dict(getattr(spec, f)) for f in fields}
    if callable(spec):
        return {"own": spec.__name__}
    return list(spec) if isinstance(spec, tuple) else spec


def own_name(described: Any) -> str | None:
    """Name of the function that ``to_dict`` was given; None where it was given none."""
    if isinstance(described, dict) and described.keys() == {"own"}:
        name = described["own"]
        return name if isinstance(name, str) else None
    return None


def from_dict(described: Any, kinds: Mapping[str, type], name: str) -> Any:
    """The specification that ``to_dict`` was given.

    kinds: the specifications that there may be, by name. Fields that were added later may be
    missing. ValueError or TypeError for what ``to_dict`` cannot have returned.
    """
    if not isinstance(described, dict) or described.get("kind") not in kinds:
        raise ValueError(f"{name} is {described!r:.80}, expected one of {', '.join(kinds)}")
    kind = kinds[described["kind"]]
    fields = {field.name for field in dataclasses.fields(kind)}
    needed = {field.name for field in dataclasses.fields(kind) if ADDED not in field.metadata}
    if not needed <= described.keys() - {"kind"} <= fields:
        raise ValueError(f"{name} has fields {sorted(described)}, expected {sorted(fields)}")
    values = {
        field: from_dict(value, kinds, f"{name}: {field}") if isinstance(value, dict) else value
        for field, value in described.items()
        if field != "kind"
    }
    return kind(**values)
