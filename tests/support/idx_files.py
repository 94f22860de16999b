"""Files in the format of MNIST."""

import numpy as np


def idx(array, kind=8):
    """The bytes of an IDX file."""
    header = bytes([0, 0, kind, array.ndim])
    return header + np.array(array.shape, ">u4").tobytes() + array.tobytes()
