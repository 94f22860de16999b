"""Ranks whose libm differs: the scalars of an update are those of rank 0."""

from functools import partial

import pytest

import fastbp
from fastbp.distributed.scalars import Scalars
from fastbp.kernels.tables import settings
from fastbp.schedules import LogCosine
from support import local_runs
from support.in_process import same_on_ranks
from support.rank_runs import VARIANTS, digest, fingerprint, new_trainer

RUNS = {
    "adam": VARIANTS["dropout"] | {"dropout_schedule": LogCosine(9)},
    "nadam": {"optimizer": fastbp.NAdam(0.01), "weight_decay_schedule": LogCosine(9)},
    "radam": {"optimizer": fastbp.RAdam(0.01)},
}


@pytest.fixture
def other_scalars(monkeypatch):
    """Every rank but rank 0 works out scalars that are too large by a hundredth."""
    made = Scalars.__init__

    def make(self, group, hyper, work_out):
        def work_out_others():
            work_out()
            if group.rank:
                hyper[settings.STEP_LR : settings.ARE_GIVEN] *= 1.01
                if hyper[settings.DROPOUT_SCHEDULE]:
                    hyper[settings.STEP_DROPOUT] *= 1.01

        made(self, group, hyper, work_out_others)

    monkeypatch.setattr(Scalars, "__init__", make)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.usefixtures("other_scalars")
def test_the_bits_are_those_of_rank_0(run):
    train = partial(fingerprint, **RUNS[run])
    assert same_on_ranks(3, train) == same_on_ranks(1, train)


@pytest.mark.usefixtures("other_scalars")
def test_with_rows_of_their_own(monkeypatch):
    found = same_on_ranks(3, local_runs.fingerprint)
    monkeypatch.undo()
    assert found == same_on_ranks(3, local_runs.fingerprint)


@pytest.mark.usefixtures("other_scalars")
def test_gradients_from_elsewhere(monkeypatch):
    def apply(comm):
        trainer, X, y, _ = new_trainer(comm)
        for _ in range(2):
            trainer.apply_gradients(trainer.loss_and_gradients(X, y)[1], rows=len(X))
        return digest(*trainer.net.weights)

    found = same_on_ranks(3, apply)
    monkeypatch.undo()
    assert found == same_on_ranks(3, apply)


def test_they_are_worked_out_anew_after_a_call():
    def train(comm):
        trainer, X, y, _ = new_trainer(comm)
        trainer.step(X[:64], y[:64])
        return float(trainer._core.arrays.hyper[settings.ARE_GIVEN])

    assert same_on_ranks(2, train) == 0.0
