"""scikit-learn's checks of estimators, without an exception."""

import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp.sklearn import MLPClassifier, MLPRegressor

ESTIMATORS = [MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)]
"""As scikit-learn checks its own."""

OF_ONE_CHECK = {
    ("MLPClassifier", "check_sample_weight_equivalence_on_dense_data"): {"solver": "lbfgs"},
    ("MLPRegressor", "check_sample_weight_equivalence_on_dense_data"): {
        "solver": "sgd",
        "tol": 1e-2,
        "random_state": 42,
    },
}
"""Parameters that scikit-learn gives its own for one check: sums that are rounded in another order
are the same to Adam only where no gradient is nearly 0."""


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_the_check_passes(estimator, check):
    name = getattr(check, "func", check).__name__
    own = OF_ONE_CHECK.get((type(estimator).__name__, name), {})
    check(clone(estimator).set_params(**own))


def test_the_parameters_are_those_of_a_check():
    names = {check.func.__name__ for _, check in estimator_checks_generator(ESTIMATORS[0])}
    assert len(names) > 50
    assert {name for _, name in OF_ONE_CHECK} <= names
