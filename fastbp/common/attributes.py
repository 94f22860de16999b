"""Attributes that cannot be set: a name that would change nothing is refused, with the remedy."""

from collections.abc import Mapping
from typing import Any, ClassVar

from . import suggestions


class Guarded:
    """The base of a class whose instances take no attribute that would change nothing.

    A class that derives from a guarded one may have attributes of its own.
    """

    _remedies: ClassVar[Mapping[str, str]]
    """For names that users try, and what to do instead: of arguments, and of other libraries."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            remedy = self._remedy(name)
            if remedy:
                kind = type(self).__name__
                raise AttributeError(f"setting {name!r} of a {kind} would change nothing: {remedy}")
        super().__setattr__(name, value)

    @classmethod
    def _remedy(cls, name: str) -> str | None:
        """What to do instead of setting the attribute; None where it can be set."""
        guarded = next(one for one in cls.__mro__ if "_remedies" in vars(one))
        here = getattr(cls, name, None)
        if here is not getattr(guarded, name, None):
            return None  # a derived class has its own
        if name in cls._remedies:
            return cls._remedies[name]
        if isinstance(here, property) and here.fset is None:
            return "it can be read alone"
        return cls._unknown(name) if here is None and cls is guarded else None

    @classmethod
    def _unknown(cls, name: str) -> str:
        settable = [key for key, one in vars(cls).items() if getattr(one, "fset", None)]
        near = suggestions.meant(name, [*settable, *cls._remedies])
        meant = f", did you mean {near!r}? For" if near else "; for"
        return (
            f"there is no such attribute{meant} values of your own derive a class from "
            f"{cls.__name__}, or keep them beside it"
        )
