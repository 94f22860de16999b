"""Types of arrays, for annotations; and the array of no losses."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.integer[Any]] | Sequence[int]
"""Numbers of rows."""

NO_LOSSES = np.empty(0)
