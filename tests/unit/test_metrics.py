"""The user's own metrics, in evaluate and in validation."""

import numpy as np
import pytest

import fastbp
from support.cases import Case, each_engine
from support.internals import core
from support.trainers import adam_trainer

CLASSES = Case((4, 9, 3), 20, "tanh", "softmax", "cross_entropy", labels=True)
YES_NO = Case((4, 9, 1), 20, "tanh", "sigmoid", "bce")
NUMBERS = Case((4, 9, 3), 20, "tanh")


def mean_error(y, p):
    return np.abs(y - p).mean()


def rank_auc(y, p):
    """The area under the ROC curve, as Mann and Whitney's statistic."""
    above = p[y == 1][:, None] - p[y == 0]
    return (np.sum(above > 0) + 0.5 * np.sum(above == 0)) / above.size


@each_engine
def test_evaluate_has_the_value_of_each(engine):
    trainer, (X, y) = adam_trainer(NUMBERS, engine, batch_size=None), NUMBERS.batch()
    p = trainer.predict(X)
    found = trainer.evaluate(X, y, metrics={"mae": mean_error, "rows": lambda y, _: len(y)})
    assert found == trainer.evaluate(X, y) | {"mae": np.abs(y - p).mean(), "rows": 20.0}
    assert list(found) == ["loss", "mae", "rows"]
    assert {type(value) for value in found.values()} == {float}


@each_engine
def test_the_average_of_the_parameters_is_measured_by_its_own_outputs(engine):
    net, (X, y) = NUMBERS.network("float32"), NUMBERS.batch()
    rule = fastbp.SGD(lr=0.5)
    options = {"loss": "mse", "optimizer": rule, "ema_decay": 0.9, "engine": engine}
    trainer = fastbp.Trainer(net, **options, seed=0)
    trainer.fit(X, y, 5)
    for averaged in (True, False):
        found = trainer.evaluate(X, y, averaged=averaged, metrics={"mae": mean_error})
        assert found["mae"] == mean_error(y, trainer.predict(X, averaged=averaged))
    assert found["mae"] != trainer.evaluate(X, y, averaged=True, metrics={"mae": mean_error})["mae"]


@each_engine
def test_fit_has_the_value_of_each_after_each_epoch(engine):
    trainer, (X, y) = adam_trainer(YES_NO, engine, batch_size=None), YES_NO.batch()
    y = (y[:, 0] > 0.5).astype(int)
    found = []
    watcher = fastbp.LambdaCallback(
        on_epoch_end=lambda _: found.append(rank_auc(y, trainer.predict(X)[:, 0]))
    )
    history = trainer.fit(
        X, y, 3, validation_data=(X, y), metrics={"auc": rank_auc}, callbacks=[watcher]
    )
    assert history["val_auc"] == found
    assert list(history) == ["loss", "val_loss", "val_accuracy", "val_auc", "samples_per_second"]


@each_engine
@pytest.mark.parametrize(
    ("case", "convert"),
    [
        (CLASSES, lambda y: y),
        (CLASSES, lambda y: y.astype("u1")),
        (CLASSES, lambda y: y.tolist()),
        (YES_NO, lambda y: y),
        (YES_NO, lambda y: y[:, 0]),
        (NUMBERS, np.asfortranarray),
    ],
)
def test_a_metric_gets_y_as_it_was_given_and_the_outputs_in_its_shape(case, convert, engine):
    trainer, (X, y) = adam_trainer(case, engine, batch_size=None), case.batch()
    y, seen = convert(y), []
    metrics = {"seen": lambda *given: seen.append(given) or 0.0}
    trainer.evaluate(X, y, metrics=metrics)
    trainer.fit(X, y, validation_data=(X, y), metrics=metrics)
    trainer.fit(X, y, validation_fraction=0.5, metrics=metrics)
    given = np.asarray(y)
    for i, (shown, p) in enumerate(seen):
        n = len(y) if i < 2 else len(y) // 2
        assert isinstance(shown, np.ndarray)
        assert shown.shape == (n, *given.shape[1:])
        assert shown.dtype == given.dtype
        assert p.shape == ((n, case.sizes[-1]) if case.labels else shown.shape)
        assert isinstance(p, np.ndarray)
        assert i == 2 or np.array_equal(shown, given)
    assert len(seen) == 3
    expected = trainer_of_first_epoch(case, engine, X, y).predict(X)
    assert np.array_equal(seen[1][1], expected.reshape(seen[1][1].shape))


