"""What bad input gets: an error that says what to do, and a network and trainer as they were.

Each refused call is made on one of two twins. Afterwards both hold the same bits, and go on with
the same bits.
"""

import itertools
import re
from contextlib import contextmanager
from types import SimpleNamespace

import numba
import numpy as np
import pytest

import fastbp
from support.cases import HIDDEN

EITHER = (TypeError, ValueError)
INITS = ("auto", "he_normal", "he_uniform", "glorot_normal", "glorot_uniform", "lecun_normal",
         "lecun_uniform", "normal", "uniform", "zeros")  # fmt: skip
OUTPUT = {"mse": "identity", "squared_error": "tanh", "bce": "sigmoid", "cross_entropy": "softmax"}

ROWS, INPUTS, OUTPUTS, BATCH = 6, 3, 2, 8


@pytest.fixture(params=["numba", "numpy"])
def engine(request):
    return request.param


def make_pair(engine, loss="mse", dtype="float32", optimizer=None, batch_size=BATCH):
    """A network with its trainer, and the data that both take."""
    net = fastbp.Network(
        [INPUTS, 5, OUTPUTS], activation="tanh", output=OUTPUT[loss], seed=1, dtype=dtype
    )
    optimizer = optimizer or fastbp.Adam(lr=0.01)
    trainer = fastbp.Trainer(
        net, loss=loss, optimizer=optimizer, batch_size=batch_size, seed=2, engine=engine
    )
    X, y = good_data(loss)
    return SimpleNamespace(net=net, trainer=trainer, X=X, y=y)


def make_twins(*arguments, **options):
    """Two alike, one step into their training so that moments and counters are not 0."""
    twins = make_pair(*arguments, **options), make_pair(*arguments, **options)
    for twin in twins:
        twin.trainer.step(twin.X, twin.y)
    return twins


def good_data(loss, rows=ROWS):
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, (rows, INPUTS)).astype(np.float32)
    if loss == "cross_entropy":
        return X, rng.integers(0, OUTPUTS, rows)
    return X, rng.uniform(0, 1, (rows, OUTPUTS)).astype(np.float32)


def bits(net):
    return [array.tobytes() for array in (*net.weights, *net.biases)]


def assert_same_future(one, other):
    """The same parameters now, after a step, and after a shuffled epoch of several batches."""
    assert bits(one.net) == bits(other.net)
    assert one.trainer.lr == other.trainer.lr
    assert one.trainer.step(one.X, one.y) == other.trainer.step(other.X, other.y)
    assert bits(one.net) == bits(other.net)
    X, y = np.tile(one.X, (4, 1)), np.concatenate([one.y] * 4)
    losses = [twin.trainer.fit(X, y, epochs=1)["loss"] for twin in (one, other)]
    assert losses[0] == losses[1]
    assert bits(one.net) == bits(other.net)


@contextmanager
def refused(error, *fragments):
    """The block raises exactly ``error`` with these words, and the process is as it was."""
    threads = numba.get_num_threads()
    with pytest.raises(error) as caught:
        yield caught
    assert caught.type in (error if isinstance(error, tuple) else (error,))
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message
    assert numba.get_num_threads() == threads
    assert np.float32(1e-40) * np.float32(1) > 0  # denormals are not left flushed


# Network


BAD_SIZES = {
    "no list": (5, TypeError, "5"),
    "none": (None, TypeError, "None"),
    "text": ("35", TypeError, "'35'"),
    "empty": ([], ValueError, "[]"),
    "input only": ([3], ValueError, "[3]"),
    "zero": ([3, 0, 2], ValueError, "0"),
    "zero inputs": ([0, 2], ValueError, "0"),
    "negative": ([3, 5, -2], ValueError, "-2"),
    "fraction": ([3, 2.5, 2], TypeError, "2.5"),
    "whole float": ([3, 5.0, 2], TypeError, "5.0"),
    "numpy float": (np.array([3.0, 2.0]), TypeError, "3.0"),
    "bool": ([3, True, 2], TypeError, "True"),
    "numpy bool": ([3, np.True_, 2], TypeError, "True"),
    "hole": ([3, None, 2], TypeError, "None"),
    "digit": ([3, "5", 2], TypeError, "'5'"),
    "nested": ([[3, 5], 2], TypeError, "[3, 5]"),
    "table": (np.array([[3, 5], [5, 2]]), TypeError, "sizes[0]"),
    "array of no dimensions": (np.array(3), TypeError, "array(3)"),
    "beyond int64": ([3, 2**63], ValueError, "sizes[1] is 2**63 or more"),
    "thousands of digits": ([10**5000, 2], ValueError, "sizes[0] is 2**63 or more"),
}


