"""exp and tanh for the user's own functions: errors, limits, and that loops are vectorized."""

import math

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import fastbp
from fastbp.components import user_functions
from fastbp.kernels.base import jit
from support import processes

ULP = {("exp", "float32"): 1.03, ("exp", "float64"): 1.5}
ULP |= {("tanh", "float32"): 2.5, ("tanh", "float64"): 2.0}
"""Bounds of errors that were measured on all numbers of ``places``."""


@njit
def fill_exp(x, out):
    for i in range(len(x)):
        out[i] = fastbp.math.exp(x[i])


@njit
def fill_tanh(x, out):
    for i in range(len(x)):
        out[i] = fastbp.math.tanh(x[i])


FILLS = {"exp": fill_exp, "tanh": fill_tanh}
each = pytest.mark.parametrize("name", FILLS)
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def values(name, x):
    out = np.empty_like(x)
    FILLS[name](x, out)
    return out


def places(dtype, largest):
    rng = np.random.default_rng(0)
    parts = rng.uniform(-largest, largest, 50_000), rng.normal(0, 1, 50_000)
    return np.concatenate([*parts, rng.normal(0, 1, 10_000) * 1e-3]).astype(dtype)


@each_dtype
@each
def test_errors_are_within_their_bounds(name, dtype):
    x = places(dtype, {"exp": 85, "tanh": 10}[name])
    exact = getattr(np, name)(x.astype(np.longdouble))
    off = np.abs(values(name, x) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert off.max() <= ULP[name, dtype]


@each_dtype
def test_the_ends(dtype):
    x = np.array([-np.inf, -1e4, 0, 1e4, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(values("exp", x), [0, 0, 1, np.inf, np.inf, np.nan])
    np.testing.assert_array_equal(values("tanh", x), [-1, -1, 0, 1, 1, np.nan])
    small = np.finfo(dtype).tiny / 4  # exp of such results is not flushed to 0
    lowest = np.array([np.log(small)], dtype)
    np.testing.assert_allclose(values("exp", lowest), small, rtol=1e-3)


def activation(name, dtype_of_math):
    function = getattr(dtype_of_math, name)

    @njit(error_model="numpy")
    def own(z):
        a = function(z)
        return (a, a) if name == "exp" else (a, 1 - a * a)

    return own


@pytest.mark.parametrize("itemsize", [4, 8])
@each
def test_loops_of_activations_are_vectorized(name, itemsize):
    """libm's, which LLVM calls for one number at a time, show that the test can fail."""
    is_vectorized = []
    for source in (fastbp.math, math):
        user_functions.activation_address(activation(name, source), itemsize)
        code = jit._KEPT[-1].inspect_llvm()
        is_vectorized.append("fmuladd.v" in code or "fma.v" in code)
    assert is_vectorized == [True, False]


@each_dtype
@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_an_own_tanh_trains_like_fastbps(engine, dtype):
    losses = []
    for kind in ("tanh", activation("tanh", fastbp.math)):
        net = fastbp.Network([3, 9, 2], activation=kind, init="glorot_uniform", seed=0, dtype=dtype)
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine=engine, seed=0)
        X = np.random.default_rng(1).normal(size=(64, 3))
        losses.append(trainer.fit(X, X[:, :2], epochs=3, progress=False)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-5 if dtype == "float32" else 1e-12)


@each
def test_from_python_they_are_numpys(name):
    function = getattr(fastbp.math, name)
    assert function(0.5) == getattr(np, name)(0.5)
    assert type(function(0.5)) is type(function(1)) is float
    assert type(function(np.float32(0.5))) is np.float32
    with pytest.raises(TypeError, match=r"x has shape \(2,\), expected one number"):
        function(np.ones(2))


@each
def test_integers_become_float64_and_arrays_are_refused(name):
    function = getattr(fastbp.math, name)

    @njit
    def call(x):
        return function(x)

    assert call(1) == pytest.approx(getattr(math, name)(1), rel=1e-15)
    assert call(True) == call(1)
    with pytest.raises(TypingError, match="expected one real number"):
        call(np.ones(2))


@pytest.mark.process
def test_what_they_compile_is_imported_when_it_is_called_in_compiled_code():
    program = """
import sys, fastbp
from numba import njit
assert "fastbp.kernels.primitives.scalar_math" not in sys.modules
assert "fastbp.model.network_parts" not in sys.modules

@njit
def call(x):
    return fastbp.math.exp(x)

print(call(0.0))
"""
    assert processes.run(program) == "1.0\n"
