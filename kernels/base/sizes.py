"""Sizes that tables and kernels share: of a tile, of a plan, of a description of an array."""

from . import width

ROWS = 8 if width.BITS == 512 else 4
"""Rows of a tile. 8 x 3 vectors are 24 accumulators of AVX-512's 32 registers (3 for b, 1 for a);
4 x 3 are 12 of AVX2's 16. Both divide the lanes of a panel, so that no tile has a ragged edge."""

WIDEST = 3
"""Vectors of the widest tile."""

SUM_ROWS = 1024
"""Rows of a batch over which a gradient is one chain of additions. The sums of these blocks of rows
are added up in order. A multiple of the lanes at every width."""

NONZERO_SHARE = 16
"""Sparse rows of which at most one in so many entries is stored are taken by their nonzeros."""

NONZERO_CHUNK = 64
"""Inputs whose gradient is computed at a time from nonzeros: the bits of an int64."""

NONZERO_PANELS = 8
"""Panels of outputs whose gradient is computed at a time from nonzeros."""

COLUMNS = 40
"""Columns of a plan (tables/layout.py)."""

DESCRIPTOR = 6
"""Elements that describe an array of the user's (primitives/gather.py)."""


def tile_rows(itemsize: int) -> int:
    """Rows of a tile for elements of ``itemsize`` bytes: ROWS, but no more than a panel's lanes."""
    return min(ROWS, width.lanes(itemsize))