@pytest.mark.parametrize("case", BAD_SIZES)
def test_sizes_are_whole_numbers_of_1_or_more(case):
    sizes, error, came = BAD_SIZES[case]
    with refused(error, "sizes", came):
        fastbp.Network(sizes)


def test_sizes_may_be_numpys():
    assert fastbp.Network(np.array([3, 5, 2])).n_parameters == 32
    assert fastbp.Network((np.uint8(3), np.int64(2))).n_parameters == 8


@pytest.mark.parametrize(
    ("options", "came", "known"),
    [
        ({"activation": "swoosh"}, "'swoosh'", HIDDEN),
        ({"activation": "softmax"}, "'softmax'", HIDDEN),
        ({"activation": ["relu", "swoosh"]}, "'swoosh'", HIDDEN),
        ({"activation": ["relu", "softmax"]}, "'softmax'", HIDDEN),
        ({"output": "swoosh"}, "'swoosh'", (*HIDDEN, "softmax")),
        ({"init": "swoosh"}, "'swoosh'", INITS),
        ({"dtype": "float16"}, "float16", ("float32", "float64")),
        ({"dtype": "int32"}, "int32", ("float32", "float64")),
        ({"dtype": "swoosh"}, "swoosh", ("float32", "float64")),
    ],
)
def test_an_unknown_name_is_told_the_known_ones(options, came, known):
    (argument,) = options
    with refused(EITHER if argument == "dtype" else ValueError, argument, came, *known):
        fastbp.Network([3, 4, 4, 2], **options)


@pytest.mark.parametrize("argument", ["activation", "output", "init", "dtype"])
@pytest.mark.parametrize("name", [None, 3, b"relu", np.tanh])
def test_a_name_is_a_string(argument, name):
    error = EITHER if argument in ("activation", "dtype") else TypeError
    with refused(error, argument, getattr(name, "__name__", repr(name))):
        fastbp.Network([3, 4, 2], **{argument: name})


@pytest.mark.parametrize("names", [[], ["relu"], ["relu"] * 3])
def test_activations_are_one_for_each_hidden_layer(names):
    with refused(ValueError, "activation", str(len(names)), "2"):
        fastbp.Network([3, 4, 4, 2], activation=names)


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (1.5, TypeError), ("0", TypeError), (True, TypeError)]
)
def test_a_seed_is_a_whole_number_of_0_or_more(engine, seed, error):
    with refused(error, "seed", repr(seed)):
        fastbp.Network([3, 2], seed=seed)
    net = fastbp.Network([3, 2])
    with refused(error, "seed", repr(seed)):
        fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), seed=seed, engine=engine)


# set_parameters


def ones():
    return [np.ones((3, 5)), np.ones((5, 2))], [np.ones(5), np.ones(2)]


def spoiled(which, layer, value):
    """Parameters that are right but for one array, or for one entry of it."""
    parameters = ones()
    if np.isscalar(value):
        parameters[which][layer].flat[1] = value
    else:
        parameters[which][layer] = value
    return parameters


