"""ONNX files of the estimators of fastbp.sklearn: labels, probabilities, numbers, rates."""

import doctest
import json
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402

import fastbp  # noqa: E402 - packages may be missing
from fastbp.export import c_ensemble  # noqa: E402
from fastbp.sklearn import MLPClassifier, MLPRegressor  # noqa: E402
from support import onnx_models  # noqa: E402
from support.features import square  # noqa: E402

try:
    import onnxruntime
except ModuleNotFoundError:
    onnxruntime = None

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
CODES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
LABELS = {
    "three of text": np.array(["one", "zwei", "três"])[CODES],
    "three integers": np.array([-5, 3, 9])[CODES],
    "two of bool": CODES > 0,
    "two of text": np.array(["no", "yes"])[np.minimum(CODES, 1)],
    "two integers": np.minimum(CODES, 1) + 7,
    "floats": np.array([0.0, 1.0, 2.0])[CODES],
    "one class": np.full(len(X), 3),
    "multilabel": np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 1], axis=1).astype(int),
}


def fitted(kind, y, X=X, **parameters):
    given = {"hidden_layer_sizes": 8, "max_iter": 20, "learning_rate_init": 0.02, "random_state": 0}
    model = kind(**given, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


@pytest.fixture(params=["reference", *(["onnxruntime"] if onnxruntime else [])])
def run(request, tmp_path):
    """A function of an estimator and X: what its file gives, by name."""

    def outputs(model, X):
        model.to_onnx(tmp_path / "model.onnx")
        made = onnx_models.load(tmp_path / "model.onnx")
        names = [one.name for one in made.graph.output]
        if request.param == "reference":
            found = onnx_models.ReferenceEvaluator(made).run(None, {"X": X})
        else:
            found = onnxruntime.InferenceSession(tmp_path / "model.onnx").run(None, {"X": X})
        return dict(zip(names, found, strict=True))

    return outputs


def allowed(model, X):
    """How far the network's outputs may be off, (rows, 1)."""
    members = c_ensemble.members("net", [model.net_])
    return c_ensemble.expected(members, X).error.max(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("labels", LABELS)
def test_a_classifier(labels, dtype, run):
    model = fitted(MLPClassifier, LABELS[labels], dtype=dtype)
    rows = X.astype(dtype)
    found = run(model, rows)
    p, off = model.predict_proba(rows), allowed(model, rows)
    assert list(found) == ["label", "probabilities"]
    assert found["probabilities"].dtype == p.dtype == dtype
    assert (np.abs(found["probabilities"] - p) <= off).all()
    wanted = model.predict(rows)
    assert found["label"].shape == wanted.shape
    sure = (np.abs(p - 0.5) > off).all(axis=1)
    if p.shape[1] > 2 and labels != "multilabel":
        first, second = np.sort(p, axis=1)[:, -1], np.sort(p, axis=1)[:, -2]
        sure = first - second > 2 * off[:, 0]
    assert sure.mean() > 0.9
    assert found["label"][sure].tolist() == wanted[sure].tolist()


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("targets", [1, 3])
def test_a_regressor(targets, loss, run):
    y = np.abs(np.stack([X[:, 0] + k for k in range(targets)], axis=1))
    model = fitted(MLPRegressor, y if targets > 1 else y[:, 0], loss=loss)
    found = run(model, X)
    p = model.predict(X).reshape(len(X), -1)
    assert list(found) == ["Y"]
    assert found["Y"].shape == p.shape
    slope = np.abs(p) if loss == "poisson" else 1  # of exp
    assert (np.abs(found["Y"] - p) <= 2 * allowed(model, X) * slope + 1e-15 * np.abs(p)).all()


def test_what_the_user_has_set_is_written(run):
    model = fitted(MLPRegressor, X[:, 0])
    model.coefs_ = [np.zeros_like(one) for one in model.coefs_]
    model.intercepts_ = [*model.intercepts_[:-1], np.array([2.5])]
    assert run(model, X)["Y"].tolist() == [[2.5]] * len(X)


def test_names_of_columns_and_the_network_come_back(tmp_path):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(X, columns=["a", "b", "c", "ä"])
    model = fitted(MLPClassifier, LABELS["two of text"], table)
    model.to_onnx(tmp_path / "model.onnx")
    metadata = {one.key: one.value for one in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(metadata["feature_names_in"]) == ["a", "b", "c", "ä"]
    assert model.net_.allclose(fastbp.from_onnx(tmp_path / "model.onnx"), 0, 0)


def test_the_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(MLPRegressor.to_onnx, globs={"np": np, "fastbp": fastbp})
    failed, tried = doctest.DocTestRunner().run(example)
    assert failed == 0
    assert tried > 0


def test_what_cannot_be_written_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(NotFittedError):
        MLPClassifier().to_onnx(path)
    model = fitted(MLPRegressor, X[:, 0], activation=square)
    with pytest.raises(ValueError, match="'square' is your own"):
        model.to_onnx(path)
    model = fitted(MLPClassifier, LABELS["two of text"])
    with pytest.raises(ValueError, match="opset is 3"):
        model.to_onnx(path, opset=3)
    assert list(tmp_path.iterdir()) == []
