"""The ways to call an embedded model, from Python and from njit code, and what to call it with."""

from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit, prange

import fastbp
from fastbp import embed
from support.cases import CASES, Case
from support.internals import core

ADAM = fastbp.Adam(lr=0.01)
ODD = CASES["odd"]


@njit
def njit_predict(model, X, out):
    embed.predict(model, X, out)


@njit
def njit_step(model, X, y):
    return embed.step(model, X, y)


@njit
def njit_gradients(model, X, y, out):
    return embed.gradients(model, X, y, out)


@njit
def njit_input_gradient(model, X, v, out):
    embed.input_gradient(model, X, v, out)


@njit
def njit_jacobian(model, X, out):
    embed.jacobian(model, X, out)


@njit
def njit_jvp(model, X, v, out):
    embed.jvp(model, X, v, out)


@njit
def njit_step_from(model, X, dloss_dp):
    return embed.step_from(model, X, dloss_dp)


@njit(parallel=True)
def parallel_predict(model, X, out):
    for i in prange(len(X)):
        embed.predict(model, X[i], out[i])


WAYS = {
    "Python": embed,
    "njit": SimpleNamespace(
        predict=njit_predict,
        step=njit_step,
        gradients=njit_gradients,
        input_gradient=njit_input_gradient,
        jacobian=njit_jacobian,
        jvp=njit_jvp,
        step_from=njit_step_from,
    ),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def batch(case, dtype):
    """X and y as embed takes them."""
    X, y = case.batch()
    return X.astype(dtype), y if case.labels else y.astype(dtype)


def twins(case, dtype, optimizer=ADAM):
    return (case.trainer(dtype, optimizer=optimizer) for _ in range(2))


def own_gradient(case, dtype, seed=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(case.rows, case.sizes[-1])).astype(dtype)


def same_state(one, other):
    return all(
        np.array_equal(getattr(core(one).arrays, name), getattr(core(other).arrays, name))
        for name in ("parameters", "moments", "hyper")
    )


def model_of(case=ODD, dtype="float64", **options):
    return case.trainer(dtype, **options).compiled()


FLAT = Case((4, 9, 1), 6, "gelu")
