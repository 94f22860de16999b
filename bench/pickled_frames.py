"""Reads pandas frames out of pickles that others made, and runs none of their code.

A pickle names the functions that build its objects. Here it may name those alone that build a frame
of numbers and text: anything else is refused before it is called.
"""

import io
import lzma
import pickle

CONSTRUCTORS = {
    ("builtins", "slice"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.internals.managers", "BlockManager"),
}
"""(module, name) of what a pickle of a frame may call, of NumPy 1 and 2."""


class FrameUnpickler(pickle.Unpickler):
    """Finds nothing but CONSTRUCTORS."""

    def find_class(self, module, name):
        if (module, name) not in CONSTRUCTORS:
            raise pickle.UnpicklingError(
                f"the pickle calls {module}.{name}, which builds no frame: it is not read"
            )
        return super().find_class(module, name)


def read(path):
    """The frame of a file of DataFrame.to_pickle(compression="xz")."""
    return FrameUnpickler(io.BytesIO(lzma.decompress(path.read_bytes()))).load()
