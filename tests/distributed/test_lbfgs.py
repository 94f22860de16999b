"""L-BFGS on several ranks: SciPy searches on rank 0, and each rank computes parts of gradients."""

from functools import partial

import numpy as np
import pytest
import scipy.optimize

import fastbp
from fastbp.training import lbfgs_ranks
from fastbp.training.datasets import as_dataset
from fastbp.training.lbfgs_ranks import PartGradients
from fastbp.training.row_order import RowOrder
from support.in_process import on_ranks, same_on_ranks
from support.internals import core
from support.rank_runs import ROWS, VARIANTS, digest, new_trainer

RUNS = {
    "plain": {"batch_size": ROWS},
    "small_batches": {"batch_size": 10, "l2": 1e-2, "l1": 1e-3},
    "weights": VARIANTS["weights"],
    "scaled": {"standardize": True, "dtype": "float64"},
    "norm": {"layer_norm": True, "residual": True},
    "sparse": {"sparse": True},
}


def fit(comm, callbacks=(), epochs=6, **options):
    trainer, X, y, how = new_trainer(comm, optimizer=fastbp.LBFGS(), **options)
    history = trainer.fit(X, y, epochs, validation_fraction=0.2, callbacks=callbacks, **how)
    outcome = trainer.outcome
    told = None if outcome is None else (outcome.reason, outcome.losses)
    return history["loss"], history["val_loss"], told, digest(*trainer.net.weights)


@pytest.mark.parametrize("run", RUNS)
def test_one_hash_for_one_to_eight_ranks(run):
    found = {str(same_on_ranks(ranks, partial(fit, **RUNS[run]))) for ranks in (1, 2, 3, 8)}
    assert len(found) == 1


def test_the_sums_of_the_library_are_not_needed():
    """With reduction="fast" there may be more ranks than parts, one part for each."""
    losses, *_ = same_on_ranks(3, partial(fit, reduction="fast", parts=2))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_one_trainer(ranks, weighted):
    """In float64 both are within some hundred roundings of the same sums.

    The last rows, which are a whole part, may have no weight: the penalty still counts once.
    """
    options = {"dtype": "float64", "l2": 0.5, "l1": 0.1, "batch_size": 20}
    weights = np.ones(ROWS)
    weights[150:] = 0.0 if weighted else 1.0

    def compute(comm):
        trainer, X, y, _ = new_trainer(comm, **options)
        data = as_dataset(core(trainer), X, y, weights)
        parts = PartGradients(core(trainer), core(trainer).group, RowOrder(data, shuffle=False))
        return parts.compute()

    trainer, X, y, _ = new_trainer(None, **options)
    loss, expected = trainer.loss_and_gradients(X, y, weights)
    for other, layers in on_ranks(ranks, compute):
        assert other == pytest.approx(loss, rel=1e-13)
        for layer, wanted in zip(layers, expected, strict=True):
            for one, two in zip(layer, wanted, strict=True):
                np.testing.assert_allclose(one, two, rtol=0, atol=1e-13)


def test_scipy_runs_on_rank_0_alone(monkeypatch):
    calls, minimize = [], scipy.optimize.minimize

    def counted(*arguments, **how):
        calls.append(1)
        return minimize(*arguments, **how)

    monkeypatch.setattr(scipy.optimize, "minimize", counted)
    same_on_ranks(3, fit)
    assert calls == [1]


def test_each_rank_computes_its_parts(monkeypatch):
    parts, summed = [], lbfgs_ranks.full_gradients.summed

    def counted(trainer, data, job, batches):
        parts.append(trainer.group.rank)
        return summed(trainer, data, job, batches)

    monkeypatch.setattr(lbfgs_ranks.full_gradients, "summed", counted)
    same_on_ranks(4, partial(fit, epochs=1, batch_size=10))
    assert {parts.count(rank) for rank in range(4)} == {len(parts) // 4}


def test_one_rank_stops_all():
    class Stops(fastbp.Callback):
        def on_epoch_end(self, state):
            if state.trainer.rank == 2 and state.epoch == 3:
                raise fastbp.StopTraining

    losses, _, outcome, _ = same_on_ranks(3, partial(fit, callbacks=[Stops()]))
    assert len(losses) == 3
    assert outcome is None


class Fails(fastbp.Callback):
    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, state):
        if state.trainer.rank == 1 and state.epoch == 2:
            raise self.error


@pytest.mark.parametrize("error", [LookupError("of rank 1"), FloatingPointError("of rank 1")])
def test_an_exception_of_one_rank_ends_all_at_the_last_iteration(error):
    def run(comm):
        trainer, X, y, how = new_trainer(comm, optimizer=fastbp.LBFGS())
        try:
            trainer.fit(X, y, 5, callbacks=[Fails(error)], **how)
        except type(error):
            return len(trainer.history["loss"]), trainer.evaluate(X, y)["loss"]

    epochs, loss = same_on_ranks(3, run)
    losses, *_ = same_on_ranks(3, partial(fit_all, epochs=2))
    assert epochs == 2
    assert loss == pytest.approx(losses[-1], rel=1e-6)


def fit_all(comm, epochs):
    trainer, X, y, how = new_trainer(comm, optimizer=fastbp.LBFGS())
    return trainer.fit(X, y, epochs, **how)["loss"], None


def test_ctrl_c_on_one_rank_ends_all():
    class Interrupts(fastbp.Callback):
        def on_epoch_end(self, state):
            if state.trainer.rank == 2 and state.epoch == 2:
                core(state.trainer).group._interrupts.came = True

    found = on_ranks(3, partial(fit, callbacks=[Interrupts()]))
    assert {type(error) for error in found} == {KeyboardInterrupt}


@pytest.mark.parametrize("number", [1, 3])
def test_a_loss_that_is_not_finite(monkeypatch, number):
    """At the first parameters it is refused, later the step is made shorter, on all ranks."""
    compute = PartGradients.compute

    def sometimes(self):
        found = compute(self)
        self.calls = getattr(self, "calls", 0) + 1
        return None if self.calls == number else found

    monkeypatch.setattr(PartGradients, "compute", sometimes)

    def run(comm):
        trainer, X, y, how = new_trainer(comm, optimizer=fastbp.LBFGS())
        before = digest(*trainer.net.weights)
        try:
            return trainer.fit(X, y, 4, **how)["loss"]
        except FloatingPointError:
            return digest(*trainer.net.weights) == before

    found = same_on_ranks(3, run)
    assert found is True if number == 1 else found[-1] < found[0]


def test_targets_that_overflow_are_refused_on_all():
    def run(comm):
        trainer, X, y, how = new_trainer(comm, optimizer=fastbp.LBFGS())
        y[ROWS - 1] = 1e38
        trainer.fit(X, y, 4, **how)

    found = on_ranks(3, run)
    assert {type(error) for error in found} == {FloatingPointError}
    assert {str(error) for error in found} == {lbfgs_ranks.NO_GRADIENT}


def test_an_invalid_value_is_named_on_all():
    def run(comm):
        trainer, X, y, how = new_trainer(comm, optimizer=fastbp.LBFGS())
        X[150, 3] = np.nan
        trainer.fit(X, y, 4, **how)

    found = on_ranks(3, run)
    assert {type(error) for error in found} == {ValueError}
    assert all("row 150" in str(error) for error in found)


def test_rows_of_their_own_are_refused():
    found = on_ranks(2, partial(new_trainer, optimizer=fastbp.LBFGS(), data="local"))
    assert all("pass data='shared'" in str(error) for error in found)
