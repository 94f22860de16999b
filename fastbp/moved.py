"""Modules under the names that they had in 0.1.0, which pickles of that version name.

``import fastbp.optimizers`` finds ``fastbp.components.optimizers``: the same module, imported when
it is asked for; so does ``fastbp.optimizers`` after ``import fastbp``.
"""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "activations": "components.activations",
    "history": "callbacks.history",
    "lbfgs": "components.lbfgs",
    "losses": "components.losses",
    "lr_finder": "training.lr_finder",
    "model_checkpoint": "callbacks.model_checkpoint",
    "monitors": "callbacks.monitors",
    "network": "model.network",
    "optimizers": "components.optimizers",
    "options": "components.options",
    "ready": "callbacks.loggers",
    "scaling": "data.scaling",
    "torch_modules": "model.torch_modules",
    "trainer": "training.trainer",
}
"""Name then: name now."""


class _Loader(Loader):
    """Loads one moved module: the import system replaces its spec, which comes back."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


class _Finder(MetaPathFinder):
    """Finds a moved module of this package, whatever name the package has."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != self._package or name not in MOVED:
            return None
        return ModuleSpec(fullname, _Loader(f"{package}.{MOVED[name]}"))


def attribute(name: str) -> ModuleType:
    """The moved module of this name: the ``__getattr__`` of the package."""
    if name in MOVED:
        return importlib.import_module(f"{__package__}.{MOVED[name]}")
    raise AttributeError(f"module {__package__!r} has no attribute {name!r}")


def find_moved_modules(package: str) -> None:
    """Let imports of the old names find the modules."""
    sys.meta_path.append(_Finder(package))
