"""A call that is refused leaves the trainer and its network as they were, all of them."""

import numpy as np
import pytest

import fastbp
from fastbp.schedules import Cosine
from support.cases import each_engine
from support.internals import core
from support.tables_of_others import Named
from support.trainers import training_state

NAMES = ("a", "b", "c", "d")
ROWS, BATCH = 40, 16

_rng = np.random.default_rng(0)
X = _rng.normal(size=(ROWS, 4))
Y = np.arange(ROWS) % 3
WEIGHTS = np.linspace(1, 2, ROWS)


def new_trainer(engine, optimizer=None, **options):
    rule = optimizer or fastbp.Adam(lr=0.01)
    how = {"loss": "cross_entropy", "engine": engine, "class_weight": "balanced", "seed": 1}
    net = fastbp.Network([4, 5, 3], activation="relu", output="softmax", seed=0)
    return fastbp.Trainer(net, optimizer=rule, batch_size=BATCH, **how | options)


def trained(engine):
    """With names, class weights of other data, and a learning rate that was set."""
    trainer = new_trainer(engine)
    trainer.fit(Named(X, NAMES), np.minimum(Y, 1), epochs=2)
    trainer.lr = 0.02
    return trainer


STATES = {"new": new_trainer, "trained": trained}


def state_of(trainer):
    """All but the History of the last fit, and which kernels run: all give the same bits."""
    own, net = core(trainer), trainer.net
    scales = net.input_mean, net.input_scale, net.target_mean, net.target_scale
    rest = own.is_balanced, own.fit, str(own.settled_lr), net.feature_names_in, repr(trainer)
    return training_state(trainer), scales, rest


def with_value(array, row, value):
    changed = array.astype(np.result_type(array, type(value)))
    changed[row] = value
    return changed


def fit(trainer, x=X, y=Y, **options):
    options = {"lr": 0.5} | options if trainer.optimizer.makes_updates else options
    trainer.fit(Named(x, NAMES), y, **options)


class FailsAtOnce(fastbp.Callback):
    def on_fit_begin(self, _state):
        raise LookupError


BAD_DATA = {
    "X": {"x": X[:, :3]},
    "X, first row": {"x": with_value(X, 0, np.nan)},
    "X, last row": {"x": with_value(X, -1, np.inf)},
    "y": {"y": Y[:-1]},
    "y, a label": {"y": with_value(Y, 5, 3)},
    "y, floats": {"y": Y / 2},
}
BAD_OF_FIT = {
    **BAD_DATA,
    "sample_weight": {"sample_weight": with_value(WEIGHTS, 3, -1.0)},
    "no sample_weight": {"sample_weight": np.zeros(ROWS)},
    "a loss that overflows": {"x": 1e38 * X},
    "balanced, and X": {"y": Y % 2, "x": with_value(X, 7, np.nan)},
    "weights, and X": {"sample_weight": WEIGHTS, "x": with_value(X, 7, np.nan)},
    "validation_data": {"validation_data": (X, Y[:-1])},
    "a value of validation_data": {"validation_data": (with_value(X, 2, np.nan), Y)},
    "weights of validation_data": {"validation_data": (X, Y, np.zeros(ROWS))},
    "names of validation_data": {"validation_data": (Named(X, NAMES[::-1]), Y)},
    "validation_fraction": {"validation_fraction": 1.5},
    "held-out rows": {"validation_fraction": 0.5, "x": with_value(X, slice(None), np.nan)},
    "metrics": {"metrics": {"m": np.mean}},
    "callbacks": {"callbacks": [print]},
    "a callback that fails at once": {"callbacks": [FailsAtOnce()]},
    "progress": {"progress": "yes"},
    "epochs": {"epochs": 0},
    "an unknown argument": {"batch_size": 3},
}
BAD_OF_BATCHES = {
    "lr": {"lr": -1.0},
    "shuffle": {"shuffle": "no"},
    "snapshot": {"snapshot": None},
    "resume": {"resume": "nothing.safetensors"},
}
AFTER_AN_UPDATE = ("X, last row", "a loss that overflows")
ERRORS = (ValueError, TypeError, FloatingPointError, LookupError, OSError)


@each_engine
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("bad", BAD_OF_FIT | BAD_OF_BATCHES)
def test_fit(bad, state, engine):
    trainer = STATES[state](engine)
    before = state_of(trainer)
    for snapshot in (True, False):
        options = {"snapshot": snapshot, "shuffle": False}
        if bad in AFTER_AN_UPDATE and not snapshot:
            continue  # it stays
        with pytest.raises(ERRORS):
            fit(trainer, **options | (BAD_OF_FIT | BAD_OF_BATCHES)[bad])
        assert state_of(trainer) == before
    if state == "new":
        with pytest.raises(ValueError, match="class_weight is 'balanced'"):
            trainer.step(X[:BATCH], Y[:BATCH])


