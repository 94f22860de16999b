"""Jacobians and their products with vectors, as users ask for them: Network and embed."""

import gc
import threading
from itertools import pairwise

import numpy as np
import pytest
from numba import njit, prange
from numba.core import event

from fastbp import embed
from fastbp.kernels.base import jit
from fastbp.kernels.entry import embed_server, jacobian_run, jacobian_server
from fastbp.kernels.ir.typed_pointers import plan_at
from fastbp.kernels.stages.jacobian_blocks import goes_backward
from fastbp.runtime import chunking, jacobians_handle
from fastbp.runtime.jacobians import directions
from support import allocation, processes
from support.cases import DTYPES, LAYER_KINDS, Case, each_dtype
from support.embed_ways import each_way
from support.guards import SIDES, Guard, guarding
from support.jacobians import SHAPES, jacobian_by

each_shape = pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
BACK, FORWARD = SHAPES["outputs go back"], SHAPES["inputs go forward"]


# From Python


@each_dtype
@each_shape
def test_outputs_come_with_it(case, dtype):
    net, X = case.network(dtype), case.batch()[0].astype(dtype)
    p, J = net.predict(X, jacobian=True)
    assert p.dtype == J.dtype == dtype
    np.testing.assert_allclose(p, net.predict(X), rtol=1e3 * np.finfo(dtype).eps, atol=1e-6)
    np.testing.assert_array_equal(J, net.jacobian(X))
    np.testing.assert_array_equal(J, jacobian_by(net, X, 1))  # without the fast path
    out = np.empty_like(p)
    again, _ = net.predict(X, out, jacobian=True)
    assert again is out
    np.testing.assert_array_equal(out, p)


@pytest.mark.parametrize("rows", [1, 3, 20])
def test_any_kind_of_rows_is_taken(rows):
    net = BACK.network("float32")
    X = np.round(4 * np.random.default_rng(1).normal(size=(rows, 9))).astype("f4")
    expected = net.jacobian(X)
    frozen = X.copy()
    frozen.flags.writeable = False
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    kinds = (X.tolist(), X.astype("f8"), X.astype("i4"), X.T.copy().T, wide, frozen)
    kinds += (pytest.importorskip("scipy.sparse").csr_matrix(X),)
    for kind in kinds:
        np.testing.assert_array_equal(net.jacobian(kind), expected)
        np.testing.assert_array_equal(net.predict(kind, jacobian=True)[1], expected)


def test_rows_of_files_and_tables_are_taken(tmp_path):
    pandas = pytest.importorskip("pandas")
    net, X = BACK.network("float32"), BACK.batch()[0].astype("f4")
    np.save(tmp_path / "X.npy", X)
    for kind in (np.load(tmp_path / "X.npy", mmap_mode="r"), pandas.DataFrame(X)):
        np.testing.assert_array_equal(net.jacobian(kind), net.jacobian(X))


@pytest.mark.parametrize("call", ["jacobian", "predict"])
def test_what_does_not_fit_is_refused_as_by_predict(call):
    net = BACK.network()

    def run(X, **more):
        return net.jacobian(X) if call == "jacobian" else net.predict(X, jacobian=True, **more)

    for X in (np.ones((3, 8)), np.ones(9), np.ones((0, 9)), [["a"] * 9], np.ones((3, 9), complex)):
        with pytest.raises((ValueError, TypeError)) as expected:
            net.predict(X)
        with pytest.raises(type(expected.value)) as found:
            run(X)
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("rows", [1, 3, 20, 3000])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_a_value_that_is_not_finite_is_named_by_row_and_column(bad, rows):
    for case in (BACK, FORWARD):
        net, X = case.network(), np.ones((rows, case.sizes[0]))
        X[-1, 1] = bad
        with pytest.raises(ValueError, match=rf"row {rows - 1}, column 1"):
            net.jacobian(X)
        with pytest.raises(ValueError, match=rf"row {rows - 1}, column 1"):
            net.predict(X, jacobian=True)


