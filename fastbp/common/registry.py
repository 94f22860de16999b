"""Look-up of names in tables."""

from collections.abc import Mapping
from typing import TypeVar

from . import suggestions

Thing = TypeVar("Thing")


def lookup(table: Mapping[str, Thing], name: object, argument: str) -> Thing:
    """``table[name]``; otherwise an error that names the argument and lists the known names."""
    known = ", ".join(map(repr, table))
    if not isinstance(name, str):
        raise TypeError(
            f"{argument} is {name!r}, of type {type(name).__name__}: "
            f"it must be a name, one of {known}"
        )
    if name not in table:
        near = suggestions.meant(name, table)
        guess = f"did you mean {near!r}? It" if near else "it"
        raise ValueError(
            f"{argument} is {name!r}, which is not known: {guess} must be one of {known}"
        )
    return table[name]
