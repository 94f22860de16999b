"""What a report says of how a model was trained, and of how the report itself was made."""

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding

from .remembered import KEY
from .report_page import Section, number, table, text
from .report_rows import Rows

PACKAGES = ("numpy", "numba", "scikit-learn", "pyarrow", "matplotlib")


def record(model: Any, rows: Rows, source: str, seconds: float) -> Section:
    """Tables of the training, of the networks, and of this report. seconds: it took so far."""
    from .. import __version__

    networks = {
        "networks": len(model.ensemble_),
        "sizes of the first one's layers": list(model.ensemble_[0].sizes),
        "parameters of all": model.ensemble_.n_parameters,
    }
    here = {
        "source": source,
        "SHA-256 of the source": _checksum(source),
        "rows": len(rows.y),
        "rows left out": rows.left_out,
        "seconds": seconds,
        "processor": f"{llvmlite.binding.get_host_cpu_name()} ({platform.machine()})",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "fastbp": __version__,
        **{package: version(package) for package in PACKAGES},
    }
    training = {key: fact for key, fact in model.record_.items() if key not in (KEY, "members")}
    members = model.record_.get("members", ())
    body = (
        _facts("The training.", _flat(training))
        + _members(members)
        + _facts("The networks.", networks.items())
        + _facts("This report.", ((key, fact) for key, fact in here.items() if fact is not None))
    )
    return Section("record", "Record", body)


def _facts(caption: str, facts: Iterable[tuple[str, Any]]) -> str:
    lines = ((text(key), _fact(fact)) for key, fact in facts)
    return table(caption, ("what", "value"), lines, "ww")


def _members(members: Sequence[Mapping[str, Any]]) -> str:
    """A row for each network; nothing where there is no record of them."""
    if not members:
        return ""
    head = [text(key).replace("_", " ") for key in members[0]]
    lines = ([_fact(fact) for fact in member.values()] for member in members)
    return table("The training of each network.", head, lines)


def _fact(fact: Any) -> str:
    if isinstance(fact, str):
        return text(fact)
    if isinstance(fact, int | float) and not isinstance(fact, bool):
        return number(fact)
    return text(json.dumps(fact, default=str, ensure_ascii=False))


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The entries of a record and of the dicts in it, with joined keys."""
    for key, fact in record.items():
        if isinstance(fact, Mapping):
            yield from _flat(fact, f"{prefix}{key}: ")
        else:
            yield f"{prefix}{key}", fact


def _checksum(source: str) -> str | None:
    """The SHA-256 of a file; None for what is no file."""
    with suppress(OSError, ValueError):  # ValueError: a name that no file can have
        if Path(source).is_file():
            with Path(source).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None
