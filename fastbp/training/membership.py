"""What a trainer's core knows of the ranks that train together."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

import numpy as np

from ..common import checks
from ..common.types import Array, Ints
from ..components.sharing import Sharing
from ..runtime.arrays import Engine
from ..runtime.compiled_engine import CompiledEngine

if TYPE_CHECKING:
    from ..distributed.group import Group
    from .core import TrainerCore
    from .setup import Arguments

T = TypeVar("T")


class Member:
    """A base of ``TrainerCore``: one of several ranks, or the only one.

    group: the ranks that train together; None for one rank, and in copies and pickles. sharing: how
    they share the work.
    """

    group: "Group | None" = None
    sharing = Sharing()

    def enter(self, comm: Any) -> None:
        """Become a rank of a communicator, if there is one; TypeError or ValueError for others."""
        if comm is not None:
            from ..distributed.group import Group  # late: most trainers have no comm

            self.group = comm if isinstance(comm, Group) else Group(comm)

    def join(self, given: "Arguments", make_arrays: Callable[[], None]) -> None:
        """Make the arrays, which are those of rank 0 where there are several."""
        if self.group is None:
            make_arrays()
            return
        from . import joining

        joining.join(cast("TrainerCore", self), given, make_arrays)

    def together(self, call: str) -> AbstractContextManager[None]:
        """The context of what all ranks do together; of nothing for one rank."""
        return nullcontext() if self.group is None else self.group.call(call)

    def agreed(self, value: float) -> float:
        """The value of rank 0."""
        return value if self.group is None else self.group.first(value)

    def of_first(self, compute: Callable[[], T]) -> T:
        """What ``compute`` returns; with ranks, on rank 0, where alone it is called."""
        return compute() if self.group is None else self.group.of_first(compute)

    def among_ranks(self, engine: CompiledEngine, plan: Ints) -> Engine:
        """An engine that shares the work of this one out. plan: of the parameters."""
        if self.group is None:
            return engine
        if engine.arrays.spec.numbers:
            raise ValueError(
                "comm is given, but the network embeds numbers, which ranks do not share out: make "
                "the Network without number_embedding"
            )
        from ..distributed.engine import DistributedEngine

        return DistributedEngine(self.group, engine, self.sharing, plan)

    @property
    def is_local(self) -> bool:
        """Whether each of several ranks has rows of its own."""
        return self.group is not None and self.sharing.is_local

    @overload
    def joined(self, rows: Array) -> Array: ...

    @overload
    def joined(self, rows: None) -> Array | None: ...

    def joined(self, rows: Array | None) -> Array | None:
        """What is known of the rows of all ranks, in their order, where each has its own."""
        if self.group is None or not self.is_local:
            return rows
        told = [each for each in self.group.of_all(rows) if each is not None]
        return np.concatenate(told) if told else None

    def summed(self, counts: Ints) -> Ints:
        """The sum of what the ranks have counted in rows of their own."""
        if self.group is None or not self.is_local:
            return counts
        total: Ints = np.sum(self.group.of_all(counts), axis=0)
        return total

    def all_rows(self, rows: int) -> int:
        """The rows of an update, where this rank has so many."""
        if not self.is_local:
            return rows
        found = int(self.summed(np.array(rows, np.int64)))
        if found == 0:
            raise ValueError("X has no rows on any rank, expected some to train on")
        return found

    def mean_gradient(self, gradient: Array, rows: int | None) -> Array:
        """The mean gradient (size,) over the rows of all ranks; this one's is that of ``rows``."""
        if self.group is None:
            if rows is not None:
                raise ValueError(f"rows is {rows}, which goes with comm, and there is none")
            return gradient
        from ..distributed.gradients import mean

        return mean(self.group, gradient, checks.integer(rows, "rows", 0))

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files and shows progress."""
        return self.group is None or self.group.rank == 0
