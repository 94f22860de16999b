"""X and y: what fits is described exactly as it lies, what does not is refused with a remedy."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbp.components import losses
from fastbp.data import tables
from fastbp.kernels.base import codes

MSE = losses.lookup("mse")
BCE = losses.lookup("bce")
CROSS_ENTROPY = losses.lookup("cross_entropy")

ELEMENTS = {
    "float16": codes.F16,
    "float32": codes.F32,
    "float64": codes.F64,
    "int8": codes.I8,
    "int16": codes.I16,
    "int32": codes.I32,
    "int64": codes.I64,
    "uint8": codes.U8,
    "uint16": codes.U16,
    "uint32": codes.U32,
    "uint64": codes.U64,
    "bool": codes.U8,
}


def read_back(table, dtype):
    """The table read from bare memory, as a kernel reads it: by the descriptor alone."""
    address, row_stride, column_stride, _code, rows, columns = (int(x) for x in table.descriptor)
    size = np.dtype(dtype).itemsize
    entries = [
        ctypes.string_at(address + i * row_stride + j * column_stride, size)
        for i in range(rows)
        for j in range(columns)
    ]
    return np.frombuffer(b"".join(entries), dtype).reshape(rows, columns)


def numbers(shape, dtype="float32"):
    return (np.arange(np.prod(shape)) % 100).reshape(shape).astype(dtype)


class Frame:
    """What NumPy reads through __array__, as it does a DataFrame."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


class Sparse:
    def tocsr(self):
        return self


# What is accepted, and how it is described


@pytest.mark.parametrize(("dtype", "code"), ELEMENTS.items())
def test_every_element_type_is_described_by_its_code(dtype, code):
    X = numbers((3, 2), dtype)
    table = tables.as_inputs(X, 2)
    size = X.itemsize
    assert table.array is X
    assert list(table.descriptor) == [X.ctypes.data, 2 * size, size, code, 3, 2]


@st.composite
def layouts(draw):
    """Any element type, order, step, sign of step and mutability of a two-dimensional view."""
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    steps = [draw(st.sampled_from((-3, -2, -1, 1, 2, 3))) for _ in range(2)]
    dtype, order = draw(st.sampled_from(sorted(ELEMENTS))), draw(st.sampled_from("CF"))
    shape = tuple(n * abs(step) + 1 for n, step in zip((rows, columns), steps, strict=True))
    parent = np.asarray(numbers(shape, dtype), order=order)
    view = parent[:: steps[0], :: steps[1]][:rows, :columns]
    view.flags.writeable = draw(st.booleans())
    return view


@settings(max_examples=200)
@given(layouts())
def test_the_descriptor_alone_leads_to_every_entry(X):
    rows, columns = X.shape
    loss = BCE if columns % 2 else CROSS_ENTROPY
    for table in (
        tables.as_inputs(X, columns),
        tables.as_targets(X.astype("f4"), loss, columns, rows),
    ):
        np.testing.assert_array_equal(read_back(table, table.array.dtype), X)
        np.testing.assert_array_equal(table.array, X)


def test_no_view_is_copied():
    parent = numbers((8, 6))
    frozen = parent.view()
    frozen.flags.writeable = False
    for X in (parent, parent[::2], parent[:, ::-1], parent.T.copy().T, frozen):
        assert tables.as_inputs(X, 6).array is X
    assert np.shares_memory(tables.as_inputs(Frame(parent), 6).array, parent)
    assert np.shares_memory(tables.as_inputs(np.ma.masked_array(parent), 6).array, parent)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_memmap_is_read_where_it_lies(tmp_path, mode):
    numbers((5, 4), "uint8").tofile(tmp_path / "data")
    X = np.memmap(tmp_path / "data", np.uint8, mode, shape=(5, 4))
    table = tables.as_inputs(X, 4)
    assert np.shares_memory(table.array, X)
    np.testing.assert_array_equal(read_back(table, np.uint8), numbers((5, 4)))


def test_broadcast_rows_and_unaligned_fields_are_described():
    repeated = np.broadcast_to(numbers((1, 3)), (4, 3))
    np.testing.assert_array_equal(read_back(tables.as_inputs(repeated, 3), "f4"), repeated)
    record = np.zeros(4, [("tag", "u1"), ("x", "f4", (3,))])
    record["x"] = numbers((4, 3))
    assert not record["x"].flags.aligned
    np.testing.assert_array_equal(
        read_back(tables.as_inputs(record["x"], 3), "f4"), numbers((4, 3))
    )


