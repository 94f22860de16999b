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
    p = p[:, 0]
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
        on_epoch_end=lambda _: found.append(rank_auc(y, trainer.predict(X)))
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
def test_a_metric_gets_y_as_it_was_given_and_the_outputs(case, convert, engine):
    trainer, (X, y) = adam_trainer(case, engine, batch_size=None), case.batch()
    y, seen = convert(y), []
    metrics = {"seen": lambda *given: seen.append(given) or 0.0}
    trainer.evaluate(X, y, metrics=metrics)
    trainer.fit(X, y, validation_data=(X, y), metrics=metrics)
    trainer.fit(X, y, validation_fraction=0.5, metrics=metrics)
    given = np.asarray(y)
    for i, (shown, p) in enumerate(seen):
        n = len(y) if i < 2 else len(y) // 2
        assert type(shown) is np.ndarray
        assert shown.shape == (n, *given.shape[1:])
        assert shown.dtype == given.dtype
        assert p.shape == (n, case.sizes[-1])
        assert i == 2 or np.array_equal(shown, given)
    assert len(seen) == 3
    assert np.array_equal(seen[1][1], trainer_of_first_epoch(case, engine, X, y).predict(X))


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
