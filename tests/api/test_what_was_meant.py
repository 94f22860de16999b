"""What does not fit is answered with the one remedy that does."""

import inspect
import re

import numba
import numpy as np
import pytest

import fastbp
from fastbp import schedules
from fastbp.common import signatures
from fastbp.components import user_functions

SGD = fastbp.SGD(0.1)


def trainer(output="identity", loss="mse", units=1, **options):
    net = fastbp.Network([2, 3, units], output=output, seed=0)
    return fastbp.Trainer(net, loss=loss, optimizer=SGD, engine="numpy", **options)


def fit(**arguments):
    trainer().fit(np.ones((4, 2)), np.ones(4), **arguments)


def evaluate(**arguments):
    trainer().evaluate(np.ones((4, 2)), np.ones(4), **arguments)


def network(**arguments):
    fastbp.Network([2, 1], **arguments)


# Arguments

ARGUMENTS = [
    (network, "hidden", "did you mean 'sizes'. .inputs, hidden, outputs., the units of all"),
    (network, "activaton", "did you mean 'activation'"),
    (network, "output_activation", "did you mean 'output'"),
    (network, "dropout", r"an argument of fastbp.Trainer: fastbp.Trainer\(..., dropout=...\)"),
    (network, "learning_rate", r"of the optimizer: optimizer=fastbp.Adam\(lr=1e-3\)"),
    (trainer, "learning_rate", r"of the optimizer: optimizer=fastbp.Adam\(lr=1e-3\)"),
    (trainer, "epochs", "epochs is an argument of trainer.fit"),
    (trainer, "random_state", "did you mean 'seed'"),
    (trainer, "hidden_layer_sizes", "sizes is an argument of fastbp.Network"),
    (fit, "batch_size", "batch_size is an argument of fastbp.Trainer"),
    (fit, "verbose", "did you mean 'progress'. progress=False"),
    (fit, "validation_split", "did you mean 'validation_fraction'. validation_fraction=0.1"),
    (fit, "learning_rate", "did you mean 'lr'"),
    (fit, "qwerty", "there are X, y, epochs, "),
    (evaluate, "batch_size", "batch_size is an argument of fastbp.Trainer"),
    (fastbp.Adam, "learning_rate", "did you mean 'lr'"),
    (fastbp.AdamW, "beta_1", r"did you mean 'betas'. betas=\(0.9, 0.999\)"),
    (fastbp.EarlyStopping, "restore_best_weights", "did you mean 'restore_best'"),
    (fastbp.EarlyStopping, "n_iter_no_change", "did you mean 'patience'"),
    (fastbp.ReduceLROnPlateau, "cool_down", "did you mean 'cooldown'"),
    (fastbp.ModelCheckpoint, "filepath", "did you mean 'path'"),
    (fastbp.CSVLogger, "filename", "did you mean 'path'"),
    (fastbp.TimeLimit, "second", "did you mean 'seconds'"),
    (fastbp.LambdaCallback, "on_epoch_begin", "did you mean 'on_"),
    (fastbp.LambdaCallback, "on_train_batch_end", "did you mean 'on_step_end'"),
    (fastbp.Huber, "beta", "did you mean 'delta'"),
    (fastbp.Quantile, "quantile", "there are q"),
    (schedules.Cosine, "T_max", "did you mean 'updates'"),
    (schedules.StepDecay, "step_size", "did you mean 'every'"),
    (schedules.Warmup, "update", "did you mean 'updates'"),
    (fastbp.Network([1, 1]).set_parameters, "weight", "did you mean 'weights'"),
    (fastbp.Network([1, 1]).set_scaling, "mean", "did you mean 'input_mean'"),
    (fastbp.LBFGS, "max_iter", "epochs is an argument of trainer.fit"),
    (lambda **arguments: trainer().replace(**arguments), "n_epochs", "argument of trainer.fit"),
]


