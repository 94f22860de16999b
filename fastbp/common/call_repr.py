"""Reprs that read as the call that makes the object.

``repr(fastbp.Adam(lr=0.01))`` is ``"fastbp.Adam(lr=0.01)"``. Two rules hold for all of them:

- A name has its public path, because a repr is pasted where ``import fastbp`` stands.
- An argument that has its default value is left out.
"""

import dataclasses
import inspect
from typing import Any, ClassVar

PACKAGE = __name__.rsplit(".", 2)[0]
"""fastbp, or the name of a vendored copy."""


class CallRepr:
    """A frozen dataclass whose repr is the call that makes it; it is declared with repr=False."""

    public_path: ClassVar[str] = "fastbp"
    """The module in which a user finds the class."""

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return as_call(self, **{field.name: getattr(self, field.name) for field in fields})


class Text(str):
    """A piece of code: its repr is the text itself, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def as_call(instance: object, *positional: object, **arguments: object) -> str:
    """The call that makes ``instance``, with the arguments that differ from their defaults."""
    defaults = inspect.signature(type(instance)).parameters
    shown = [_argument(value) for value in positional]
    for name, value in arguments.items():
        default = defaults[name].default if name in defaults else inspect.Parameter.empty
        if default is inspect.Parameter.empty or value != default:
            shown.append(f"{name}={_argument(value)}")
    return f"{_public_name(type(instance))}({', '.join(shown)})"


def _argument(value: Any) -> str:
    """A function goes by its name, for which no repr stands."""
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    if isinstance(value, list):
        return f"[{', '.join(map(_argument, value))}]"
    return repr(value)


def _public_name(kind: type) -> str:
    """With its path where it is fastbp's; a class of the user's own goes by its name alone."""
    if not kind.__module__.startswith(f"{PACKAGE}."):
        return kind.__name__
    return f"{getattr(kind, 'public_path', 'fastbp')}.{kind.__name__}"