BAD_PARAMETERS = {
    "too few weights": ((ones()[0][:1], ones()[1]), ValueError, "weights", "1", "2"),
    "too many weights": ((ones()[0] * 2, ones()[1]), ValueError, "weights", "4", "2"),
    "too few biases": ((ones()[0], ones()[1][:1]), ValueError, "biases", "1", "2"),
    "no biases": ((ones()[0], []), ValueError, "biases", "0", "2"),
    "none": ((ones()[0], None), TypeError, "biases", "None"),
    "transposed": (spoiled(0, 1, np.ones((2, 5))), ValueError, "weights[1]", "(2, 5)", "(5, 2)"),
    "too wide": (spoiled(0, 0, np.ones((3, 6))), ValueError, "weights[0]", "(3, 6)", "(3, 5)"),
    "flat": (spoiled(0, 1, np.ones(10)), ValueError, "weights[1]", "(10,)", "(5, 2)"),
    "upright bias": (spoiled(1, 1, np.ones((1, 2))), ValueError, "biases[1]", "(1, 2)", "(2,)"),
    "long bias": (spoiled(1, 0, np.ones(6)), ValueError, "biases[0]", "(6,)", "(5,)"),
    "ragged": (spoiled(0, 1, [[1], [2, 3]]), ValueError, "weights[1]", "equal length"),
    "masked": (spoiled(1, 0, np.ma.masked_all(5)), ValueError, "biases[0]", "masked"),
    "NaN": (spoiled(0, 1, np.nan), ValueError, "weights[1]", "nan"),
    "infinity": (spoiled(0, 0, -np.inf), ValueError, "weights[0]", "-inf"),
    "NaN in a bias": (spoiled(1, 1, np.nan), ValueError, "biases[1]", "nan"),
    "too large": (spoiled(0, 1, 1e39), ValueError, "weights[1]", "1e+39", "float32"),
    "complex": (spoiled(0, 1, np.ones((5, 2), complex)), TypeError, "weights[1]", "complex128"),
    "object": (spoiled(0, 1, np.ones((5, 2), object)), TypeError, "weights[1]", "object"),
    "text": (spoiled(1, 1, ["a", "b"]), TypeError, "biases[1]", "<U1"),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_parameters_that_do_not_fit_change_nothing(engine, case):
    (weights, biases), error, *fragments = BAD_PARAMETERS[case]
    one, other = make_twins(engine)
    with refused(error, *fragments):
        one.net.set_parameters(weights, biases)
    assert_same_future(one, other)


def test_parameters_are_copies():
    net = fastbp.Network([3, 5, 2])
    weights, biases = ones()
    net.set_parameters(weights, biases)
    weights[0][:] = biases[0][:] = 7
    assert all((array == 1).all() for array in (*net.weights, *net.biases))
    for array in (*net.weights, *net.biases):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


# Trainer

BAD_TRAINERS = {
    "unknown loss": ({"loss": "swoosh"}, ValueError, "loss", "'swoosh'", *map(repr, OUTPUT)),
    "no loss": ({"loss": None}, TypeError, "loss", "None", *map(repr, OUTPUT)),
    "optimizer by name": ({"optimizer": "adam"}, TypeError, "optimizer", "'adam'", "fastbp.Adam"),
    "optimizer class": ({"optimizer": fastbp.Adam}, TypeError, "optimizer", "fastbp.SGD"),
    "no optimizer": ({"optimizer": None}, TypeError, "optimizer", "None", "fastbp.RMSprop"),
    "batch 0": ({"batch_size": 0}, ValueError, "batch_size", "0"),
    "batch -1": ({"batch_size": -1}, ValueError, "batch_size", "-1"),
    "batch True": ({"batch_size": True}, TypeError, "batch_size", "True"),
    "batch 2.5": ({"batch_size": 2.5}, TypeError, "batch_size", "2.5"),
    "batch 8.0": ({"batch_size": 8.0}, TypeError, "batch_size", "8.0"),
    "batch text": ({"batch_size": "8"}, TypeError, "batch_size", "'8'"),
    "no batch": ({"batch_size": None}, TypeError, "batch_size", "None"),
    "batch of two": ({"batch_size": np.array([8, 8])}, TypeError, "batch_size", "array([8, 8])"),
    "threads of two": ({"threads": np.array([1, 1])}, TypeError, "threads", "array([1, 1])"),
    "threads array": ({"threads": np.array(1.5)}, TypeError, "threads", "array(1.5)"),
    "threads 0": ({"threads": 0}, ValueError, "threads", "0"),
    "threads -1": ({"threads": -1}, ValueError, "threads", "-1"),
    "threads True": ({"threads": True}, TypeError, "threads", "True"),
    "threads 1.5": ({"threads": 1.5}, TypeError, "threads", "1.5"),
    "threads by name": ({"threads": "many"}, EITHER, "threads", "'many'", "auto"),
    "no threads": ({"threads": None}, TypeError, "threads", "None"),
    "unknown engine": ({"engine": "cuda"}, ValueError, "engine", "'cuda'", "numba", "numpy"),
    "no engine": ({"engine": None}, TypeError, "engine", "None", "numba", "numpy"),
}


@pytest.mark.parametrize("case", BAD_TRAINERS)
def test_a_trainer_that_cannot_be_is_refused(engine, case):
    options, error, *fragments = BAD_TRAINERS[case]
    one, other = make_twins(engine)
    good = {"loss": "mse", "optimizer": fastbp.SGD(lr=0.1), "engine": engine}
    with refused(error, *fragments):
        fastbp.Trainer(one.net, **good | options)
    assert_same_future(one, other)


def test_threads_are_at_most_those_of_numba(engine):
    most = numba.config.NUMBA_NUM_THREADS
    net = fastbp.Network([3, 2])
    options = {"loss": "mse", "optimizer": fastbp.SGD(lr=0.1), "engine": engine}
    with refused(ValueError, "threads", str(most + 1), str(most)):
        fastbp.Trainer(net, **options, threads=most + 1)
    fastbp.Trainer(net, **options, threads=most)


@pytest.mark.parametrize("net", [None, [3, 5, 2], fastbp.Network], ids=["None", "sizes", "class"])
def test_a_trainer_needs_a_network(engine, net):
    with refused(TypeError, "net is", type(net).__name__, "fastbp.Network"):
        fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), engine=engine)


