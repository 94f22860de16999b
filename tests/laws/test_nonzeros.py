"""The laws for batches whose first layer takes nonzeros: the bits are those of dense rows."""

import ast
import math

import numba
import numpy as np
import pytest

import fastbp
from fastbp.kernels.base.sizes import NONZERO_CHUNK, NONZERO_PANELS, SUM_ROWS
from fastbp.runtime import nonzeros
from fastbp.schedules import StepDecay
from support import processes
from support.allocation import allocations
from support.cases import each_dtype
from support.internals import core
from support.sparse_data import csr_of, dense_of
from support.trainers import bits

COLUMNS, UNITS, BATCH = 4 * NONZERO_CHUNK + 45, 16 * NONZERO_PANELS + 22, 64
"""Whole chunks and a part of one; more panels of units than are taken at a time, at any width."""

SIZES = (1, 9, 17, 40, BATCH)
"""Rows of steps."""


def new_trainer(dtype="float32", sizes=(COLUMNS, UNITS, 3), workers=1, **options):
    kinds = ("layer_norm", "residual", "activation")
    of_net = {name: options.pop(name) for name in kinds if name in options}
    net = fastbp.Network(sizes, output="softmax", seed=0, dtype=dtype, **of_net)
    defaults = {"loss": "cross_entropy", "optimizer": fastbp.Adam(lr=0.01), "batch_size": BATCH}
    trainer = fastbp.Trainer(net, seed=1, **defaults | options)
    core(trainer).workers = workers
    return trainer


def new_data(dtype="float32", rows=3 * BATCH + 10, columns=COLUMNS, stored=8):
    """The columns that are stored include the first and the last."""
    rng = np.random.default_rng(0)
    dense = dense_of(rng, (rows, columns), stored, "int8").astype(dtype) / 64
    dense[3, [0, -1]] = 1.5, -2.5
    return dense.astype(dtype), rng.integers(0, 3, rows)


def everything(trainer, X, y):
    """All that a trainer computes, with batches of all kinds of sizes."""
    return [
        trainer.fit(X, y, epochs=2)["loss"],
        trainer.fit(X, y, shuffle=False)["loss"],
        [trainer.step(X[:rows], y[:rows]) for rows in SIZES if rows <= trainer.batch_size],
        trainer.loss_and_gradients(X, y)[0],
        [part.tobytes() for layer in trainer.loss_and_gradients(X, y)[1] for part in layer],
        trainer.predict(X).tobytes(),
        trainer.net.predict(X).tobytes(),
        trainer.evaluate(X, y),
        bits(trainer),
    ]


def assert_same(dtype="float32", data=None, **options):
    X, y = data or new_data(dtype)
    sparse, dense = (new_trainer(dtype, **options) for _ in range(2))
    assert everything(sparse, csr_of(X), y) == everything(dense, X, y)


@pytest.fixture(autouse=True)
def calls(monkeypatch):
    """The ways that calls have gone."""
    found, way = [], nonzeros.way
    monkeypatch.setattr(nonzeros, "way", lambda *args: found.append(way(*args)) or found[-1])
    yield found
    assert any(one.code for one in found)


OPTIMIZERS = {
    "sgd": fastbp.SGD(lr=0.1),
    "decay": fastbp.SGD(lr=0.1, weight_decay=0.01),
    "momentum": fastbp.SGD(lr=0.1, momentum=0.9, nesterov=True),
    "adam": fastbp.Adam(lr=0.01),
    "adamw": fastbp.AdamW(lr=0.01),
    "rmsprop": fastbp.RMSprop(lr=0.001),
    "nadam": fastbp.NAdam(lr=0.01),
    "radam": fastbp.RAdam(lr=0.01),
    "adagrad": fastbp.Adagrad(lr=0.01),
    "adagrad, decay": fastbp.Adagrad(lr=0.01, weight_decay=0.01),
}