def test_a_layer_has_no_jacobian_here():
    net, X = BACK.network(), BACK.batch()[0]
    with pytest.raises(ValueError, match=r"layer is given .*net\[:layer\]\.jacobian"):
        net.predict(X, layer=1, jacobian=True)
    assert net[:2].jacobian(X).shape == (19, 17, 9)


def test_known_derivatives_are_not_taken_for_the_wish_to_have_some():
    net, X = BACK.network(), BACK.batch()[0]
    with pytest.raises(TypeError, match=r"(?s)jacobian is .* of type ndarray, expected a bool"):
        net.predict(X, jacobian=net.jacobian(X))
    with pytest.raises(TypeError, match="jacobian is 1, of type int, expected a bool"):
        net.predict(X, jacobian=1)


def test_out_is_checked():
    net, X = BACK.network(), BACK.batch()[0]
    with pytest.raises(ValueError, match="out has shape"):
        net.predict(X, np.empty((19, 3)), jacobian=True)


def test_another_scaling_or_other_parameters_show_at_once():
    net, X = BACK.network(), BACK.batch()[0]
    before = net.jacobian(X)
    net.set_scaling(target_mean=np.zeros(2), target_scale=[1.0, 4.0])
    np.testing.assert_allclose(net.jacobian(X), before * [[[1.0], [4.0]]], rtol=1e-14)
    net.set_parameters([0 * W for W in net.weights], net.biases)
    assert not net.jacobian(X).any()


def test_many_rows_go_in_parts(monkeypatch):
    net, X = BACK.network(), np.random.default_rng(1).normal(size=(1000, 9))
    expected, counts = jacobian_by(net, X, 1), []
    monkeypatch.setattr(chunking, "FIRST_CHUNK_COST", 1.0)
    monkeypatch.setattr(chunking, "next_count", lambda count, _: counts.append(count) or count)
    np.testing.assert_array_equal(jacobian_by(net, X, 1), expected)
    assert len(counts) > 2


WORKQUEUE = """
import numpy as np, test_jacobian_calls as t
net, X = t.BACK.network(), np.random.default_rng(1).normal(size=(999, 9))
print(*(np.array_equal(t.jacobian_by(net, X, n), net.jacobian(X)) for n in (1, 2, 3)))
from fastbp.runtime import layer
print(layer.start())
"""


@pytest.mark.process
def test_on_workqueue_the_stage_runs_in_a_pool():
    found = processes.run(WORKQUEUE, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="3")
    assert found == "True True True\nworkqueue\n"


# From njit code


def model_and_rows(case, dtype, rows=None, **kind):
    trainer = case.trainer(dtype, batch_size=rows or case.rows, **kind)
    return trainer, trainer.compiled(), case.batch()[0].astype(dtype)


@each_way
@each_dtype
@each_shape
def test_embedded_jacobians_have_the_networks_bits(case, dtype, way):
    trainer, model, X = model_and_rows(case, dtype)
    expected = trainer.net.jacobian(X)
    out = np.empty_like(expected)
    way.jacobian(model, X, out)
    np.testing.assert_array_equal(out, expected)
    one = np.empty_like(expected[0])
    way.jacobian(model, X[0], one)
    np.testing.assert_array_equal(one, trainer.net.jacobian(X[:1])[0])
    if case.sizes[-1] == 1:
        flat = np.empty_like(expected[:, 0])
        way.jacobian(model, X, flat)
        np.testing.assert_array_equal(flat, expected[:, 0])
        way.jacobian(model, X[0], flat[0])


@each_way
@pytest.mark.parametrize("kind", list(LAYER_KINDS)[1:])
def test_embedded_jacobians_go_through_every_kind_of_layer(kind, way):
    case = Case((5, 9, 9, 3), 11, "tanh", **LAYER_KINDS[kind])
    trainer, model, X = model_and_rows(case, "float64")
    out = np.empty((11, 3, 5))
    way.jacobian(model, X, out)
    np.testing.assert_array_equal(out, trainer.net.jacobian(X))


