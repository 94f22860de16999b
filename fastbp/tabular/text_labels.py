"""Labels that are a column of text of pyarrow: each different text is looked at once."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..common.types import Array, Ints
from . import values


def coded(y: Any) -> tuple[Array, Ints, Array] | None:
    """(the texts, ascending, the place of each row's among them, whether each row has one).

    The places are of the rows that have one, (k,). None where y is no such column.

    >>> from fastbp.tabular.text_labels import coded
    >>> texts, places, known = coded(pa.array(["b", None, "a", "b"]))
    >>> print(texts, places, known)
    ['a' 'b'] [1 0 1] [ True False  True  True]

    """
    if not isinstance(y, pa.Array | pa.ChunkedArray):
        return None
    column = y if isinstance(y, pa.ChunkedArray) else pa.chunked_array([y])
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not values.is_text(kind):
        return None
    encoded = values.plain(column).dictionary_encode()
    texts, order = np.unique(np.array(encoded.dictionary.to_pylist(), np.str_), return_inverse=True)
    known = np.asarray(pc.is_valid(encoded).to_numpy(zero_copy_only=False))
    return texts, order[np.asarray(encoded.indices.drop_null())].astype(np.int64), known
