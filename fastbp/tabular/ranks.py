"""How the ranks of a communicator share the members of an ensemble: each trains some of them."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from ..distributed.group import Group

T = TypeVar("T")


class Ranks:
    """Several ranks, or one process alone, for which every method is trivial.

    Args:
        group: the ranks; None for one process.
        pause: seconds that a rank waits, when its members are done, before it meets the others.

    """

    def __init__(self, group: "Group | None" = None, pause: float = 0.1) -> None:
        self._group, self._pause = group, pause
        self.rank, self.size = (0, 1) if group is None else (group.rank, group.size)

    @classmethod
    def of(cls, comm: Any) -> Self:
        """Those of a communicator, or of None."""
        if comm is None:
            return cls()
        from ..distributed.group import Group, group_of  # late: most fits have no comm

        return cls(comm if isinstance(comm, Group) else group_of(comm))

    def together(self, call: str) -> AbstractContextManager[None]:
        """The context of what all do together: the error of one is raised on all."""
        return nullcontext() if self._group is None else self._group.call(call)

    def mine(self, members: Sequence[T]) -> list[T]:
        """The members of this rank."""
        return list(members[self.rank :: self.size])

    def of_all(self, item: T) -> list[T]:
        """What every rank gives, in their order."""
        return [item] if self._group is None else self._group.of_all(item)

    def agreed(self, number: int) -> int:
        """The number of rank 0."""
        return self.of_all(number)[0]

    def check_same(self, fingerprint: str) -> None:
        """ValueError where the ranks have not the same rows and settings."""
        if len(set(self.of_all(fingerprint))) > 1:
            raise ValueError(
                "the rows or the parameters are not the same on all ranks: let every rank read the "
                "same file, with the same versions of fastbp and NumPy"
            )

    def threads(self, most: int) -> int:
        """The threads of this rank: its share of the processors of its node."""
        if self._group is None:
            return most
        from ..distributed import hosts

        return hosts.share_of_threads(hosts.of_all(self._group), self.rank, most)

    def look(self, left: int, stops: bool) -> tuple[int, bool]:
        """(how many members are still trained, whether the training is to end), on all ranks.

        left, stops: the same of this one. The error of a rank that has failed; KeyboardInterrupt
        where Ctrl-C has come to one.
        """
        if self._group is None:
            return left, stops
        from ..distributed.group import MEMBERS

        if left == 0:
            time.sleep(self._pause)
        told = self._group.meet(MEMBERS, own=(left, stops))
        return int(told[:, 0].sum()), bool(told[:, 1].any())
