"""Ensembles inside compiled code: what ``Ensemble.predict`` returns, without Python."""

import copy
import pickle
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit, prange
from numba.core import event
from numba.core.errors import TypingError

import fastbp
from fastbp import embed
from fastbp.kernels.entry import embed_server
from fastbp.runtime import model_handle
from support import allocation, processes
from support.cases import DTYPES, each_dtype
from support.guards import SIDES, Guard

COUNT, INPUTS, OUTPUTS = 3, 5, 4


@njit
def njit_predict(model, X, out, std):
    embed.predict(model, X, out, std)


@njit
def njit_predict_mean(model, X, out):
    embed.predict(model, X, out)


@njit(parallel=True)
def parallel_predict(model, X, out, std):
    for i in prange(len(X)):
        embed.predict(model, X[i], out[i], std[i])


WAYS = {
    "Python": SimpleNamespace(predict=embed.predict, mean=embed.predict),
    "njit": SimpleNamespace(predict=njit_predict, mean=njit_predict_mean),
}
HANDLES = vars(model_handle)["_ALL"]

each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
each_likelihood = pytest.mark.parametrize("likelihood", [None, "gaussian"])
KINDS = {
    "plain": {},
    "layer_norm": {"layer_norm": True},
    "scaled": {},
    "wide": {},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def ensemble_of(dtype="float32", likelihood=None, kind="plain", outputs=OUTPUTS, count=COUNT):
    hidden = 300 if kind == "wide" else 9
    nets = [
        fastbp.Network(
            [INPUTS, hidden + seed, outputs], "tanh", seed=seed, dtype=dtype, **KINDS[kind]
        )
        for seed in range(count)
    ]
    if kind == "scaled":
        rng, targets = np.random.default_rng(9), outputs // (2 if likelihood else 1)
        for net in nets:
            net.standardize(rng.normal(3, 2, (50, INPUTS)), rng.normal(9, 5, (50, targets)))
    return fastbp.Ensemble(nets, likelihood)


def rows_of(count, dtype="float32", seed=0):
    return np.random.default_rng(seed).normal(size=(count, INPUTS)).astype(dtype)


def room(ensemble, rows):
    return (np.empty((rows, ensemble.n_targets), ensemble[0].dtype) for _ in range(2))


@each_dtype
@each_way
@each_likelihood
@each_kind
@pytest.mark.parametrize("rows", [1, 3, 37])
def test_mean_and_deviation_are_the_ensembles(rows, kind, likelihood, way, dtype):
    ensemble, X = ensemble_of(dtype, likelihood, kind), rows_of(rows, dtype)
    mean, std = room(ensemble, rows)
    way.predict(ensemble.compiled(40), X, mean, std)
    expected, deviation = ensemble.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, expected)
    # NumPy's exp is another one, of an error of one unit in the last place of float64 at most.
    allowed = 2 * COUNT * 2**-52 + (2**-23 if dtype == "float32" else 0)
    np.testing.assert_allclose(std, deviation, rtol=allowed if likelihood else 0)
    other = np.full_like(mean, np.nan)
    way.mean(ensemble.compiled(40), X, other)
    np.testing.assert_array_equal(other, expected)


@each_way
def test_one_row_may_be_flat(way):
    ensemble, X = ensemble_of(), rows_of(1)
    mean, std = np.empty(OUTPUTS, "float32"), np.empty(OUTPUTS, "float32")
    way.predict(ensemble.compiled(), X[0], mean, std)
    expected = ensemble.predict(X, return_std=True)
    np.testing.assert_array_equal([mean[None], std[None]], expected)


def test_deviations_of_any_size_are_right():
    nets = [fastbp.Network([1, 1], init="zeros") for _ in range(2)]
    for net, bias in zip(nets, (1e-25, 3e-25), strict=True):
        net.set_parameters(net.weights, [[bias]])
    mean, std = np.empty(1, "f4"), np.empty(1, "f4")
    embed.predict(fastbp.Ensemble(nets).compiled(), np.ones(1, "f4"), mean, std)
    np.testing.assert_allclose([mean[0], std[0]], [2e-25, 1e-25], rtol=1e-6)


def test_a_prange_and_threads_of_python_predict_at_once():
    ensemble, X = ensemble_of(likelihood="gaussian"), rows_of(500)
    model = ensemble.compiled(1)
    expected = [np.empty((500, 2), "float32") for _ in range(2)]
    for i, x in enumerate(X):
        embed.predict(model, x, expected[0][i], expected[1][i])
    found = [[np.empty((500, 2), "float32") for _ in range(2)] for _ in range(4)]

    def work(outs):
        for i, x in enumerate(X):
            embed.predict(model, x, outs[0][i], outs[1][i])

    threads = [threading.Thread(target=work, args=(outs,)) for outs in found[1:]]
    for thread in threads:
        thread.start()
    parallel_predict(model, X, *found[0])
    for thread in threads:
        thread.join()
    for outs in found:
        np.testing.assert_array_equal(outs, expected)


