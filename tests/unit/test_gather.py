"""The gather equals plain indexing, for every type and all strides (law 2)."""

import numpy as np
import pytest

from fastbp.data.tables import address, as_inputs
from support import kernel_stages
from support.array_views import KINDS, VIEWS, values_of
from support.cases import each_dtype
from support.kernel_stages import blank, vector_lanes
from support.sparse_data import csr_of, dense_of

pytestmark = pytest.mark.law2

NO_ORDER = np.empty(0, np.int64)


class Gather:
    """A table gathered one vector at a time."""

    def __init__(self, array, dtype):
        self.dtype, self.lanes = dtype, vector_lanes(dtype)
        self.table = as_inputs(array, array.shape[1])

    def run(self, order, first, valid):
        """(rows (valid, columns), whether one is bad); everything else must be 0."""
        w, columns = self.lanes, self.table.array.shape[1]
        target = blank(-(-columns // w) * w * w, self.dtype)
        scratch = blank(w * w, self.dtype)
        job = np.concatenate([[-1, -1, -1], self.table.descriptor])
        order_at = address(order) if len(order) else 0
        bad = kernel_stages.gather_stage(job, 3, order_at, first, valid, target, scratch)
        rows = target.reshape(-1, w).T
        assert not rows[valid:].any()
        assert not rows[:, columns:].any()
        return rows[:valid, :columns], bool(bad)

    def run_rows(self, order, first, rows):
        """The same of ``gather_rows``."""
        w, columns = self.lanes, self.table.array.shape[1]
        target = blank(-(-columns // w) * rows * w, self.dtype)
        job = np.concatenate([[-1, -1, -1], self.table.descriptor])
        order_at = address(order) if len(order) else 0
        bad = kernel_stages.gather_rows_stage(job, 3, order_at, first, rows, target)
        wide = target.reshape(-1, rows, w).transpose(1, 0, 2).reshape(rows, -1)
        assert not wide[:, columns:].any()
        return wide[:, :columns], bool(bad)

    def check(self, order):
        """All rows, in this order, as NumPy converts them."""
        array = self.table.array[:]
        expected = array.astype(np.float64).astype(self.dtype)[order if len(order) else slice(None)]
        for first in range(0, len(array), self.lanes):
            valid = min(self.lanes, len(array) - first)
            for gathered, bad in (
                self.run(order, first, valid),
                self.run_rows(order, first, valid),
            ):
                assert not bad
                np.testing.assert_array_equal(gathered, expected[first : first + valid])


@each_dtype
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("kind", KINDS)
def test_gather_equals_indexing(kind, view, dtype):
    rng, w = np.random.default_rng(6), vector_lanes(dtype)
    for columns in (1, w - 1, w, 2 * w + 3):
        array = view(values_of(kind, rng, (w + 3, columns)))
        gather = Gather(array, dtype)
        gather.check(NO_ORDER)
        gather.check(rng.permutation(len(array)))


@each_dtype
@pytest.mark.parametrize("index", ["int32", "int64"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "f2"])  # SciPy has no halves
def test_gather_of_sparse_rows_equals_indexing(kind, index, dtype):
    rng, w = np.random.default_rng(6), vector_lanes(dtype)
    for columns in (1, w - 1, w, 2 * w + 3):
        for stored in (0, 2, columns):
            gather = Gather(csr_of(dense_of(rng, (w + 3, columns), stored, kind), index), dtype)
            gather.check(NO_ORDER)
            gather.check(rng.permutation(w + 3))


def sparse_row(place, value, column=None):
    """Two rows of 20, the second one with 1 in three columns; one is changed after the check."""
    X = csr_of(np.zeros((2, 20)) + (np.arange(20) % 8 == 3) * [[0], [1]])
    gather = Gather(X, "float32")
    X.data[place] = value
    X.indices[place] = X.indices[place] if column is None else column
    return gather


WRONG_SPARSE = {
    "nan": (2, np.nan),
    "inf": (0, np.inf),
    "too large": (1, 1e39),
    "column -1": (0, 1.0, -1),
    "column 20": (2, 1.0, 20),
    "far column": (2, 1.0, 2**30),
    "the same column": (1, 1.0, 3),
    "descending": (1, 1.0, 2),
}


@pytest.mark.parametrize("case", WRONG_SPARSE)
def test_gather_reports_what_is_wrong_in_sparse_rows(case):
    gather = sparse_row(*WRONG_SPARSE[case])
    for run in (gather.run, gather.run_rows):
        assert run(NO_ORDER, 0, 2)[1]
        assert run(NO_ORDER, 1, 1)[1]
        assert not run(NO_ORDER, 0, 1)[1]


@pytest.mark.parametrize("starts", [(0, 0, 4), (0, -1, 3), (0, 3, 2), (0, 2**30, 2**31 - 1)])
def test_gather_reads_no_values_beyond_the_matrix(starts):
    """They lie in longer arrays, which hold good ones there."""
    X = csr_of(np.zeros((2, 20)) + (np.arange(20) % 8 == 3) * [[0], [1]])
    X.data, X.indices = np.ones(4)[:3], np.array([3, 11, 18, 19], "int32")[:3]
    gather = Gather(X, "float32")
    X.indptr[:] = starts
    assert gather.run(NO_ORDER, 0, 2)[1]
    assert gather.run_rows(NO_ORDER, 0, 2)[1]


@each_dtype
def test_gather_knows_every_half(dtype):
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    Gather(finite.reshape(-1, 62), dtype).check(NO_ORDER)
    for value in halves[~np.isfinite(halves)][::31]:
        rows, bad = Gather(np.array([[1, value]], np.float16), dtype).run(NO_ORDER, 0, 1)
        assert bad
        np.testing.assert_array_equal(rows, np.array([[1, value]], dtype))


NOT_FINITE = [("f4", np.nan), ("f4", np.inf), ("f4", -np.inf), ("f8", np.nan), ("f8", -np.inf)]


@each_dtype
@pytest.mark.parametrize(("kind", "value"), NOT_FINITE)
def test_gather_reports_what_is_not_finite(kind, value, dtype):
    w = vector_lanes(dtype)
    for columns, place in ((1, 0), (w + 1, 0), (w + 1, w - 1), (w + 1, w)):
        for row in range(w):
            array = np.zeros((w + 1, columns), kind)
            array[row, place] = value
            gather = Gather(array, dtype)
            for run in (gather.run, gather.run_rows):
                assert run(NO_ORDER, 0, w)[1]
                assert not run(NO_ORDER, row + 1, w - row)[1]


def test_gather_reports_what_overflows_the_network_and_nothing_else():
    array = np.array([[0, 1e39]])
    assert Gather(array, "float32").run(NO_ORDER, 0, 1)[1]
    Gather(array, "float64").check(NO_ORDER)
