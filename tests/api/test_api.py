"""What the public names promise, and no other file tests."""

import inspect
import re
import tracemalloc

import numba
import numpy as np
import pytest

import fastbp
from fastbp.kernels.base import width
from support.cases import CASES, Case, each_dtype, each_engine
from support.internals import core

CLASSES = Case((4, 9, 3), 20, "tanh", "softmax", "cross_entropy", labels=True)
YES_NO = Case((4, 9, 2), 20, "tanh", "sigmoid", "bce")
NUMBERS = Case((4, 9, 3), 20, "tanh", "identity", "mse")
ONE_NUMBER = Case((4, 9, 1), 20, "tanh", "identity", "squared_error")


def bits(net):
    return [array.tobytes() for array in (*net.weights, *net.biases)]


def parameters_after(case, X, y, engine="numba", **options):
    """The parameters after three batches of a shuffled epoch."""
    trainer = case.trainer("float32", engine, fastbp.Adam(lr=0.01), batch_size=8)
    trainer.fit(X, y, **options)
    return bits(trainer.net)


# Names


@pytest.mark.quick
def test_the_names():
    optimizers = {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "LBFGS"}
    losses = {"Huber", "Quantile", "BetaNLL"}
    names = {"Network", "Trainer", "History", "embed", "schedules", "show_config", "warmup"}
    names |= {"Ensemble", "NumberEmbedding", "calibration", "from_onnx", "from_torch", "load"}
    callbacks = {"Callback", "FitState", "StopTraining", "LambdaCallback", "EarlyStopping",
                 "ReduceLROnPlateau", "ModelCheckpoint", "CSVLogger", "TimeLimit"}  # fmt: skip
    assert set(fastbp.__all__) == names | optimizers | losses | callbacks
    assert all(hasattr(fastbp, name) for name in names)
    assert re.match(r"\d+\.\d+", fastbp.__version__)


OPTIONS = (
    "l1 l2 dropout label_smoothing clip_value clip_norm ema_decay class_weight schedule lr_factors"
    " bias_lr_factor weight_decay_on weight_decay_factors weight_decay_schedule dropout_schedule"
    " input_scaling embedding_lr_factor ignore_nan comm data reduction parts"
)
VALIDATION = "validation_data validation_fraction validation_rows metrics"
DERIVATIVES = "jacobian jacobian_weight directions"
OF_FIT = "callbacks shuffle progress resume lr snapshot"
ARGUMENTS = {
    "Network": (
        fastbp.Network,
        "sizes activation output init seed dtype layer_norm residual number_embedding",
    ),
    "Trainer": (fastbp.Trainer, f"net loss optimizer batch_size threads seed engine {OPTIONS}"),
    "fit": (
        fastbp.Trainer.fit,
        f"self X y epochs sample_weight {VALIDATION} {OF_FIT} {DERIVATIVES}",
    ),
    "step": (fastbp.Trainer.step, f"self X y sample_weight {DERIVATIVES}"),
    "loss_and_gradients": (
        fastbp.Trainer.loss_and_gradients,
        f"self X y sample_weight {DERIVATIVES}",
    ),
    "apply_gradients": (fastbp.Trainer.apply_gradients, "self gradients rows"),
    "evaluate": (
        fastbp.Trainer.evaluate,
        f"self X y sample_weight averaged metrics {DERIVATIVES}",
    ),
    "Trainer.predict": (fastbp.Trainer.predict, "self X out layer averaged"),
    "Network.predict": (fastbp.Network.predict, "self X out layer jacobian"),
    "Network.jacobian": (fastbp.Network.jacobian, "self X"),
    "predict_classes": (fastbp.Network.predict_classes, "self X threshold"),
    "allclose": (fastbp.Network.allclose, "self other rtol atol"),
    "load": (fastbp.load, "path verify functions"),
    "Network.load": (fastbp.Network.load, "path verify functions"),
    "set_parameters": (fastbp.Network.set_parameters, "self weights biases gains shifts layers"),
    "embed.copy": (fastbp.embed.copy, "a b tau"),
}


