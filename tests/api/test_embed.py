"""Models inside compiled code: the trainer's own bits, from Python, njit and parallel njit."""

import copy
import pickle
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from numba import njit
from numba.core import event

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from fastbp.kernels.entry import embed_server
from support import allocation, processes
from support.cases import CASES, DTYPES, HIDDEN, PAIRS, Case, each_case, each_dtype, flat, with_pair
from support.closeness import distance, tolerance
from support.embed_ways import (
    ADAM,
    FLAT,
    ODD,
    batch,
    each_way,
    model_of,
    own_gradient,
    parallel_predict,
    same_state,
    twins,
)
from support.guards import SIDES, Guard
from support.internals import core

OUTPUTS = (*HIDDEN, "softmax")


# The trainer's own bits


@each_dtype
@each_way
@each_case
def test_outputs_are_the_trainers(case, way, dtype):
    trainer = case.trainer(dtype)
    X, _ = batch(case, dtype)
    out = np.empty((case.rows, case.sizes[-1]), dtype)
    way.predict(trainer.compiled(), X, out)
    np.testing.assert_array_equal(out, trainer.predict(X))


@each_dtype
@each_case
def test_rows_in_parallel_are_the_trainers(case, dtype):
    trainer = case.trainer(dtype)
    X, _ = batch(case, dtype)
    out = np.empty((case.rows, case.sizes[-1]), dtype)
    parallel_predict(trainer.compiled(), X, out)
    np.testing.assert_array_equal(out, np.concatenate([trainer.predict(x[None]) for x in X]))


@each_dtype
@each_way
@each_case
def test_steps_are_the_trainers_own(case, way, dtype):
    """Taken in turns with the trainer's, they are the steps of a trainer alone."""
    trainer, plain = twins(case, dtype)
    model = trainer.compiled()
    X, y = batch(case, dtype)
    for i in range(4):
        loss = trainer.step(X, y) if i == 2 else way.step(model, X, y)
        assert loss == plain.step(X, y)
        assert same_state(trainer, plain)
    trainer.lr = plain.lr = 0.5
    assert way.step(model, X, y) == plain.step(X, y)
    model.hyper[embed.LR] = plain.lr = 0.25
    assert trainer.lr == 0.25
    assert way.step(model, X, y) == plain.step(X, y)
    assert same_state(trainer, plain)


@each_dtype
@each_way
@each_case
def test_gradients_are_the_trainers(case, way, dtype):
    trainer = case.trainer(dtype)
    X, y = batch(case, dtype)
    for _ in range(2):  # nothing is left of the last time
        out = np.full(trainer.net.n_parameters, np.nan, dtype)
        loss, layers = trainer.loss_and_gradients(X, y)
        assert way.gradients(trainer.compiled(), X, y, out) == loss
        np.testing.assert_array_equal(out, flat(layers))


FEW, MANY = 1, 19
"""Rows at every vector width, in both precisions."""

each_rows = pytest.mark.parametrize("rows", [FEW, MANY], ids=["few", "many"])


def with_output(output, dtype="float64", optimizer=None, rows=7):
    loss = "cross_entropy" if output == "softmax" else "mse"
    case = with_pair(Case((5, 19, 3), rows), "tanh", (loss, output))
    return case, case.trainer(dtype, optimizer=optimizer)


@each_dtype
@each_way
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_an_own_gradient_that_is_the_losss_makes_the_same_step(loss, way, dtype):
    """The loss's own gradient by the outputs, and so its step, up to rounding."""
    output = {"mse": "tanh", "cross_entropy": "softmax"}[loss]
    case, trainer = with_output(output, dtype)
    _, other = with_output(output, dtype)
    X, y = batch(case, dtype)
    p = trainer.predict(X)
    dloss_dp = 2 * (p - y) / p.size if loss == "mse" else -y / p / len(p)
    assert way.step_from(trainer.compiled(), X, dloss_dp.astype(dtype)) is True
    other.step(X, y)
    allowed = 64 * np.finfo(dtype).eps
    assert distance(trainer.net.arrays.parameters, other.net.arrays.parameters) <= allowed
    np.testing.assert_array_equal(core(trainer).arrays.hyper, core(other).arrays.hyper)


