"""``fastbp.sklearn`` beside scikit-learn, and what its users get beyond it."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fastbp

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn import config_context, datasets, neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from fastbp.sklearn import MLPClassifier, MLPRegressor, coefficients

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((90, 5))
SCORES = X @ RNG.standard_normal((5, 4)) + 0.3 * RNG.standard_normal((90, 4))
WEIGHTS = RNG.uniform(0.5, 2, 90)

TARGETS = {
    "binary": (SCORES[:, 0] > 0).astype(int),
    "multiclass": SCORES.argmax(axis=1),
    "strings": np.array(["c", "a", "b", "d"], object)[SCORES.argmax(axis=1)],
    "multilabel": (SCORES > 0).astype(int),
    "one number": SCORES[:, 0],
    "numbers": SCORES[:, :3],
    "counts": RNG.poisson(np.exp(SCORES[:, 0] / 3)),
    "several counts": RNG.poisson(np.exp(SCORES[:, :2] / 3)),
}
"""y by its kind."""


def pair(kind, **parameters):
    """scikit-learn's estimator and fastbp's for y of this kind."""
    if TARGETS[kind].dtype.kind in "if" and kind not in ("binary", "multiclass", "multilabel"):
        loss = "poisson" if "counts" in kind else "squared_error"
        parameters |= {"loss": loss}
        return neural_network.MLPRegressor(**parameters), MLPRegressor(**parameters)
    return neural_network.MLPClassifier(**parameters), MLPClassifier(**parameters)


def outputs(estimator):
    name = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    return getattr(estimator, name)(X)


SOLVERS = {
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "plain momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "without momentum": {"solver": "sgd", "momentum": 0.0},
    "adam": {"solver": "adam", "learning_rate_init": 0.01, "beta_1": 0.8, "beta_2": 0.99},
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", TARGETS)
def test_full_batches_train_as_scikit_learns(kind, solver, weights):
    """With all rows in a batch their order means nothing: the same draws give the same fit.

    Adam's epsilon is within the bias correction there, and outside here: at 1e-12 of gradients of
    1e-3 it does not count. L-BFGS magnifies what sums round: ten iterations are few.
    """
    parameters = SOLVERS[solver] | {"hidden_layer_sizes": (8, 6), "activation": "tanh"}
    parameters |= {"alpha": 0.1, "random_state": 3, "max_iter": 10, "epsilon": 1e-12}
    theirs, ours = pair(kind, **parameters)
    if kind == "numbers" and solver == "lbfgs":
        pytest.skip("scikit-learn gives L-BFGS the gradient of the sum and the value of the mean")
    theirs.fit(X, TARGETS[kind], sample_weight=weights)
    ours.fit(X, TARGETS[kind], sample_weight=weights)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(outputs(ours), outputs(theirs), rtol=1e-6)
    # For several outputs the penalty is divided by their number, too.
    rtol = 0.2 if kind == "numbers" else 1e-6
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=rtol)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if solver != "lbfgs":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    assert np.array_equal(ours.predict(X[:0:-1]).shape, theirs.predict(X[:0:-1]).shape)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_the_initial_weights_are_scikit_learns(activation):
    parameters = {"activation": activation, "random_state": 7, "learning_rate_init": 1e-12}
    theirs, ours = pair("multiclass", max_iter=1, **parameters)
    theirs.fit(X, TARGETS["multiclass"])
    ours.fit(X, TARGETS["multiclass"])
    for a, b in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("rule", ["constant", "invscaling", "adaptive"])
def test_learning_rates_follow_scikit_learns(rule):
    """Without momentum, which fastbp keeps apart from the rate, as torch does."""
    parameters = {"solver": "sgd", "learning_rate": rule, "learning_rate_init": 0.5, "tol": 0.05}
    parameters |= {"momentum": 0.0, "random_state": 0, "n_iter_no_change": 2, "max_iter": 60}
    theirs, ours = pair("multiclass", **parameters)
    theirs.fit(X, TARGETS["multiclass"])
    ours.fit(X, TARGETS["multiclass"])
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)
    assert ours._optimizer.learning_rate == pytest.approx(theirs._optimizer.learning_rate)
    assert ours.trainer_.lr == pytest.approx(ours._optimizer.learning_rate)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one number", "numbers"])
def test_early_stopping_holds_out_the_same_rows(kind, weights):
    parameters = {"early_stopping": True, "random_state": 1, "max_iter": 30, "tol": 0.01}
    theirs, ours = pair(kind, hidden_layer_sizes=8, epsilon=1e-12, **parameters)
    theirs.fit(X, TARGETS[kind], sample_weight=weights)
    ours.fit(X, TARGETS[kind], sample_weight=weights)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-5)
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    np.testing.assert_allclose(outputs(ours), outputs(theirs), rtol=1e-4)


def test_a_single_class_is_always_right():
    one = MLPClassifier(early_stopping=True, max_iter=3, random_state=0).fit(X, np.full(90, "a"))
    assert one.validation_scores_ == [1.0] * 3 == [one.score(X, np.full(90, "a"))] * 3


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["binary", "counts", "several counts"])
def test_rows_that_are_held_out_are_no_part_of_the_loss(kind, weights):
    parameters = {"early_stopping": True, "random_state": 1, "max_iter": 5, "epsilon": 1e-12}
    theirs, ours = pair(kind, validation_fraction=0.4, **parameters)
    theirs.fit(X, TARGETS[kind], sample_weight=weights)
    ours.fit(X, TARGETS[kind], sample_weight=weights)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-6)


def test_verbose_prints_what_scikit_learn_prints(capsys):
    parameters = {"verbose": True, "random_state": 0, "max_iter": 30, "early_stopping": True}
    parameters |= {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2}
    texts = []
    for estimator in pair("binary", tol=0.5, momentum=0.0, **parameters):
        estimator.fit(X, TARGETS["binary"])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert "Setting learning rate to" in texts[0]


def test_warnings_are_those_of_the_estimators():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached") as found:
        fitted()
    assert [Path(one.filename).parts[-2] for one in found] == ["sklearn"]


def test_a_fit_of_digits_is_as_good():
    digits, labels = datasets.load_digits(return_X_y=True)
    parameters = {"random_state": 0, "max_iter": 20}
    scores = [
        kind(**parameters).fit(digits[:1200], labels[:1200]).score(digits[1200:], labels[1200:])
        for kind in (neural_network.MLPClassifier, MLPClassifier)
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)


# Parameters as lists


def fitted(**parameters):
    parameters = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0} | parameters
    return MLPClassifier(**parameters).fit(X, TARGETS["multiclass"])


def test_what_is_assigned_is_what_predicts():
    one, other = fitted(), fitted(random_state=1)
    before = one.predict_proba(X)
    one.coefs_, one.intercepts_ = other.coefs_, other.intercepts_
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert not np.array_equal(before, one.predict_proba(X))
    assert one.net_.allclose(other.net_, 0, 0)


def test_what_is_written_into_the_arrays_is_what_predicts():
    one, other = fitted(), fitted(random_state=1)
    for i in range(2):
        one.coefs_[i][:] = other.coefs_[i]
        one.intercepts_[i] = other.intercepts_[i]
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


HOLDERS = {
    "a list": lambda one: one.coefs_,
    "an array": lambda one: one.coefs_[0],
    "a part of an array": lambda one: one.coefs_[0][1:, ::2],
    "memory": lambda one: memoryview(one.coefs_[0]),
}


@pytest.mark.parametrize("take", HOLDERS.values(), ids=HOLDERS)
def test_what_somebody_has_stays_live(take):
    one = fitted()
    held = take(one)
    before = [one.predict_proba(X) for _ in range(3)][-1]
    np.asarray(held[0] if isinstance(held, list) else held)[...] += 1
    assert not np.array_equal(one.predict_proba(X), before)


def test_arrays_in_memory_of_the_users_stay_live():
    one = fitted()
    memory = [np.stack([weights]) for weights in one.coefs_]
    one.coefs_ = [array[0] for array in memory]
    before = [one.predict_proba(X) for _ in range(3)][-1]
    memory[0] += 1
    assert not np.array_equal(one.predict_proba(X), before)


def test_lists_that_nobody_has_are_compared_once(monkeypatch):
    one = fitted()
    before = one.predict_proba(X)
    one.coefs_[0][0, 0] += 1
    found = one.predict_proba(X)
    assert not np.array_equal(found, before)
    with monkeypatch.context() as patched:
        patched.setattr(coefficients, "_same", lambda *_: pytest.fail("compared again"))
        np.testing.assert_array_equal(one.predict_proba(X), found)
    one.coefs_[0][0, 0] -= 1
    np.testing.assert_allclose(one.predict_proba(X), before, rtol=1e-12)


def test_the_network_has_what_is_written():
    one = fitted()
    one.coefs_[0][:] = 0
    assert not one.net_.weights[0].any()
    one.intercepts_[0][:] = 0
    assert not one.trainer_.net.biases[0].any()


def test_training_goes_on_from_what_is_written():
    one, other = fitted(), fitted()
    one.coefs_[0][0, 0] += 1
    other.net_.set_parameters([one.coefs_[0]], [one.intercepts_[0]], layers=[1])
    for each in (one, other):
        each.partial_fit(X, TARGETS["multiclass"])
    np.testing.assert_array_equal(one.coefs_[0], other.coefs_[0])


def test_lists_follow_the_network():
    one = fitted()
    lists = one.coefs_
    assert one.coefs_ is lists
    one.net_.set_parameters([np.zeros((5, 4)), np.zeros((4, 4))], one.intercepts_)
    assert not one.coefs_[0].any()
    one.trainer_.step(X[:5], TARGETS["multiclass"][:5])
    assert one.intercepts_[1].any()


def test_parameters_that_are_not_finite_are_refused():
    one = fitted()
    one.coefs_[0][0, 0] = np.nan
    with pytest.raises(ValueError, match=r"weights.* nan"):
        one.predict(X)


def test_lists_of_another_dtype_are_taken_once():
    """float64 lists of a float32 network are not those that it has, and yet no change."""
    one = fitted(dtype="float32")
    lists = [weights.astype("float64") + 0.1 for weights in one.coefs_]
    one.coefs_ = lists
    trainer = one.trainer_
    trainer.step(X, TARGETS["multiclass"])
    trained = trainer.net.weights[0]
    one.predict(X)
    np.testing.assert_array_equal(trainer.net.weights[0], trained)


def test_a_part_of_the_rows_trains_without_a_copy_of_the_parameters(monkeypatch):
    one = fitted()
    monkeypatch.setattr(fastbp.Network, "weights", property(lambda _: pytest.fail("a copy")))
    one.partial_fit(X, TARGETS["multiclass"])


def test_there_are_none_before_fit():
    for name in ("coefs_", "intercepts_", "net_", "trainer_"):
        assert not hasattr(MLPClassifier(), name)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_a_copy_goes_on_by_itself(copied):
    one = MLPClassifier(random_state=0).partial_fit(X, TARGETS["binary"], classes=[0, 1])
    other = copied(one)
    one.partial_fit(X, TARGETS["binary"])
    assert not np.array_equal(one.predict_proba(X), other.predict_proba(X))
    other.partial_fit(X, TARGETS["binary"])
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_the_network_is_a_file_of_fastbps(tmp_path):
    one = fitted()
    one.net_.save(tmp_path / "model.safetensors")
    p = fastbp.load(tmp_path / "model.safetensors").predict(X)
    np.testing.assert_array_equal(p, one.predict_proba(X))


# dtypes, sparse rows


@pytest.mark.parametrize("given", ["float32", "float64", "int64", "float16"])
def test_the_dtype_is_that_of_x(given):
    one = MLPRegressor(max_iter=2).fit(X.astype(given), SCORES[:, 0])
    expected = "float32" if given == "float32" else "float64"
    assert one.coefs_[0].dtype == expected == one.predict(X.astype("float64")).dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_the_one_asked_for(dtype):
    one = MLPRegressor(max_iter=2, dtype=dtype).fit(X.astype("float32"), SCORES[:, 0])
    assert one.coefs_[0].dtype == dtype == one.predict(X).dtype


def test_lbfgs_computes_in_float64():
    one = fitted(solver="lbfgs")
    other = MLPClassifier(4, max_iter=3, random_state=0, solver="lbfgs")
    other.fit(X.astype("float32"), TARGETS["multiclass"])
    assert other.coefs_[0].dtype == "float64"
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], atol=1e-4)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix])
def test_sparse_rows_are_the_same_rows(form):
    thin = np.where(np.abs(X) > 1, X, 0)
    one = MLPClassifier(max_iter=5, random_state=0).fit(form(thin), TARGETS["binary"])
    other = MLPClassifier(max_iter=5, random_state=0).fit(thin, TARGETS["binary"])
    np.testing.assert_allclose(one.predict_proba(form(thin)), other.predict_proba(thin), rtol=1e-9)


OTHER_NUMBERS = ("longdouble", ">f8", ">f4", ">i2")
"""dtypes that scikit-learn takes and kernels do not: longer ones, and those of other processors."""


@pytest.mark.parametrize("dtype", OTHER_NUMBERS)
def test_numbers_of_other_dtypes_are_taken(dtype):
    rows, y = (8 * X).astype("int16").astype(dtype), TARGETS["numbers"].astype(dtype)
    one = MLPRegressor(max_iter=3, random_state=0).fit(rows, y)
    other = MLPRegressor(max_iter=3, random_state=0).fit(rows.astype("f8"), y.astype("f8"))
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows.astype("f8")))
    np.testing.assert_array_equal(one.predict(sparse.csr_array(X)), other.predict(X))


def test_names_of_columns_are_compared():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcde"))
    one = MLPClassifier(max_iter=3, random_state=0).fit(table, TARGETS["binary"])
    assert list(one.feature_names_in_) == list("abcde")
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        found = one.predict_proba(X)
    np.testing.assert_array_equal(found, one.predict_proba(table))
    with pytest.raises(ValueError, match="The feature names should match"):
        one.predict(table[list("edcba")])


# What scikit-learn does not have


def test_weights_of_classes_are_those_of_their_rows():
    y, weights = TARGETS["strings"], {"a": 5.0, "c": 0.25}
    one = MLPClassifier(class_weight=weights, random_state=0, max_iter=5).fit(X, y, WEIGHTS)
    other = MLPClassifier(random_state=0, max_iter=5)
    other.fit(X, y, WEIGHTS * compute_sample_weight(weights, y))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_parts_need_not_have_all_classes_that_have_weights():
    """The second part has neither of two of them, the third none of those with a weight."""
    y, weights = TARGETS["multiclass"], {0: 4.0, 3: 0.5}
    one, other = MLPClassifier(class_weight=weights, random_state=0), MLPClassifier(random_state=0)
    for classes in ([0, 1, 2, 3], [1, 2, 3], [1, 2]):
        rows = np.isin(y, classes)
        one.partial_fit(X[rows], y[rows], classes=range(4))
        weight = np.array([4.0, 1.0, 1.0, 0.5])[y[rows]]
        other.partial_fit(X[rows], y[rows], weight, classes=range(4))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_wrong_weights_of_classes_are_named(weight):
    with pytest.raises(ValueError, match=r"class_weight gives the classes \[0 1\] the weights \["):
        MLPClassifier(class_weight={1: weight}).fit(X, TARGETS["binary"])


def test_balanced_classes_need_all_rows():
    with pytest.raises(ValueError, match="which partial_fit does not see"):
        MLPClassifier(class_weight="balanced").partial_fit(X, TARGETS["binary"], classes=[0, 1])


OPTIONS = {
    "dropout": {"dropout": 0.3},
    "label smoothing": {"label_smoothing": 0.2},
    "clipping": {"clip_norm": 0.2},
    "layer norm": {"layer_norm": True},
    "residual": {"residual": True, "hidden_layer_sizes": (8, 8)},
    "ema": {"ema_decay": 0.9},
    "optimizer": {"optimizer": fastbp.RMSprop(lr=0.01)},
    "full batch": {"optimizer": fastbp.LBFGS(history=3)},
    "activation": {"activation": "gelu"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_an_option_reaches_the_training(options):
    parameters = {"random_state": 0, "max_iter": 8, "hidden_layer_sizes": (8, 8)}
    parameters |= {"solver": "sgd", "learning_rate_init": 0.1}  # Adam does without the scale
    plain = MLPClassifier(**parameters).fit(X, TARGETS["multiclass"])
    one = MLPClassifier(**parameters | options).fit(X, TARGETS["multiclass"])
    assert np.abs(one.predict_proba(X) - plain.predict_proba(X)).max() > 1e-3
    again = clone(one).fit(X, TARGETS["multiclass"])
    np.testing.assert_array_equal(again.predict_proba(X), one.predict_proba(X))


def test_the_average_is_what_predicts():
    parameters = {"random_state": 0, "max_iter": 8, "ema_decay": 0.9}
    one = MLPClassifier(**parameters).fit(X, TARGETS["multiclass"])
    averaged = one.trainer_.predict(X, averaged=True)
    np.testing.assert_array_equal(one.predict_proba(X), averaged)
    np.testing.assert_array_equal(one.coefs_[0], one.trainer_.averaged_network().weights[0])


def test_the_average_is_what_is_scored():
    parameters = {"random_state": 0, "max_iter": 8, "ema_decay": 0.9, "early_stopping": True}
    held = (X[60:], TARGETS["multiclass"][60:])
    one = MLPClassifier(**parameters)
    one.fit(X[:60], TARGETS["multiclass"][:60], validation_data=held)
    assert one.score(*held) == one.best_validation_score_


def test_shares_of_dropout_may_be_an_array():
    one = fitted(hidden_layer_sizes=(4, 4), dropout=np.array([0.1, 0.2]))
    one.set_params(dropout=np.array([0.1, 0.3])).partial_fit(X, TARGETS["multiclass"])
    assert "dropout=[0.1, 0.3]" in repr(one.trainer_)


def test_an_average_does_not_go_with_parts():
    with pytest.raises(ValueError, match=r"partial_fit does not support ema_decay=0.9"):
        MLPClassifier(ema_decay=0.9).partial_fit(X, TARGETS["binary"], classes=[0, 1])


def test_validation_data_take_the_place_of_held_out_rows():
    train, held = slice(60), slice(60, 90)
    y = TARGETS["strings"]
    one = MLPClassifier(early_stopping=True, random_state=0, max_iter=10)
    one.fit(X[train], y[train], validation_data=(X[held], y[held], WEIGHTS[held]))
    assert one.t_ == 60 * one.n_iter_
    assert one.trainer_.history["val_accuracy"] == pytest.approx(one.validation_scores_)
    assert one.score(X[held], y[held], WEIGHTS[held]) == pytest.approx(one.best_validation_score_)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["strings", "binary"])
def test_classes_that_only_validation_data_have_are_named(kind, early_stopping):
    """One that lies between two others, too, whose number would be that of the second."""
    y, others = TARGETS[kind], TARGETS[kind][:20].copy()
    others[3] = "bb" if kind == "strings" else 2
    one = MLPClassifier(early_stopping=early_stopping, max_iter=2)
    with pytest.raises(ValueError, match=r"validation_data has the classes \[.+\], expected those"):
        one.fit(X, y, validation_data=(X[:20], others))


def test_a_callback_that_is_none_is_named_by_its_number():
    with pytest.raises(TypeError, match=r"callbacks\[1\] is 3, expected"):
        MLPRegressor(callbacks=[fastbp.EarlyStopping("loss"), 3]).fit(X, SCORES)


@pytest.mark.parametrize("given", [(X,), X, (X, SCORES, None, None)], ids=["one", "X", "four"])
def test_validation_data_that_are_no_pair_are_refused(given):
    with pytest.raises(TypeError, match=r"validation_data is a .*expected a pair \(X, y\)"):
        MLPRegressor().fit(X, SCORES, validation_data=given)


def test_callbacks_are_called_and_may_stop():
    seen = []

    def stop(state):
        seen.append(state.values["val_loss"])
        if len(seen) == 4:
            raise fastbp.StopTraining

    held = (X, SCORES[:, 0])
    callback = fastbp.LambdaCallback(on_epoch_end=stop)
    one = MLPRegressor(callbacks=[callback]).fit(X, SCORES[:, 0], validation_data=held)
    assert one.n_iter_ == len(one.loss_curve_) == len(seen) == 4
    one = MLPRegressor(callbacks=[callback], solver="lbfgs").fit(*held, validation_data=held)
    assert one.n_iter_ > 4
    seen.clear()
    one = MLPRegressor(callbacks=[callback], solver="lbfgs").fit(*held, validation_data=held)
    assert one.n_iter_ == 4
    assert one.loss_ == one.trainer_.history["loss"][-1]


def test_losses_of_fastbp():
    for loss in ("mae", "huber", fastbp.Quantile(0.9)):
        one = MLPRegressor(loss, 16, max_iter=400, learning_rate_init=0.01, random_state=0)
        one.fit(X, SCORES[:, 0])
        below = (SCORES[:, 0] <= one.predict(X)).mean()
        assert below == pytest.approx(0.9 if loss == fastbp.Quantile(0.9) else 0.5, abs=0.15)


def test_functions_of_the_user():
    from numba import njit

    @njit
    def softsign(z):
        size = 1 + abs(z)
        return z / size, 1 / size**2

    @njit
    def squared(p, y, dloss_dp):
        loss = 0.0
        for i in range(len(p)):
            dloss_dp[i] = p[i] - y[i]
            loss += 0.5 * (p[i] - y[i]) ** 2
        return loss

    parameters = {"max_iter": 10, "random_state": 0}
    one = MLPRegressor(squared, **parameters).fit(X, SCORES[:, :2])
    other = MLPRegressor(**parameters).fit(X, SCORES[:, :2])
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-6)
    one = MLPClassifier(loss=squared, activation=softsign, max_iter=100, random_state=0)
    one.fit(X, TARGETS["multiclass"])
    assert one.score(X, TARGETS["multiclass"]) > 0.6


def test_threads_are_limited():
    assert "threads=1" in repr(fitted(n_threads=1).trainer_)


def test_more_threads_than_a_process_has_are_all_of_them():
    """joblib gives each of its processes fewer."""
    np.testing.assert_array_equal(fitted(n_threads=2**20).predict(X), fitted().predict(X))


# What is refused, and what goes wrong


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "rely"}, "The 'activation' parameter of MLPClassifier must be a str among"),
        ({"dtype": "float16"}, "The 'dtype' parameter of MLPClassifier must be a str among"),
        ({"loss": "hinge"}, "The 'loss' parameter of MLPClassifier must be a str among"),
        (
            {"n_threads": 0},
            "The 'n_threads' parameter of MLPClassifier must be an int",
        ),
        ({"optimizer": "adam"}, "The 'optimizer' parameter of MLPClassifier must be an instance"),
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes must be > 0, got \[3, 0\]"),
    ],
)
def test_a_wrong_parameter_gets_scikit_learns_text(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**parameters).fit(X, TARGETS["binary"])


@pytest.mark.parametrize("sizes", [(4, 5.0), [[4, 5]], True])
def test_layers_that_are_no_integers_are_named(sizes):
    with pytest.raises(TypeError, match=r"hidden_layer_sizes has .+, of type .+, expected"):
        MLPClassifier(sizes).fit(X, TARGETS["binary"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_get_scikit_learns_text(dtype, bad):
    one = MLPRegressor(max_iter=2, dtype=dtype).fit(X, SCORES[:, 0])
    rows = X.astype(dtype)
    rows[3, 2] = bad
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        one.predict(rows)


@pytest.mark.parametrize(("rows", "place"), [(slice(9), "held out"), (slice(9, 90), "to train on")])
def test_rows_without_any_weight_are_named(rows, place):
    held = np.random.RandomState(0)
    held.uniform(size=5 * 2 + 2 + 2 + 1)  # what the parameters take before the split
    order = held.permutation(90)
    weights = np.ones(90)
    weights[order[rows]] = 0
    one = MLPRegressor(hidden_layer_sizes=2, early_stopping=True, random_state=0)
    with pytest.raises(ValueError, match=f"is 0 for every row .*{place}.*above 0"):
        one.fit(X, SCORES[:, 0], weights)


def test_weights_below_0_get_scikit_learns_text():
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        MLPRegressor().fit(X, SCORES, -WEIGHTS)


@pytest.mark.parametrize("goes_on", ["fit", "partial_fit"])
def test_another_number_of_outputs_is_refused(goes_on):
    one = MLPRegressor(max_iter=2, warm_start=True).fit(X, SCORES)
    with pytest.raises(ValueError, match=r"y has 1 outputs, but this MLP.+ goes on from 4:"):
        getattr(one, goes_on)(X, SCORES[:, 0])
    assert one.n_outputs_ == 4
    getattr(one, goes_on)(X, SCORES)


REFUSED = [
    ({"early_stopping": True, "validation_fraction": 0.01}, "The validation set is too small"),
    ({"solver": "sgd", "momentum": 1.0}, "momentum is 1.0, expected"),
]


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(("failing", "message"), REFUSED, ids=["rows", "optimizer"])
def test_a_fit_that_is_refused_leaves_what_was_before(failing, message, warm):
    one = fitted(warm_start=warm)
    expected, before = one.predict_proba(X), vars(one).copy()
    with pytest.raises(ValueError, match=message):
        one.set_params(**failing).fit(X, TARGETS["multiclass" if warm else "strings"])
    one.set_params(**{name: before[name] for name in failing})
    assert vars(one) == before
    np.testing.assert_array_equal(one.predict_proba(X), expected)


def test_targets_that_are_refused_leave_what_was_before():
    one = MLPRegressor("poisson", max_iter=3).fit(X, TARGETS["counts"])
    expected = one.predict(X)
    with pytest.raises(ValueError, match=r"y has -1.0 at row"):
        one.fit(X, np.full(90, -1.0))
    np.testing.assert_array_equal(one.predict(X), expected)
    with pytest.raises(ValueError, match=r"y has -1.0 at row"):
        MLPRegressor("poisson").fit(X, np.full(90, -1.0))


def test_sparse_targets_of_a_regression_are_refused():
    with pytest.raises(TypeError, match=r"y is a sparse csr_array.*y\.toarray\(\)"):
        MLPRegressor().fit(X, sparse.csr_array(SCORES))


def test_a_fit_that_diverges_says_so():
    huge = {"solver": "sgd", "learning_rate_init": 1e8, "activation": "identity"}
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        MLPRegressor(**huge).fit(X, SCORES[:, 0])
    with pytest.warns(ConvergenceWarning, match="the loss is not finite in iteration"):
        one = MLPRegressor(early_stopping=True, **huge).fit(X, SCORES[:, 0])
    assert np.isnan(one.loss_)
    assert np.isfinite(one.predict(X)).all()


def test_lbfgs_that_cannot_begin_says_so():
    """The first loss is infinite; or the square of its gradient, and SciPy's step is NaN."""
    one = MLPRegressor(hidden_layer_sizes=7, solver="lbfgs", random_state=0)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        one.fit(1e300 * X, SCORES[:, 0])
    assert not hasattr(one, "coefs_")
    with pytest.warns(ConvergenceWarning, match=r"failed to converge after 0 iteration\(s\)"):
        one.fit(1e150 * X, SCORES[:, 0])
    assert np.isfinite(one.coefs_[0]).all()