@pytest.mark.quick
@pytest.mark.parametrize(("function", "names"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_the_names_of_the_arguments(function, names):
    assert list(inspect.signature(function).parameters) == names.split()


def test_the_plainest_network_and_trainer():
    net = fastbp.Network([4, 8, 8, 2])
    assert net.activations == ("relu", "relu", "identity")
    assert net.output == "identity"
    assert net.dtype == np.float32
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam())
    assert (trainer.net, trainer.loss, trainer.optimizer) == (net, "mse", fastbp.Adam())


# The network's parameters


@each_dtype
def test_parameters_have_their_natural_shapes(dtype):
    net = fastbp.Network([5, 17, 1, 3], dtype=dtype)
    assert [w.shape for w in net.weights] == [(5, 17), (17, 1), (1, 3)]
    assert [b.shape for b in net.biases] == [(17,), (1,), (3,)]
    assert {array.dtype for array in (*net.weights, *net.biases)} == {np.dtype(dtype)}
    assert net.n_parameters == sum(array.size for array in (*net.weights, *net.biases))
    assert type(net.n_parameters) is int


@each_dtype
def test_set_parameters_sets_what_weights_and_biases_show(dtype):
    net, rng = fastbp.Network([5, 17, 3], dtype=dtype), np.random.default_rng(0)
    weights = [rng.normal(size=shape).astype(dtype) for shape in ((5, 17), (17, 3))]
    biases = [rng.normal(size=n).astype(dtype) for n in (17, 3)]
    net.set_parameters([weights[0].T.copy().T, weights[1].tolist()], biases)
    for shown, given in zip((*net.weights, *net.biases), (*weights, *biases), strict=True):
        assert np.array_equal(shown, given)


@each_engine
def test_parameters_are_read_only_copies_of_their_moment(engine):
    trainer = NUMBERS.trainer("float32", engine)
    arrays = (*trainer.net.weights, *trainer.net.biases)
    assert not any(array.flags.writeable for array in arrays)
    before = [array.copy() for array in arrays]
    trainer.step(*NUMBERS.batch())
    assert all(map(np.array_equal, arrays, before))
    after = (*trainer.net.weights, *trainer.net.biases)
    assert not any(map(np.array_equal, arrays, after))


@each_engine
def test_set_parameters_keeps_the_moments(engine):
    optimizer = fastbp.SGD(lr=0.1, momentum=0.9)
    trainer = NUMBERS.trainer("float64", engine, optimizer)
    net, (X, y) = trainer.net, NUMBERS.batch()
    start = net.weights, net.biases
    _, gradients = trainer.loss_and_gradients(X, y)
    trainer.step(X, y)
    net.set_parameters(*start)
    trainer.step(X, y)
    for (dW, _), before, after in zip(gradients, start[0], net.weights, strict=True):
        np.testing.assert_allclose(after, before - 0.1 * 1.9 * dW, rtol=1e-12)


def test_parameters_that_were_lost_can_be_set_again():
    """Padded units may have become NaN: 0 times a delta that is infinite."""
    sizes = [3, 5, 5, 5, 5, 2]
    net = fastbp.Network(sizes, activation="identity", seed=0)
    good, scales = (net.weights, net.biases), (0, 0, 0, 1e30, 1e20)
    bad = [np.full(w.shape, scale) for w, scale in zip(net.weights, scales, strict=True)]
    net.set_parameters(bad, net.biases)
    X, y = np.ones((4, 3), np.float32), np.ones((4, 2), np.float32)
    for _ in range(2):
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=1e-3), batch_size=4)
        trainer.step(X, y)  # the first time, makes infinite deltas
        net.set_parameters(*good)
    _, gradients = trainer.loss_and_gradients(X, y)
    assert all(np.isfinite(g).all() for pair in gradients for g in pair)


@each_engine
def test_two_trainers_follow_each_other_on_one_network(engine):
    first, (X, y) = NUMBERS.trainer("float32", engine, fastbp.Adam()), NUMBERS.batch()
    first.fit(X, y, epochs=2)
    copy = NUMBERS.network("float32")
    copy.set_parameters(first.net.weights, first.net.biases)
    for net in (first.net, copy):
        second = fastbp.Trainer(
            net, loss="mse", optimizer=fastbp.RMSprop(), batch_size=8, seed=3, engine=engine
        )
        second.fit(X, y, epochs=2)
    assert bits(first.net) == bits(copy)


# The learning rate and the seeds