@pytest.mark.parametrize("loss", OUTPUT)
@pytest.mark.parametrize("output", [*HIDDEN, "softmax"])
def test_a_pair_of_loss_and_output_that_is_none_is_told_the_remedy(engine, loss, output):
    net = fastbp.Network([3, 2], output=output)
    options = {"loss": loss, "optimizer": fastbp.SGD(lr=0.1), "engine": engine}
    fits = {"bce": output == "sigmoid", "cross_entropy": output == "softmax"}
    if fits.get(loss, output != "softmax"):
        fastbp.Trainer(net, **options)
        return
    with refused(ValueError, "loss", repr(loss), repr(output)):
        fastbp.Trainer(net, **options)


BAD_LR = {
    "negative": (-1, ValueError, "-1"),
    "zero": (0, ValueError, "0"),
    "NaN": (float("nan"), ValueError, "nan"),
    "infinite": (np.inf, ValueError, "inf"),
    "bool": (True, TypeError, "True"),
    "text": ("0.1", TypeError, "'0.1'"),
    "none": (None, TypeError, "None"),
}


@pytest.mark.parametrize("case", BAD_LR)
def test_lr_stays_as_it_was(engine, case):
    lr, error, came = BAD_LR[case]
    one, other = make_twins(engine)
    with refused(error, "lr", came):
        one.trainer.lr = lr
    assert one.trainer.lr == 0.01
    assert_same_future(one, other)


@pytest.mark.parametrize("case", BAD_LR)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_no_optimizer_takes_such_an_lr(optimizer, case):
    lr, error, came = BAD_LR[case]
    with refused(error, optimizer, "lr", came):
        getattr(fastbp, optimizer)(lr=lr)


# X and y

LEARNING = {
    "fit": lambda t, X, y: t.trainer.fit(X, y, epochs=1),
    "step": lambda t, X, y: t.trainer.step(X, y),
    "loss_and_gradients": lambda t, X, y: t.trainer.loss_and_gradients(X, y),
    "evaluate": lambda t, X, y: t.trainer.evaluate(X, y),
    "validation": lambda t, X, y: t.trainer.fit(t.X, t.y, epochs=1, validation_data=(X, y)),
}
PREDICTING = {
    "predict": lambda t, X, _y: t.trainer.predict(X),
    "network": lambda t, X, _y: t.net.predict(X),
}
NAME = {"validation": "validation"}
"""How a message calls the data of a call, where not X and y."""


class Sparse:
    """As SciPy's: shape, dtype and slices of its own, and nothing that NumPy reads."""

    shape, dtype = (6, 3), np.dtype("float64")

    def tocsr(self):
        return self

    def __getitem__(self, rows):
        return self


class Broken:
    def __array__(self, dtype=None, copy=None):
        raise ZeroDivisionError


