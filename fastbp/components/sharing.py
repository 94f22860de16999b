"""How the ranks of a communicator share the work of a trainer."""

from dataclasses import dataclass
from typing import Any

from ..common import checks, registry

DATA = {"shared": "every rank has all rows", "local": "each rank has rows of its own"}
REDUCTIONS = {
    "ordered": "sums of gradients in one order, whatever the ranks",
    "fast": "on several nodes the all-reduce of the MPI library",
    "bfloat16": "gradients are rounded to bfloat16 where ranks send them",
}


@dataclass(frozen=True)
class Sharing:
    """The arguments data, reduction and parts of a Trainer, checked."""

    data: str = "shared"
    reduction: str = "ordered"
    parts: int = 8

    @property
    def is_local(self) -> bool:
        """Whether each rank has rows of its own."""
        return self.data == "local"

    @property
    def is_ordered(self) -> bool:
        """Whether the bits do not depend on the ranks."""
        return self.reduction == "ordered"

    def check_dtype(self, dtype: str) -> None:
        """ValueError where gradients of this dtype are not sent in bfloat16."""
        if self.reduction == "bfloat16" and dtype != "float32":
            raise ValueError(
                f"reduction is 'bfloat16' and the network's dtype is {dtype}, expected float32: "
                "pass reduction='fast'"
            )

    def check_ranks(self, ranks: int) -> None:
        """ValueError where there are more ranks than parts."""
        if ranks > self.parts and self.data == "shared" and self.is_ordered:
            raise ValueError(
                f"comm has {ranks} ranks and parts is {self.parts}, expected at most one rank for "
                f"each part: pass parts={ranks} or more, such as {2 ** (ranks - 1).bit_length()}; "
                "it decides the bits"
            )


def check(data: Any, reduction: Any, parts: Any) -> Sharing:
    """The checked arguments; ValueError or TypeError where they are not as in ``Trainer``."""
    registry.lookup(DATA, data, "data")
    registry.lookup(REDUCTIONS, reduction, "reduction")
    return Sharing(data, reduction, checks.integer(parts, "parts", 1))
