"""What a fit sets ahead of its first update; undone where it makes none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from ..common.types import Floats
from ..data.names import Names
from .core import TrainerCore
from .fitting import Fit


@dataclass(frozen=True)
class _Settings:
    """What a trainer and its network were before a fit, besides what updates change."""

    updates: int
    lr: float
    settled_lr: float
    class_weights: Floats
    is_balanced: bool
    names: Names

    @classmethod
    def of(cls, core: TrainerCore) -> Self:
        weights = core.class_weights.copy()
        names, lrs = core.net.feature_names_in, (core.lr, core.settled_lr)
        return cls(core.updates, *lrs, weights, core.is_balanced, names)

    def restore(self, core: TrainerCore) -> None:
        core.lr, core.settled_lr = self.lr, self.settled_lr
        core.set_class_weights(self.class_weights, self.is_balanced)
        core.net.keep_names(self.names)


@contextmanager
def undone_without_updates(fit: Fit) -> Iterator[None]:
    """Where a fit is refused, or breaks off, before its first update, all is as it was before."""
    core, before = fit.core, _Settings.of(fit.core)
    try:
        yield
    except BaseException:
        if core.updates == before.updates and not fit.has_changed:
            before.restore(core)
        raise
