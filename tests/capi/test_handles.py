"""Handles by ctypes: values, statuses, memory, threads, forks."""

import copy
import ctypes
import gc
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp import capi, embed
from fastbp.kernels.entry import c_calls
from support import processes
from support.c_calls import CODES, PROTOTYPE, READS, TASKS, WITH_OUT, arguments, call, words
from support.cases import CASES, DTYPES, Case
from support.embed_ways import batch, own_gradient, same_state, twins
from support.guards import Guard, guarding

ODD, LABELS = CASES["odd"], Case((4, 9, 3), 6, output="softmax", loss="cross_entropy", labels=True)
NORMALIZED = Case((5, 9, 9, 2), 7, layer_norm=True, residual=True)
VALUES = {"odd": ODD, "labels": LABELS, "extended": NORMALIZED}


def network(dtype="float32", **options):
    return fastbp.Network([4, 9, 2], "tanh", seed=0, dtype=dtype, **options)


def trainer_of(dtype="float32", loss="mse", batch_size=6, **options):
    sgd = fastbp.SGD(lr=0.1)
    return fastbp.Trainer(
        network(dtype), loss=loss, optimizer=sgd, batch_size=batch_size, seed=0, **options
    )


def arrays_of(name, dtype="float32", rows=6, inputs=4, outputs=2, parameters=65):
    """Good arrays of a call."""
    rng = np.random.default_rng(3)
    X, y = (rng.normal(size=(rows, n)).astype(dtype) for n in (inputs, outputs))
    shapes = {
        "predict": (rows, outputs),
        "gradients": (parameters,),
        "jacobian": (rows, outputs, inputs),
    }
    out = np.full(shapes.get(name, (rows, inputs)), 5, dtype)
    return [X, *([] if name in READS else [y]), *([out] if name in WITH_OUT else [])]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", VALUES.values(), ids=VALUES)
def test_calls_are_those_of_embed_to_the_bit(case, dtype):
    one, other = twins(case, dtype)
    handle, model = capi.Handle(one), other.compiled()
    X, y = batch(case, dtype)
    v = own_gradient(case, dtype)
    for name, given, shape in (
        ("predict", (), (case.rows, case.sizes[-1])),
        ("input_gradient", (v,), X.shape),
        ("jacobian", (), (case.rows, case.sizes[-1], case.sizes[0])),
        ("gradients", (y,), (one.net.n_parameters,)),
    ):
        found, expected = np.empty(shape, dtype), np.empty(shape, dtype)
        status, loss = call(handle, name, X, *given, found)
        right = getattr(embed, name)(model, X, *given, expected)
        assert status == "OK"
        assert np.array_equal(found, expected)
        assert name != "gradients" or loss == right
    for _ in range(3):
        assert call(handle, "step", X, y) == ("OK", embed.step(model, X, y))
        assert call(handle, "step_from", X, v)[0] == "OK"
        assert embed.step_from(model, X, v)
    assert same_state(one, other)
    assert one.updates == 6


def test_the_loss_has_targets_of_its_own():
    """gaussian_nll: two outputs for each target."""
    trainer = trainer_of(loss="gaussian_nll")
    handle = capi.Handle(trainer)
    assert list(words(handle)[c_calls.INPUTS : c_calls.PARAMETERS]) == [4, 2, 1]
    X, y = arrays_of("step")
    assert call(handle, "step", X, y)[0] == "WRONG_Y"
    assert call(handle, "step", X, y[:, :1].copy())[0] == "OK"


# What is refused

NAMES = tuple(TASKS)
WITH_Y = tuple(name for name in NAMES if name not in READS)
OUTS = tuple(name for name in NAMES if name in WITH_OUT)
REFUSED = [
    (NAMES, {"model": None}, "NULL_POINTER"),
    (NAMES, {"X": None}, "NULL_POINTER"),
    (WITH_Y, {"y": None}, "NULL_POINTER"),
    (OUTS, {"out": None}, "NULL_POINTER"),
    (NAMES, {"task": -1}, "WRONG_TASK"),
    (NAMES, {"task": len(NAMES)}, "WRONG_TASK"),
    (NAMES, {"itemsize": 8}, "WRONG_TYPE"),
    (NAMES, {"itemsize": 0}, "WRONG_TYPE"),
    (NAMES, {"rows": 0}, "WRONG_ROWS"),
    (NAMES, {"rows": -1}, "WRONG_ROWS"),
    (NAMES, {"rows": 7}, "WRONG_ROWS"),
    (NAMES, {"rows": 2**62}, "WRONG_ROWS"),
    (NAMES, {"x_columns": 3}, "WRONG_X"),
    (NAMES, {"x_columns": 5}, "WRONG_X"),
    (NAMES, {"x_columns": -1}, "WRONG_X"),
    (WITH_Y, {"y_columns": 1}, "WRONG_Y"),
    (WITH_Y, {"y_columns": 2**61}, "WRONG_Y"),
    (WITH_Y, {"y_columns": c_calls.LABELS}, "WRONG_Y"),
    (OUTS, {"out_columns": 3}, "WRONG_OUT"),
    (OUTS, {"out_columns": 64}, "WRONG_OUT"),
    (OUTS, {"out_columns": 2**61}, "WRONG_OUT"),
]
CASES_OF_REFUSED = [(name, *rest) for names, *rest in REFUSED for name in names]


