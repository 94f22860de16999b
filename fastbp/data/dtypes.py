"""The dtypes of X and y, and the codes by which the gather knows them."""

import numpy as np

from ..kernels.base import codes

CODES = {
    np.dtype(kind): code
    for kind, code in (
        (np.float16, codes.F16),
        (np.float32, codes.F32),
        (np.float64, codes.F64),
        (np.int8, codes.I8),
        (np.int16, codes.I16),
        (np.int32, codes.I32),
        (np.int64, codes.I64),
        (np.uint8, codes.U8),
        (np.uint16, codes.U16),
        (np.uint32, codes.U32),
        (np.uint64, codes.U64),
        (np.bool_, codes.U8),
    )
}
LABEL_CODES = {dtype: code for dtype, code in CODES.items() if dtype.kind in "iu"}
FLOAT_CODES = {dtype: code for dtype, code in CODES.items() if dtype.kind == "f"}