def test_ctrl_c_ends_a_fit_with_what_there_is():
    def interrupt(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    callback = fastbp.LambdaCallback(on_epoch_end=interrupt)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        one = MLPRegressor(callbacks=[callback]).fit(X, SCORES[:, 0])
    assert one.n_iter_ == 2
    assert one.predict(X).shape == (90,)


def test_a_warm_start_may_take_another_solver():
    one = fitted(solver="lbfgs", warm_start=True)
    before = one.loss_
    one.set_params(solver="adam", early_stopping=True).fit(X, TARGETS["multiclass"])
    one.set_params(early_stopping=False, max_iter=200).fit(X, TARGETS["multiclass"])
    assert one.loss_ < before
    one.set_params(warm_start=False, solver="lbfgs").fit(X, TARGETS["multiclass"])
    one.set_params(solver="sgd").partial_fit(X, TARGETS["multiclass"])
    assert one.n_iter_ == 1


def test_parts_of_any_size_train_with_their_own_penalty():
    theirs, ours = pair("multiclass", solver="sgd", alpha=1.0, random_state=0)
    for rows in (90, 40, 40, 90, 7):
        for each in (theirs, ours):
            each.partial_fit(X[:rows], TARGETS["multiclass"][:rows], classes=range(4))
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-7)