def with_entry(value, dtype="float64", row=4, column=1):
    X = good_data("mse")[0].astype(dtype)
    X[row, column] = value
    return X


def like_x(dtype):
    return np.zeros((ROWS, INPUTS), dtype)


BAD_X = {
    "flat": (np.zeros(ROWS), ValueError, "(6,)", "(n, 3)"),
    "one sample": (np.zeros(INPUTS), ValueError, "(3,)", "reshape(1, -1)"),
    "cube": (np.zeros((ROWS, INPUTS, 1)), ValueError, "(6, 3, 1)", "(n, 3)"),
    "narrow": (np.zeros((ROWS, 2)), ValueError, "(6, 2)", "(n, 3)", "3 inputs"),
    "wide": (np.zeros((ROWS, 4)), ValueError, "(6, 4)", "(n, 3)", "3 inputs"),
    "no rows": (np.zeros((0, INPUTS)), ValueError, "empty", "(0, 3)"),
    "no list": ([], ValueError, "empty"),
    "none": (None, TypeError, "object", "NoneType"),
    "ragged": ([[1, 2, 3], [4]], ValueError, "list", "equal length"),
    "object": (like_x(object), TypeError, "dtype object", "np.float32"),
    "complex": (like_x(complex), TypeError, "dtype complex128", "imaginary"),
    "text": (like_x("U1"), TypeError, "dtype <U1", "encode text"),
    "time": (like_x("M8[s]"), TypeError, "dtype datetime64[s]", "timedelta64"),
    "swapped bytes": (like_x(">f4"), TypeError, "dtype >f4", "astype('float32')"),
    "sparse": (Sparse(), TypeError, "sparse", "tocsr()"),
    "masked": (np.ma.masked_equal(like_x(int), 0), ValueError, "masked", "filled"),
    "broken": (Broken(), TypeError, "Broken", "ZeroDivisionError"),
    "endless": (np.broadcast_to(0.0, (2**41, INPUTS)), ValueError, "2199023255552", "at most"),
    "NaN": (with_entry(np.nan), ValueError, "nan at row 4, column 1", "finite"),
    "single NaN": (with_entry(np.nan, "float32"), ValueError, "nan at row 4, column 1"),
    "half NaN": (with_entry(np.nan, "float16"), ValueError, "nan at row 4, column 1"),
    "infinity": (with_entry(-np.inf), ValueError, "-inf at row 4, column 1", "finite"),
    "last infinity": (with_entry(np.inf, "float32", 5, 2), ValueError, "inf at row 5, column 2"),
    "too large": (with_entry(1e39), ValueError, "1e+39 at row 4, column 1", "float32"),
}


def refused_at_once(calls, cases):
    """(call, case) but for bad values in validation data, which are found when they are reached."""
    return [
        (call, case)
        for call in calls
        for case, (_data, _error, message, *_more) in cases.items()
        if call != "validation" or " at row " not in message
    ]


@pytest.mark.parametrize(("call", "case"), refused_at_once([*LEARNING, *PREDICTING], BAD_X))
def test_inputs_that_do_not_fit_change_nothing(engine, call, case):
    X, error, *fragments = BAD_X[case]
    one, other = make_twins(engine)
    with refused(error, NAME.get(call, "X "), *fragments):
        (LEARNING | PREDICTING)[call](one, X, one.y)
    assert_same_future(one, other)


def labels(*values, dtype=int):
    return np.array([0, 1, 0, 1, *values], dtype)


def targets(row, dtype="float64"):
    y = np.tile([[0, 1]], (ROWS, 1)).astype(dtype)
    y[4] = row
    return y


