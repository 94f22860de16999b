"""The order of the rows in an epoch: a function of (seed, epoch) alone."""

from numba import types

from ..base.jit import kernel

GOLDEN = 0x9E3779B97F4A7C15


@kernel
def mix(z):
    """splitmix64's finalizer: 64 bits to 64 bits, every bit depending on every bit."""
    z = (z ^ (z >> types.uint64(30))) * types.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> types.uint64(27))) * types.uint64(0x94D049BB133111EB)
    return z ^ (z >> types.uint64(31))


@kernel
def reorder(seed, epoch, order, n):
    """Permute order, a pointer to int64 (n,), in place (Fisher-Yates). n < 2**32.

    Random number i is splitmix64's i-th output from a key of seed and epoch.
    Twin: ``order[shuffled(seed, epoch, n)]``.
    """
    golden = types.uint64(GOLDEN)
    key = mix(mix(types.uint64(seed) + golden) + types.uint64(epoch))
    for i in range(n - 1, 0, -1):
        random = mix(key + types.uint64(i) * golden) >> types.uint64(32)
        j = types.int64((random * types.uint64(i + 1)) >> types.uint64(32))
        order[i], order[j] = order[j], order[i]


@kernel
def shuffle(seed, epoch, order, n):
    """Fill order with a permutation of 0 .. n - 1; arguments as above. Twin: ``shuffled``."""
    for i in range(n):
        order[i] = i
    reorder(seed, epoch, order, n)
