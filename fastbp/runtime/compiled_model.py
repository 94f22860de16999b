"""The Model: a trainer's arrays as a tuple that njit code can take (fastbp/embed.py)."""

from typing import Any, NamedTuple, NoReturn

from ..common.types import Array, Floats, Ints
from ..kernels.base import codes
from ..kernels.entry import embed_server


class Model(NamedTuple):
    """What a trainer trains, for compiled code; the arrays are the trainer's own.

    It belongs to its process: it can be neither copied nor pickled.
    """

    header: Ints
    """int64: where everything lies, and what is called."""
    parameters: Array
    """The network's, in the kernels' layout."""
    moments: Array
    """The optimizer's."""
    hyper: Floats
    """float64: the hyperparameters and the number of updates; element ``LR`` can be set."""
    work: Array
    """Memory of one training step."""
    scratch: Array
    """Memory of predictions, for each thread its own."""

    def __repr__(self) -> str:
        rows, lr = self.header[embed_server.MOST_ROWS], self.hyper[codes.LR]
        return f"<fastbp model: {self.parameters.dtype}, at most {rows} rows, lr {lr:g}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a compiled model holds addresses of its trainer's memory and cannot be copied or "
            "pickled: copy the trainer, and call compiled() of the copy"
        )
