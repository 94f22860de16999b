"""Epochs of an estimator that end together, and the score after one."""

import numpy as np
import pytest

import fastbp

pytest.importorskip("sklearn")

from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score

from fastbp.sklearn import MLPClassifier, scores

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 5))
LABELS = (X @ RNG.standard_normal((5, 4))).argmax(axis=1)


def fitted(early_stopping):
    parameters = {"n_iter_no_change": 20, "max_iter": 20, "random_state": 0}
    return MLPClassifier(**parameters, early_stopping=early_stopping).fit(X, LABELS)


def one_by_one(**parameters):
    """A classifier whose fit hears of each epoch as it ends, because a callback does."""
    callback = fastbp.LambdaCallback(on_epoch_end=id)
    return MLPClassifier(**parameters, callbacks=[callback])


def course(one):
    """What the epochs of a fit have left."""
    names = ("loss_curve_", "n_iter_", "t_", "loss_", "best_loss_", "_no_improvement_count")
    found = {name: getattr(one, name) for name in names}
    rate = one._optimizer.learning_rate, one.trainer_.lr
    return found, rate, one.net_.arrays.parameters.tobytes()


@pytest.mark.parametrize("most", [7, 60])
@pytest.mark.parametrize("rule", ["constant", "invscaling", "adaptive"])
def test_epochs_that_end_together_are_as_one_by_one(rule, most):
    parameters = {"solver": "sgd", "learning_rate": rule, "learning_rate_init": 0.5, "tol": 0.05}
    parameters |= {"random_state": 0, "n_iter_no_change": 3, "max_iter": most, "batch_size": 32}
    one = MLPClassifier(**parameters).fit(X, LABELS)
    other = one_by_one(**parameters).fit(X, LABELS)
    assert course(one) == course(other)


def test_epochs_end_together(monkeypatch):
    calls, end = [], MLPClassifier._end_epochs
    monkeypatch.setattr(MLPClassifier, "_end_epochs", lambda *a: [calls.append(a), end(*a)])
    one = fitted(early_stopping=False)
    assert one.n_iter_ == 20
    assert len(calls) < 5
    calls.clear()
    fitted(early_stopping=True)
    assert len(calls) == 21  # and the end


def test_epochs_that_ended_with_one_that_is_refused_count():
    parameters = {"solver": "sgd", "learning_rate_init": 2.0, "activation": "identity"}
    parameters |= {"momentum": 0.0, "alpha": 1.0, "random_state": 0, "n_iter_no_change": 1000}
    parameters |= {"max_iter": 1000}
    courses = []
    for one in (MLPClassifier(**parameters), one_by_one(**parameters)):
        with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
            one.fit(1e3 * X, LABELS)
        courses.append((one.n_iter_, one.loss_curve_, one.t_))
    assert courses[0] == courses[1]
    assert courses[0][0] > 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtypes", ["ff", "df", "if", "dd"])
@pytest.mark.parametrize("shape", [(50,), (7, 3), (1000,), (2,)])
def test_the_score_of_a_regression_is_r2_score(shape, dtypes, weighted):
    y = RNG.integers(-9, 9, shape).astype(dtypes[0])
    p = (y + RNG.standard_normal(shape)).astype(dtypes[1])
    weights = RNG.uniform(0, 2, len(y)) if weighted else None
    for of in (y, np.ones_like(y)):
        for by in (p, of.astype(dtypes[1])):
            assert scores.r2(of, by, weights) == r2_score(of, by, sample_weight=weights)


def test_a_score_of_one_row_warns():
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(scores.r2(np.ones(1), np.ones(1), None))
