"""One thread at a time for a network and all its trainers: another one is told so."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp.kernels.entry import run
from support.cases import CASES
from support.internals import core

CASE = CASES["whole vectors"]
X, Y = CASE.batch()
X32, Y32 = X.astype(np.float32), Y.astype(np.float32)


def averaging_trainer():
    trainer = CASE.trainer("float32", optimizer=fastbp.Adam(), ema_decay=0.9)
    trainer.fit(X, Y)
    return trainer


def another(trainer):
    """A second trainer of the same network."""
    return fastbp.Trainer(trainer.net, loss="squared_error", optimizer=fastbp.SGD(0.1))


REFUSED = {
    "step": lambda t: t.step(X, Y),
    "step of plain arrays": lambda t: t.step(X32, Y32),
    "fit": lambda t: t.fit(X, Y),
    "fit_batches": lambda t: t.fit_batches([(X, Y)]),
    "loss_and_gradients": lambda t: t.loss_and_gradients(X, Y),
    "evaluate": lambda t: t.evaluate(X, Y),
    "evaluate averaged": lambda t: t.evaluate(X, Y, averaged=True),
    "predict averaged": lambda t: t.predict(X, averaged=True),
    "averaged_network": lambda t: t.averaged_network(),
    "find_lr": lambda t: t.find_lr(X, Y),
    "compiled": lambda t: t.compiled(),
    "pickle": pickle.dumps,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle of the network": lambda t: pickle.dumps(t.net),
    "deepcopy of the network": lambda t: copy.deepcopy(t.net),
    "copy of the network": lambda t: copy.copy(t.net),
    "set_parameters": lambda t: t.net.set_parameters(t.net.weights, t.net.biases),
    "standardize": lambda t: t.net.standardize(X),
    "set_scaling": lambda t: t.net.set_scaling(input_scale=2),
    "another trainer's step": lambda t: another(t).step(X, Y),
    "another trainer's fit": lambda t: another(t).fit(X, Y),
}

ALLOWED = {
    "predict": lambda t: t.predict(X),
    "net.predict": lambda t: t.net.predict(X32),
    "lr": lambda t: setattr(t, "lr", 0.5),
    "another trainer": another,
}


def elsewhere(call):
    """What it returns in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def all_of(trainer):
    state, net = core(trainer).arrays, trainer.net
    arrays = (state.parameters, state.moments, state.hyper, *net.arrays.scales)
    return [a.tobytes() for a in arrays], state.spec, net.arrays.spec, core(trainer).epoch


def during_fit(trainer, call):
    """What a call in another thread returns while this one is in a callback of fit."""
    found = []
    keep = fastbp.LambdaCallback(on_epoch_end=lambda _: found.append(elsewhere(call)))
    trainer.fit(X, Y, callbacks=[keep])
    return found[0]


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_while_one_thread_trains_another_is_refused(call):
    trainer = averaging_trainer()

    def attempt():
        before = all_of(trainer)
        with pytest.raises(RuntimeError, match=r"in use by another thread.*wait for it"):
            call(trainer)
        return before == all_of(trainer)

    assert during_fit(trainer, attempt), "something has changed"
    call(trainer)
    elsewhere(lambda: trainer.step(X, Y))


@pytest.mark.parametrize("call", ALLOWED.values(), ids=ALLOWED)
def test_while_one_thread_trains_another_can(call):
    trainer = averaging_trainer()
    during_fit(trainer, lambda: call(trainer))


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"fit"}))
def test_what_others_are_refused_a_callback_can(name):
    """All but fit of the same trainer: tests/api/test_callbacks.py."""
    call, trainer = REFUSED[name], averaging_trainer()
    once = fastbp.LambdaCallback(on_epoch_end=lambda _: call(trainer))
    trainer.fit(X, Y, callbacks=[once])


def test_nobody_steps_while_one_thread_evaluates():
    trainer, errors = averaging_trainer(), []

    def metric(_y, _p):
        with pytest.raises(RuntimeError, match="another thread") as caught:
            elsewhere(lambda: trainer.step(X, Y))
        errors.append(caught)
        return 0.0

    trainer.evaluate(X, Y, metrics={"busy": metric})
    assert errors


def test_steps_of_two_threads_are_made_or_refused():
    """As many updates as calls that returned, and the parameters of as many by one thread."""
    trainer, exclusive = averaging_trainer(), averaging_trainer()
    made = []

    def step_often():
        for _ in range(300):
            try:
                made.append(trainer.step(X32, Y32))
            except RuntimeError:
                continue

    threads = [threading.Thread(target=step_often) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) >= 300 // 2
    for _ in made:
        exclusive.step(X32, Y32)
    assert all_of(trainer)[0] == all_of(exclusive)[0]


def test_a_long_prediction_is_not_led_astray_by_what_makes_the_trainer_extended(monkeypatch):
    """Its chunks go on with the kernels that its memory was laid out for."""
    trainer = CASE.trainer("float32")
    core(trainer).workers = 1
    rows = np.tile(X, (100, 1))
    expected = trainer.predict(rows)
    chunks, kinds, serial = [], [], run.serial

    def next_count(count, _seconds):
        chunks.append(count)
        if len(chunks) == 2:
            trainer.step(X, Y, np.ones(len(X)))
            trainer.net.set_parameters(*parameters)
        return count

    parameters = trainer.net.weights, trainer.net.biases
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", next_count)
    monkeypatch.setattr("fastbp.runtime.chunking.first_rows", lambda _: 1)
    monkeypatch.setattr(run, "serial", lambda *kind: kinds.append(kind) or serial(*kind))
    np.testing.assert_array_equal(trainer.predict(rows), expected)
    assert (4, True) in kinds
    assert kinds[-1] == (4, False)
