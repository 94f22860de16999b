"""Sparse matrices: described as they lie, put in order once, refused with a remedy."""

import ctypes

import numpy as np
import pytest
import scipy.sparse

from fastbp.data import tables
from fastbp.kernels.base import codes
from fastbp.kernels.primitives import csr
from support.sparse_data import csr_of, dense_of

DENSE = np.array([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 4, 5]], "float32")


def record_of(table):
    return list((ctypes.c_int64 * csr.RECORD).from_address(table.descriptor[0]))


@pytest.mark.parametrize("make", [scipy.sparse.csr_array, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_a_matrix_is_described_where_it_lies(make, index):
    X = csr_of(DENSE, index, make)
    table = tables.as_inputs(X, 4)
    assert table.descriptor[1:] == (0, 0, codes.CSR, 3, 4)
    values, indices, starts = (part.ctypes.data for part in (X.data, X.indices, X.indptr))
    size = np.dtype(index).itemsize
    assert record_of(table) == [values, codes.F32, 4, indices, size, starts, size, 5]
    assert (table.array.shape, table.array.dtype, len(table.array)) == ((3, 4), "float32", 3)


def test_rows_that_are_taken_out_are_dense():
    rng = np.random.default_rng(0)
    dense = dense_of(rng, (9, 7), 3)
    rows = tables.as_inputs(csr_of(dense), 7).array
    for key in (slice(2, 6), np.array([5, 0, 5]), [1, 8], 4, (3, 2), slice(0, 0)):
        np.testing.assert_array_equal(rows[key], dense[key])


def test_a_part_lies_in_place_and_taken_rows_are_a_copy():
    dense = dense_of(np.random.default_rng(0), (9, 7), 3)
    X = csr_of(dense)
    table = tables.as_inputs(X, 7)
    part, taken = table.part(2, 6), table.take([7, 1, 1])
    assert all(map(np.shares_memory, part.memory, (X.data, X.indices, X.indptr)))
    assert not any(map(np.shares_memory, taken.memory, (X.data, X.indices, X.indptr)))
    np.testing.assert_array_equal(part.array[:], dense[2:6])
    np.testing.assert_array_equal(taken.array[:], dense[[7, 1, 1]])
    assert part.array.n_stored == np.count_nonzero(dense[2:6])


def with_parts(values, indices, starts, columns=4):
    X = scipy.sparse.csr_array((len(starts) - 1, columns), dtype=np.asarray(values).dtype)
    X.data, X.indices, X.indptr = map(np.asarray, (values, indices, starts))
    return X


TWICE = with_parts(np.array([2, 1, 4], "float32"), [0, 2, 2], [0, 3, 3])
UNSORTED = with_parts(np.array([1, 2], "float32"), [2, 0], [0, 2, 2])


@pytest.mark.parametrize(("X", "first"), [(TWICE, [2, 0, 5, 0]), (UNSORTED, [2, 0, 1, 0])])
def test_a_copy_is_put_in_order_and_the_matrix_stays(X, first):
    before = X.indices.copy()
    rows = tables.as_inputs(X, 4).array
    np.testing.assert_array_equal(rows[:], [first, [0] * 4])
    np.testing.assert_array_equal(X.indices, before)


def test_what_the_kernels_cannot_read_is_converted():
    dense = dense_of(np.random.default_rng(0), (9, 7), 3)
    X = csr_of(dense, "uint16")
    X.data = X.data.repeat(2)[::2]
    rows = tables.as_inputs(X, 7).array
    assert {part.dtype for part in rows.memory[1:]} == {np.dtype("int64")}
    assert all(part.flags.c_contiguous for part in rows.memory)
    np.testing.assert_array_equal(rows[:], dense)


REFUSED = {
    "csc": (scipy.sparse.csc_array(DENSE), TypeError, "a sparse csc_array", "X.tocsr()"),
    "coo": (scipy.sparse.coo_matrix(DENSE), TypeError, "a sparse coo_matrix", "X.tocsr()"),
    "bsr": (scipy.sparse.bsr_array(DENSE), TypeError, "CSR", "X.tocsr()"),
    "one row": (scipy.sparse.csr_array(DENSE[0]), ValueError, "(4,)", "X.reshape(1, -1)"),
    "narrow": (csr_of(DENSE[:, :3]), ValueError, "(3, 3)", "(n, 4)"),
    "no rows": (csr_of(DENSE)[:0], ValueError, "empty", "(0, 4)"),
    "complex": (csr_of(DENSE.astype(complex)), TypeError, "complex128", "imaginary"),
    "long": (csr_of(DENSE.astype("longdouble")), TypeError, "longdouble|float128", "astype"),
    "starts descend": (with_parts(DENSE[0], [0, 1, 2, 3], [0, 3, 2]), ValueError, "X.indptr"),
    "unsigned starts descend": (
        with_parts(DENSE[0], [0, 1, 2, 3], np.array([0, 3, 2], "uint32")),
        ValueError,
        "X.indptr",
    ),
    "starts beyond": (with_parts(DENSE[0], [0, 1, 2, 3], [0, 3, 5]), ValueError, "0 to 4"),
    "starts below": (with_parts(DENSE[0], [0, 1, 2, 3], [-1, 3, 4]), ValueError, "0 to 4"),
    "few indices": (with_parts(DENSE[0], [0, 1, 2], [0, 3, 4]), ValueError, "0 to 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case):
    X, error, *fragments = REFUSED[case]
    with pytest.raises(error) as caught:
        tables.as_inputs(X, 4)
    for fragment in fragments:
        assert any(one in str(caught.value) for one in fragment.split("|"))


def test_too_few_starts_are_refused():
    X = csr_of(DENSE)
    X.indptr = X.indptr[:-1]
    with pytest.raises(ValueError, match=r"X.indptr has length 3, expected 4"):
        tables.as_inputs(X, 4)


@pytest.mark.parametrize(
    ("row", "indices"), [(2, [1, 3, 0, 2, 4]), (2, [1, 3, -1, 2, 3]), (0, [3, 1, 0, 2, 3])]
)
def test_a_wrong_column_is_named_by_its_row(row, indices):
    X = csr_of(DENSE)
    table = tables.as_inputs(X, 4)
    X.indices[:] = indices
    with pytest.raises(ValueError, match=rf"X has column index -?\d at row {row}"):
        tables.check_inputs(table, range(3), "float32")


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_a_value_that_is_not_finite_is_named_by_row_and_column(bad):
    X = csr_of(DENSE.astype("float64"))
    X.data[3] = bad
    table = tables.as_inputs(X, 4)
    tables.check_inputs(table, [0, 1], "float32")
    with pytest.raises(ValueError, match=rf"X has {bad} at row 2, column 2".replace("+", r"\+")):
        tables.check_inputs(table, [1, 2], "float32")
    with pytest.raises(ValueError, match="at row 2, column 2"):
        tables.check_inputs(table.part(1, 3)._replace(first=1), range(2), "float32")
