"""The order of the rows in an epoch, and the generator behind it."""

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MASK = 2**64 - 1


def mix(z):
    """The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) on 64-bit integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def shuffled(seed, epoch, n):
    """The order (n,) int64 of the rows in an epoch: Fisher-Yates on a counter-based generator.

    It depends on seed (in [0, 2**63)), epoch and n alone.
    """
    key = mix(mix((seed + GOLDEN) & MASK) + epoch & MASK)
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        r = mix(key + i * GOLDEN & MASK) >> 32
        j = r * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)