BAD_Y = {
    "mse": {
        "flat": (np.zeros(ROWS), ValueError, "(6,)", "(6, 2)"),
        "labels": (np.zeros(ROWS, int), ValueError, "(6,)", "(6, 2)", "np.eye(2)"),
        "narrow": (np.zeros((ROWS, 1)), ValueError, "(6, 1)", "(6, 2)", "2 outputs"),
        "wide": (np.zeros((ROWS, 3)), ValueError, "(6, 3)", "(6, 2)", "2 outputs"),
        "cube": (np.zeros((ROWS, 2, 1)), ValueError, "(6, 2, 1)", "(6, 2)"),
        "too few": (np.zeros((5, 2)), ValueError, "(5, 2)", "(6, 2)", "6 rows"),
        "too many": (np.zeros((7, 2)), ValueError, "(7, 2)", "(6, 2)", "6 rows"),
        "empty": (np.zeros((0, 2)), ValueError, "empty", "(0, 2)"),
        "none": (None, TypeError, "object", "NoneType"),
        "ragged": ([[1, 2], [3]], ValueError, "list", "equal length"),
        "object": (np.zeros((ROWS, 2), object), TypeError, "dtype object"),
        "complex": (np.zeros((ROWS, 2), complex), TypeError, "dtype complex128"),
        "text": (np.zeros((ROWS, 2), "U1"), TypeError, "dtype <U1"),
        "swapped bytes": (np.zeros((ROWS, 2), ">f8"), TypeError, "dtype >f8"),
        "sparse": (Sparse(), TypeError, "sparse", "toarray()"),
        "NaN": (targets([0, np.nan]), ValueError, "nan at row 4, column 1"),
        "infinity": (targets([np.inf, 0], "float32"), ValueError, "inf at row 4, column 0"),
        "too large": (targets([0, -1e39]), ValueError, "-1e+39 at row 4, column 1", "float32"),
    },
    "squared_error": {
        "flat": (np.zeros(ROWS), ValueError, "(6,)", "(6, 2)"),
        "NaN": (targets([0, np.nan]), ValueError, "nan at row 4, column 1"),
    },
    "bce": {
        "labels": (np.zeros(ROWS, int), ValueError, "(6,)", "(6, 2)"),
        "below": (targets([0, -0.5]), ValueError, "-0.5 at row 4, column 1", "[0, 1]"),
        "above": (targets([1.5, 0]), ValueError, "1.5 at row 4, column 0", "[0, 1]"),
        "class 2": (targets([2, 0], int), ValueError, "2 at row 4, column 0", "[0, 1]"),
        "NaN": (targets([0, np.nan]), ValueError, "nan at row 4, column 1"),
    },
    "cross_entropy": {
        "label 2": (labels(2, 0), ValueError, "label 2 at row 4", "[0, 2)", "2 outputs"),
        "label -1": (labels(0, -1, dtype="int8"), ValueError, "label -1 at row 5", "[0, 2)"),
        "large label": (labels(255, 0, dtype="uint8"), ValueError, "label 255 at row 4"),
        "huge label": (labels(0, 2**63, dtype="uint64"), ValueError, f"label {2**63} at row 5"),
        "bool labels": (labels(0, 1, dtype=bool), TypeError, "bool", "integer labels"),
        "float labels": (labels(0, 1, dtype=float), TypeError, "float64", "integer labels"),
        "upright labels": (labels(0, 1)[:, None], ValueError, "(6, 1)", "[:, 0]"),
        "too few labels": (labels(), ValueError, "(4,)", "6 rows"),
        "too many labels": (labels(0, 0, 0), ValueError, "(7,)", "6 rows"),
        "no labels": ([], ValueError, "empty"),
        "text labels": (["cat"] * ROWS, TypeError, "<U3", "encode text"),
        "too wide": (np.zeros((ROWS, 3)), ValueError, "(6, 3)", "2 outputs"),
        "negative": (targets([1.5, -0.5]), ValueError, "-0.5 at row 4, column 1"),
        "more than 1": (targets([0.5, 0.75]), ValueError, "sum to 1.25 at row 4", "0.001"),
        "less than 1": (targets([0.5, 0.25]), ValueError, "sum to 0.75 at row 4", "0.001"),
        "nothing": (targets([0, 0], int), ValueError, "sum to 0 at row 4"),
        "NaN": (targets([0, np.nan]), ValueError, "nan at row 4, column 1"),
    },
}


@pytest.mark.parametrize(
    ("loss", "call", "case"),
    [(loss, *pair) for loss, cases in BAD_Y.items() for pair in refused_at_once(LEARNING, cases)],
)
def test_targets_that_do_not_fit_change_nothing(engine, loss, call, case):
    y, error, *fragments = BAD_Y[loss][case]
    one, other = make_twins(engine, loss)
    with refused(error, NAME.get(call, "y "), *fragments):
        LEARNING[call](one, one.X, y)
    assert_same_future(one, other)