@pytest.mark.law4
@pytest.mark.parametrize("workers", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_the_bits_of_dense_rows(name, workers):
    assert_same(optimizer=OPTIMIZERS[name], workers=workers)


OPTIONS = {
    "l1": {"l1": 1e-3},
    "l2": {"l2": 1e-3},
    "dropout": {"dropout": 0.2},
    "clip_value": {"clip_value": 1e-3},
    "clip_norm": {"clip_norm": 0.1},
    "ema_decay": {"ema_decay": 0.9},
    "class_weight": {"class_weight": {0: 1.0, 1: 2.0, 2: 3.0}},
    "frozen": {"lr_factors": [0.0, 1.0]},
    "rates": {
        "bias_lr_factor": 0.5,
        "weight_decay_on": "weights",
        "weight_decay_factors": [2.0, 0.5],
        "weight_decay_schedule": StepDecay(2, 0.5),
    },
    "scheduled dropout": {"dropout": 0.5, "dropout_schedule": StepDecay(2, 0.5)},
    "schedule": {"schedule": fastbp.schedules.Cosine(10**4)},
    "input_scaling": {"input_scaling": 6.0},
    "input_scaling, clipped": {"input_scaling": 6.0, "clip_norm": 0.1},
    "input_scaling, l2": {"input_scaling": 6.0, "l2": 1e-3, "ema_decay": 0.9},
    "layer_norm": {"layer_norm": True},
    "deep": {"sizes": (COLUMNS, 20, 20, 3), "residual": True},
    "no hidden layer": {"sizes": (COLUMNS, 3)},
}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_has_the_bits_of_dense_rows(name, optimizer):
    assert_same(optimizer=OPTIMIZERS[optimizer], workers=2, **OPTIONS[name])


@pytest.mark.parametrize("optimizer", ["decay", "adamw", "adagrad, decay"])
def test_weight_decay_by_layers_has_the_bits_of_dense_rows(optimizer):
    assert_same(optimizer=OPTIMIZERS[optimizer], **OPTIONS["rates"])


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_float64_has_the_bits_of_dense_rows(name):
    assert_same("float64", optimizer=OPTIMIZERS[name], workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["l2", "clip_norm", "layer_norm"])
def test_options_in_float64_have_the_bits_of_dense_rows(name):
    assert_same("float64", optimizer=OPTIMIZERS["sgd"], workers=3, **OPTIONS[name])


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 0.1}])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_sums_over_many_rows_are_made_in_blocks(name, clip):
    data = new_data(rows=2 * SUM_ROWS + 100)
    assert_same(data=data, optimizer=OPTIMIZERS[name], batch_size=len(data[1]), **clip)


def test_columns_far_apart_are_found():
    """Most chunks have no nonzero: SGD goes from one that has to the next, up to the half."""
    X, y = new_data(columns=40 * NONZERO_CHUNK, stored=0)
    X[5, [0, 20 * NONZERO_CHUNK - 1, 20 * NONZERO_CHUNK]] = 1, 2, 3
    X[60:70, -1] = X[66, 30 * NONZERO_CHUNK + 5] = 4
    sizes = 40 * NONZERO_CHUNK, 20, 3
    for workers in (1, 2, 3):
        assert_same(data=(X, y), sizes=sizes, optimizer=OPTIMIZERS["sgd"], workers=workers)


@pytest.mark.parametrize("name", ["sgd", "adagrad"])
def test_inputs_without_nonzeros_keep_their_scale(name):
    """Their weights are set in between: they start anew, whether an update reads them or not."""
    X, y = new_data(columns=40 * NONZERO_CHUNK, stored=0)
    X[5, [0, 20 * NONZERO_CHUNK - 1, 20 * NONZERO_CHUNK]] = 1, 2, 3
    X[70, [1, 20 * NONZERO_CHUNK]] = 4
    found = []
    for convert in (csr_of, np.asarray):
        options = {"sizes": (X.shape[1], 2 * NONZERO_PANELS * 16 + 1, 3), "input_scaling": 6.0}
        trainer = new_trainer(optimizer=OPTIMIZERS[name], workers=2, **options)
        for start in (0, BATCH):
            trainer.step(convert(X[start : start + BATCH]), y[start : start + BATCH])
        first = trainer.net.weights[0].copy()
        first[:2] += 1
        trainer.net.set_parameters([first, *trainer.net.weights[1:]], trainer.net.biases)
        trainer.step(convert(X[:BATCH]), y[:BATCH])
        found.append(bits(trainer))
    assert found[0] == found[1]
    scale = np.frombuffer(found[0][-1], np.float32)
    used = np.flatnonzero(X.any(axis=0))
    assert np.flatnonzero(scale != 1).tolist() == [i for i in used if i != 1]


