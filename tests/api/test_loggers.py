"""Callbacks that follow no value: a log, a limit of time."""

import csv
from types import SimpleNamespace

import pytest

import fastbp
from fastbp import CSVLogger, LambdaCallback, TimeLimit
from support.cases import Case
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
    with pytest.raises(FileNotFoundError):
        trainer.fit(*CASE.batch(), callbacks=[CSVLogger(tmp_path / "none" / "log.csv")])
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
def test_a_limit_of_time_stops_where_another_epoch_would_not_fit(
    seconds, epochs, ends, monkeypatch
):
    clock = iter([100.0, *(100.0 + end for end in ends)])
    monkeypatch.setattr(
        "fastbp.callbacks.loggers.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    assert len(fit(len(ends), TimeLimit(seconds))["loss"]) == epochs


def test_a_limit_of_time_begins_with_each_fit(monkeypatch):
    clock = iter([0.0, 4.0, 8.0, 100.0, 104.0, 108.0])
    monkeypatch.setattr(
        "fastbp.callbacks.loggers.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    limit = TimeLimit(10)
    for _ in range(2):
        assert len(fit(5, limit)["loss"]) == 2


@pytest.mark.parametrize(
    ("seconds", "error"), [(0, ValueError), (-1, ValueError), ("1", TypeError)]
)
def test_a_limit_of_no_time_is_refused(seconds, error):
    with pytest.raises(error, match="seconds is "):
        fastbp.TimeLimit(seconds)
