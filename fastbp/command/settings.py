"""The arguments of the estimator, by options of their own and by ``--set``."""

import inspect
import json
from argparse import Namespace
from typing import Any

from .errors import UsageError, unknown

OPTIONS = {
    "preset": "preset",
    "time_limit": "time_limit",
    "epochs": "epochs",
    "seed": "random_state",
    "drop": "drop",
}
"""Options of the command, and the argument that each is."""


def arguments(options: Namespace) -> dict[str, Any]:
    """The arguments that were given, by their names. The seed is 0 where none is.

    UsageError for what is no KEY=VALUE, and for an argument that has an option of its own.
    """
    given = vars(options)
    found = {name: given[option] for option, name in OPTIONS.items() if option in given}
    found.setdefault("random_state", 0)
    by_option = {name: option for option, name in OPTIONS.items()}
    for text in given.get("set", ()):
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r}, expected KEY=VALUE, such as ensemble=4")
        if key in by_option:
            option = by_option[key].replace("_", "-")
            raise UsageError(f"--set {text!r}: {key} has an option of its own, --{option}")
        found[key] = _value(value)
    return found


def estimator(kind: type, given: dict[str, Any]) -> Any:
    """An estimator of this class. UsageError for an argument that it does not have."""
    known = inspect.signature(kind).parameters
    for key in given:
        if key not in known:
            raise UsageError(f"--set: {unknown(key, known, f'argument of {kind.__name__}')}")
    model = kind(**given)
    try:
        model._validate_params()  # noqa: SLF001 - of scikit-learn, as fit checks them
    except ValueError as error:
        raise UsageError(str(error)) from None
    return model


def _value(text: str) -> Any:
    """JSON, or else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
