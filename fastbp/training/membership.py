"""What a trainer's core knows of the ranks that train together."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from ..common import checks
from ..common.types import Array, Floats, Ints
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
            from ..distributed.group import Group, group_of  # late: most trainers have no comm

            self.group = comm if isinstance(comm, Group) else group_of(comm)

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

    def joined(self, told: Array | None) -> Array | None:
        """What the ranks say of rows of their own, one after another; None where none says a thing.

        That is ``told`` itself where all have the same rows.
        """
        if self.group is None or not self.is_local:
            return told
        return _concatenated([each for each in self.group.of_all(told) if each is not None])

    def joined_on_first(self, rows: Array) -> Array:
        """``joined``, on rank 0 alone: elsewhere the rows stay as they are."""
        if self.group is None or not self.is_local:
            return rows
        found = _concatenated(self.group.to_first(rows))
        return rows if found is None else found

    def some(self, weights: Floats | None) -> Array | None:
        """Whether each rank has a weight above 0, (ranks,); None where there are no weights."""
        return self.joined(None if weights is None else np.array([weights.any()]))

    def summed(self, numbers: Array) -> Array:
        """The sum of what the ranks have counted, or added up, in rows of their own."""
        if self.group is None or not self.is_local:
            return numbers
        total: Array = np.sum(self.group.of_all(numbers), axis=0)
        return total

    def average(self, values: Array, weights: Floats | None = None) -> Array:
        """The mean of values (n, ...) over the rows of all ranks."""
        if not self.is_local:
            mean: Array = np.average(values, axis=0, weights=weights)
            return mean
        own = np.ones(len(values)) if weights is None else weights
        terms = own.reshape(-1, *[1] * (values.ndim - 1)) * values
        sums = self.summed(np.append(terms.sum(axis=0), own.sum()))
        means: Array = sums[:-1] / sums[-1]
        return means.reshape(values.shape[1:])

    def all_rows(self, rows: int) -> int:
        """The rows of an update, where this rank has so many."""
        return sum(self.rows_of_ranks(rows)) if self.is_local else rows

    def rows_of_ranks(
        self,
        rows: int,
        weighted: bool | None = None,
        names: tuple[str, str] = ("X", "sample_weight"),
    ) -> tuple[int, ...]:
        """The rows of each rank, where each has its own, and this one so many.

        weighted: whether these have weights; None where the others' need not have them, too. names:
        of rows and weights, for messages. ValueError where no rank has a row, or some give weights.
        """
        from ..distributed.group import ROWS

        group = cast("Group", self.group)
        told = group.meet(ROWS, own=(rows, weighted or False))
        counts = told[:, 0]
        if not counts.any():
            raise ValueError(f"{names[0]} has no rows on any rank, expected some")
        of_some = told[counts > 0, 1]
        if weighted is not None and of_some.any() and not of_some.all():
            raise ValueError(
                f"{names[1]} is given on some ranks only: give weights of all rows, or of none"
            )
        return tuple(counts.tolist())

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


def _concatenated(told: Sequence[Array] | None) -> Array | None:
    """Arrays one after another, those without rows left out: their shapes say nothing."""
    if not told:
        return None
    return np.concatenate([each for each in told if len(each)] or told[:1])