def trainer_of_first_epoch(case, engine, X, y):
    trainer = adam_trainer(case, engine, batch_size=None)
    trainer.fit(X, y)
    return trainer


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int8(3), np.nan])
def test_any_real_number_is_a_value(value):
    trainer, data = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    found = trainer.evaluate(*data, metrics={"it": lambda *_: value})["it"]
    assert type(found) is float
    assert found == value or np.isnan(value)


@pytest.mark.parametrize("value", [None, "0.5", [0.5], np.zeros(3), 1j, True, np.True_])
def test_what_is_no_number_is_a_type_error_that_names_the_metric(value):
    trainer, data = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    metrics = {"auc": lambda *_: value}
    with pytest.raises(
        TypeError, match=r"the metric 'auc' returned .*, of type .*, expected a num"
    ):
        trainer.evaluate(*data, metrics=metrics)
    with pytest.raises(TypeError, match=r"the metric 'auc' returned"):
        trainer.fit(*data, validation_data=data, metrics=metrics)
    trainer.fit(*data)


def test_an_array_is_refused_with_the_shapes():
    trainer, data = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    message = (
        r"'it' returned an array of shape \(20, 3\), .* for y \(20, 3\) and p \(20, 3\), expected"
    )
    with pytest.raises(TypeError, match=message):
        trainer.evaluate(*data, metrics={"it": lambda y, p: (y - p) ** 2})


def test_what_a_metric_raises_has_its_name():
    def undefined(_y, _p):
        raise ZeroDivisionError("only one class in y")

    trainer, data = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    for call in (
        lambda: trainer.evaluate(*data, metrics={"mae": mean_error, "auc": undefined}),
        lambda: trainer.fit(*data, validation_data=data, metrics={"auc": undefined}),
    ):
        with pytest.raises(ZeroDivisionError, match="only one class") as caught:
            call()
        assert caught.value.__notes__ == ["raised by the metric 'auc' for y (20, 3) and p (20, 3)"]
    trainer.fit(*data)


@each_engine
def test_a_mean_squared_error_of_flat_targets_is_the_loss(engine):
    """Where p were (n, 1), y - p would be (n, n)."""
    case = Case((4, 9, 1), 20, "tanh")
    trainer, (X, y) = adam_trainer(case, engine, batch_size=None), case.batch()
    metrics = {"mse": lambda y, p: np.mean((y - p) ** 2), "entries": lambda y, p: (y - p).size}
    for given in (y, y[:, 0]):
        found = trainer.evaluate(X, given, metrics=metrics)
        assert found["mse"] == pytest.approx(found["loss"], rel=1e-5)
        assert found["entries"] == 20
        history = trainer.fit(X, given, 3, validation_fraction=0.5, metrics=metrics)
        assert history["val_mse"] == pytest.approx(history["val_loss"], rel=1e-5)


BROADCASTS = {
    "a column of y": lambda y, p: np.mean((y[:, None] - p) ** 2),
    "another dtype": lambda y, p: np.mean((y.astype("f4").reshape(-1, 1) - p) ** 2),
    "a column of p": lambda y, p: float((p[:, None] * y).sum()),
    "what is made of p": lambda y, p: float(np.abs(2 * p - 1)[:, None].__gt__(y).mean()),
    "in place": lambda y, p: float(np.subtract(y[:, None], p).max()),
    "what is made of y": lambda y, p: np.mean((2 * y - 1 > 0)[:, None] == (p > 0)),
}


@pytest.mark.parametrize("metric", BROADCASTS)
def test_a_metric_that_broadcasts_is_refused_with_the_shapes(metric):
    case = Case((4, 9, 1), 20, "tanh")
    trainer, (X, y) = adam_trainer(case, batch_size=None), case.batch()
    message = r"a metric broadcasts numbers \(20.* of y \(20,\) .* of p \(20,\) to \(20, 20\)"
    with pytest.raises(ValueError, match=message) as caught:
        trainer.evaluate(X, y[:, 0], metrics={"bad": BROADCASTS[metric]})
    assert caught.value.__notes__ == ["raised by the metric 'bad' for y (20,) and p (20,)"]


