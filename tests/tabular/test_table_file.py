"""A file gives the same model, and nothing else."""

import re

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pandas as pd

import fastbp
from fastbp.storage import model_file
from fastbp.tabular import TabularClassifier, TabularRegressor, load

N = 80
X = pd.DataFrame(
    {
        "x": np.random.default_rng(0).normal(size=N),
        "town": ["Ulm", "Jena", None, "Köln"] * (N // 4),
        "day": pd.date_range("2024-01-01", periods=N),
    }
)
LABELS = {
    "text": np.array(["b", "a"] * (N // 2)),
    "integers": np.array([3, 1, 2, 1] * (N // 4)),
    "floats": np.array([0.0, 1.0] * (N // 2)),
    "bool": np.array([True, False] * (N // 2)),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def classifier(y=LABELS["text"], **parameters):
    return TabularClassifier(epochs=3, random_state=0, **parameters).fit(X, y)


def regressor(y=X["x"] * 3 + 1, **parameters):
    return TabularRegressor(epochs=3, random_state=0, **parameters).fit(X, y)


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("preset", ["fast", "best"])
def test_a_classifier_comes_back(kind, preset, path):
    model = classifier(LABELS[kind], preset=preset)
    model.save(path)
    loaded = load(path)
    assert type(loaded) is TabularClassifier
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert loaded.predict(X).dtype == model.predict(X).dtype
    assert loaded.temperature_ == model.temperature_


@pytest.mark.parametrize("targets", [1, 2])
def test_a_regressor_comes_back(targets, path):
    y = X["x"] if targets == 1 else np.stack([X["x"], X["x"] ** 2], axis=1)
    model = regressor(y)
    model.save(path)
    loaded = TabularRegressor.load(path)
    for method in ("predict", "predict_quantiles"):
        assert np.array_equal(getattr(loaded, method)(X), getattr(model, method)(X))
    both = loaded.predict(X, return_std=True), model.predict(X, return_std=True)
    assert np.array_equal(*both)


def test_what_a_model_knows_comes_back(path):
    parameters = {
        "class_weight": {1: 2.0, 2: np.float64(0.5)},
        "drop": ("day",),
        "kinds": {"x": "number"},
        "ensemble": np.int64(1),
    }
    model = classifier(LABELS["integers"], **parameters)
    model.save(path)
    loaded = load(path)
    expected = model.get_params() | {"drop": ["day"]}
    assert loaded.get_params() == expected
    assert type(loaded.class_weight[2]) is float
    assert loaded.histories_ == model.histories_
    assert isinstance(loaded.histories_[0], fastbp.History)
    assert loaded.validation_score_ == model.validation_score_
    assert loaded.record_ == model.record_
    assert loaded.feature_names_in_.tolist() == ["x", "town", "day"]
    assert loaded.n_features_in_ == 3
    assert loaded.encoder_.schema == model.encoder_.schema
    loaded.save(path)  # and once more
    assert np.array_equal(load(path).predict_proba(X), model.predict_proba(X))


def test_a_loaded_model_can_be_fitted_anew(path):
    model = regressor()
    model.save(path)
    loaded = load(path).fit(X, X["x"] * 3 + 1)
    assert np.array_equal(loaded.predict(X), model.predict(X))


def test_a_random_state_that_is_no_integer_is_not_kept(path):
    model = TabularRegressor(epochs=2, random_state=np.random.RandomState(3)).fit(X, X["x"])
    model.save(path)
    assert load(path).random_state is None
    assert load(path).record_["seed"] == model.record_["seed"]


def test_histories_keep_what_is_not_finite(path):
    model = regressor()
    model.histories_[0]["val_loss"][1] = float("inf")
    model.validation_score_["r2"] = float("nan")
    model.save(path)
    loaded = load(path)
    assert loaded.histories_[0]["val_loss"][1] == float("inf")
    assert np.isnan(loaded.validation_score_["r2"])


def test_a_file_of_the_other_kind_says_how_to_load_it(path):
    model = regressor()
    model.save(path)
    with pytest.raises(ValueError, match="holds a TabularRegressor: load it with TabularReg"):
        TabularClassifier.load(path)
    with pytest.raises(ValueError, match=r"'table', .* load it with fastbp\.tabular\.load"):
        fastbp.load(path)
    model.ensemble_.save(path)
    with pytest.raises(ValueError, match=r"'ensemble', .* load it with fastbp\.Ensemble\.load"):
        load(path)
    with pytest.raises(TypeError, match="path is 3"):
        load(3)


def test_a_model_that_is_not_fitted_is_not_saved(path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        TabularRegressor().save(path)
    assert not path.exists()


def test_a_damaged_file_is_refused(path):
    classifier().save(path)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or changed"):
        load(path)


def changed(path, change):
    """The file with its meta data or tensors changed, and a fitting checksum."""
    meta, tensors = model_file.read(path, "table")
    change(meta, tensors)
    model_file.write(path, "table", meta, tensors)


WRONG = {
    "a list": (lambda m, _: m.update(estimator=["Trainer"]), "'estimator' is"),
    "estimator": (lambda m, _: m.update(estimator="Trainer"), "'estimator' is 'Trainer'"),
    "no members": (lambda m, _: m.update(members={}), "tensor 'members.* is not used"),
    "no encoder": (lambda m, _: m.pop("encoder"), "'encoder' is missing"),
    "a tensor more": (lambda _, t: t.update(more=np.zeros(1)), "tensor 'more' is not used"),
    "a parameter": (
        lambda m, _: m["state"]["parameters"].update(depth=3),
        "has a parameter 'depth', which is unknown",
    ),
    "no classes": (lambda m, _: m["state"]["targets"].pop("classes"), "'classes' is missing"),
    "three classes": (
        lambda m, _: m["state"]["targets"].update(classes=["a", "b", "c"]),
        "have .* inputs and 2 outputs, expected .* and 3",
    ),
    "temperature": (lambda m, _: m["state"].update(temperature=-1.0), "temperature is -1.0"),
    "histories": (
        lambda m, _: m["state"].update(histories=3),
        "tensor 'state.histories.* is not used",
    ),
    "a history": (
        lambda m, _: m["state"].update(histories=[3]),
        "tensor 'state.histories.* is not used",
    ),
}


def test_residuals_of_other_networks_are_refused(path):
    regressor(ensemble=2).save(path)

    def cut(_, tensors):
        tensors["state.residuals.points"] = tensors["state.residuals.points"][:1]

    changed(path, cut)
    with pytest.raises(ValueError, match=r"residuals have the shape \(1, 200, 1\)"):
        load(path)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_content_is_refused(name, path):
    change, message = WRONG[name]
    classifier(ensemble=1).save(path)
    changed(path, change)
    beginning = re.escape(repr(str(path)))
    with pytest.raises(ValueError, match=f"{beginning} cannot be loaded: .*{message}"):
        load(path)