@each_engine
def test_lr_can_be_set_and_is_that_of_the_next_update(engine):
    optimizer = fastbp.SGD(lr=0.1)
    trainer = NUMBERS.trainer("float64", engine, optimizer)
    assert trainer.lr == 0.1
    trainer.lr = 0.25
    assert trainer.lr == 0.25
    assert optimizer.lr == 0.1
    X, y = NUMBERS.batch()
    before = trainer.net.weights
    _, gradients = trainer.loss_and_gradients(X, y)
    trainer.step(X, y)
    for (dW, _), old, new in zip(gradients, before, trainer.net.weights, strict=True):
        np.testing.assert_allclose(new, old - 0.25 * dW, rtol=1e-12)


def test_a_network_without_a_seed_draws_and_keeps_one():
    one, other = fastbp.Network([5, 3]), fastbp.Network([5, 3])
    assert one.seed != other.seed
    assert bits(one) != bits(other)
    assert bits(one) == bits(fastbp.Network([5, 3], seed=one.seed))


def test_a_trainer_without_a_seed_draws_and_keeps_one():
    def trained(seed):
        net = NUMBERS.network("float32")
        options = {"loss": "mse", "optimizer": fastbp.SGD(lr=0.1), "batch_size": 4}
        trainer = fastbp.Trainer(net, **options, seed=seed)
        trainer.fit(*NUMBERS.batch())
        return trainer.seed, bits(net)

    (seed, one), (other_seed, other) = trained(None), trained(None)
    assert seed != other_seed
    assert one != other
    assert trained(seed) == (seed, one)


def test_only_the_networks_seed_makes_the_weights():
    np.random.seed(0)  # noqa: NPY002 -- it must not matter
    one = fastbp.Network([5, 3], seed=1)
    state = np.random.get_state()[2]  # noqa: NPY002
    assert bits(one) == bits(fastbp.Network([5, 3], seed=1))
    assert bits(one) != bits(fastbp.Network([5, 3], seed=2))
    assert np.random.get_state()[2] == state  # noqa: NPY002


# Kinds of X and y