@pytest.mark.parametrize(
    ("name", "changed", "status"),
    CASES_OF_REFUSED,
    ids=lambda x: "-".join(f"{k}={v}" for k, v in x.items()) if isinstance(x, dict) else x,
)
def test_what_cannot_be_right_is_refused_by_a_code(name, changed, status):
    trainer, arrays = trainer_of(), arrays_of(name)
    handle = capi.Handle(trainer)
    refused(trainer, handle, name, arrays, status, **changed)
    assert call(handle, name, *arrays)[0] == "OK"


def refused(trainer, handle, name, arrays, status, **changed):
    """A call has this status, and nothing has changed."""
    before = [array.copy() for array in arrays]
    parameters = trainer.net.arrays.parameters.copy()
    found, loss = call(handle, name, *arrays, **changed)
    assert found == status
    assert np.isnan(loss)
    for array, was in zip(arrays, before, strict=True):
        assert array.tobytes() == was.tobytes()
    assert np.array_equal(trainer.net.arrays.parameters, parameters)
    assert trainer.updates == 0
    assert words(handle)[c_calls.BUSY] == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("argument", ["model", "X", "y", "out"])
def test_a_misaligned_address_is_refused(name, argument):
    trainer, arrays = trainer_of(), arrays_of(name)
    handle = capi.Handle(trainer)
    place = arguments(handle, name, *arrays)[argument]
    if place is not None:
        refused(trainer, handle, name, arrays, "MISALIGNED", **{argument: place + 2})


def test_a_misaligned_loss_is_not_written():
    handle, (X, y) = capi.Handle(trainer_of()), arrays_of("step")
    memory = np.full(3, 5.0)
    assert call(handle, "step", X, y, loss=memory.ctypes.data + 4)[0] == "MISALIGNED"
    assert (memory == 5).all()


def test_misaligned_labels_are_refused():
    trainer = LABELS.trainer("float32")
    X, y = batch(LABELS, "float32")
    handle = capi.Handle(trainer)
    assert call(handle, "step", X, y, y=y.ctypes.data + 4)[0] == "MISALIGNED"
    assert call(handle, "step", X, y)[0] == "OK"


@pytest.mark.parametrize("name", OUTS)
@pytest.mark.parametrize("argument", ["X", "y"])
def test_an_out_that_overlaps_is_refused(name, argument):
    trainer, arrays = trainer_of(), arrays_of(name)
    handle = capi.Handle(trainer)
    place = arguments(handle, name, *arrays)[argument]
    if place is not None:
        refused(trainer, handle, name, arrays, "OVERLAP", out=place + 4)


@pytest.mark.parametrize("name", ["step", "gradients"])
def test_labels_go_with_classes_alone(name):
    X, labels = arrays_of(name)[0], np.zeros(6, np.int64)
    assert call(capi.Handle(trainer_of()), name, X, labels, np.empty(65, "f4"))[0] == "WRONG_Y"
    handle = capi.Handle(LABELS.trainer("float32"))
    for wrong in ("step_from", "input_gradient"):
        assert call(handle, wrong, X, labels, X.copy())[0] == "WRONG_Y"


INVALID = [
    ("step", 0, np.nan, "INVALID_X"),
    ("step", 0, np.inf, "INVALID_X"),
    ("step", 1, np.nan, "INVALID_Y"),
    ("step", 1, 1e30, "NOT_FINITE"),
    ("step_from", 0, np.nan, "INVALID_X"),
    ("step_from", 1, np.nan, "INVALID_Y"),
    ("gradients", 0, np.nan, "INVALID_X"),
    ("gradients", 1, np.nan, "INVALID_Y"),
    ("gradients", 1, 1e30, "NOT_FINITE"),
]


@pytest.mark.parametrize(("name", "which", "value", "status"), INVALID)
def test_a_value_that_is_not_valid_is_refused(name, which, value, status):
    trainer, arrays = trainer_of(), arrays_of(name)
    arrays[which][4, 1] = value
    refused(trainer, capi.Handle(trainer), name, arrays, status)


