"""When the first layer takes the nonzeros of a sparse X, in place of rows that are made dense."""

from itertools import pairwise
from typing import NamedTuple

from ..data.csr import CsrRows
from ..data.tables import Table
from ..kernels.base.sizes import NONZERO_SHARE
from ..kernels.tables.layout import PlanSpec

FEWEST_INPUTS = 64
"""With fewer inputs a dense row is a few vectors."""

MOST_INPUTS = 2**31 - 1
"""Columns are int32 there."""

COST = 8
"""A product with a nonzero takes as long as so many of dense rows, at most: each reads another row
of W."""

UPDATE_COST = 2
"""To update a weight takes as long as so many products."""


class Way(NamedTuple):
    """How the first layer of a call goes.

    code: address of the code for nonzeros (kernels/entry/sparse_run.py), 0 for dense rows. share:
    of the time of dense rows, about.
    """

    code: int = 0
    share: float = 1.0


DENSE = Way()


def way(x: Table, spec: PlanSpec, rows: int) -> Way:
    """The way of a call on batches of ``rows`` rows: by sizes and the number of nonzeros alone.

    The code is compiled when it first pays. The network's scaling, a residual first layer and
    embeddings of numbers make each row dense, and few rows have an order of summation of their own.
    """
    array, inputs = x.array, spec.sizes[0]
    if not isinstance(array, CsrRows) or 2 * rows <= spec.lanes:
        return DENSE
    if array.n_stored * NONZERO_SHARE > len(array) * inputs or spec.numbers:
        return DENSE
    if not FEWEST_INPUTS <= inputs <= MOST_INPUTS or spec.scaling or spec.adds_inputs[0]:
        return DENSE
    from ..kernels.entry import sparse_run

    products = COST * array.n_stored / len(array) + UPDATE_COST * inputs / rows
    weights = sum(a * b for a, b in pairwise(spec.sizes))
    share = 1 - (inputs - products) * spec.sizes[1] / weights
    return Way(sparse_run.code(spec.itemsize, spec.extended), min(share, 1.0))