def test_bad_validation_values_are_named(engine):
    one, _ = make_twins(engine)
    with refused(ValueError, "validation", "nan at row 4, column 1"):
        one.trainer.fit(one.X, one.y, epochs=1, validation_data=(with_entry(np.nan), one.y))
    with refused(ValueError, "validation", "nan at row 4, column 0"):
        one.trainer.fit(one.X, one.y, epochs=1, validation_data=(one.X, targets([np.nan, 0])))
    assert np.isfinite(one.trainer.step(one.X, one.y))


@pytest.mark.parametrize("call", [*LEARNING, *PREDICTING])
def test_double_precision_takes_what_single_cannot(engine, call):
    one = make_pair(engine, dtype="float64")
    (LEARNING | PREDICTING)[call](one, with_entry(1e39), one.y)


@pytest.mark.parametrize("call", ["loss_and_gradients", "evaluate", *PREDICTING])
def test_a_bad_value_far_down_is_named_by_its_row(engine, call):
    one, other = make_twins(engine)
    X, y = good_data("mse", 1000)
    X[777, 2] = np.nan
    with refused(ValueError, "X has nan at row 777, column 2"):
        (LEARNING | PREDICTING)[call](one, X, y)
    assert_same_future(one, other)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_bad_value_that_fit_reaches_is_named_by_its_row_in_the_data(engine, shuffle):
    one = make_pair(engine, "cross_entropy", batch_size=4)
    X, y = good_data("cross_entropy", 40)
    y[17] = 2
    with refused(ValueError, "y has label 2 at row 17"):
        one.trainer.fit(X, y, epochs=1, shuffle=shuffle)
    y[17], X[33, 1] = 1, np.inf
    with refused(ValueError, "X has inf at row 33, column 1"):
        one.trainer.fit(X, y, epochs=1, shuffle=shuffle)
    assert np.isfinite(one.trainer.step(one.X[:4], one.y[:4]))


# The other arguments of the calls


def test_a_step_holds_at_most_batch_size_rows(engine):
    one, other = make_twins(engine)
    X, y = good_data("mse", BATCH + 1)
    with refused(ValueError, "batch_size", "9", "8", "X"):
        one.trainer.step(X, y)
    assert_same_future(one, other)


BAD_FIT = {
    "epochs -1": ({"epochs": -1}, ValueError, "epochs", "-1"),
    "epochs 1.5": ({"epochs": 1.5}, TypeError, "epochs", "1.5"),
    "epochs True": ({"epochs": True}, TypeError, "epochs", "True"),
    "epochs text": ({"epochs": "2"}, TypeError, "epochs", "'2'"),
    "validation of one": ({"validation_data": good_data("mse")[:1]}, EITHER, "validation_data"),
    "validation of six": (
        {"validation_data": (1, 2, 3, 4, 5, 6)},
        EITHER,
        "validation_data",
        "pair",
    ),
    "validation no pair": ({"validation_data": 0.1}, TypeError, "validation_data", "float", "pair"),
    "progress array": ({"progress": np.array(["auto"] * 2)}, ValueError, "progress", "'auto'"),
    "progress": ({"progress": "swoosh"}, ValueError, "progress", "'swoosh'", "auto"),
}


@pytest.mark.parametrize("case", BAD_FIT)
def test_arguments_of_fit_are_refused_before_it_begins(engine, case):
    options, error, *fragments = BAD_FIT[case]
    one, other = make_twins(engine)
    with refused(error, *fragments):
        one.trainer.fit(one.X, one.y, **{"epochs": 1} | options)
    assert_same_future(one, other)


def read_only(array):
    array.flags.writeable = False
    return array


BAD_OUT = {
    "shape": (np.zeros((ROWS, 3), "f4"), ValueError, "(6, 3)", "(6, 2)"),
    "rows": (np.zeros((7, 2), "f4"), ValueError, "(7, 2)", "(6, 2)"),
    "flat": (np.zeros(12, "f4"), ValueError, "(12,)", "(6, 2)"),
    "dtype": (np.zeros((ROWS, 2)), EITHER, "float64", "float32"),
    "integers": (np.zeros((ROWS, 2), int), EITHER, "int64", "float32"),
    "list": ([[0.0, 0.0]] * ROWS, TypeError, "list"),
    "read-only": (read_only(np.zeros((ROWS, 2), "f4")), ValueError, "writeable"),
    "masked": (np.ma.array(np.zeros((ROWS, 2), "f4"), mask=True), ValueError, "masked", "out.data"),
}