class Frame:
    """As much of a DataFrame as np.asarray needs."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype, copy=copy)


def memory_mapped(array, folder):
    np.save(folder / "array.npy", array)
    return np.load(folder / "array.npy", mmap_mode="r")


def unaligned(array, _):
    """A field of packed records: its numbers lie at odd addresses."""
    row = np.dtype([("flag", "?"), ("numbers", array.dtype, array.shape[1:])])
    records = np.zeros(len(array), row)
    records["numbers"] = array
    return records["numbers"]


KINDS = {
    "list": lambda a, _: a.tolist(),
    "frame": lambda a, _: Frame(a),
    "memory map": memory_mapped,
    "double": lambda a, _: a.astype("f8"),
    "half": lambda a, _: a.astype("f2"),
    "byte": lambda a, _: a.astype("u1"),
    "small integer": lambda a, _: a.astype("i1"),
    "integer": lambda a, _: a.astype("i8"),
    "Fortran order": lambda a, _: np.asfortranarray(a),
    "every other": lambda a, _: np.repeat(np.repeat(a, 2, axis=0), 3, axis=-1)[::2, ::3],
    "backwards": lambda a, _: a[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": unaligned,
}


@each_engine
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_array_is_the_same_numbers(kind, engine, tmp_path):
    rng = np.random.default_rng(5)
    X, y = (rng.integers(0, 5, (20, width)).astype("f4") for width in (4, 3))
    expected = parameters_after(NUMBERS, X, y, engine)
    convert = KINDS[kind]
    assert parameters_after(NUMBERS, convert(X, tmp_path), y, engine) == expected
    assert parameters_after(NUMBERS, X, convert(y, tmp_path), engine) == expected


@each_engine
def test_bools_are_zeros_and_ones(engine):
    X, y = np.random.default_rng(5).random((20, 6)) < 0.5, np.ones((20, 2), bool)
    case = Case((6, 9, 2), 20, "tanh", "sigmoid", "bce")
    numbers = parameters_after(case, X.astype("f4"), y.astype("f4"), engine)
    assert parameters_after(case, X, y, engine) == numbers


@each_engine
def test_doubles_are_rounded_and_not_cut(engine):
    X, y = NUMBERS.batch()
    rounded = parameters_after(NUMBERS, X.astype("f4"), y.astype("f4"), engine)
    assert parameters_after(NUMBERS, X, y, engine) == rounded


@each_engine
@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8"])
def test_labels_of_every_integer_type(dtype, engine):
    X, y = CLASSES.batch()
    expected = parameters_after(CLASSES, X, y, engine)
    for labels in (y.astype(dtype), np.repeat(y.astype(dtype), 3)[::3], y.tolist()):
        assert parameters_after(CLASSES, X, labels, engine) == expected


@each_engine
def test_labels_are_rows_of_zeros_with_a_one(engine):
    X, y = CLASSES.batch()
    trainer = CLASSES.trainer("float64", engine)
    one, other = (trainer.loss_and_gradients(X, rows) for rows in (y, np.eye(3)[y]))
    assert one[0] == pytest.approx(other[0], rel=1e-14)
    for pair, twin in zip(one[1], other[1], strict=True):
        for part, expected in zip(pair, twin, strict=True):
            np.testing.assert_allclose(part, expected, rtol=1e-12, atol=1e-15)
    assert trainer.evaluate(X, y) == pytest.approx(trainer.evaluate(X, np.eye(3)[y]))


@each_engine
def test_one_output_takes_flat_targets(engine):
    X, y = ONE_NUMBER.batch()
    expected = parameters_after(ONE_NUMBER, X, y, engine)
    assert parameters_after(ONE_NUMBER, X, y[:, 0], engine) == expected
    assert parameters_after(ONE_NUMBER, X, y[:, 0].tolist(), engine) == expected


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_data_is_never_copied_whole(shuffle, tmp_path):
    X = np.asfortranarray(np.random.default_rng(0).normal(size=(20_000, 100)))
    y = memory_mapped(X[:, :2], tmp_path)
    net = fastbp.Network([100, 8, 2])
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.01), batch_size=64)
    tracemalloc.start()
    trainer.fit(X, y, shuffle=shuffle, validation_data=(X, y))
    trainer.evaluate(X, y)
    trainer.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 4


# History, step, loss_and_gradients, evaluate


@each_engine
@pytest.mark.parametrize("case", [CLASSES, YES_NO, NUMBERS, ONE_NUMBER], ids=lambda c: c.loss)
def test_keys_are_those_that_the_loss_has(case, engine):
    trainer, (X, y) = case.trainer("float32", engine), case.batch()
    y = (y >= 0.5).astype(float) if case is YES_NO else y
    evaluated = {"loss", "accuracy"} if case in (CLASSES, YES_NO) else {"loss"}
    assert set(trainer.evaluate(X, y)) == evaluated
    history = trainer.fit(X, y, epochs=2)
    assert set(history) == {"loss", "samples_per_second"}
    watched = trainer.fit(X, y, epochs=2, validation_data=[X, y])
    assert set(watched) == set(history) | {f"val_{key}" for key in evaluated}


@each_engine
def test_a_history_is_of_its_own_call(engine):
    trainer, (X, y) = CLASSES.trainer("float32", engine, batch_size=6), CLASSES.batch()
    other = CLASSES.batch(seed=7)
    for epochs in (1, 3):
        history = trainer.fit(X, y, epochs, validation_data=other)
        assert isinstance(history, fastbp.History)
        assert isinstance(history, dict)
        for values in history.values():
            assert len(values) == epochs
            assert all(type(value) is float for value in values)
        assert min(history["samples_per_second"]) > 0
        evaluated = trainer.evaluate(*other)
        assert (history["val_loss"][-1], history["val_accuracy"][-1]) == tuple(evaluated.values())
    assert len(trainer.fit(X, y)["loss"]) == 1


@each_engine
def test_step_returns_the_loss_before_it(engine):
    trainer, (X, y) = NUMBERS.trainer("float64", engine), NUMBERS.batch()
    expected = np.mean((trainer.predict(X) - y) ** 2)
    loss = trainer.step(X, y)
    assert type(loss) is float
    assert loss == pytest.approx(expected, rel=1e-12)
    assert trainer.evaluate(X, y)["loss"] < loss


@each_engine
def test_loss_and_gradients_takes_any_number_of_rows_and_changes_nothing(engine):
    trainer, (X, y) = NUMBERS.trainer("float64", engine, batch_size=6), NUMBERS.batch()
    before = bits(trainer.net)
    loss, gradients = trainer.loss_and_gradients(X, y)
    assert bits(trainer.net) == before
    assert type(loss) is float
    assert [(dW.shape, db.shape) for dW, db in gradients] == [((4, 9), (9,)), ((9, 3), (3,))]
    d = 2 * (trainer.predict(X) - y) / y.size
    np.testing.assert_allclose(gradients[-1][1], d.sum(axis=0), rtol=1e-12)


@each_engine
def test_accuracy_of_classes_is_the_share_of_labels_found(engine):
    trainer, (X, y) = CLASSES.trainer("float32", engine), CLASSES.batch()
    found = trainer.predict(X).argmax(axis=1) == y
    assert 0 < found.mean() < 1
    accuracy = trainer.evaluate(X, y)["accuracy"]
    assert type(accuracy) is float
    assert accuracy == pytest.approx(found.mean())


@each_engine
def test_accuracy_takes_the_first_of_the_largest(engine):
    trainer = CLASSES.trainer("float32", engine)
    trainer.net.set_parameters(
        [np.zeros_like(w) for w in trainer.net.weights], [np.zeros(9), [0, 1, 1]]
    )
    assert trainer.evaluate(np.ones((3, 4)), [0, 1, 2])["accuracy"] == pytest.approx(1 / 3)
    assert trainer.evaluate(np.ones((1, 4)), [1])["accuracy"] == 1


@each_engine
def test_accuracy_of_yes_and_no_is_the_share_of_entries_on_the_right_side(engine):
    trainer, (X, y) = YES_NO.trainer("float32", engine), YES_NO.batch()
    y = (y >= 0.5).astype(float)
    right = (trainer.predict(X) >= 0.5) == y
    assert 0 < right.mean() < 1
    assert trainer.evaluate(X, y)["accuracy"] == pytest.approx(right.mean())
    trainer.net.set_parameters(
        [np.zeros_like(w) for w in trainer.net.weights], [np.zeros(9), np.zeros(2)]
    )
    assert trainer.evaluate(X[:1], [[1.0, 0.0]])["accuracy"] == 0.5  # outputs of exactly 0.5


# predict


@each_engine
@each_dtype
@pytest.mark.parametrize("rows", [1, 2, 15, 17, 500])
def test_predict_returns_a_row_for_each_row(rows, dtype, engine):
    trainer = ONE_NUMBER.trainer(dtype, engine)
    X = np.random.default_rng(0).normal(size=(rows, 4))
    for predict in (trainer.predict, trainer.net.predict):
        p = predict(X)
        assert (p.shape, p.dtype, type(p)) == ((rows, 1), np.dtype(dtype), np.ndarray)
        assert p.flags.writeable
        assert p.flags.owndata


@each_engine
def test_predict_fills_out(engine):
    trainer, (X, _) = NUMBERS.trainer("float32", engine), NUMBERS.batch()
    for predict in (trainer.predict, trainer.net.predict):
        around = np.full((len(X) + 2, 3), 7, "f4")
        out = around[1:-1]
        assert predict(X, out=out) is out
        assert np.array_equal(out, predict(X))
        assert (around[[0, -1]] == 7).all()


def test_predict_reads_the_parameters_of_now():
    net = fastbp.Network([1, 1], seed=0)
    for value in (2.0, 3.0):
        net.set_parameters([[[value]]], [[1.0]])
        assert net.predict([[10.0]]) == [[10 * value + 1]]


# What is printed


def test_nothing_prints(capfd):
    trainer, (X, y) = CLASSES.trainer("float32"), CLASSES.batch()
    trainer.fit(X, y)
    trainer.step(X, y)
    trainer.evaluate(X, y)
    trainer.predict(X)
    assert capfd.readouterr() == ("", "")


def test_show_config_shows_what_fastbp_runs_on(capsys):
    assert fastbp.show_config() is None
    shown = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    shown = {key: value.strip() for key, value in shown.items()}
    assert shown["fastbp"] == fastbp.__version__
    assert shown["numpy"] == np.__version__
    assert shown["numba"] == numba.__version__
    assert shown["vector width"].startswith(f"{width.BITS} bits")
    assert str(numba.config.NUMBA_NUM_THREADS) in shown["threads"]
    assert {"python", "llvmlite", "processor", "threading layer", "kernel cache"} <= set(shown)


def test_show_config_names_the_threading_layer_once_it_runs(capsys):
    case = CASES["odd"]
    trainer = case.trainer("float32")
    core(trainer).workers = 2
    trainer.step(*case.batch())
    fastbp.show_config()
    assert f"threading layer: {numba.threading_layer()}\n" in capsys.readouterr().out