def test_labels_and_variances_are_not_broadcast_against_outputs():
    three = Case((4, 9, 3), 3, "tanh", "softmax", "cross_entropy", labels=True)
    variances = Case((4, 9, 2), 20, "tanh", "identity", "gaussian_nll")
    for case, shapes in (
        (three, r"y \(3,\) .* p \(3, 3\)"),
        (variances, r"y \(20, 1\) .* \(20, 2\)"),
    ):
        trainer, data = adam_trainer(case, batch_size=None), case.batch()
        with pytest.raises(ValueError, match=shapes):
            trainer.evaluate(*data, metrics={"bad": lambda y, p: np.mean(y - p)})
    trainer.evaluate(*data, metrics={"good": lambda y, p: np.mean(y - p[:, :1])})


def continuous_ranked_probability_score(y, p):
    """Of the outputs of all rows as one ensemble, for each y."""
    return np.abs(y[:, None] - p[None, :]).mean() - np.abs(p[:, None] - p[None, :]).mean() / 2


ALLOWED = {
    "pairs of outputs": lambda _y, p: (p[:, None] > p).mean(),
    "pairs by class": lambda y, p: (p[y > 0][:, None] > p[y <= 0]).mean(),
    "pairs of both": lambda y, p: ((y[:, None] > y) == (p[:, None] > p)).mean(),
    "thresholds": lambda _y, p: (p[:, None] > np.linspace(0, 1, 7)).mean(),
    "as many thresholds as rows": lambda _y, p: (p[:, None] > np.linspace(0, 1, 20)).mean(),
    "pairs of y and p": continuous_ranked_probability_score,
    "pairs of y and p, transposed": lambda y, p: abs(y.reshape(-1, 1) - p.reshape(1, -1)).max(),
    "some pairs of y and p": lambda y, p: np.mean(y[:5] - p[:, None]),
    "sorted": lambda _y, p: (np.unique(p)[:, None] > p).mean(),
    "a column of each": lambda y, p: np.mean(y[:, None] - p[:, None]),
    "a number": lambda y, p: np.mean(p - y.mean()) + float(p.max()) + p[0],
    "statistics": lambda y, p: np.corrcoef(y, p)[0, 1] + np.median(p) + np.percentile(p, 30),
    "products": lambda y, p: y @ p + np.dot(p, p) + np.einsum("i,i->", y, p),
    "in place": lambda y, p: np.subtract(p, y, out=p.copy()).sum(),
}


@pytest.mark.parametrize("metric", ALLOWED)
def test_other_arithmetic_is_that_of_plain_arrays(metric):
    case = Case((4, 9, 1), 20, "tanh")
    trainer, (X, y) = adam_trainer(case, batch_size=None), case.batch()
    expected = ALLOWED[metric](y[:, 0], trainer.predict(X)[:, 0])
    assert trainer.evaluate(X, y[:, 0], metrics={"it": ALLOWED[metric]})["it"] == float(expected)


def test_pairs_of_rows_with_several_outputs():
    def energy(y, p):
        return np.linalg.norm(y[:, None] - p[None], axis=2).mean()

    trainer, (X, y) = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    found = trainer.evaluate(X, y, metrics={"energy": energy})["energy"]
    assert found == energy(y, trainer.predict(X))
    with pytest.raises(
        ValueError, match=r"for all pairs of .* write y\[:, None\] and p\[None, :\]"
    ):
        trainer.evaluate(X, y, metrics={"energy": lambda y, p: np.mean(y - p[:, None])})


def spoil_y(y, _p):
    y[:] = 0
    return 0.0


def spoil_p(y, p):
    p -= y
    return 0.0


def flatten(y, p):
    y.shape = p.shape = (-1,)
    return 0.0