@pytest.mark.parametrize(
    ("name", "which", "status"),
    [
        ("predict", 0, "INVALID_X"),
        ("jacobian", 0, "INVALID_X"),
        ("input_gradient", 0, "INVALID_X"),
        ("input_gradient", 1, "INVALID_Y"),
    ],
)
def test_outputs_of_invalid_values_are_nan(name, which, status):
    arrays = arrays_of(name)
    arrays[which][4, 1] = np.nan
    assert call(capi.Handle(trainer_of()), name, *arrays)[0] == status
    assert np.isnan(arrays[-1]).all()


@pytest.mark.parametrize("label", [-1, 3, 2**62])
def test_a_label_that_there_is_not_is_refused(label):
    trainer = LABELS.trainer("float32")
    X, y = batch(LABELS, "float32")
    y = y.copy()
    y[5] = label
    refused(trainer, capi.Handle(trainer), "step", [X, y], "INVALID_Y")


# Memory


@guarding
@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_outside_the_arrays_is_touched(name, dtype, side):
    """A page behind, or before, each array ends the process if it is read or written."""
    guard, handle = Guard(side), capi.Handle(trainer_of(dtype))
    for rows in (1, 5, 6):
        arrays = [guard.copy(array) for array in arrays_of(name, dtype, rows)]
        assert call(handle, name, *arrays)[0] == "OK"


def test_any_memory_is_told_from_a_model():
    X, out = arrays_of("predict")
    handle = capi.Handle(trainer_of())
    other = np.zeros(c_calls.C_MODEL, np.int64)
    assert call(handle, "predict", X, out, model=other.ctypes.data)[0] == "NO_MODEL"
    other[:] = words(handle)
    assert call(handle, "predict", X, out, model=other.ctypes.data)[0] == "OK"
    other[c_calls.VERSION] += 1
    assert call(handle, "predict", X, out, model=other.ctypes.data)[0] == "NO_MODEL"


# Its end


@pytest.mark.parametrize("name", NAMES)
def test_a_closed_handle_says_so(name):
    handle, arrays = capi.Handle(trainer_of()), arrays_of(name)
    handle.close()
    assert call(handle, name, *arrays)[0] == "CLOSED"
    assert repr(handle) == "<fastbp.capi.Handle: closed>"
    handle.close()


def test_a_handle_that_is_gone_leaves_a_struct_that_says_so():
    trainer, (X, out) = trainer_of(), arrays_of("predict")
    handle = capi.Handle(trainer)
    given, function = arguments(handle, "predict", X, out).values(), PROTOTYPE(handle.function)
    assert function(*given) == CODES["OK"]
    del trainer
    assert function(*given) == CODES["OK"]  # the handle keeps the trainer
    del handle
    gc.collect()
    assert function(*given) == CODES["CLOSED"]


def test_structs_are_not_used_again():
    places = set()
    for _ in range(50):
        places.add(capi.Handle(trainer_of()).address)
    assert len(places) == 50


@pytest.mark.parametrize("of", [trainer_of, network])
def test_a_handle_from_before_the_first_scaling_is_stale(of):
    owner, (X, out) = of(), arrays_of("predict")
    handle = capi.Handle(owner)
    net = getattr(owner, "net", owner)
    net.standardize(3 * X + 1)
    assert call(handle, "predict", X, out)[0] == "STALE"
    fresh = capi.Handle(owner)
    assert call(fresh, "predict", X, out)[0] == "OK"
    assert np.array_equal(out, net.predict(X))
    net.set_scaling(input_mean=np.ones(4), input_scale=np.ones(4))  # scales already
    assert call(fresh, "predict", X, out)[0] == "OK"
    assert np.array_equal(out, net.predict(X))


def test_parameters_that_are_set_are_seen():
    trainer, (X, out) = trainer_of(), arrays_of("predict")
    handle = capi.Handle(trainer)
    trainer.net.set_parameters([np.ones((4, 9)), np.ones((9, 2))], [np.ones(9), np.ones(2)])
    assert call(handle, "predict", X, out)[0] == "OK"
    assert np.array_equal(out, trainer.net.predict(X))


# Networks without a trainer


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_predicts_any_number_of_rows(dtype):
    net = network(dtype)
    handle = capi.Handle(net)
    for rows in (1, 40, 3000):
        X, out = arrays_of("predict", dtype, rows)
        assert call(handle, "predict", X, out)[0] == "OK"
        assert np.array_equal(out[-1:] if rows == 1 else out, net.predict(X))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_has_jacobians_of_any_number_of_rows(dtype):
    """Also one that scales, and one whose layers couple units."""
    for options in ({}, {"layer_norm": True, "residual": True}):
        net = fastbp.Network([4, 9, 9, 2], "tanh", seed=0, dtype=dtype, **options)
        for _ in range(2):
            handle = capi.Handle(net)
            for rows in (1, 40, 3000):
                X, out = arrays_of("jacobian", dtype, rows)
                assert call(handle, "jacobian", X, out)[0] == "OK"
                assert np.array_equal(out, net.jacobian(X))
            net.set_scaling(input_mean=np.ones(4), input_scale=np.full(4, 3.0))


