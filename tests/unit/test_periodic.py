"""Errors of cosine and sine of 2 pi t."""

import numpy as np
import pytest

from fastbp.kernels.base.jit import entry
from fastbp.kernels.ir.simd import address, lanes, load, store
from fastbp.kernels.primitives.periodic import cos_and_sin
from support.cases import each_dtype
from support.kernel_stages import blank, vector_lanes

TURNS = {"float32": (2.0**20, 1.2e-7), "float64": (2.0**50, 4e-16)}
"""The most turns that have a fraction, and the largest error up to 1,000."""


@entry
def both(t, cosine, sine):
    p, q, r = address(t), address(cosine), address(sine)
    for i in range(0, len(t), lanes(p)):
        c, s = cos_and_sin(load(p, i))
        store(q, i, c)
        store(r, i, s)


def run(t):
    """(cosines, sines) of an array of any length."""
    w = vector_lanes(t.dtype)
    padded = blank(-(-len(t) // w) * w, t.dtype, 1)
    padded[: len(t)] = t
    found = blank(len(padded), t.dtype), blank(len(padded), t.dtype)
    both(padded, *found)
    return [array[: len(t)] for array in found]


def exact(t):
    """In long double, of the fraction of a turn, which is exact."""
    rest = (t - np.round(t)).astype(np.longdouble) * (2 * np.arccos(np.longdouble(-1)))
    return np.cos(rest), np.sin(rest)


@each_dtype
@pytest.mark.parametrize("most", [0.25, 3.0, 1000.0])
def test_error(dtype, most):
    t = np.random.default_rng(0).uniform(-most, most, 400_000).astype(dtype)
    for found, wanted in zip(run(t), exact(t), strict=True):
        assert np.abs(found - wanted).max() <= TURNS[dtype][1]


@each_dtype
def test_quarters_of_a_turn(dtype):
    t = (np.arange(-4096, 4096) / 4).astype(dtype)
    cosine, sine = run(t)
    expected = np.array([1, 0, -1, 0])
    np.testing.assert_allclose(cosine, np.resize(expected, len(t)), atol=3e-16)
    np.testing.assert_allclose(sine, np.resize(np.roll(expected, 1), len(t)), atol=3e-16)


@each_dtype
def test_many_turns_stay_in_bounds(dtype):
    most = TURNS[dtype][0]
    t = np.concatenate(
        [np.geomspace(1, np.finfo(dtype).max / 2, 5000), [most, np.nextafter(most, 0)]]
    )
    for found in run(np.concatenate([t, -t]).astype(dtype)):
        assert (np.abs(found) <= 1 + 2e-7).all()
    cosine, sine = run(np.full(3, 4 * most, dtype))
    assert (cosine == 1).all()
    assert (sine == 0).all()


@each_dtype
def test_nan_and_infinity(dtype):
    for found in run(np.array([np.nan, np.inf, -np.inf], dtype)):
        assert np.isnan(found).all()
