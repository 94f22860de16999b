"""A NaN in each of some weights, and what becomes of it."""

import numpy as np
import pytest

import fastbp
from fastbp.kernels.base import width
from fastbp.kernels.tables import layout, settings
from support.internals import core


def places(row):
    """Some (input, unit) of a layer: the corners, and one between."""
    last_in, last_out = int(row[layout.INPUTS]) - 1, int(row[layout.OUTPUTS]) - 1
    corners = {(i, j) for i in (0, last_in) for j in (0, last_out)}
    return corners | {(last_in // 2, last_out // 2)}


def weight_elements(net):
    """Elements that hold some weights of every layer, and its first bias, gain and shift."""
    lanes = width.lanes(net.dtype.itemsize)
    for row in net.arrays.plan[1:]:
        for i, j in places(row):
            panel, lane = divmod(j, lanes)
            yield row[layout.WEIGHTS] + panel * row[layout.WEIGHT_STRIDE] + i * lanes + lane
        for kind in range(int(row[layout.PER_UNIT])):
            yield row[layout.BIAS] + kind * row[layout.PER_UNIT_STRIDE]


def snapshot(trainer):
    """What an update changes, without the scalars that each batch works out anew."""
    state = core(trainer).arrays
    hyper = state.hyper.copy()
    hyper[settings.STEP_DROPOUT : settings.CLIP_SCALE + 1] = 0.0
    return [array.tobytes() for array in (state.parameters, state.moments, hyper)]


def assert_refused(trainer, X, y):
    before = snapshot(trainer)
    with pytest.raises(FloatingPointError, match="loss is not finite"):
        trainer.step(X, y)
    assert snapshot(trainer) == before


def check_nan(case, dtype, engine="numba"):
    trainer = case.trainer(dtype, engine, optimizer=fastbp.Adam())
    X, y = case.batch()
    trainer.step(X, y)
    arena = trainer.net.arrays.parameters
    for element in weight_elements(trainer.net):
        kept = arena[element]
        assert kept != 0
        arena[element] = np.nan
        assert np.isnan(trainer.evaluate(X, y)["loss"])
        assert np.isnan(trainer.evaluate(X[-1:], y[-1:])["loss"])
        assert_refused(trainer, X, y)
        arena[element] = kept
    assert np.isfinite(trainer.step(X, y))
