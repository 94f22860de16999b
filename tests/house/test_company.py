"""The parts of bench.company, with trainings that only pretend to."""

import io
import os
from contextlib import contextmanager

import pytest

from bench import company, environment, trainee
from bench.cases import Case


class Pretender:
    """A trainee that answers with the next of its rates, and writes down what it is told."""

    def __init__(self, log, name, *rates):
        self.log, self.name, self.rates = log, name, list(rates)

    def begin(self, seconds, task):
        self.log.append(f"{self.name} begins {task} {seconds}")

    def end(self):
        self.log.append(f"{self.name} ends")
        return self.rates.pop(0)

    def pin(self):
        self.log.append(f"{self.name} is pinned")


def test_trainees_of_a_group_run_at_once_and_groups_take_turns():
    log = []
    one, other = Pretender(log, "one", 1.0, 2.0, 3.0, 4.0), Pretender(log, "other", 10.0, 20.0)
    rates = company.in_turn({"alone": [one], "both": [one, other]}, 2, 0.5)
    assert rates == {"alone": [1.0, 4.0], "both": [12.0, 23.0]}
    alone = ["one begins train 0.5", "one ends"]
    both = ["one begins train 0.5", "other begins train 0.5", "one ends", "other ends"]
    assert log == [*alone, *both, *both, *alone]


def test_two_trainings_are_compared_with_one():
    rates = {"alone": [10.0, 10.0, 20.0], "together": [9.0, 8.0, 20.0]}
    assert company.ratio("together", rates) == 0.9


def test_predictions_between_products_are_compared_with_those_alone():
    rates = {"alone": [10.0, 10.0, 20.0], "between": [9.0, 8.0, 20.0]}
    assert company.ratio("between", rates) == 0.9


@pytest.mark.parametrize("question", ["busy", "pinned"])
def test_the_default_is_compared_with_the_fixed_number_that_is_best(question):
    rates = {"default": [9.0, 9.0, 30.0], "1": [10.0, 10.0, 30.0], "2": [99.0, 1.0, 1.0]}
    assert company.ratio(question, rates) == 0.9


def test_up_to_eight_cpus_every_number_is_tried():
    assert company.counts(1) == [1]
    assert company.counts(8) == list(range(1, 9))
    assert company.counts(48) == [1, 2, 4, 8, 16, 32, 47, 48]


def test_a_table_has_a_column_for_each_processor_and_side():
    rates = {
        "together": {"alone": [1.0], "together": [0.5]},
        "busy": {"default": [3.0], "1": [4.0]},
        "pinned": {"default": [1.0], "1": [1.0]},
    }
    head, *rows = company.rows({"here": {"rates": {"fastbp": rates, "torch": rates}}})
    assert head == ["", "here fastbp", "here torch"]
    assert [row[1] for row in rows] == ["0.50", "0.75", "1.00", "-"]  # between: not measured


@pytest.fixture
def pretenders(monkeypatch):
    """Settings that were started, with trainees that pretend."""
    asked, log = {}, []

    @contextmanager
    def started(settings):
        asked.update(settings)
        yield {name: [Pretender(log, name, 1.0, 1.0, 1.0, 1.0)] for name in settings}
        log.append("end")

    monkeypatch.setattr(company, "started", started)
    monkeypatch.setattr(environment, "available_cpus", lambda: 3)
    return asked, log


def test_a_busy_core_is_there_for_every_number_of_threads(pretenders, monkeypatch):
    asked, log = pretenders

    @contextmanager
    def busy_core():
        log.append("busy")
        yield
        log.append("idle")

    monkeypatch.setattr(company, "busy_core", busy_core)
    assert company.busy("torch", 1, 0.1) == {n: [1.0] for n in ("default", "1", "2", "3")}
    assert asked == {"default": ("torch", 0)} | {str(n): ("torch", n) for n in (1, 2, 3)}
    assert log[0] == "busy"
    assert log[-2:] == ["idle", "end"]


def test_a_side_needs_all_that_its_processes_import():
    assert company.is_installed("fastbp after json")
    assert not company.is_installed("fastbp after nothing_of_this_name")


def test_trainees_are_pinned_before_they_train(pretenders):
    asked, log = pretenders
    assert company.pinned("fastbp", 1, 0.1) == {"default": [1.0], "1": [1.0]}
    assert asked == {"default": ("fastbp", 0), "1": ("fastbp", 1)}
    assert log[:2] == ["default is pinned", "1 is pinned"]


def test_together_has_two_of_the_default(pretenders):
    asked, _ = pretenders
    assert company.together("fastbp", 2, 0.1) == {"alone": [1.0] * 2, "together": [2.0] * 2}
    assert set(asked.values()) == {("fastbp", 0)}


def test_one_training_predicts_alone_and_between_products(pretenders):
    asked, log = pretenders
    assert company.between("fastbp", 1, 0.1) == {"alone": [1.0], "between": [1.0]}
    assert asked == {"alone": ("fastbp", 0)}
    assert [line for line in log if "begins" in line] == [
        "alone begins predict 0.1",
        "alone begins predict-between 0.1",
    ]


@pytest.mark.process
def test_the_busy_program_ends_with_the_block(monkeypatch):
    seen = []
    popen = company.subprocess.Popen
    monkeypatch.setattr(
        company.subprocess, "Popen", lambda *a, **k: seen.append(popen(*a, **k)) or seen[-1]
    )
    with company.busy_core():
        assert seen[0].poll() is None
    assert seen[0].poll() is not None


def test_where_it_cannot_run_it_says_why(monkeypatch):
    monkeypatch.setattr(company, "SIDES", ())  # nothing is measured where the check is missing
    monkeypatch.setattr(environment, "available_cpus", lambda: 1)
    if hasattr(os, "sched_setaffinity"):
        with pytest.raises(SystemExit, match="skipped: this process may use one CPU"):
            company.main(["--print"])
        monkeypatch.delattr(os, "sched_setaffinity")
    with pytest.raises(SystemExit, match="skipped: this system cannot confine"):
        company.main(["--print"])


class Side:
    """A side that counts its epochs, and the batches that it predicts."""

    case = Case("line", (3, 4, 1), 2, "mse")

    def __init__(self):
        self.epochs = self.predicted = 0

    def own(self, array):
        return array

    def epoch(self, X, y):
        assert len(X) == len(y) == trainee.BATCHES * self.case.batch
        self.epochs += 1

    def predict(self, X):
        assert len(X) == self.case.batch
        self.predicted += 1


def test_a_trainee_answers_each_order(monkeypatch):
    monkeypatch.setattr(trainee, "pin", lambda: said.append("pins"))
    side, said = Side(), []
    orders = "train 1e-9", "pin", "predict 1e-9", "predict-between 1e-9"
    trainee.serve(side, io.StringIO("\n".join(orders)), said.append)
    assert side.epochs == 2  # the first of them warms up
    assert side.predicted == 2 * trainee.BATCHES
    ready, first, pins, pinned, *others = said
    assert (ready, pins, pinned) == ("ready", "pins", "pin")
    assert min(first, *others) > 0


def test_a_rate_counts_updates():
    side = Side()
    rate = trainee.rate(side, *side.case.data(trainee.BATCHES), 0.01)
    assert rate <= trainee.BATCHES * side.epochs / 0.01