def test_a_network_that_embeds_numbers_has_no_jacobian():
    embedding = fastbp.NumberEmbedding([0, 2])
    net = fastbp.Network([4, 9, 2], "tanh", seed=0, number_embedding=embedding)
    X, out = arrays_of("jacobian")
    handle = capi.Handle(net)
    assert call(handle, "jacobian", X, out)[0] == "NO_DERIVATIVES"
    assert (out == 5).all()
    p = np.empty((6, 2), "f4")
    assert call(handle, "predict", X, p)[0] == "OK"


@pytest.mark.parametrize("name", WITH_Y)
def test_a_network_does_not_train(name):
    net, arrays = network(), arrays_of(name)
    before = net.arrays.parameters.copy()
    assert call(capi.Handle(net), name, *arrays)[0] == "NO_TRAINER"
    assert np.array_equal(net.arrays.parameters, before)


def test_what_is_no_owner_is_refused():
    with pytest.raises(TypeError, match=r"owner is a tuple, expected a fastbp\.Trainer"):
        capi.Handle((1, 2))
    with pytest.raises(ValueError, match="make the Trainer with engine='numba'"):
        capi.Handle(trainer_of(engine="numpy"))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_handle_cannot_be_copied(copied):
    with pytest.raises(TypeError, match="make another of the copied trainer"):
        copied(capi.Handle(trainer_of()))


def test_a_handle_tells_what_it_is():
    assert repr(capi.Handle(trainer_of())) == (
        "<fastbp.capi.Handle: trains 4-9-2, float32, at most 6 rows>"
    )
    assert repr(capi.Handle(network("float64"))) == (
        f"<fastbp.capi.Handle: predicts 4-9-2, float64, at most {2**31} rows>"
    )


# Threads and forks


def test_one_thread_trains_and_others_are_told():
    trainer, (X, y) = trainer_of(), arrays_of("step")
    handle, out = capi.Handle(trainer), np.empty((6, 2), "f4")
    words(handle)[c_calls.BUSY] = 1
    assert call(handle, "step", X, y)[0] == "BUSY"
    assert call(handle, "predict", X, out)[0] == "OK"
    assert call(handle, "jacobian", *arrays_of("jacobian"))[0] == "OK"
    words(handle)[c_calls.BUSY] = 0
    assert call(handle, "step", X, y)[0] == "OK"


def test_threads_that_train_at_once_spoil_nothing():
    """What was not refused was an update, and no update was another's rows."""
    trainer, (X, y) = trainer_of(), arrays_of("step")
    handle, steps = capi.Handle(trainer), 3000

    def work(_):
        return [call(handle, "step", X, y)[0] for _ in range(steps)]

    with ThreadPoolExecutor(4) as pool:
        found = [status for some in pool.map(work, range(4)) for status in some]
    assert set(found) <= {"OK", "BUSY"}
    assert trainer.updates == found.count("OK")
    other = trainer_of()
    for _ in range(trainer.updates):
        other.step(X, y)
    assert same_state(trainer, other)


@pytest.mark.parametrize("name", sorted(READS))
def test_many_threads_read(name):
    handle, (X, expected) = capi.Handle(trainer_of()), arrays_of(name)
    assert call(handle, name, X, expected)[0] == "OK"

    def work(_):
        out = np.empty_like(expected)
        for _ in range(500):
            if call(handle, name, X, out)[0] != "OK" or not np.array_equal(out, expected):
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


FORKING = """
import os
from test_handles import arrays_of, c_calls, call, capi, trainer_of, words
handle, (X, y) = capi.Handle(trainer_of()), arrays_of("step")
words(handle)[c_calls.BUSY] = 1
child = os.fork()
if child == 0:
    os._exit(0 if call(handle, "step", X, y)[0] == "OK" else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), call(handle, "step", X, y)[0])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.process
def test_a_forked_child_goes_on():
    """Also where another thread of the parent was training."""
    assert processes.run(FORKING).split() == ["0", "BUSY"]


def test_a_prototype_of_ctypes_has_the_arguments_of_the_header():
    assert len(PROTOTYPE._argtypes_) == 11
    assert ctypes.sizeof(ctypes.c_void_p) == 8
