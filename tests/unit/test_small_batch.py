"""Few rows, whose units lie in the lanes: the kernels equal their twins (law 2)."""

import numpy as np
import pytest

from fastbp.kernels import reference
from fastbp.kernels.base import codes
from fastbp.kernels.primitives import gemv
from support import kernel_stages
from support.cases import each_dtype
from support.kernel_stages import blank, from_panels, to_panels, vector_lanes

pytestmark = pytest.mark.law2

FEWEST_AND_MOST = (1, 2, 3, 5, 8)
GAP = 16


def whole_numbers(rng, *shape):
    """Sums of small integers are exact, in any order."""
    return rng.integers(-8, 9, shape).astype(np.float64)


def row_panels(matrix, dtype):
    """Rows (R, units) as row panels (panels, R, lanes), the lanes beyond the units 0."""
    w = vector_lanes(dtype)
    padded = np.zeros((len(matrix), -(-matrix.shape[1] // w) * w))
    padded[:, : matrix.shape[1]] = matrix
    return to_panels(padded, dtype)


def gapped(count, rows, dtype, value):
    """``count`` panels (rows, lanes) of a value, with gaps of NaN that must stay."""
    panels = blank(count * (rows * vector_lanes(dtype) + GAP), dtype).reshape(count, -1)
    panels[:, :-GAP] = value
    return panels


def padded_weights(W, dtype):
    """W as a network keeps it: rows padded with zeros to whole vectors."""
    w = vector_lanes(dtype)
    rows, columns = (-(-n // w) * w for n in W.shape)
    padded = np.zeros((rows, columns))
    padded[: W.shape[0], : W.shape[1]] = W
    return to_panels(padded, dtype, GAP)


@each_dtype
@pytest.mark.parametrize("rows", FEWEST_AND_MOST)
def test_multiply_rows_equals_its_twin(rows, dtype):
    rng = np.random.default_rng(rows)
    for inputs in (1, 17, gemv.STEPS + 33):
        for units in (1, vector_lanes(dtype) * gemv.WIDE, vector_lanes(dtype) * 5 + 3):
            A, W = whole_numbers(rng, rows, inputs), whole_numbers(rng, inputs, units)
            a, w = row_panels(A, dtype), padded_weights(W, dtype)
            c = gapped(len(w), rows, dtype, 3.0)
            kernel_stages.multiply_rows(
                False, rows, a.ravel(), a.shape[1], w.ravel(), w.shape[1], c.ravel(), c.shape[1],
                0, len(w), inputs,
            )  # fmt: skip
            z = reference.forward([W], [np.full(units, 3.0)], [codes.IDENTITY], A)[0][0]
            np.testing.assert_array_equal(from_panels(c, rows, units), z)
            assert np.isnan(c[:, -GAP:]).all()


@each_dtype
@pytest.mark.parametrize("rows", FEWEST_AND_MOST)
def test_multiply_rows_back_equals_its_twin(rows, dtype):
    rng, w = np.random.default_rng(rows), vector_lanes(dtype)
    for inputs in (1, 2 * w, 5 * w + 1):
        for units in (1, w, 7 * w + 2):
            delta, W = whole_numbers(rng, rows, units), whole_numbers(rng, inputs, units)
            d, panels = row_panels(delta, dtype), padded_weights(W, dtype)
            count = -(-inputs // w)
            e = gapped(count, rows, dtype, np.nan)
            for part in range(2):
                first, last = count * part // 2, count * (part + 1) // 2
                kernel_stages.multiply_rows(
                    True, rows, d.ravel(), d.shape[1], panels.ravel(), panels.shape[1],
                    e.ravel(), e.shape[1], first, last, len(d),
                )  # fmt: skip
            expected, _ = reference.backward(
                [None, W], [codes.IDENTITY] * 2, [None, np.ones((rows, inputs)), None],
                [None] * 3, delta,
            )  # fmt: skip
            error = from_panels(e, rows, count * w)
            np.testing.assert_array_equal(error[:, :inputs], expected)
            assert not error[:, inputs:].any()