@pytest.mark.parametrize("case", BAD_OUT)
def test_an_out_that_does_not_fit_is_left_alone(case):
    out, error, *fragments = BAD_OUT[case]
    one = make_pair("numba")
    with refused(error, "out", *fragments):
        one.net.predict(one.X, out=out)
    assert not np.any(out)


@pytest.mark.parametrize("averaged", ["yes", 1, np.array([True, False])], ids=repr)
def test_averaged_is_a_bool(engine, averaged):
    one, other = make_twins(engine)
    with refused(TypeError, "averaged", repr(averaged)):
        one.trainer.predict(one.X, averaged=averaged)
    with refused(TypeError, "averaged", repr(averaged)):
        one.trainer.evaluate(one.X, one.y, averaged=averaged)
    assert_same_future(one, other)


def test_weights_beyond_double_precision_are_refused_without_a_warning(engine):
    one, other = make_twins(engine)
    with refused(ValueError, "sample_weight", "at row 0"):
        one.trainer.step(one.X, one.y, np.full(ROWS, np.longdouble("1e4000")))
    assert_same_future(one, other)


class Liar(np.ndarray):
    """What it says of itself is wrong; its memory is right."""

    shape = (1, 1)

    def __getitem__(self, key):
        return "nothing"


def test_an_out_of_a_class_of_the_users_is_filled(engine):
    one = make_pair(engine)
    out = np.zeros((ROWS, OUTPUTS), "f4")
    for predict in (one.net.predict, one.trainer.predict):
        out[:] = 0
        predict(one.X, out=out.view(Liar))
        np.testing.assert_array_equal(out, predict(one.X))


# Losses that are not finite


def huge(net):
    """Finite parameters, whose products are not."""
    return [np.full(W.shape, 1e38, W.dtype) for W in net.weights], net.biases


@pytest.mark.parametrize(
    "optimizer",
    [
        fastbp.SGD(lr=0.1),
        fastbp.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        fastbp.Adam(lr=0.01),
        fastbp.AdamW(lr=0.01),
        fastbp.RMSprop(lr=0.01, momentum=0.9),
    ],
    ids=lambda spec: type(spec).__name__,
)
@pytest.mark.parametrize("loss", ["mse", "bce", "cross_entropy"])
def test_a_step_whose_loss_is_not_finite_is_not_applied(engine, loss, optimizer):
    one, other = make_twins(engine, loss, optimizer=optimizer)
    saved = one.net.weights, one.net.biases
    one.net.set_parameters(*huge(one.net))
    before = bits(one.net)
    with refused(FloatingPointError, "loss", "step"):
        one.trainer.step(np.abs(one.X) + 1, one.y)
    assert bits(one.net) == before
    one.net.set_parameters(*saved)
    assert_same_future(one, other)


def test_fit_names_epoch_and_step_of_a_loss_that_is_not_finite(engine):
    """With a learning rate that diverges. Without a snapshot the updates before it stay."""
    options = {"optimizer": fastbp.SGD(lr=1e6), "batch_size": 4}
    one, other = make_pair(engine, **options), make_pair(engine, **options)
    X, y = good_data("mse", 12)
    with refused(FloatingPointError) as caught:
        one.trainer.fit(X, y, epochs=100, shuffle=False, snapshot=False)
    steps = steps_until_not_finite(other, X, y, 4)
    epoch, step = steps // 3 + 1, steps % 3 + 1
    assert epoch > 1
    assert re.search(rf"epoch {epoch}\b.*step {step}\b", str(caught.value))
    assert bits(one.net) == bits(other.net)


def steps_until_not_finite(pair, X, y, size):
    starts = itertools.cycle(range(0, len(X), size))
    for steps, start in enumerate(starts):
        try:
            pair.trainer.step(X[start : start + size], y[start : start + size])
        except FloatingPointError:
            return steps
    return None
