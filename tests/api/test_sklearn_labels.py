"""The classes of labels of every kind are those that scikit-learn finds."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import multiclass

from fastbp.sklearn import MLPClassifier, labels

RNG = np.random.default_rng(0)
DRAWN = RNG.integers(0, 3, 40)
X = RNG.standard_normal((40, 4))

KINDS = {
    "int64": np.array([-3, 8, 7])[DRAWN],
    "int8, over its whole range": np.array([-128, 0, 127], np.int8)[RNG.integers(0, 3, 300)],
    "uint64, beyond int64": np.array([2**64 - 2, 2**64 - 1, 2**64 - 9], np.uint64)[DRAWN],
    "integers, far apart": np.array([-(2**62), 0, 2**62])[DRAWN],
    "big-endian": np.array([5, 1, 3], ">i4")[DRAWN],
    "bool": DRAWN > 1,
    "one class": np.full(40, 7),
    "whole floats": np.array([2.0, -1.0, 5.0])[DRAWN],
    "whole floats of 32 bits": np.array([2, -1, 5], np.float32)[DRAWN],
    "whole floats, far apart": np.array([2.0**40, 0.0, -(2.0**60)])[DRAWN],
    "objects": np.array(["b", "", "a word"], object)[DRAWN],
    "text": np.array(["no", "yes", "perhaps"])[DRAWN],
    "non-ASCII": np.array(["ä", "z", "日本"], object)[DRAWN],
}


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_scikit_learns(kind):
    y = KINDS[kind]
    wanted = multiclass.unique_labels(y)
    found = labels.distinct(y)
    assert found.tolist() == wanted.tolist()
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found[labels.places(y, found)], y)


@pytest.mark.parametrize("kind", [*KINDS, "several classes"])
def test_a_binarizer_is_as_after_its_fit(kind):
    y = KINDS.get(kind, RNG.integers(0, 2, (40, 3)))
    assert np.array_equal(labels.binarizer_of(y).classes_, LabelBinarizer().fit(y).classes_)
    ours, theirs = (vars(one) for one in (labels.binarizer_of(y), LabelBinarizer().fit(y)))
    assert {name: str(value) for name, value in ours.items()} == {
        name: str(value) for name, value in theirs.items()
    }
    p = RNG.random(LabelBinarizer().fit_transform(y).shape)
    found, wanted = (
        one.inverse_transform(p) for one in (labels.binarizer_of(y), LabelBinarizer().fit(y))
    )
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "far apart" not in kind])
def test_few_passes_find_them(kind, monkeypatch):
    """Those far apart are sorted."""
    monkeypatch.setattr(labels, "unique_labels", None)
    labels.distinct(KINDS[kind])


@pytest.mark.parametrize(
    "y",
    [
        np.array([0.5, 1.0, 2.0]),
        np.array(["a", 1, "b"], object),
        np.array([1, 2, 3], object),
        np.array([b"a", b"b"]),
        np.array([b"a", b"b"], object),
    ],
    ids=["floats", "mixed", "objects", "bytes", "bytes in objects"],
)
def test_what_is_no_label_is_refused_as_scikit_learn_does(y):
    with pytest.raises((ValueError, TypeError)) as theirs:
        neural_network.MLPClassifier().fit(np.ones((len(y), 2)), y)
    with pytest.raises(theirs.type) as ours:
        MLPClassifier().fit(np.ones((len(y), 2)), y)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "int8" not in kind])
def test_fits_are_scikit_learns(kind):
    """All rows are in one batch, whose order means nothing."""
    parameters = {"hidden_layer_sizes": 6, "activation": "tanh", "max_iter": 5, "random_state": 0}
    theirs = neural_network.MLPClassifier(**parameters, epsilon=1e-12).fit(X, KINDS[kind])
    ours = MLPClassifier(**parameters, epsilon=1e-12).fit(X, KINDS[kind])
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)
    assert ours.predict(X).tolist() == theirs.predict(X).tolist()
    assert ours.classes_.dtype == theirs.classes_.dtype
