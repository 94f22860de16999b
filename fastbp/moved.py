"""Modules under the names that they had in 0.1.0, which pickles of that version name.

``import fastbp.optimizers`` finds ``fastbp.components.optimizers``: the same module, imported when
it is asked for.
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
    "model_checkpoint": "callbacks.model_checkpoint",
    "monitors": "callbacks.monitors",
    "network": "model.network",
    "optimizers": "components.optimizers",
    "options": "components.options",
    "ready": "callbacks.loggers",
    "scaling": "data.scaling",
    "trainer": "training.trainer",
}
"""Name then: name now."""


class _Finder(MetaPathFinder, Loader):
    """Finds a moved module of this package, whatever name the package has."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != self.package or name not in MOVED:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = spec.name.rpartition(".")[2]
        module = importlib.import_module(f"{self.package}.{MOVED[name]}")
        self._spec_of_new_name = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: it has run under its new name, whose spec the import system has replaced."""
        module.__spec__ = self._spec_of_new_name


def find_moved_modules(package: str) -> None:
    """Let imports of the old names find the modules."""
    sys.meta_path.append(_Finder(package))
