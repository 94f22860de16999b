"""Methods of a trainer that all its ranks call together."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from .core import TrainerCore


class _HasCore(Protocol):
    _core: TrainerCore


S = TypeVar("S", bound=_HasCore)
P = ParamSpec("P")
R = TypeVar("R")


def collective(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """The method, whose error on one rank is raised on all of them."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        core: TrainerCore = self._core
        if core.group is None:
            return method(self, *args, **kwargs)
        with core.group.call(method.__name__):
            return method(self, *args, **kwargs)

    return call
