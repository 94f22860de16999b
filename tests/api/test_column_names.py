"""Names of columns: kept by the first training, saved, and compared ever after."""

import copy
import pickle

import numpy as np
import pytest

import fastbp
from support.cases import each_engine
from support.tables_of_others import Named, Stored
from support.trainers import bits

NAMES = ("a", "b", "c")


def new_trainer(engine="numba", **options):
    net = fastbp.Network([3, 4, 1], seed=0)
    defaults = {"optimizer": fastbp.Adam(), "batch_size": 20, "seed": 1}
    return fastbp.Trainer(net, loss="mse", engine=engine, **defaults | options)


def new_data(columns=NAMES, rows=20):
    X = np.random.default_rng(0).normal(size=(rows, len(columns)))
    return Named(X, columns), X[:, 0]


TRAINING = {
    "fit": lambda t, X, y: t.fit(X, y),
    "fit_batches": lambda t, X, y: t.fit_batches([(X, y)]),
    "step": lambda t, X, y: t.step(X, y),
    "standardize": lambda t, X, _y: t.net.standardize(X),
    "standardize_batches": lambda t, X, y: t.net.standardize_batches([(X, y)]),
    "lbfgs": lambda t, X, y: new_lbfgs(t).fit(X, y),
}
OTHERS = {
    "predict": lambda t, X, _y: t.predict(X),
    "net.predict": lambda t, X, _y: t.net.predict(X),
    "evaluate": lambda t, X, y: t.evaluate(X, y),
    "validation_data": lambda t, X, y: t.fit(np.ones((4, 3)), np.ones(4), validation_data=(X, y)),
    "loss_and_gradients": lambda t, X, y: t.loss_and_gradients(X, y),
    "find_lr": lambda t, X, y: t.find_lr(X, y, updates=3),
}


def new_lbfgs(trainer):
    return fastbp.Trainer(trainer.net, loss="mse", optimizer=fastbp.LBFGS(), seed=0)


@pytest.mark.parametrize("call", TRAINING)
@each_engine
def test_training_keeps_the_names(call, engine):
    trainer = new_trainer(engine)
    assert trainer.net.feature_names_in is None
    TRAINING[call](trainer, *new_data())
    assert trainer.net.feature_names_in == NAMES


@pytest.mark.parametrize("call", OTHERS)
def test_nothing_else_keeps_names(call):
    trainer = new_trainer()
    OTHERS[call](trainer, *new_data())
    assert trainer.net.feature_names_in is None


