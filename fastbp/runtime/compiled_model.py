"""The Model: a trainer's arrays as a tuple for njit code (fastbp/embed.py)."""

from typing import Any, NamedTuple, NoReturn

from numba import types
from numba.core.errors import TypingError
from numba.core.typing.typeof import Purpose
from numba.extending import typeof_impl

from ..common.types import Array, Floats, Ints
from ..kernels.base import codes
from ..kernels.entry import embed_server, ensemble_server


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


class EnsembleModel(NamedTuple):
    """The arrays of an ensemble for compiled code. Its networks own the parameters.

    It belongs to its process, and can be neither copied nor pickled.
    """

    header: Ints
    """int64: what is known of the ensemble, and the addresses of its networks."""
    scratch: Array
    """Memory of predictions, a part for each thread."""

    def __repr__(self) -> str:
        rows, nets = self.header[[embed_server.MOST_ROWS, ensemble_server.MEMBERS]]
        return f"<fastbp ensemble: {self.scratch.dtype}, {nets} networks, at most {rows} rows>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "a compiled ensemble holds addresses of this process and cannot be copied or pickled: "
            "save the ensemble, and call compiled() of the one that is loaded"
        )


@typeof_impl.register(EnsembleModel)  # type: ignore[untyped-decorator]
@typeof_impl.register(Model)  # type: ignore[untyped-decorator]
def _type_of(model: Model | EnsembleModel, context: Any) -> Any:
    """The type that Numba gives a named tuple. It would freeze the arrays of a global one."""
    if context.purpose is Purpose.constant:
        raise TypingError(
            "a compiled model is a global, or a variable of an enclosing function: pass it as an "
            "argument: globals are frozen when a function is compiled"
        )
    parts = [typeof_impl(part, context) for part in model]
    return types.BaseTuple.from_types(parts, type(model))