# Against the twins, and central differences


class Twin:
    """The NumPy twins of a trainer's network, on the rows of X with the user's own gradient v."""

    def __init__(self, trainer, X, v):
        self.weights = trainer.net.weights
        codes = core(trainer).arrays.spec.activations
        zs, outs = reference.forward(self.weights, trainer.net.biases, codes, X)
        self.p = outs[-1]
        self.delta = reference.delta_from_output(codes[-1], zs[-1], outs[-1], v)
        self.deltas = reference.backward(self.weights, codes, zs, outs, self.delta)
        self.gradients = reference.gradients(outs, self.deltas)

    def input_gradient(self):
        return reference.error_of_inputs(self.weights, self.deltas)


def gradient_from_output(trainer, X, v, way=embed):
    """By a step of SGD, flat."""
    before = flat(zip(trainer.net.weights, trainer.net.biases, strict=True))
    assert way.step_from(trainer.compiled(), X, v)
    after = flat(zip(trainer.net.weights, trainer.net.biases, strict=True))
    return (before - after) / trainer.lr


@each_dtype
@each_way
@each_case
def test_input_gradients_and_steps_from_outputs_equal_their_twins(case, way, dtype):
    trainer = case.trainer(dtype, optimizer=fastbp.SGD(lr=1.0))
    X, _ = batch(case, dtype)
    v, out = own_gradient(case, dtype), np.empty_like(X)
    twin, allowed = Twin(trainer, X, v), 8 * tolerance(case, dtype)
    way.input_gradient(trainer.compiled(), X, v, out)
    assert distance(out, twin.input_gradient()) <= allowed
    found = gradient_from_output(trainer, X, v, way)
    assert distance(found, flat(twin.gradients)) <= 8 * allowed  # parameters of order 1 cancel


H = 2.0**-17
"""See test_gradients.py."""


@each_rows
@pytest.mark.parametrize("output", OUTPUTS)
def test_input_gradients_equal_central_differences(output, rows):
    case, trainer = with_output(output, rows=rows)
    X, _ = batch(case, "float64")
    v, out = own_gradient(case, "float64"), np.empty_like(X)
    embed.input_gradient(trainer.compiled(), X, v, out)
    for i in range(X.shape[1]):
        step = H * (np.arange(X.shape[1]) == i)
        difference = (trainer.predict(X + step) - trainer.predict(X - step)) / (2 * H)
        np.testing.assert_allclose(out[:, i], (difference * v).sum(axis=1), atol=1e-8)


@each_rows
@pytest.mark.parametrize("output", OUTPUTS)
def test_steps_from_outputs_equal_central_differences(output, rows):
    case, trainer = with_output(output, optimizer=fastbp.SGD(lr=1.0), rows=rows)
    net, X, v = trainer.net, batch(case, "float64")[0], own_gradient(case, "float64")
    weights, biases = net.weights, net.biases
    found = gradient_from_output(trainer, X, v)
    rng = np.random.default_rng(3)
    for _ in range(4):
        along = [[rng.normal(size=part.shape) for part in parts] for parts in (weights, biases)]
        values = []
        for step in (H, -H):
            net.set_parameters(
                *(
                    [part + step * d for part, d in zip(parts, ds, strict=True)]
                    for parts, ds in zip((weights, biases), along, strict=True)
                )
            )
            values.append((net.predict(X) * v).sum())
        expected = (values[0] - values[1]) / (2 * H)
        assert found @ flat(zip(*along, strict=True)) == pytest.approx(expected, rel=1e-6, abs=1e-7)


# Shapes