WRONG = {
    "order": (("c", "a", "b"), r"X.* another order .*column 0 is 'c', expected 'a'.*\['a', 'b', "),
    "a name": (("a", "b", "d"), r"X.* lacks \['c'\] and has besides \['d'\]: .*\['a', 'b', 'c'\]"),
    "more": (("a", "b", "c", "d"), r"X.* has besides \['d'\]"),
    "fewer": (("a", "b"), r"X.* lacks \['c'\]"),
    "twice": (("a", "b", "c", "c"), r"X.* has the columns \['a', 'b', 'c', 'c'\]"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("call", [*TRAINING, *OTHERS])
def test_other_names_are_refused(call, wrong):
    trainer, (columns, message) = new_trainer(), WRONG[wrong]
    trainer.fit(*new_data())
    before = bits(trainer)
    message = message.replace("X", r"(X|batches\[0\](\[0\])?|validation_data\[0\])", 1)
    with pytest.raises(ValueError, match=message):
        (TRAINING | OTHERS)[call](trainer, *new_data(columns))
    assert bits(trainer) == before
    assert trainer.net.feature_names_in == NAMES
    (TRAINING | OTHERS)[call](trainer, *new_data())


def test_arrays_without_names_are_taken_before_and_after():
    trainer, (X, y) = new_trainer(), new_data()
    trainer.fit(np.asarray(X), y)
    assert trainer.net.feature_names_in is None
    trainer.fit(X, y)
    trainer.fit(np.asarray(X), y)
    trainer.predict(np.asarray(X).tolist())
    assert trainer.net.feature_names_in == NAMES


@pytest.mark.parametrize("columns", [[0, 1, 2], ["a", 1, "c"], [("a", 1), ("b", 2), ("c", 3)]])
def test_names_that_are_not_all_text_play_no_part(columns):
    trainer = new_trainer()
    trainer.fit(*new_data(columns))
    assert trainer.net.feature_names_in is None
    trainer.predict(new_data(list(reversed(columns)))[0])


@pytest.mark.parametrize("call", TRAINING)
def test_a_call_that_is_refused_keeps_no_names(call):
    trainer, (X, y) = new_trainer(), new_data()
    bad = np.asarray(X)
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match="has nan at row 7, column 'b'"):
        TRAINING[call](trainer, Named(bad, NAMES), y)
    assert trainer.net.feature_names_in is None
    with pytest.raises((ValueError, TypeError)):
        TRAINING[call](new_trainer(), *new_data(("a", "b")))


def test_models_and_checkpoints_have_them(tmp_path):
    trainer, (X, y) = new_trainer(), new_data()
    trainer.fit(X, y)
    trainer.net.save(tmp_path / "model")
    trainer.save(tmp_path / "checkpoint")
    nets = [
        fastbp.load(tmp_path / "model"),
        fastbp.Trainer.load(tmp_path / "checkpoint").net,
        copy.deepcopy(trainer.net),
        copy.copy(trainer.net),
        pickle.loads(pickle.dumps(trainer)).net,
    ]
    for net in nets:
        assert net.feature_names_in == NAMES
        np.testing.assert_array_equal(net.predict(X), trainer.predict(X))
        with pytest.raises(ValueError, match="another order"):
            net.predict(X[["b", "a", "c"]])
    average = new_trainer(ema_decay=0.9)
    average.fit(X, y)
    assert average.averaged_network().feature_names_in == NAMES


def test_files_without_names_have_none(tmp_path):
    net = fastbp.Network([3, 1], seed=0)
    net.save(tmp_path / "model")
    assert b"feature_names_in" not in (tmp_path / "model").read_bytes()
    assert fastbp.load(tmp_path / "model").feature_names_in is None


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", 3], "abc", {"a": 1}])
def test_names_of_a_file_that_do_not_fit_are_refused(names, tmp_path):
    from fastbp.model import model_io
    from fastbp.storage import model_file

    net = fastbp.Network([3, 1], seed=0)
    meta = model_io.to_dict(net) | {"feature_names_in": names}
    model_file.write(tmp_path / "model", "model", meta, model_io.tensors(net))
    with pytest.raises(ValueError, match="its feature_names_in are no list of 3 names"):
        fastbp.load(tmp_path / "model")


@pytest.mark.parametrize("trained_before", [False, True])
def test_a_resumed_fit_compares_and_takes_them(trained_before, tmp_path):
    path, (X, y) = tmp_path / "run", new_data()
    keep = fastbp.ModelCheckpoint(path)
    new_trainer().fit(X, y, epochs=2, callbacks=[keep])
    again = new_trainer()
    if trained_before:
        again.fit(X, y)
    with pytest.raises(ValueError, match="another order"):
        again.fit(X[["b", "a", "c"]], y, epochs=3, callbacks=[keep], resume=path)
    assert again.net.feature_names_in == (NAMES if trained_before else None)
    again.fit(np.asarray(X), y, epochs=3, callbacks=[keep], resume=path)
    assert again.net.feature_names_in == NAMES


def test_a_table_that_is_read_in_parts_has_its_names(monkeypatch):
    from fastbp.data import sources

    class StoredAndNamed(Stored):
        columns = NAMES

    monkeypatch.setattr(sources, "PART_BYTES", 1)
    X, y = new_data(rows=300)
    trainer, stored = new_trainer(), StoredAndNamed(np.asarray(X))
    trainer.fit(stored, y)
    assert trainer.net.feature_names_in == NAMES
    wrong = StoredAndNamed(np.asarray(X))
    wrong.columns = ("c", "b", "a")
    bad = np.asarray(X)
    bad[200, 2] = np.inf
    for call in (trainer.predict, trainer.net.predict, lambda X: trainer.evaluate(X, y)):
        with pytest.raises(ValueError, match="another order"):
            call(wrong)
        with pytest.raises(ValueError, match="row 200, column 'c'"):
            call(StoredAndNamed(bad))


def test_an_object_whose_properties_raise_is_still_read():
    class Hostile(Named):
        @property
        def columns(self):
            raise RuntimeError("no")

        @columns.setter
        def columns(self, value):
            pass

    X, y = new_data()
    trainer = new_trainer()
    trainer.fit(Hostile(np.asarray(X), NAMES), y)
    assert trainer.net.feature_names_in is None


def test_many_names_are_cut_short():
    net = fastbp.Network([200, 1], seed=0)
    names = [f"column {i}" for i in range(200)]
    X = Named(np.random.default_rng(0).normal(size=(3, 200)), names)
    net.standardize(X)
    with pytest.raises(ValueError, match=r"'column 0', .*, \.\.\. 190 more\]") as caught:
        net.predict(X[[*names[:-2], names[-1], names[-2]]])
    assert len(str(caught.value)) < 400


def test_validation_data_are_compared_with_the_data_of_the_same_call():
    trainer, (X, y) = new_trainer(), new_data()
    before = bits(trainer)
    other = X[["c", "a", "b"]]
    with pytest.raises(ValueError, match=r"validation_data\[0\] has its columns in another order"):
        trainer.fit(X, y, validation_data=(other, y))
    with pytest.raises(ValueError, match=r"batches\[0\]\[0\] has its columns in another order"):
        trainer.fit_batches([(X, y)], validation_data=(other, y))
    assert bits(trainer) == before
    assert trainer.net.feature_names_in is None


def test_a_file_without_names_takes_none_away(tmp_path):
    X, y = new_data()
    first = new_trainer()
    keeper = fastbp.ModelCheckpoint(tmp_path / "run.safetensors", every_epochs=1)
    first.fit(X.values if hasattr(X, "values") else np.asarray(X), y, epochs=1, callbacks=[keeper])
    again = new_trainer()
    again.fit(X, y, epochs=2, callbacks=[keeper], resume=tmp_path / "run.safetensors")
    assert again.net.feature_names_in == NAMES