def test_it_follows_its_networks():
    ensemble, X = ensemble_of(), rows_of(6)
    model, (mean, std) = ensemble.compiled(6), room(ensemble, 6)
    embed.predict(model, X, mean, std)
    trainer = fastbp.Trainer(ensemble[1], loss="mse", optimizer=fastbp.SGD(0.1))
    trainer.step(X, np.ones((6, OUTPUTS)))
    before = mean.copy()
    embed.predict(model, X, mean, std)
    assert not np.array_equal(mean, before)
    np.testing.assert_array_equal(mean, ensemble.predict(X))


def test_a_model_outlives_its_ensemble():
    X = rows_of(2)
    expected, model = ensemble_of().predict(X), ensemble_of().compiled()
    keep = [np.ones(2**18) for _ in range(20)]  # where freed memory would be
    mean = np.empty_like(expected)
    embed.predict(model, X, mean)
    np.testing.assert_array_equal(mean, expected)
    assert keep


def test_its_memory_is_freed_with_it():
    model, before = ensemble_of().compiled(), len(HANDLES)
    assert before >= COUNT + 1
    del model
    assert len(HANDLES) == before - COUNT - 1


@each_way
def test_a_row_that_is_not_finite_makes_all_of_it_nan(way):
    ensemble, X = ensemble_of(likelihood="gaussian"), rows_of(6)
    X[4, 2] = np.inf
    mean, std = room(ensemble, 6)
    way.predict(ensemble.compiled(), X, mean, std)
    assert np.isnan(mean).all()
    assert np.isnan(std).all()


def test_a_network_that_begins_to_scale_ends_the_model():
    ensemble, X = ensemble_of(), rows_of(2)
    model, (mean, std) = ensemble.compiled(), room(ensemble, 2)
    ensemble[2].set_scaling(input_scale=2.0)
    with pytest.raises(ValueError, match="older than its network's scaling"):
        embed.predict(model, X, mean, std)
    with pytest.raises(ValueError, match=r"ensemble.compiled\(\)"):
        njit_predict(model, X, mean, std)
    model = ensemble.compiled()
    ensemble[2].set_scaling(input_scale=4.0)  # which changes its scaling alone
    ensemble[1].standardize(rows_of(30))
    with pytest.raises(ValueError, match="older than its network's scaling"):
        embed.predict(model, X, mean, std)
    model = fastbp.Ensemble([ensemble[2]]).compiled()
    ensemble[2].set_scaling(input_scale=8.0)
    embed.predict(model, X, mean)
    np.testing.assert_array_equal(mean, ensemble[2].predict(X))


WRONG = {
    "X": [(0, 5), (7, 5), (6, 4), (30,), (4,)],
    "out": [(6, 3), (5, 4), (24,), (4, 6)],
    "std": [(6, 3), (5, 4), (24,), (4, 6)],
}


@each_way
@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, shapes in WRONG.items() for shape in shapes]
)
def test_wrong_shapes_are_refused(name, shape, way):
    arrays = {"X": np.ones((6, 5)), "out": np.full((6, 4), 7.0), "std": np.full((6, 4), 7.0)}
    arrays |= {name: np.full(shape, 7.0)}
    with pytest.raises(ValueError, match=f"^{name} has the wrong shape"):
        way.predict(ensemble_of("float64").compiled(6), *arrays.values())
    assert (arrays["out"] == 7).all()
    assert (arrays["std"] == 7).all()


@each_way
def test_arrays_that_share_memory_are_refused(way):
    model = ensemble_of("float64", outputs=5).compiled(6)
    memory = np.ones((13, 5))
    ways = ((0, 1, 7), (0, 7, 1), (7, 0, 1), (7, 0, 0), (0, 7, 7))
    for x, out, std in ways:
        with pytest.raises(ValueError, match="lies in the memory of another argument"):
            way.predict(model, *(memory[start : start + 6] for start in (x, out, std)))
    assert (memory == 1).all()


def read_only(array):
    array.flags.writeable = False
    return array


