"""Programs of scikit-learn's users, with the import changed."""

import doctest
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import datasets, neural_network
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import fastbp.sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
CLOSE = 1e-2
"""What scikit-learn's own checker of numbers, scipy-doctest, takes for equal."""


class NumbersAreClose(doctest.OutputChecker):
    """Compares the numbers within ``CLOSE``, and the text between them without its spaces."""

    def check_output(self, want, got, optionflags):
        if "..." in want:
            return super().check_output(want, got, optionflags | doctest.ELLIPSIS)
        texts = [re.sub(r"[\s.]", "", NUMBER.sub("", text)) for text in (want, got)]
        numbers = [np.array(NUMBER.findall(text), float) for text in (want, got)]
        if texts[0] != texts[1] or len(numbers[0]) != len(numbers[1]):
            return False
        return np.allclose(*numbers, rtol=CLOSE)


def examples(kind):
    """The examples in the docstring of scikit-learn's estimator, with the import changed."""
    text = getattr(neural_network, kind).__doc__
    changed = text.replace("from sklearn.neural_network", "from fastbp.sklearn")
    assert changed != text
    return doctest.DocTestParser().get_doctest(changed, {}, kind, None, None)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_the_examples_of_its_docstring(kind):
    report = []
    failed, tried = doctest.DocTestRunner(NumbersAreClose()).run(examples(kind), out=report.append)
    assert failed == 0, "".join(report)
    assert tried >= 7


@pytest.mark.parametrize(("want", "got", "same"), [("[1.0, 2]", "[1.001 , 2.]", True)])
def test_numbers_are_compared(want, got, same):
    checker = NumbersAreClose()
    assert checker.check_output(want, got, 0) is same
    assert not checker.check_output(want, got.replace("2", "2.1"), 0)
    assert not checker.check_output(want, got.replace("[", "("), 0)


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_the_example_of_our_docstring(kind):
    text = getattr(fastbp.sklearn, kind).__doc__
    names = {"fastbp": fastbp, "np": np}
    test = doctest.DocTestParser().get_doctest(text, names, kind, None, None)
    report = []
    failed, tried = doctest.DocTestRunner().run(test, out=report.append)
    assert failed == 0, "".join(report)
    assert tried >= 3


# The gallery: what its three programs show, beside scikit-learn

BOTH = pytest.mark.parametrize("package", [neural_network, fastbp.sklearn])
DESCENTS = {
    "constant": {"momentum": 0.0},
    "momentum": {"nesterovs_momentum": False},
    "nesterov": {},
    "falling": {"learning_rate": "invscaling", "momentum": 0.0},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
}
DATA = {
    "iris": datasets.load_iris(return_X_y=True),
    "digits": datasets.load_digits(return_X_y=True),
    "circles": datasets.make_circles(noise=0.2, factor=0.5, random_state=1),
    "moons": datasets.make_moons(noise=0.3, random_state=0),
}


def curve(package, name, parameters):
    X, y = DATA[name]
    parameters = {"solver": "sgd", "learning_rate_init": 0.2, "random_state": 0} | parameters
    iterations = 15 if name == "digits" else 200
    model = package.MLPClassifier(max_iter=iterations, **parameters)
    return np.array(model.fit(MinMaxScaler().fit_transform(X), y).loss_curve_)


@pytest.mark.parametrize("how", DESCENTS)
@pytest.mark.parametrize("name", DATA)
def test_curves_of_training_fall_alike(name, how):
    theirs, ours = (curve(each, name, DESCENTS[how]) for each in (neural_network, fastbp.sklearn))
    length = min(len(theirs), len(ours))
    assert length > 10
    np.testing.assert_allclose(ours[:length], theirs[:length], rtol=0.15, atol=0.05)


def certainties(package):
    """How far the probabilities of moons are from 1/2 in the mean, for three penalties."""
    X, y = DATA["moons"]
    for alpha in (0.1, 1.0, 10.0):
        model = package.MLPClassifier(
            (50, 50), solver="lbfgs", alpha=alpha, random_state=1, max_iter=500
        )
        p = make_pipeline(StandardScaler(), model).fit(X[:60], y[:60]).predict_proba(X[60:])
        yield np.abs(p - 0.5).mean()


def test_a_large_alpha_smooths():
    theirs, ours = (np.array([*certainties(each)]) for each in (neural_network, fastbp.sklearn))
    assert (np.diff(ours) < -0.02).all()
    # Of many minima the two searches, which sums round in two ways, need not find the same.
    np.testing.assert_allclose(ours, theirs, atol=0.02)


@BOTH
def test_weights_of_pictures(package):
    X, y = DATA["digits"]
    model = package.MLPClassifier(
        40, solver="sgd", alpha=1e-4, learning_rate_init=0.2, random_state=1, max_iter=8
    )
    model.fit(X[:1200] / 16, y[:1200])
    assert model.score(X[1200:] / 16, y[1200:]) > 0.88
    pictures = [weights.reshape(8, 8) for weights in model.coefs_[0].T]
    assert len(pictures) == 40