@each_way
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_make_all_of_out_nan(bad, way):
    for case in (BACK, FORWARD):
        _, model, X = model_and_rows(case, "float64")
        V, outputs = np.ones_like(X), case.sizes[-1]
        for array in (X, V):
            kept = array[-1, 1]
            array[-1, 1] = bad
            out, along = np.ones((19, outputs, case.sizes[0])), np.ones((19, outputs))
            way.jvp(model, X, V, along)
            assert np.isnan(along).all()
            if array is X:
                way.jacobian(model, X, out)
                assert np.isnan(out).all()
            array[-1, 1] = kept
        p = np.empty((19, outputs))
        embed.predict(model, X, p)  # in the slot that a product has used
        assert np.isfinite(p).all()


def test_predictions_and_derivatives_take_turns():
    trainer, model, X = model_and_rows(BACK, "float64")
    p, J, along = np.empty((19, 2)), np.empty((19, 2, 9)), np.empty((19, 2))
    for _ in range(3):
        embed.predict(model, X, p)
        embed.jvp(model, X, X, along)
        embed.jacobian(model, X, J)
        np.testing.assert_array_equal(p, trainer.predict(X))
        np.testing.assert_array_equal(J, trainer.net.jacobian(X))
        embed.step(model, X, p)


@njit(parallel=True)
def all_at_once(model, X, out):
    for i in prange(len(X)):
        embed.jacobian(model, X[i], out[i])


def test_a_prange_may_call_it():
    trainer, model, X = model_and_rows(FORWARD, "float32")
    X = np.random.default_rng(1).normal(size=(500, 2)).astype("f4")
    out = np.empty((500, 9, 2), "f4")
    all_at_once(model, X, out)
    expected = [trainer.net.jacobian(X[i : i + 1])[0] for i in range(500)]
    np.testing.assert_array_equal(out, expected)


