"""How close compiled kernels and their twins must be."""

import numpy as np

AMPLIFICATION = 32
"""Of rounding errors, by so many steps: RMSprop and Adam move a weight whose gradient is nearly 0
as far as any other."""


def tolerance(case, dtype):
    """Of a tensor, as a share of its norm: the roundings of sums of K products grow as sqrt(K)."""
    longest = max(*case.sizes, case.rows)
    return float(len(case.sizes) * longest**0.5 * np.finfo(dtype).eps)


def distance(actual, expected):
    return np.linalg.norm(actual - expected) / (np.linalg.norm(expected) or 1)


def assert_layers_close(actual, expected, allowed):
    for one, other in zip(actual, expected, strict=True):
        for part, twin in zip(one, other, strict=True):
            assert part.dtype == twin.dtype
            assert distance(part, twin) <= allowed


def layers_of(trainer):
    """Those of every layer: (W, b), or (W, b, gains, shifts)."""
    return trainer.net.arrays.layers()
