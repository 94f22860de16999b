"""Gradients in bfloat16, and what rounding has left: for training on several ranks.

Counts are of whole vectors. Only the C functions of entry/parts_run.py have this code.
"""

from ..base.jit import kernel
from ..ir.bfloat16 import finite_or_zero, load_bfloat16, nearest_bfloat16, store_bfloat16
from ..ir.simd import lanes, load, store


@kernel
def round_with_rest(values, left, rounded, count):
    """Round values + left to the nearest bfloat16, and leave what that loses.

    values, left: float32 (count,); left is overwritten, by 0 where the sum is not finite. rounded:
    uint16 (count,). No two alias. Twin: ``round_with_rest``.
    """
    for i in range(0, count, lanes(values)):
        exact = load(values, i) + load(left, i)
        near = nearest_bfloat16(exact)
        store_bfloat16(rounded, i, near)
        store(left, i, finite_or_zero(exact - near))


@kernel
def widen(rounded, target, count):
    """Bfloat16 as uint16 (count,) to a target of float32 (count,). Twin: ``widened``."""
    for i in range(0, count, lanes(target)):
        store(target, i, load_bfloat16(rounded, i))


@kernel
def add_widened(rounded, target, count):
    """target = target + rounded. Arrays as of ``widen``. Twin: ``widened``, added."""
    for i in range(0, count, lanes(target)):
        store(target, i, load(target, i) + load_bfloat16(rounded, i))