@pytest.mark.parametrize("wrap", [np.ndarray.tolist, Frame, lambda a: list(map(tuple, a))])
def test_what_is_not_an_array_goes_through_asarray(wrap):
    X = numbers((3, 2), "float64")
    table = tables.as_inputs(wrap(X), 2)
    np.testing.assert_array_equal(read_back(table, table.array.dtype), X)
    y = tables.as_targets(wrap(X), MSE, 2, 3)
    np.testing.assert_array_equal(read_back(y, y.array.dtype), X)


@pytest.mark.parametrize("dtype", [d for d in ELEMENTS if "int" in d])
def test_labels_become_one_column(dtype):
    y = np.arange(12).astype(dtype)[::-2]
    table = tables.as_targets(y, CROSS_ENTROPY, 4, 6)
    assert np.shares_memory(table.array, y)
    assert table.descriptor[3] == ELEMENTS[dtype]
    assert list(table.descriptor[4:]) == [6, 1]
    np.testing.assert_array_equal(read_back(table, dtype)[:, 0], y)


@pytest.mark.parametrize("loss", [MSE, BCE, losses.lookup("squared_error")])
@pytest.mark.parametrize("dtype", ELEMENTS)
def test_one_output_takes_flat_targets_and_a_column(loss, dtype):
    y = numbers(5, dtype)
    for given_y in (y, y[:, None]):
        table = tables.as_targets(given_y, loss, 1, 5)
        assert np.shares_memory(table.array, y)
        np.testing.assert_array_equal(read_back(table, dtype), y[:, None])


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_cross_entropy_takes_rows_of_probabilities_of_every_dtype(dtype):
    y = np.eye(3, dtype=dtype)
    np.testing.assert_array_equal(
        read_back(tables.as_targets(y, CROSS_ENTROPY, 3, 3), dtype), np.eye(3)
    )


def test_one_softmax_output_tells_labels_from_probabilities():
    labels = tables.as_targets([0, 0], CROSS_ENTROPY, 1, 2)
    rows = tables.as_targets([[1.0], [1.0]], CROSS_ENTROPY, 1, 2)
    assert labels.descriptor[3] == codes.I64
    assert rows.descriptor[3] == codes.F64
    tables.check_targets(labels, [0, 1], CROSS_ENTROPY, 1, "float32")
    tables.check_targets(rows, [0, 1], CROSS_ENTROPY, 1, "float32")


# What is refused before anything runs

RECORD = np.zeros((3, 2), [("a", "f4")])