@pytest.mark.parametrize("bad", BAD_OF_FIT)
def test_fit_by_lbfgs(bad):
    trainer = new_trainer("numba", fastbp.LBFGS())
    before = state_of(trainer)
    with pytest.raises(ERRORS):
        fit(trainer, **BAD_OF_FIT[bad])
    assert state_of(trainer) == before


@each_engine
def test_fit_to_resume(engine, tmp_path):
    """What is refused when the file is known, and when its weights are."""
    path = tmp_path / "run.safetensors"
    keeper = fastbp.ModelCheckpoint(path)
    new_trainer(engine).fit(X, Y, callbacks=[keeper], sample_weight=WEIGHTS)
    trainer = new_trainer(engine)
    before = state_of(trainer)
    for options in (
        {"callbacks": []},
        {"sample_weight": None},
        {"sample_weight": 3 * WEIGHTS},
        {"y": Y % 2, "sample_weight": 3 * WEIGHTS},
        {"epochs": 1, "y": with_value(Y, 0, 9)},
    ):
        given = {"callbacks": [keeper], "sample_weight": WEIGHTS, "resume": path, "epochs": 2}
        with pytest.raises(ERRORS):
            fit(trainer, **given | options)
        assert state_of(trainer) == before


@each_engine
def test_fit_past_the_end_of_a_schedule(engine):
    trainer = new_trainer(engine, schedule=Cosine(5), class_weight=None)
    before = state_of(trainer)
    with pytest.raises(ValueError, match="updates"):
        fit(trainer, epochs=2)
    with pytest.raises(ValueError, match="updates"):
        trainer.fit_batches([(X[:BATCH], Y[:BATCH])] * 6)
    assert state_of(trainer) == before


@each_engine
@pytest.mark.parametrize(
    "bad", BAD_DATA | {"weights": {}, "epochs": {}, "callback": {}, "none": {}}
)
def test_fit_batches(bad, engine):
    trainer = trained(engine)
    given = {"x": X, "y": Y} | BAD_DATA.get(bad, {})
    batches = [(Named(given["x"], NAMES), given["y"])]
    how = {"epochs": {"epochs": 0}, "callback": {"callbacks": [FailsAtOnce()]}}.get(bad, {})
    if bad == "weights":
        batches = [(X[:BATCH], Y[:BATCH], -WEIGHTS[:BATCH])]
    before = state_of(trainer)
    with pytest.raises(ERRORS):
        trainer.fit_batches([] if bad == "none" else batches, **how)
    assert state_of(trainer) == before


@each_engine
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("bad", BAD_DATA)
def test_other_calls(bad, state, engine):
    trainer, options = STATES[state](engine), {"class_weight": None}
    trainer = trainer.replace(**options) if state == "new" else trainer  # else no step is made
    given = {"x": X[:BATCH], "y": Y[:BATCH]}
    given |= {key: value[[*range(BATCH - 1), -1]] for key, value in BAD_DATA[bad].items()}
    if bad == "y":
        given["y"] = Y[: BATCH - 1]
    x, y, before = Named(given["x"], NAMES), given["y"], state_of(trainer)
    calls = [trainer.step, trainer.loss_and_gradients, trainer.evaluate, trainer.find_lr]
    if "X" in bad:
        calls += [lambda x, _: trainer.predict(x), lambda x, _: trainer.net.predict(x)]
    for call in calls:
        with pytest.raises(ERRORS):
            call(x, y)
        assert state_of(trainer) == before
    for how in ({"start_lr": 0}, {"end_lr": 1e-9}, {"updates": 1}, {"sample_weight": -WEIGHTS}):
        with pytest.raises(ERRORS):
            trainer.find_lr(Named(X, NAMES), Y, **how)
    with pytest.raises(ERRORS):
        trainer.apply_gradients([(np.zeros((4, 5)), np.full(5, np.nan))] * 2)
    assert state_of(trainer) == before


@each_engine
def test_what_was_trained_stays(engine):
    """An error after the first update undoes nothing."""

    def fail(_state):
        raise LookupError

    trainer = new_trainer(engine)
    with pytest.raises(LookupError):
        fit(trainer, callbacks=[fastbp.LambdaCallback(on_step_end=fail)])
    assert (trainer.lr, trainer.net.feature_names_in) == (0.5, NAMES)
    lbfgs = new_trainer(engine, fastbp.LBFGS())
    with pytest.raises(LookupError):
        fit(lbfgs, callbacks=[fastbp.LambdaCallback(on_epoch_end=fail)])
    assert lbfgs.net.feature_names_in == NAMES
    assert core(lbfgs).is_balanced