@each_way
def test_one_row_can_be_flat(way):
    one, other = (replace(FLAT, sizes=(4, 9, 2)).trainer(optimizer=ADAM) for _ in range(2))
    X, y = np.random.default_rng(0).normal(size=(2, 4)), np.ones((2, 2))
    out, g = np.empty(2), np.empty(one.net.n_parameters)
    way.predict(one.compiled(), X[1], out)
    np.testing.assert_array_equal(out, one.predict(X[1:])[0])
    assert way.step(one.compiled(), X[1], y[1]) == other.step(X[1:], y[1:])
    assert way.gradients(one.compiled(), X[1], y[1], g) == other.loss_and_gradients(X[1:], y[1:])[0]
    assert way.step_from(one.compiled(), X[1], y[1])
    into = np.empty(4)
    way.input_gradient(one.compiled(), X[1], y[1], into)
    rows = np.empty((1, 4))
    way.input_gradient(one.compiled(), X[1:], y[1:], rows)
    np.testing.assert_array_equal(into, rows[0])


@each_way
def test_one_output_can_be_flat(way):
    one, other = (FLAT.trainer(optimizer=ADAM) for _ in range(2))
    X, y = FLAT.batch()
    out = np.empty(6)
    way.predict(one.compiled(), X, out)
    np.testing.assert_array_equal(out[:, None], one.predict(X))
    assert way.step(one.compiled(), X, y[:, 0].copy()) == other.step(X, y)
    for target in (y[0, 0], float(y[0, 0]), y[0]):
        assert way.step(one.compiled(), X[0], target) == other.step(X[:1], y[:1])
    assert way.step_from(one.compiled(), X, y[:, 0].copy())


@each_way
@each_dtype
def test_labels(way, dtype):
    case = replace(CASES["wide"], sizes=(5, 7, 3))
    one, other = twins(case, dtype)
    X, y = batch(case, dtype)
    assert way.step(one.compiled(), X, y) == other.step(X, y)
    for label in (int(y[2]), y[2], y[2:3]):
        assert way.step(one.compiled(), X[2], label) == other.step(X[2:3], y[2:3])
    p = np.eye(3, dtype=dtype)[y]
    assert way.step(one.compiled(), X, p) == other.step(X, p)
    assert same_state(one, other)


# What a model is


def test_the_twins_have_no_model():
    with pytest.raises(ValueError, match=r"engine is 'numpy'.*engine='numba'"):
        FLAT.trainer(engine="numpy").compiled()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_cannot_be_copied(copied):
    with pytest.raises(TypeError, match=r"copy the trainer, and call compiled\(\) of the copy"):
        copied(model_of(FLAT))


@each_way
def test_a_copied_header_is_refused(way):
    model = model_of(FLAT)
    X, y = FLAT.batch()
    with pytest.raises(ValueError, match="model is a copy"):
        way.step(model._replace(header=model.header.copy()), X, y)


@each_way
def test_a_header_for_other_kernels_is_refused(way):
    model = model_of(FLAT)
    model.header[embed_server.STAMP] += 1
    with pytest.raises(ValueError, match="cached with other kernels of fastbp"):
        way.step(model, *FLAT.batch())


def test_a_trainer_with_a_model_can_be_copied():
    trainer = FLAT.trainer(optimizer=ADAM)
    model = trainer.compiled()
    assert trainer.compiled() is model
    X, y = FLAT.batch()
    other = pickle.loads(pickle.dumps(trainer))
    assert embed.step(model, X, y) == embed.step(other.compiled(), X, y)
    embed.step(model, X, y)
    assert not same_state(trainer, other)
    embed.step(other.compiled(), X, y)
    assert same_state(trainer, other)


def test_a_model_outlives_its_trainer():
    model = model_of(FLAT)
    X, y = FLAT.batch()
    losses = [embed.step(model, X, y) for _ in range(3)]
    other = FLAT.trainer()
    assert losses == [other.step(X, y) for _ in range(3)]