@pytest.mark.parametrize("spoil", [spoil_y, spoil_p, flatten])
def test_a_metric_may_write_to_its_data(spoil):
    """Others do not see it, and the user's y, on which fit may train, stay."""
    trainer, (X, y) = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    before, metrics = y.copy(), {"first": spoil, "mae": mean_error}
    found = trainer.evaluate(X, y, metrics=metrics)["mae"]
    assert found == trainer.evaluate(X, y, metrics={"mae": mean_error})["mae"]
    trainer.fit(X, y, validation_data=(X, y), metrics=metrics)
    assert np.array_equal(y, before)


def test_metrics_of_scikit_learn_take_both():
    metrics = pytest.importorskip("sklearn.metrics")
    X, y = YES_NO.batch()
    trainer, y = adam_trainer(YES_NO, batch_size=None), (y[:, 0] > 0.5).astype(int)
    names = ("roc_auc_score", "average_precision_score", "log_loss", "brier_score_loss", "r2_score")
    wanted = {name: getattr(metrics, name) for name in names}
    p, found = trainer.predict(X)[:, 0], trainer.evaluate(X, y, metrics=wanted)
    assert {name: found[name] for name in names} == {name: wanted[name](y, p) for name in names}


@pytest.mark.parametrize("signature", [(), ("float64(float64[:], float32[:])",)])
def test_a_compiled_metric_takes_the_outputs(signature):
    from numba import njit

    @njit(*signature)
    def error(y, p):
        return ((y - p) ** 2).mean()

    case = Case((4, 9, 1), 20, "tanh")
    trainer, (X, y) = adam_trainer(case, batch_size=None), case.batch()
    found = trainer.evaluate(X, y[:, 0], metrics={"mse": error})
    assert found["mse"] == pytest.approx(found["loss"], rel=1e-5)


@each_engine
@pytest.mark.parametrize("outputs", [1, 3])
def test_targets_between_0_and_1_have_no_accuracy(outputs, engine):
    case = Case((4, 9, outputs), 20, "tanh", "sigmoid", "bce")
    trainer, (X, y) = adam_trainer(case, engine, batch_size=None), case.batch()
    labels = (y > 0.5).astype(float)
    almost = labels.copy()
    almost[-1, 0] = 0.5
    for targets, has in ((y, False), (almost, False), (labels, True), (labels > 0, True)):
        assert ("accuracy" in trainer.evaluate(X, targets)) == has
        history = trainer.fit(X, labels, 2, validation_data=(X, targets))
        assert ("val_accuracy" in history) == has
    history = trainer.fit(X, y, validation_fraction=0.5)
    assert "val_accuracy" not in history
    assert "accuracy" in trainer.evaluate(X, np.broadcast_to(np.float32(1), y.shape))


BAD = {
    "list": ([mean_error], TypeError, r"metrics is a list, expected a dict of functions"),
    "function": (mean_error, TypeError, r"metrics is a function, expected a dict"),
    "no function": ({"auc": 0.5}, TypeError, r"metrics has 0.5 under 'auc', expected a function"),
    "no name": ({1: mean_error}, TypeError, r"under 1, expected a function .* under a str"),
    "loss": ({"loss": mean_error}, ValueError, r"metrics has 'loss', which fastbp computes"),
    "accuracy": ({"accuracy": mean_error}, ValueError, r"metrics has 'accuracy'"),
}


@pytest.mark.parametrize("case", BAD)
def test_metrics_that_do_not_fit_are_refused_at_once(case):
    metrics, error, message = BAD[case]
    trainer, data = adam_trainer(CLASSES, batch_size=None), CLASSES.batch()
    with pytest.raises(error, match=message):
        trainer.evaluate(*data, metrics=metrics)
    with pytest.raises(error, match=message):
        trainer.fit(*data, validation_data=data, metrics=metrics)
    assert core(trainer).epoch == 0


def test_where_there_is_no_accuracy_yours_may_be_one():
    trainer, data = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    assert trainer.evaluate(*data, metrics={"accuracy": lambda *_: 0.25})["accuracy"] == 0.25


def test_metrics_without_validation_are_refused():
    trainer, data = adam_trainer(NUMBERS, batch_size=None), NUMBERS.batch()
    with pytest.raises(ValueError, match=r"metrics has 'mae', .* pass validation_data or"):
        trainer.fit(*data, metrics={"mae": mean_error})
    assert core(trainer).epoch == 0
    trainer.fit(*data, metrics={})