BAD_INPUTS = {
    "flat": (np.zeros(5), ValueError, "shape (5,), expected (n, 2)", "each row must hold 2"),
    "one sample": (np.zeros(2), ValueError, "shape (2,), expected (n, 2)", "X.reshape(1, -1)"),
    "cube": (np.zeros((3, 2, 2)), ValueError, "shape (3, 2, 2)", "X.reshape(len(X), -1)"),
    "narrow": (np.zeros((3, 1)), ValueError, "shape (3, 1), expected (n, 2)", "2 inputs"),
    "wide": (np.zeros((3, 3)), ValueError, "shape (3, 3), expected (n, 2)", "2 inputs"),
    "transposed": (np.zeros((2, 3)), ValueError, "shape (2, 3), expected (n, 2)", "X.T"),
    "number": (1.0, ValueError, "shape (), expected (n, 2)", "2 inputs"),
    "no rows": (np.zeros((0, 2)), ValueError, "X is empty, of shape (0, 2)", "at least one row"),
    "no columns": (np.zeros((3, 0)), ValueError, "X is empty, of shape (3, 0)", "expected (n, 2)"),
    "no list": ([], ValueError, "X is empty, of shape (0,)", "expected (n, 2)"),
    "ragged": ([[1, 2], [3]], ValueError, "X is a list that NumPy cannot read", "equal length"),
    "none": (None, TypeError, "dtype object (read from a NoneType)", "expected float16"),
    "object": (np.zeros((3, 2), object), TypeError, "dtype object,", "dtype=np.float32"),
    "object list": ([[1, None]], TypeError, "object (read from a list)", "dtype=np.float32"),
    "complex": (np.zeros((3, 2), complex), TypeError, "dtype complex128", "imaginary parts"),
    "text": ([["a", "b"]], TypeError, "dtype <U1", "encode text"),
    "bytes": (np.zeros((3, 2), "S3"), TypeError, "dtype |S3", "encode text"),
    "time": (np.zeros((3, 2), "M8[s]"), TypeError, "datetime64[s]", "np.timedelta64(1, 's')"),
    "span": (np.zeros((3, 2), "m8[s]"), TypeError, "timedelta64[s]", "X / np.timedelta64(1, 's')"),
    "record": (RECORD, TypeError, "('a', '<f4')", "structured_to_unstructured(X)"),
    "swapped": (np.zeros((3, 2), ">f4"), TypeError, "dtype >f4", "X.astype('float32')"),
    "swapped integers": (np.zeros((3, 2), ">i2"), TypeError, "dtype >i2", "X.astype('int16')"),
    "long double": (np.zeros((3, 2), "g"), TypeError, "longdouble", "X.astype(np.float64)"),
    "sparse": (Sparse(), TypeError, "X is a sparse Sparse", "X.tocsr()"),
    "masked": (np.ma.masked_equal([[1, 2]], 2), ValueError, "X is a masked", "X.filled(value)"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_inputs_that_do_not_fit_are_refused_with_the_remedy(case):
    X, error, *fragments = BAD_INPUTS[case]
    if case == "long double" and X.itemsize == 8:
        pytest.skip("long double is double here")
    if case == "long double":
        fragments[0] = str(X.dtype)
    refused(error, [name.replace("X", "Xv") for name in fragments], tables.as_inputs, X, 2, "Xv")
    refused(error, ["X ", *fragments], tables.as_inputs, X, 2)


def refused(error, fragments, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_flat_inputs_of_a_network_with_one_input_are_told_to_stand_up():
    fragments = ["shape (5,), expected (n, 1)", "X.reshape(-1, 1)"]
    refused(ValueError, fragments, tables.as_inputs, np.zeros(5), 1)


def test_an_error_of_the_users_object_is_passed_on():
    class Lazy:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("call detach() first")

    refused(TypeError, ["X is a Lazy", "call detach() first"], tables.as_inputs, Lazy(), 2)


# (y, loss, n_out, n_rows)
BAD_TARGETS = {
    "too few": ((np.zeros((3, 2)), MSE, 2, 4), ValueError, "(3, 2), expected (4, 2)", "4 rows of"),
    "too many labels": ((np.zeros(5, int), CROSS_ENTROPY, 3, 4), ValueError, "shape (5,)",
                        "labels (4,) or probabilities (4, 3)", "4 rows of inputs"),
    "number": ((1.0, MSE, 1, 4), ValueError, "shape (), expected (4, 1) or (4,)", "4 rows"),
    "width": ((np.zeros((4, 3)), MSE, 2, 4), ValueError, "shape (4, 3), expected (4, 2)", "'mse'",
              "2 outputs"),
    "flat": ((np.zeros(4), MSE, 2, 4), ValueError, "shape (4,), expected (4, 2)", "2 outputs"),
    "labels for mse": ((np.zeros(4, int), MSE, 3, 4), ValueError, "expected (4, 3)",
                       "np.eye(3)[y]", "loss='cross_entropy'"),
    "labels for bce": ((np.zeros(4, int), BCE, 3, 4), ValueError, "loss 'bce'", "np.eye(3)[y]"),
    "cube": ((np.zeros((4, 2, 2)), MSE, 4, 4), ValueError, "(4, 2, 2)", "y.reshape(len(y), -1)"),
    "column of labels": ((np.zeros((4, 1), int), CROSS_ENTROPY, 3, 4), ValueError,
                         "shape (4, 1), expected labels (4,) or probabilities (4, 3)", "y[:, 0]"),
    "probabilities too wide": ((np.zeros((4, 5)), CROSS_ENTROPY, 3, 4), ValueError,
                               "shape (4, 5)", "3 outputs"),
    "float labels": ((np.zeros(4), CROSS_ENTROPY, 3, 4), TypeError, "float64", "shape (4,)",
                     "integer labels in [0, 3)", "y.astype(np.int64)"),
    "float labels, one output": ((np.zeros(4), CROSS_ENTROPY, 1, 4), TypeError, "float64",
                                 "integer labels in [0, 1)"),
    "bool labels": ((np.zeros(4, bool), CROSS_ENTROPY, 2, 4), TypeError, "dtype bool",
                    "integer labels in [0, 2)", "y.astype(np.int64)"),
    "ambiguous column": ((np.zeros((4, 1), int), CROSS_ENTROPY, 1, 4), TypeError, "dtype int64",
                         "y.astype(np.float32) or y[:, 0]"),
    "empty": ((np.zeros((0, 2)), MSE, 2, 4), ValueError, "y is empty, of shape (0, 2)",
              "expected (n, 2)"),
    "empty and no inputs": ((np.zeros((0, 2)), MSE, 2, 0), ValueError, "y is empty"),
    "no labels": (([], CROSS_ENTROPY, 2, 0), ValueError, "labels (n,) or probabilities (n, 2)"),
    "object": ((np.zeros((4, 2), object), MSE, 2, 4), TypeError, "y has dtype object"),
    "complex": ((np.zeros((4, 2), complex), MSE, 2, 4), TypeError, "y has dtype complex128"),
    "text labels": ((["cat", "dog"], CROSS_ENTROPY, 2, 2), TypeError, "<U3", "(read from a list)",
                    "encode text"),
    "swapped": ((np.zeros(4, ">i4"), CROSS_ENTROPY, 2, 4), TypeError, "dtype >i4",
                "y.astype('int32')"),
    "sparse": ((Sparse(), MSE, 2, 4), TypeError, "y is a sparse Sparse", "y.toarray()"),
    "none": ((None, MSE, 2, 4), TypeError, "y has dtype object (read from a NoneType)"),
    "ragged": (([[1, 2], [3]], MSE, 2, 2), ValueError, "y is a list", "equal length"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_targets_that_do_not_fit_are_refused_with_the_remedy(case):
    arguments, error, *fragments = BAD_TARGETS[case]
    refused(error, ["y ", *fragments], tables.as_targets, *arguments)
    refused(error, ["yv "], tables.as_targets, *arguments, "yv")


# Values, found where they are read

F32 = np.dtype(np.float32)


def value_error(fragments, X, rows, dtype="float32"):
    table = tables.as_inputs(X, np.shape(X)[1])
    for call in tables.check_inputs, tables.raise_bad_inputs:
        refused(ValueError, fragments, call, table, rows, dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_not_finite_is_named_by_row_and_column_of_the_data(value, dtype):
    X = numbers((9, 4), dtype)
    X[5, 2] = X[7, 1] = value
    value_error([f"X has {value} at row 5, column 2, expected finite"], X, np.array([8, 0, 5, 7]))
    value_error([f"X has {value} at row 7, column 1, expected finite"], X, [7, 5])
    tables.check_inputs(tables.as_inputs(X, 4), [0, 1, 2, 3, 4, 6, 8], dtype)


def test_a_double_that_single_precision_cannot_hold_is_named():
    X = numbers((3, 2), "float64")
    X[1, 0] = -1e39
    value_error(["X has -1e+39 at row 1, column 0", "float32", "dtype='float64'"], X, range(3))
    tables.check_inputs(tables.as_inputs(X, 2), range(3), "float64")
    X[1, 0] = float(np.finfo(np.float32).max)
    tables.check_inputs(tables.as_inputs(X, 2), range(3), "float32")


@pytest.mark.parametrize("dtype", [d for d in ELEMENTS if "float" not in d])
def test_integers_of_any_size_are_finite(dtype):
    top = True if dtype == "bool" else np.iinfo(dtype).max
    tables.check_inputs(tables.as_inputs(np.full((2, 2), top, dtype), 2), [0, 1], "float32")


def target_error(fragments, y, loss, n_out, rows, dtype="float32"):
    table = tables.as_targets(y, loss, n_out, len(y))
    for call in tables.check_targets, tables.raise_bad_targets:
        refused(ValueError, fragments, call, table, rows, loss, n_out, dtype)


@pytest.mark.parametrize(("label", "dtype"), [(10, "uint8"), (-1, "int8"), (2**63, "uint64")])
def test_a_label_out_of_range_is_named(label, dtype):
    y = np.arange(6, dtype=dtype)
    y[3] = label
    message = (
        f"y has label {label} at row 3, but the network has 10 outputs: labels must lie in [0, 10)"
    )
    target_error([message], y, CROSS_ENTROPY, 10, [0, 3, 5])
    table = tables.as_targets(y, CROSS_ENTROPY, 10, 6)
    tables.check_targets(table, [0, 1, 2, 4, 5], CROSS_ENTROPY, 10, "float32")


def test_the_first_bad_label_in_the_order_of_the_rows_is_named():
    target_error(["label 7 at row 4"], np.array([0, 9, 1, 0, 7]), CROSS_ENTROPY, 3, [3, 4, 2, 1])


@pytest.mark.parametrize("loss", [MSE, BCE, CROSS_ENTROPY])
def test_targets_that_are_not_finite_are_named(loss):
    y = np.full((4, 2), 0.5)
    y[2, 1] = np.nan
    target_error(["y has nan at row 2, column 1, expected finite"], y, loss, 2, [3, 2])
    y[2, 1] = 1e300
    target_error(["y has 1e+300 at row 2, column 1", "float32"], y, loss, 2, [3, 2])


@pytest.mark.parametrize("value", [-0.25, 1.25])
def test_bce_targets_lie_between_0_and_1(value):
    y = np.array([[0.0], [1.0], [value], [0.5]])
    message = f"y has {value} at row 2, column 0, expected targets in [0, 1] for loss 'bce'"
    target_error([message, "loss='mse'"], y, BCE, 1, range(4))
    tables.check_targets(tables.as_targets(y, BCE, 1, 4), [0, 1, 3], BCE, 1, "float32")
    tables.check_targets(tables.as_targets(y, MSE, 1, 4), range(4), MSE, 1, "float32")


def test_probabilities_are_not_negative():
    y = np.array([[1.0, 0.0], [1.5, -0.5]])
    target_error(["y has -0.5 at row 1, column 1", "integer labels"], y, CROSS_ENTROPY, 2, [0, 1])


@pytest.mark.parametrize("total", [0.998, 1.002])
def test_probabilities_sum_to_1(total):
    y = np.array([[1.0, 0.0], [0.5, total - 0.5], [0.0, 1.0]])
    fragments = [f"y has probabilities that sum to {total} at row 1", "1 within 0.001", "keepdims"]
    target_error(fragments, y, CROSS_ENTROPY, 2, [2, 0, 1])


def test_rows_of_integers_are_probabilities_too():
    y = np.array([[1, 0], [1, 1]])
    target_error(["sum to 2 at row 1"], y, CROSS_ENTROPY, 2, [0, 1])
    tables.check_targets(tables.as_targets(y, CROSS_ENTROPY, 2, 2), [0], CROSS_ENTROPY, 2, F32)


@pytest.mark.parametrize("total", [0.9995, 1.0005])
def test_probabilities_may_be_rounded(total):
    y = np.array([[1.0, 0.0], [0.5, total - 0.5]])
    table = tables.as_targets(y, CROSS_ENTROPY, 2, 2)
    tables.check_targets(table, [0, 1], CROSS_ENTROPY, 2, "float32")


def test_a_kernel_that_sums_in_another_order_finds_its_row():
    y = np.array([[1.0, 0.0], [0.5, 0.500995]])
    table = tables.as_targets(y, CROSS_ENTROPY, 2, 2)
    tables.check_targets(table, [0, 1], CROSS_ENTROPY, 2, "float32")
    refused(
        ValueError, ["at row 1"], tables.raise_bad_targets, table, [0, 1], CROSS_ENTROPY, 2, F32
    )


def test_data_that_changed_meanwhile_is_an_error_too():
    X = tables.as_inputs(numbers((4, 2)), 2)
    message = "X had a bad value among the rows 1 to 3"
    refused(ValueError, [message, "leave X as it is"], tables.raise_bad_inputs, X, [3, 1], F32)
    y = tables.as_targets([0, 1, 0], CROSS_ENTROPY, 2, 3)
    call = tables.raise_bad_targets
    refused(ValueError, ["rows 0 to 2", "leave y"], call, y, range(3), CROSS_ENTROPY, 2, F32)