@pytest.mark.parametrize(("call", "name", "message"), ARGUMENTS)
def test_an_unknown_argument_is_told_where_it_belongs(call, name, message):
    with pytest.raises(TypeError, match=f"has no argument '{name}': .*{message}"):
        call(**{name: 1})


def test_every_name_of_another_library_stands_for_an_argument():
    known = {name for names in signatures.PLACES.values() for name in names}
    assert set(signatures.OF_OTHERS.values()) <= known


def test_signatures_are_those_of_the_functions():
    assert "X" in inspect.signature(fastbp.Trainer.fit).parameters
    assert [*inspect.signature(fastbp.Adam).parameters] == ["lr", "betas", "eps", "weight_decay"]


def test_each_call_knows_all_its_arguments():
    calls = {f"fastbp.{name}": getattr(fastbp, name) for name in fastbp.__all__}
    calls |= {f"fastbp.schedules.{name}": getattr(schedules, name) for name in schedules.__all__}
    calls |= {f"net.{name}": getattr(fastbp.Network, name) for name in dir(fastbp.Network)}
    calls |= {f"trainer.{name}": getattr(fastbp.Trainer, name) for name in dir(fastbp.Trainer)}
    for call, names in signatures.PLACES.items():
        parameters = inspect.signature(calls[call]).parameters
        assert names == tuple(name for name in parameters if name != "self"), call


@pytest.mark.parametrize(("named", "expected"), [("adamw", "AdamW"), (fastbp.SGD, "SGD")])
def test_an_optimizer_by_its_name(named, expected):
    with pytest.raises(TypeError, match=rf"for example fastbp\.{expected}\(lr="):
        fastbp.Trainer(fastbp.Network([1, 1]), loss="mse", optimizer=named)


def test_weights_in_the_place_of_epochs():
    message = r"epochs is a ndarray of numbers.*fit\(X, y, sample_weight=\.\.\.\)"
    with pytest.raises(TypeError, match=message):
        trainer().fit(np.ones((4, 2)), np.ones(4), np.ones(4))


def test_a_number_is_no_path():
    """Python's open would take it for an open file."""
    with pytest.raises(TypeError, match="path is 3, of type int, expected the path of a file"):
        fastbp.load(3)


def test_balanced_is_no_weight_of_one_output():
    message = r"class_weight\[1\] is 'balanced', expected a dict .*class_weight='balanced'"
    with pytest.raises(TypeError, match=message):
        trainer("sigmoid", "bce", 2, class_weight=[{1: 2.0}, "balanced"])


class Group:
    """A file of h5py: its arrays by name."""

    def __array__(self, dtype=None, copy=None):
        return np.array(["a", "b"])

    def keys(self):
        return ["a", "b"]


CONTAINERS = [
    ({"a": [1.0], "b": [2.0]}, r"pass a table of its columns, pandas\.DataFrame\(X\)"),
    (Group(), r"pass one of its arrays, X\['name'\], of \['a', 'b'\]"),
    ("data.csv", "read the file first, and pass its array"),
]


@pytest.mark.parametrize(("X", "message"), CONTAINERS)
def test_what_holds_arrays_or_names_them(X, message):
    with pytest.raises(TypeError, match=message):
        trainer().net.predict(X)


# Targets of several classes a row


@pytest.mark.parametrize("kind", [np.float32, np.int64, bool])
def test_targets_of_several_classes_with_softmax(kind):
    y = np.array([[1, 0, 0], [1, 1, 0]], kind)
    with pytest.raises(ValueError, match=r"sum to 2 at row 1.*output='sigmoid' and use loss='bce'"):
        trainer("softmax", "cross_entropy", 3).fit(np.ones((2, 2)), y)


def test_probabilities_that_do_not_sum_to_one():
    y = np.array([[0.5, 0.2, 0.1]])
    with pytest.raises(ValueError, match=r"sum to 0\.8 at row 0.*divide each row by its sum"):
        trainer("softmax", "cross_entropy", 3).fit(np.ones((1, 2)), y)