# Many threads


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_python_threads_predict_at_once(threads):
    trainer = ODD.trainer()
    model = trainer.compiled()
    batches = [ODD.batch(seed)[0] for seed in range(threads)]
    outs = [np.empty((200, ODD.rows, ODD.sizes[-1])) for _ in batches]
    barrier = threading.Barrier(threads)

    @njit(nogil=True)
    def many(model, X, outs):
        for i in range(len(outs)):
            embed.predict(model, X, outs[i])

    many(model, batches[0], outs[0][:1])

    def work(X, out):
        barrier.wait()
        many(model, X, out)

    workers = [threading.Thread(target=work, args=pair) for pair in zip(batches, outs, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for X, out in zip(batches, outs, strict=True):
        np.testing.assert_array_equal(out, np.broadcast_to(trainer.predict(X), out.shape))


# No allocation, no compilation


@njit
def loop(model, X, y, v, out, g, e, count):
    total = 0.0
    for i in range(count):
        embed.predict(model, X, out)
        total += embed.step(model, X[i % len(X)], y[i % len(X)])
        total += embed.step(model, X, y)
        total += embed.gradients(model, X, y, g)
        embed.input_gradient(model, X, v, e)
        embed.step_from(model, X, v)
    return total


def everything(case, dtype):
    trainer = case.trainer(dtype)
    X, y = batch(case, dtype)
    v = own_gradient(case, dtype)
    return trainer.compiled(), X, y, v, v.copy(), np.empty(trainer.net.n_parameters, dtype), X * 0


def report_allocations():
    arguments = everything(FLAT, "float32")
    allocation.report_of_loops(loop, *arguments)


@pytest.mark.process
def test_compiled_loops_allocate_nothing():
    program = "import test_embed; test_embed.report_allocations()"
    assert processes.run(program, NUMBA_NRT_STATS="1") == "True True\n"


def test_another_network_compiles_nothing():
    for dtype in DTYPES:
        for pair in (("mse", "identity"), ("mae", "identity")):  # plain and extended kernels
            loop(*everything(with_pair(FLAT, "gelu", pair), dtype), 1)
    with event.install_recorder("numba:compiler_lock") as recorder:
        for dtype in DTYPES:
            for loss, output in PAIRS:
                loop(*everything(with_pair(Case((3, 4, 2), 5), "gelu", (loss, output)), dtype), 2)
    assert not recorder.buffer


CACHED = """
import numpy as np, fastbp
from fastbp import embed
from numba import njit

@njit(cache=True)
def train(model, X, y, out):
    embed.predict(model, X, out)
    return embed.step(model, X, y)

def run(sizes):
    net = fastbp.Network(sizes, seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), batch_size=4)
    X = np.ones((4, sizes[0]), np.float32)
    out = np.empty((4, sizes[-1]), np.float32)
    expected = trainer.evaluate(X, out * 0)["loss"]
    loss = train(trainer.compiled(), X, out * 0, out)
    print(loss == expected, sum(train.stats.cache_hits.values()))
"""


@pytest.mark.slow
@pytest.mark.process
def test_the_users_own_cache_holds_no_address(tmp_path):
    """A second process, with other networks in between: its addresses are others."""
    (tmp_path / "cached.py").write_text(CACHED, encoding="utf-8")
    program = "import sys; sys.path.insert(0, {!r}); import cached; cached.run({})"
    for sizes, hits in (([3, 5, 2], 0), ([7, 40, 40, 1], 1), ([1, 1], 1)):
        printed = processes.run(
            f"import numpy; keep = numpy.ones({sizes[0]} * 1000)\n"
            + program.format(str(tmp_path), sizes),
        )
        assert printed == f"True {hits}\n"


# Bounds


def stay_inside(side):
    """Fatal if not."""
    guard = Guard(side)
    for dtype in DTYPES:
        for case in (FLAT, ODD, CASES["1-1-1"], CASES["many inputs"], CASES["wide"]):
            model, *arrays = everything(case, dtype)
            X, y, v, out, g, e = (guard.copy(array) for array in arrays)
            embed.predict(model, X, out)
            embed.step(model, X, y)
            embed.gradients(model, X, y, g)
            embed.input_gradient(model, X, v, e)
            embed.step_from(model, X, v)
            row = guard.copy(X[0])
            embed.predict(model, row, guard.copy(out[0]))
            embed.step(model, row, y[0] if case.labels else guard.copy(y[0]))
    print("inside")


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched(side):
    assert processes.run(f"import test_embed; test_embed.stay_inside({side!r})") == "inside\n"