@each_way
@pytest.mark.parametrize(
    ("bad", "match"),
    [
        ({"X": np.ones((6, 5), "f4")}, "X is .*C-contiguous array of float64"),
        ({"out": np.ones((6, 4), "f4")}, "out is .*C-contiguous"),
        ({"std": np.ones((6, 4), "f4")}, "std is .*C-contiguous"),
        ({"std": np.ones((4, 6)).T}, "std is .*C-contiguous"),
        ({"std": read_only(np.ones((6, 4)))}, "std is .*can be written"),
    ],
)
def test_wrong_types_are_refused(bad, match, way):
    arrays = {"X": np.ones((6, 5)), "out": np.ones((6, 4)), "std": np.ones((6, 4))} | bad
    with pytest.raises(TypingError, match=match):
        way.predict(ensemble_of("float64").compiled(6), *arrays.values())


@each_way
def test_the_model_of_a_trainer_has_no_deviation(way):
    trainer = fastbp.Trainer(ensemble_of()[0], loss="mse", optimizer=fastbp.SGD(0.1))
    with pytest.raises(TypingError, match=r"std is .*what ensemble.compiled\(\) returns has"):
        way.predict(trainer.compiled(), rows_of(2), *room(ensemble_of(), 2))


def test_what_trains_refuses_an_ensemble():
    model, X, y = ensemble_of().compiled(), rows_of(2), np.ones((2, OUTPUTS), "float32")
    for call in (embed.step, embed.step_from, embed.copy):
        with pytest.raises(TypingError, match=r"(model|a) is .*what trainer.compiled\(\) returns"):
            call(model, X, y) if call is not embed.copy else call(model, model)


def test_a_header_in_the_place_of_a_trainers_is_refused():
    trainer = fastbp.Trainer(ensemble_of()[0], loss="mse", optimizer=fastbp.SGD(0.1))
    forged = trainer.compiled()._replace(header=ensemble_of().compiled().header)
    y = np.ones((2, OUTPUTS), "float32")
    with pytest.raises(ValueError, match="model is a copy"):
        embed.step(forged, rows_of(2), y)
    assert (y == 1).all()


def test_it_can_be_neither_copied_nor_pickled():
    model = ensemble_of().compiled()
    for call in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="save the ensemble"):
            call(model)
    header = model.header.copy()
    with pytest.raises(ValueError, match="model is a copy"):
        embed.predict(model._replace(header=header), rows_of(1), *room(ensemble_of(), 1))


@pytest.mark.parametrize("rows", [0, 1.5, True, "many"])
def test_a_wrong_batch_size_is_refused(rows):
    with pytest.raises((ValueError, TypeError), match="batch_size is"):
        ensemble_of().compiled(rows)


def test_slots_are_free_in_a_forked_process():
    model = ensemble_of().compiled()
    first = embed_server.FIRST_SLOT + embed_server.BUSY
    model.header[first] = 1
    model_handle.free_slots()
    assert model.header[first] == 0


# No allocation, no compilation, no memory of others


@njit
def loop(model, X, mean, std, count):
    for _ in range(count):
        embed.predict(model, X, mean, std)
        embed.predict(model, X[0], mean[0])


def report_allocations():
    ensemble = ensemble_of(likelihood="gaussian")
    arguments = ensemble.compiled(6), rows_of(6), *room(ensemble, 6)
    allocation.report_of_loops(loop, *arguments)


@pytest.mark.process
def test_compiled_loops_allocate_nothing():
    program = "import test_embed_ensemble; test_embed_ensemble.report_allocations()"
    assert processes.run(program, NUMBA_NRT_STATS="1") == "True True\n"


def test_another_ensemble_compiles_nothing():
    def run(dtype, count, likelihood, kind):
        ensemble = ensemble_of(dtype, likelihood, kind, count=count)
        loop(ensemble.compiled(6), rows_of(6, dtype), *room(ensemble, 6), 1)

    for dtype in DTYPES:
        run(dtype, 2, None, "plain")
        run(dtype, 2, None, "scaled")
    with event.install_recorder("numba:compiler_lock") as recorder:
        for dtype in DTYPES:
            run(dtype, 4, "gaussian", "plain")
            run(dtype, 1, None, "layer_norm")
    assert not recorder.buffer


def stay_inside(side):
    """Fatal if not."""
    guard = Guard(side)
    for dtype in DTYPES:
        for likelihood in (None, "gaussian"):
            ensemble = ensemble_of(dtype, likelihood)
            model = ensemble.compiled(6)
            for rows in (1, 6):
                arrays = guard.copy(rows_of(rows, dtype)), *map(guard.copy, room(ensemble, rows))
                embed.predict(model, *arrays)
    print("inside")


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="needs mprotect")
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched(side):
    program = f"import test_embed_ensemble; test_embed_ensemble.stay_inside({side!r})"
    assert processes.run(program) == "inside\n"
