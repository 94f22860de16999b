"""Packages that only some features need, imported when one of these is first used."""

import importlib
from typing import Any


def need(module: str, extra: str, feature: str) -> Any:
    """``module``; where it is missing, a ModuleNotFoundError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        raise ModuleNotFoundError(
            f"{feature} needs {package}, which is not installed: pip install 'fastbp[{extra}]'",
            name=error.name,
        ) from error