def test_python_threads_may_call_it_at_once():
    net, barrier, wrong = BACK.network(), threading.Barrier(4), []
    batches = [BACK.batch(seed)[0] for seed in range(4)]
    expected = [net.jacobian(X) for X in batches]

    def work(X, right):
        barrier.wait()
        wrong.extend(i for i in range(100) if not np.array_equal(net.jacobian(X), right))

    threads = [threading.Thread(target=work, args=a) for a in zip(batches, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@njit
def loop(model, X, v, J, along, count):
    for _ in range(count):
        embed.jacobian(model, X, J)
        embed.jvp(model, X, v, along)


def report_allocations():
    _, model, X = model_and_rows(BACK, "float32")
    arguments = model, X, X, np.empty((19, 2, 9), "f4"), np.empty((19, 2), "f4")
    allocation.report_of_loops(loop, *arguments)


@pytest.mark.process
def test_compiled_loops_allocate_nothing():
    program = "import test_jacobian_calls; test_jacobian_calls.report_allocations()"
    assert processes.run(program, NUMBA_NRT_STATS="1") == "True True\n"


def stay_inside(side):
    """Fatal if not."""
    guard = Guard(side)
    for dtype in DTYPES:
        for case in SHAPES.values():
            trainer, model, X = model_and_rows(case, dtype)
            X, (outputs, inputs) = guard.copy(X), (case.sizes[-1], case.sizes[0])
            embed.jacobian(model, X, guard.empty((case.rows, outputs, inputs), dtype))
            embed.jacobian(model, guard.copy(X[0]), guard.empty((outputs, inputs), dtype))
            embed.jvp(model, X, guard.copy(X), guard.empty((case.rows, outputs), dtype))
            p = guard.empty((case.rows, outputs), dtype)
            trainer.net.predict(X, p, jacobian=True)
    print("inside")


@pytest.mark.process
@guarding
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched(side):
    program = f"import test_jacobian_calls; test_jacobian_calls.stay_inside({side!r})"
    assert processes.run(program) == "inside\n"


# When it is compiled


def test_another_network_compiles_nothing():
    def each():
        for dtype in DTYPES:
            for case in (BACK, FORWARD):
                _, model, X = model_and_rows(case, dtype)
                out = np.empty((19, case.sizes[-1], case.sizes[0]), dtype)
                embed.jacobian(model, X, out)
                case.network(dtype).jacobian(X)

    each()
    with event.install_recorder("numba:compile") as recorder:
        each()
    assert not recorder.buffer


NOT_ASKED_FOR = """
import sys, numpy as np, fastbp
from fastbp.kernels.entry import embed_server, jacobian_server
net = fastbp.Network([3, 4, 2], seed=0)
trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), batch_size=4)
jacobian_server.is_at_hand = lambda *_: False  # whatever other tests have left in the cache
X, y = np.ones((4, 3), "f4"), np.ones((4, 2), "f4")
trainer.step(X, y); net.predict(X); model = trainer.compiled()
fastbp.embed.step(model, X, y)
print("fastbp.kernels.entry.jacobian_run" in sys.modules, end=" ")
print(jacobian_server.serve.cache_info().currsize, model.header[embed_server.DERIVATIVES])
fastbp.embed.jacobian(model, X, np.empty((4, 2, 3), "f4"))
headers = model.header, trainer.compiled().header
print(*(header[embed_server.DERIVATIVES] != 0 for header in headers))
"""


@pytest.mark.process
def test_who_does_not_ask_for_derivatives_loads_and_compiles_none():
    assert processes.run(NOT_ASKED_FOR) == "False 0 0\nTrue True\n"


USER = """
import fastbp
from numba import njit

@njit(cache=True)
def derive(model, X, out):
    fastbp.embed.jacobian(model, X, out)
"""
CALL = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np, fastbp
from cached_user import derive
from fastbp.kernels.entry import jacobian_server
if {hidden}:
    jacobian_server.is_at_hand = lambda *_: False
net = fastbp.Network([3, 4, 2], seed=0)
trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), batch_size=4)
X, out = np.ones((4, 3), "f4"), np.empty((4, 2, 3), "f4")
try:
    derive(trainer.compiled(), X, out)
    print(sum(derive.stats.cache_hits.values()), np.array_equal(out, net.jacobian(X)))
except ValueError as error:
    print(str(error)[:44])
"""


@pytest.mark.process
def test_a_function_from_the_users_cache_finds_the_code_or_says_what_to_do(tmp_path):
    (tmp_path / "cached_user.py").write_text(USER, encoding="utf-8")
    found = [
        processes.run(CALL.format(folder=str(tmp_path), hidden=hidden))
        for hidden in (False, False, True)
    ]
    assert found == ["0 True\n", "1 True\n", "the compiled function comes from its cache, \n"]


def test_the_name_of_the_code_is_known_without_it():
    names = {kind: jit.symbol_of(call) for kind, call in jacobian_run._CALLS.items()}
    assert names == {kind: jacobian_server.symbol(*kind) for kind in names}


def test_memory_goes_with_the_model():
    trainer, model, X = model_and_rows(BACK, "float64")
    embed.jacobian(model, X, np.empty((19, 2, 9)))
    here = int(model.header[embed_server.HERE])
    assert here in jacobians_handle._KEPT
    del model, trainer
    gc.collect()
    assert here not in jacobians_handle._KEPT


@njit
def chosen(address):
    return goes_backward(plan_at(address))


@each_shape
def test_the_cheaper_way_is_taken(case):
    net, products = case.network(), [a * b for a, b in pairwise(case.sizes)]
    back, forward = case.sizes[-1] * sum(products[:-1]), case.sizes[0] * sum(products[1:])
    assert chosen(net.arrays.plan.ctypes.data) == (back <= forward)
    assert directions(case.sizes) == (
        (case.sizes[-1], back) if back <= forward else (case.sizes[0], forward)
    )
