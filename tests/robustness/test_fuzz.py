"""Every call of a network and a trainer with arguments by the machine: works or says why not."""

import io
from contextlib import redirect_stderr

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbp
from support.fuzzing import (
    FAULTS,
    INPUTS,
    OUTPUTS,
    ROWS,
    batch_of,
    check_call,
    draw_all,
    optional,
    state_of,
    subjects,
    tries,
)
from support.strange_values import anything, array_like, junk, numbers

pytestmark = pytest.mark.slow


def plain_metric(y, p):
    return float(len(p) / len(np.asarray(y)))


METRICS = st.one_of(
    st.sampled_from([None, {}, {"rows": plain_metric}, {"loss": plain_metric}, {"m": 3}, {3: len}]),
    junk,
)
FLAGS = anything(True, False)


@tries(500)
@given(st.data())
def test_step(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    arguments = batch_of(data, subject)
    loss = check_call(trainer.step, arguments, trainer=trainer, changes=True)
    if loss is not None:
        assert type(loss) is float
        assert np.isfinite(loss)
        other = subject.trainer()
        present = {name: value for name, value in arguments.items() if value is not None}
        plain = {name: np.array(np.asarray(value)) for name, value in present.items()}
        assert plain["X"].shape == (len(plain["y"]), INPUTS)
        assert loss == other.step(**plain)
        assert state_of(trainer) == state_of(other)


@tries(300)
@given(st.data())
def test_loss_and_gradients(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    found = check_call(trainer.loss_and_gradients, batch_of(data, subject), trainer=trainer)
    if found is not None:
        loss, layers = found
        assert np.isfinite(loss)
        for layer, own in zip(layers, trainer.net.arrays.layers(), strict=True):
            for gradient, part in zip(layer, own, strict=True):
                assert (gradient.shape, gradient.dtype) == (part.shape, part.dtype)


@tries(300)
@given(st.data())
def test_evaluate(data):
    subject = data.draw(subjects)
    trainer, arguments = subject.trainer(), batch_of(data, subject)
    arguments |= optional(data, averaged=FLAGS, metrics=METRICS)
    found = check_call(trainer.evaluate, arguments, trainer=trainer, names=FAULTS)
    assert found is None or all(type(value) is float for value in found.values())


@tries(500)
@given(st.data())
def test_predict(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    X, _ = subject.data()
    arguments = draw_all(data, X=array_like(X))
    arguments |= optional(data, out=array_like(np.ones((ROWS, OUTPUTS), subject.dtype)))
    call = trainer.net.predict
    if data.draw(st.booleans(), "by the trainer"):
        call, arguments = trainer.predict, arguments | optional(data, averaged=FLAGS)
    p = check_call(call, arguments, trainer=trainer)
    if p is not None:
        assert p is arguments.get("out") or type(p) is np.ndarray
        p = np.asarray(p)
        assert (p.ndim, p.shape[1], p.dtype) == (2, OUTPUTS, subject.dtype)
        plain = np.array(np.asarray(arguments["X"]), subject.dtype)
        # The variance of a layer that is normalized overflows where its square does.
        assert np.isfinite(p).all() or np.abs(plain).max() > np.finfo(subject.dtype).max ** 0.4
        assert plain.shape == (len(p), INPUTS)
        again = call(**(arguments | {"X": plain, "out": None}))
        np.testing.assert_array_equal(p, again)


@tries(200)
@given(subjects, st.integers(0, 22))
def test_outputs_and_inputs_that_share_memory(subject, start):
    net = subject.trainer().net
    memory = np.linspace(-1, 1, 34).astype(subject.dtype)
    X = memory[: ROWS * INPUTS].reshape(ROWS, INPUTS)
    out = memory[start : start + ROWS * OUTPUTS].reshape(ROWS, OUTPUTS)
    expected, before = net.predict(X.copy()), memory.copy()
    p = check_call(net.predict, {"X": X, "out": out} if start >= X.size else {"out": out, "X": X})
    if start >= X.size:
        np.testing.assert_array_equal(p, expected)
    else:
        assert p is None
        np.testing.assert_array_equal(memory, before)


@tries(400)
@given(st.data())
def test_fit(data):
    subject = data.draw(subjects)
    trainer, (X, y) = subject.trainer(), subject.data()
    arguments = batch_of(data, subject) | optional(
        data,
        epochs=anything(1, 2).filter(is_no_long_time),
        validation_data=st.one_of(st.tuples(array_like(X), array_like(y)), junk),
        validation_fraction=anything(0.5, 0.2),
        metrics=METRICS,
        callbacks=st.one_of(st.sampled_from([[], [fastbp.TimeLimit(9)], [len]]), junk),
        shuffle=FLAGS,
        progress=anything(False, "auto"),
    )
    arguments.setdefault("progress", False)
    with redirect_stderr(io.StringIO()):  # where progress is True
        history = check_call(
            trainer.fit, arguments, trainer=trainer, names=FAULTS, changes=True, partly=True
        )
    if history is not None:
        assert all(np.isfinite(column).all() for column in history.values())


def is_no_long_time(count):
    """So many epochs, or updates, take no long time, or are none."""
    return not (isinstance(count, int | np.integer) and count > 1000)


@tries(200)
@given(st.data())
def test_fit_batches(data):
    subject = data.draw(subjects)
    trainer, (X, y) = subject.trainer(), subject.data()
    batch = st.one_of(st.tuples(array_like(X), array_like(y)), st.just((X, y, [1] * ROWS)), junk)
    nothing = junk.filter(lambda value: not callable(value))  # what a function raises is its own
    batches = data.draw(st.one_of(st.lists(batch, max_size=3), nothing, numbers))
    kind = data.draw(st.sampled_from(["as it is", "function", "generator"]))
    given_ = {"as it is": batches, "function": lambda: batches, "generator": through(batches)}
    arguments = {"batches": given_[kind]}
    arguments |= optional(data, epochs=anything(1, 2).filter(is_no_long_time))
    check_call(
        trainer.fit_batches, arguments, trainer=trainer, names=FAULTS, changes=True, partly=True
    )


def through(batches):
    return (batch for batch in batches) if isinstance(batches, list) else batches


@tries(120)
@given(st.data())
def test_find_lr(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    arguments = batch_of(data, subject, weights=False) | optional(
        data,
        start_lr=anything(1e-7, 1e-3),
        end_lr=anything(1.0, 10.0),
        updates=anything(2, 20).filter(is_no_long_time),
    )
    arguments.setdefault("updates", 5)
    curve = check_call(trainer.find_lr, arguments, trainer=trainer, names=FAULTS)
    assert curve is None or np.isfinite(curve.losses).all()


@tries(400)
@given(st.data())
def test_set_parameters(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    net = trainer.net
    names = ["weights", "biases", *(("gains", "shifts") if subject.layer_norm else ())]
    arguments = {}
    for name in names:
        arrays = [array.copy() for array in getattr(net, name)]
        arguments[name] = data.draw(
            st.one_of(st.just(arrays), st.tuples(*map(array_like, arrays)), junk), name
        )
    check_call(net.set_parameters, arguments, trainer=trainer, changes=True)


@tries(300)
@given(st.data())
def test_standardize(data):
    subject = data.draw(subjects)
    trainer, (X, y) = subject.trainer(), subject.data()
    y = y if y.ndim == 2 else X[:, :OUTPUTS]
    arguments = draw_all(data, X=array_like(X)) | optional(data, y=array_like(y))
    names = ("loss", "input_mean", "target_mean")
    check_call(trainer.net.standardize, arguments, trainer=trainer, names=names, changes=True)


@tries(400)
@given(st.data())
def test_set_scaling(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    arguments = optional(
        data,
        input_mean=array_like(np.arange(INPUTS)),
        input_scale=array_like(np.ones(INPUTS)),
        target_mean=array_like(np.arange(OUTPUTS)),
        target_scale=array_like(np.full(OUTPUTS, 2.0)),
    )
    check_call(trainer.net.set_scaling, arguments, trainer=trainer, names=("loss",), changes=True)


@tries(120)
@given(subjects, st.one_of(numbers, junk))
def test_lr(subject, value):
    trainer = subject.trainer()
    check_call(lambda lr: setattr(trainer, "lr", lr), {"lr": value}, trainer=trainer, changes=True)
