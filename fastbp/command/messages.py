"""What is shown: progress and remarks on stderr, results on stdout."""

import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any


def say(text: str) -> None:
    """A line on stderr; where nobody can read it, nothing."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or None
        print(text, file=sys.stderr, flush=True)


def show(found: Mapping[str, Any], lines: Sequence[str], as_json: bool) -> None:
    """The result on stdout: one JSON object, or lines for a reader."""
    if as_json:
        print(json.dumps(_finite(found), default=_plain, ensure_ascii=False), flush=True)
    else:
        print("\n".join(lines), flush=True)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def pairs(found: Mapping[str, str]) -> list[str]:
    """``key    value`` lines, with the values below one another."""
    width = max(map(len, found), default=0)
    return [f"{key:{width}}  {value}" for key, value in found.items()]


def number(value: float) -> str:
    """A score, with five digits."""
    return f"{value:.5g}"


def count(n: int, what: str, many: str | None = None) -> str:
    """``1 row``, ``2,000 rows``."""
    return f"{n:,} {what if n == 1 else many or what + 's'}"


@contextmanager
def warnings_as_remarks(prefix: str) -> Iterator[None]:
    """Warnings of the library become lines on stderr, without the line of code that warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)

        def remark(message: Warning | str, *_: Any, **__: Any) -> None:
            say(f"{prefix}: {message}")

        warnings.showwarning = remark
        yield


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: null in their place."""
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's; all else as text."""
    return _finite(value.item()) if hasattr(value, "item") else str(value)
