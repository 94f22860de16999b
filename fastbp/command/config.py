"""Options from a TOML file; those of the command line go before them."""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from .errors import UsageError, unknown
from .parser import Parser

ONE_OF = ("valid", "split")
"""Options of which one at most is given: the command line's replaces the file's."""

REPEATED = ("target", "drop")
"""Options that may be lists."""


def merged(options: argparse.Namespace, parser: Parser) -> argparse.Namespace:
    """``options``, and in place of those that were not given what the file of ``--config`` has.

    ``--set`` is merged key by key. UsageError where the file has no such option, or a wrong value.
    """
    arguments = _arguments(options.config, parser)
    try:
        found = vars(parser.parse_args(["-", *arguments]))
    except UsageError as error:
        text = str(error).rpartition(f"{parser.prog}: ")[2]
        raise UsageError(f"{options.config}: {text}") from None
    given = vars(options)
    if set(ONE_OF) & given.keys():
        found = {key: value for key, value in found.items() if key not in ONE_OF}
    both = {**found, **given}
    if "set" in found and "set" in given:  # the last one of a key counts
        both["set"] = [*found["set"], *given["set"]]
    return argparse.Namespace(**both)


def _arguments(path: str, parser: Parser) -> list[str]:
    """The file as arguments of the command line."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise UsageError(f"{path} is no TOML file: {error}") from None
    known = parser.options()
    found: list[str] = []
    for key, value in content.items():
        dest = key.replace("-", "_")
        if dest not in known or dest == "config":
            raise UsageError(f"{path}: {unknown(key, known.keys() - {'config'}, 'option')}")
        found += _argument(f"{path}: {key}", known[dest], value)
    return found


def _argument(place: str, action: argparse.Action, value: Any) -> list[str]:
    option = action.option_strings[-1]
    if action.dest == "set":
        if not isinstance(value, dict):
            raise UsageError(f"{place} is {value!r}, expected a table: [set], then key = value")
        return [f"{option}={key}={_as_json(place, one)}" for key, one in value.items()]
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise UsageError(f"{place} is {value!r}, expected true or false")
        return [option] if value else []
    values = value if isinstance(value, list) else [value]
    if len(values) != 1 and action.dest not in REPEATED:
        raise UsageError(f"{place} is {value!r}, expected one value")
    if any(isinstance(one, dict | list | bool) for one in values):
        raise UsageError(f"{place} is {value!r}, expected text or a number")
    return [f"{option}={one}" for one in values]


def _as_json(place: str, value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError:  # a date
        raise UsageError(
            f"{place} has {value!r}, expected text, numbers, lists or tables"
        ) from None
