"""The Model: a trainer's arrays as a tuple for njit code (fastbp/embed.py)."""

from typing import Any, NamedTuple, NoReturn

from ..common.types import Array, Floats, Ints
from ..kernels.base import codes
from ..kernels.entry import embed_server


class Model(NamedTuple):
    """The arrays of a trainer for compiled code. They are shared with the trainer.

    A model belongs to its process, and can be neither copied nor pickled.
    """

    header: Ints
    """int64: the addresses of all arrays and of the compiled code."""
    parameters: Array
    """The network's, in the kernels' layout."""
    moments: Array
    """The optimizer's."""
    hyper: Floats
    """float64: the hyperparameters and the number of updates. Element ``LR`` can be set."""
    work: Array
    """Memory of one training step."""
    scratch: Array
    """Memory of predictions, a part for each thread."""

    def __repr__(self) -> str:
        rows, lr = self.header[embed_server.MOST_ROWS], self.hyper[codes.LR]
        return f"<fastbp model: {self.parameters.dtype}, at most {rows} rows, lr {lr:g}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a compiled model holds addresses of its trainer's memory and cannot be copied or "
            "pickled: copy the trainer, and call compiled() of the copy"
        )