def test_a_grid_is_searched():
    grid = {"hidden_layer_sizes": [4, (8, 4)], "alpha": [0.0, 1.0]}
    search = GridSearchCV(MLPClassifier(max_iter=100, random_state=0), grid, cv=3)
    assert search.fit(X, TARGETS["multiclass"]).best_score_ > 0.4


def test_metadata_are_routed():
    held = (X[:30], TARGETS["binary"][:30])
    one = MLPClassifier(max_iter=20, early_stopping=True, random_state=0)
    with config_context(enable_metadata_routing=True):
        one.set_fit_request(sample_weight=True, validation_data=True)
        pipeline = make_pipeline(FunctionTransformer(), one)
        pipeline.fit(X, TARGETS["binary"], sample_weight=WEIGHTS, validation_data=held)
    assert one.t_ == 90 * one.n_iter_
    assert len(one.trainer_.history["val_loss"]) == one.n_iter_


def test_many_threads_predict():
    one = fitted()
    expected, _ = one.predict_proba(X), one.coefs_
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(one.predict_proba, [X] * 50)]
    for p in found:
        np.testing.assert_array_equal(p, expected)


def test_it_shows_itself_in_a_notebook():
    assert "MLPClassifier" in fitted()._repr_html_()


@pytest.mark.process
def test_fastbp_does_without_scikit_learn():
    program = (
        "import sys; sys.modules['sklearn'] = None; import fastbp\n"
        "try: import fastbp.sklearn\n"
        "except ImportError as error: print(error)"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "pip install 'fastbp[sklearn]'" in done.stdout, done.stderr
    program = "import sys, fastbp; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
