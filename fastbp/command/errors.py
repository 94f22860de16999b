"""How a subcommand ends early: with a sentence, and an exit code."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..common import suggestions

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class CommandError(Exception):
    """The base of both: its text is a sentence for the user."""

    code: int


class DataError(CommandError):
    """A file, or what is in it, is not as it must be: exit code 1."""

    code = 1


class UsageError(CommandError):
    """The arguments are not as they must be: exit code 2."""

    code = 2


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """``'prise' is no column: did you mean 'price'?``, or what there is."""
    names = list(known)
    near = suggestions.meant(name, names)
    if near is not None:
        return f"{name!r} is no {what}: did you mean {near!r}?"
    return f"{name!r} is no {what}: there {'is' if len(names) == 1 else 'are'} {listed(names)}"


def check_names(names: Sequence[str], file: str) -> None:
    """DataError where two columns of a file have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{file} has columns of the same name, {listed(twice)}: rename them, or give "
            "--no-header if its first line is data"
        )


def listed(names: Iterable[str], most: int = 12) -> str:
    """``'a', 'b', 'c'``; of many names the first ones, and how many there are."""
    all_names = list(names)
    text = ", ".join(map(repr, all_names[:most]))
    return f"{text}, ... ({len(all_names):,} of them)" if len(all_names) > most else text or "none"