def test_batches_with_rows_that_are_full_are_made_dense():
    X, y = new_data(rows=5 * BATCH)
    X[BATCH + 3] = X[BATCH + 4] = 1
    assert_same(data=(X, y), workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_last_batch_of_few_rows_has_an_order_of_its_own(workers):
    """Its rows are dense, after batches that were not."""
    assert_same(data=new_data(rows=2 * BATCH + 2), workers=workers, optimizer=OPTIMIZERS["sgd"])


def test_a_batch_that_is_split_by_units_has_the_bits_of_dense_rows():
    """Few rows for many workers, and wide layers: stages/batch.py."""
    sizes = COLUMNS, 600, 400, 3
    assert_same(data=new_data(rows=60), sizes=sizes, batch_size=20, workers=2)


@numba.njit
def exponential(z):
    a = math.exp(z)
    return a, a


def test_padded_rows_are_a_row_again():
    """Their z without it is a bias of 100, and their exp infinite."""
    data = []
    for convert in (csr_of, np.asarray):
        X, y = new_data(rows=17)
        X[:, 0] = 1
        trainer = new_trainer(sizes=(COLUMNS, 5, 3), activation=exponential, batch_size=17)
        W = trainer.net.weights
        W[0] = W[0] * 0.1
        W[0][0] = -100
        trainer.net.set_parameters(W, [np.full(5, 100.0), np.zeros(3)])
        data.append(everything(trainer, convert(X), y))
    assert data[0] == data[1]


@pytest.mark.law1
def test_gradients_equal_central_differences():
    X, y = new_data("float64")
    trainer = new_trainer("float64", sizes=(COLUMNS, 6, 3), activation="tanh")
    sparse, net = csr_of(X), trainer.net
    _, ((dW, _), _) = trainer.loss_and_gradients(sparse, y)
    stored = np.argwhere(X)[[0, 100, -1], 1]
    unused = np.flatnonzero(~X.any(axis=0))[:1]
    for i, j in [(0, 1), (COLUMNS - 1, 5), *((i, 2) for i in (*stored, *unused))]:
        losses = []
        for step in (2.0**-17, -(2.0**-17)):
            weights = net.weights
            weights[0] = weights[0].copy()
            weights[0][i, j] += step
            net.set_parameters(weights, net.biases)
            losses.append(trainer.evaluate(sparse, y)["loss"])
            weights[0][i, j] -= step
            net.set_parameters(weights, net.biases)
        assert dW[i, j] == pytest.approx((losses[0] - losses[1]) * 2.0**16, abs=1e-8)
    assert not dW[unused].any()


@pytest.mark.law2
@each_dtype
def test_steps_equal_those_of_the_twins(dtype):
    X, y = new_data(dtype)
    one = new_trainer(dtype, optimizer=OPTIMIZERS["momentum"])
    twin = new_trainer(dtype, optimizer=OPTIMIZERS["momentum"], engine="numpy")
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10}
    losses = [t.fit(csr_of(X), y, epochs=3)["loss"] for t in (one, twin)]
    np.testing.assert_allclose(*losses, **tolerance)
    for a, b in zip(one.net.weights, twin.net.weights, strict=True):
        np.testing.assert_allclose(a, b, **tolerance | {"atol": 1e-5})


@pytest.mark.law5
def test_a_fit_is_its_steps():
    X, y = new_data()
    sparse = csr_of(X)
    fitted, stepped = new_trainer(), new_trainer()
    fitted.fit(sparse, y, epochs=2, shuffle=False)
    for _ in range(2):
        for start in range(0, len(y), BATCH):
            stepped.step(sparse[start : start + BATCH], y[start : start + BATCH])
    assert bits(fitted) == bits(stepped)


def report_allocations():
    fastbp.runtime.chunking.next_count = lambda *_: 2**40
    X, y = new_data()
    sparse = csr_of(X)
    for workers in (1, 2):
        trainer = new_trainer(workers=workers)
        trainer.fit(sparse, y, epochs=2)
        work = core(trainer).compiled.work
        few, many = (
            allocations(lambda n=n: trainer.fit(sparse, y, epochs=n))  # noqa: B023
            for n in (2, 200)
        )
        print([many[0] - few[0], few[1], many[1], work is core(trainer).compiled.work])


@pytest.mark.law6
@pytest.mark.process
def test_steps_allocate_nothing(calls):
    program = "import test_nonzeros; test_nonzeros.report_allocations()"
    lines = processes.run(program, NUMBA_NRT_STATS="1").splitlines()
    assert [ast.literal_eval(line) for line in lines] == [[0, 0, 0, True]] * 2
    calls.append(nonzeros.Way(1))  # in the other process


@pytest.mark.law9
@each_dtype
def test_nan_in_a_weight_that_is_read_makes_the_loss_nan(dtype):
    X, y = new_data(dtype, rows=BATCH)
    used = int(np.flatnonzero(X.any(axis=0))[-1])
    for unit in (0, 20, UNITS - 1):
        trainer = new_trainer(dtype)
        weights = trainer.net.weights
        weights[0] = weights[0].copy()
        arena = trainer.net.arrays
        layers = arena.layers()
        before = bits(trainer)
        layers[0][0][used, unit] = np.nan
        fastbp.kernels.tables.arenas.write_layers(arena.plan, arena.parameters, layers)
        poisoned = bits(trainer)
        assert poisoned != before
        assert np.isnan(trainer.evaluate(csr_of(X), y)["loss"])
        with pytest.raises(FloatingPointError, match="loss is not finite"):
            trainer.step(csr_of(X), y)
        assert bits(trainer) == poisoned


def test_few_inputs_rows_and_zeros_go_dense(calls):
    X, y = new_data()
    trainer = new_trainer()
    trainer.step(csr_of(X[:BATCH]), y[:BATCH])
    assert calls[-1].code != 0
    assert calls[-1].share < 1
    few = dense_of(np.random.default_rng(0), (BATCH, 40), 2)
    new_trainer(sizes=(40, 5, 3)).step(csr_of(few), y[:BATCH])
    trainer.step(csr_of(X[:2]), y[:2])
    trainer.step(csr_of(np.ones_like(X[:BATCH])), y[:BATCH])
    trainer.step(X[:BATCH], y[:BATCH])
    scaled = new_trainer()
    scaled.net.set_scaling(input_scale=2.0)
    scaled.step(csr_of(X[:BATCH]), y[:BATCH])
    assert [one.code for one in calls[1:]] == [0] * (len(calls) - 1)