# Functions of the user's own


def plain_loss(p, y):
    return ((p - y) ** 2).mean()


def plain_activation(z, slope):
    return z * slope, slope


def trainer_of(loss):
    trainer(loss=loss)


def network_of(activation):
    fastbp.Network([2, 3, 1], activation=activation)


OWN = [
    (plain_loss, "loss is <function plain_loss"),
    (numba.njit(plain_loss), r"loss is plain_loss\(p, y\): it must"),
    (plain_activation, "activation is <function plain_activation"),
    (numba.njit(plain_activation), r"activation is plain_activation\(z, slope\): it must"),
]


@pytest.mark.parametrize(("function", "message"), OWN)
def test_a_function_is_shown_its_signature_and_an_example(function, message):
    is_loss = "loss" in message
    make = trainer_of if is_loss else network_of
    with pytest.raises(TypeError, match=message) as error:
        make(function)
    form = user_functions.LOSS if is_loss else user_functions.ACTIVATION
    assert str(error.value).endswith(form)


@pytest.mark.parametrize("form", [user_functions.LOSS, user_functions.ACTIVATION])
def test_the_examples_of_messages_are_right(form):
    names = {"numba": numba}
    exec(inspect.cleandoc(form.partition("\n")[2]), names)
    if form is user_functions.LOSS:
        trainer_of(names["squared"])
    else:
        network_of(names["softsign"])


# Schedules of the user's own


def test_a_function_alone_is_no_schedule():
    message = r"schedule is the function .*Table\.of\(lambda t: 0\.99\*\*t, updates=1000\)"
    with pytest.raises(TypeError, match=message):
        trainer(schedule=lambda t: 0.5**t)


@pytest.mark.parametrize("base", [schedules.Schedule, schedules.Constant])
def test_a_class_of_ones_own_is_no_schedule(base):
    class Halving(base):
        def encoded(self):
            return np.zeros(3)

    message = r"schedule is of the class Halving, which the kernels do not know.*Table\.of\("
    with pytest.raises(TypeError, match=message):
        trainer(schedule=Halving())
    with pytest.raises(TypeError, match=r"Warmup: then is of the class Halving"):
        schedules.Warmup(3, Halving())


def test_a_schedule_takes_compiled_functions():
    assert schedules.Table.of(numba.njit(lambda t: 0.5**t), 3) == schedules.Table([1, 0.5, 0.25])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schedules.Table([]), ValueError, "factors is empty"),
        (lambda: schedules.Table([1, -1]), ValueError, r"factors\[1\] is -1.0"),
        (lambda: schedules.Table(3), TypeError, "expected a sequence of numbers"),
        (lambda: schedules.Table("12"), TypeError, "expected a sequence of numbers"),
        (lambda: schedules.Table.of(3, 3), TypeError, "function is 3, expected a function"),
        (lambda: schedules.Table.of(lambda t: t, 0), ValueError, "updates is 0"),
        (lambda: schedules.Table.of(lambda _: None, 2), TypeError, "returned for t = 0 is None"),
        (lambda: schedules.Table.of(lambda t: 1 - t, 3), ValueError, "returned for t = 2 is -1"),
    ],
)
def test_tables_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_error_of_the_function_says_for_which_update():
    with pytest.raises(ZeroDivisionError) as error:
        schedules.Table.of(lambda t: 1 / (2 - t), 5)
    assert error.value.__notes__ == ["while a schedule asked for its factor after 2 updates"]


# The package


def test_what_the_package_shows():
    assert dir(fastbp) == sorted(fastbp.__all__)
    about = inspect.getdoc(fastbp)
    assert 15 <= about.count("\n") <= 25
    for name in fastbp.__all__:
        assert re.search(rf"\b{name}\b", about), name
