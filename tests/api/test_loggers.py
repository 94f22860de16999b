"""Callbacks that follow no value: a log, a limit of time."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

import fastbp
from fastbp import CSVLogger, LambdaCallback, TimeLimit
from support.cases import Case, each_engine
from support.internals import core

CASE = Case((4, 9, 3), 20, "tanh")


def small_trainer():
    return CASE.trainer("float32", batch_size=8)


def fit(epochs, *callbacks, **options):
    return small_trainer().fit(*CASE.batch(), epochs=epochs, callbacks=callbacks, **options)


# CSVLogger


def test_a_log_is_what_history_writes(tmp_path):
    history = fit(3, CSVLogger(tmp_path / "log"), validation_data=CASE.batch())
    history.to_csv(tmp_path / "history")
    assert (tmp_path / "log").read_bytes() == (tmp_path / "history").read_bytes()


def test_a_log_can_be_read_while_fit_runs(tmp_path):
    counts, path = [], tmp_path / "log.csv"
    watcher = LambdaCallback(
        on_epoch_end=lambda _: counts.append(len(path.read_text().splitlines()))
    )
    fit(3, CSVLogger(str(path)), watcher)
    assert counts == [2, 3, 4]


def test_a_log_is_closed_and_whole_when_fit_fails(tmp_path):
    def fail(state):
        if state.epoch == 2:
            raise LookupError

    path, logger = tmp_path / "log.csv", CSVLogger(tmp_path / "log.csv")
    with pytest.raises(LookupError):
        fit(3, logger, LambdaCallback(on_epoch_end=fail))
    assert logger._file.closed
    with path.open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]


def test_a_log_begins_anew_with_each_fit(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    for epochs in (3, 2):
        fit(epochs, logger)
        assert len((tmp_path / "log.csv").read_text().splitlines()) == epochs + 1


def test_a_log_that_cannot_be_written_is_an_error_before_fit_begins(tmp_path):
    trainer = small_trainer()
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none': make it first"):
        trainer.fit(*CASE.batch(), callbacks=[CSVLogger(tmp_path / "none" / "log.csv")])
    with pytest.raises(IsADirectoryError, match="which is a folder: name a file in it"):
        trainer.fit(*CASE.batch(), callbacks=[CSVLogger(tmp_path)])
    assert core(trainer).epoch == 0


# TimeLimit


@pytest.mark.parametrize(
    ("seconds", "epochs", "ends"),
    [
        (10, 3, [3, 6, 9, 12]),  # the fourth would end at 12
        (12, 4, [3, 6, 9, 12, 15]),
        (10, 2, [1, 6, 7]),  # the second took 5 s: another might end at 11
        (0.5, 1, [3, 6]),
    ],
)
def test_a_limit_of_time_stops_where_another_epoch_would_not_fit(seconds, epochs, ends, clock):
    assert len(fit(len(ends), clock(ends), TimeLimit(seconds))["loss"]) == epochs


class Clock(LambdaCallback):
    """Says what time it is: a time after each epoch."""

    def __init__(self, ends):
        self.now, times = 0.0, iter(ends)
        super().__init__(on_epoch_end=lambda _: setattr(self, "now", next(times)))

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A Clock in the place of the system's."""

    def begin(ends):
        made = Clock(ends)
        monkeypatch.setattr("fastbp.callbacks.loggers.time", made)
        return made

    return begin


def test_a_limit_of_time_begins_with_each_fit(clock):
    limit = TimeLimit(10)
    for _ in range(2):
        assert len(fit(5, clock([4.0, 8.0, 12.0]), limit)["loss"]) == 2


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("weights", [None, np.tile([0.0, 1.0, 2.0, 1.0], 5)], ids=["", "weighted"])
@each_engine
def test_an_epoch_that_exceeds_the_limit_is_cut(engine, weights, validated, tmp_path, monkeypatch):
    """After its second batch of three; History and the log have its part."""
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: 1)
    X, y = CASE.batch()
    limit, calls = TimeLimit(7), []
    monkeypatch.setattr(
        "fastbp.callbacks.loggers.time",
        SimpleNamespace(perf_counter=lambda: calls.append(0) or 4.0 * len(calls)),
    )
    one, by_hand = (CASE.trainer("float32", engine, batch_size=8) for _ in range(2))
    data = (X, y) if validated else None
    history = one.fit(
        *(X, y, 5), sample_weight=weights, shuffle=False, validation_data=data,
        callbacks=[limit, CSVLogger(tmp_path / "log")],
    )  # fmt: skip
    w = np.ones(20) if weights is None else weights
    losses = [by_hand.step(X[i : i + 8], y[i : i + 8], w[i : i + 8]) for i in (0, 8)]
    assert history["loss"] == [
        pytest.approx(np.average(losses, weights=[w[:8].sum(), w[8:16].sum()]), rel=1e-6)
    ]
    assert core(one).epoch == 0
    assert history["samples_per_second"][0] > 0
    if validated:
        assert history["val_loss"] == [one.evaluate(X, y)["loss"]]
    np.testing.assert_array_equal(one.predict(X), by_hand.predict(X))
    history.to_csv(tmp_path / "history")
    assert (tmp_path / "log").read_bytes() == (tmp_path / "history").read_bytes()


def test_a_column_of_a_callback_has_a_gap_for_the_part_of_an_epoch():
    def stop(state):
        if state.steps == 4:
            raise fastbp.StopTraining

    def add(state):
        state.history.extend(mine=[float(state.epoch)])

    history = fit(5, LambdaCallback(on_step_end=stop, on_epoch_end=add))
    assert [len(column) for column in history.values()] == [2] * len(history)
    assert history["mine"][0] == 1.0
    assert np.isnan(history["mine"][1])


@pytest.mark.parametrize(
    ("seconds", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError)]
)
def test_a_limit_of_no_time_is_refused(seconds, error):
    with pytest.raises(error, match="seconds is "):
        fastbp.TimeLimit(seconds)
