"""Ranks with rows of their own: the mean over all rows, whoever has them."""

from functools import partial

import numpy as np
import pytest

import fastbp
from support import local_runs
from support.in_process import on_ranks, same_on_ranks
from support.local_runs import CELLS, data, new_trainer
from support.rank_runs import digest

RANKS = 4


def test_the_last_rank_has_no_rows():
    counts = [len(data(rank, RANKS)[0]) for rank in range(RANKS)]
    assert sum(counts) == CELLS
    assert counts[-1] == 0 < min(counts[:-1])
    assert len(set(counts)) == RANKS


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_same_rows_give_the_same_bits(ranks):
    assert same_on_ranks(ranks, local_runs.fingerprint) == same_on_ranks(
        ranks, local_runs.fingerprint
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_a_step_is_one_on_all_rows(weighted):
    """In float64 both gradients are within some hundred roundings of the same sums."""
    weights = np.random.default_rng(1).uniform(0, 2, CELLS) if weighted else None
    options = {"dtype": "float64", "optimizer": fastbp.SGD(0.5), "batch_size": CELLS}

    def step(comm):
        trainer, X, y = new_trainer(comm, **options)
        counts = [len(data(rank, comm.Get_size())[0]) for rank in range(comm.Get_size())]
        first = sum(counts[: comm.Get_rank()])
        mine = None if weights is None else weights[first : first + len(X)]
        return trainer.step(X, y, mine), digest(*trainer.net.weights), trainer.net.weights

    X, y = data(0, 1)
    net = fastbp.Network([6, 20, 17, 2], "tanh", seed=3, dtype="float64")
    alone = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.5), batch_size=CELLS)
    loss = alone.step(X, y, weights)
    found = on_ranks(RANKS, step)
    assert len({bits for _, bits, _ in found}) == 1
    for other, _, of_rank in found:
        assert other == pytest.approx(loss, rel=1e-13)
        for W, V in zip(net.weights, of_rank, strict=True):
            np.testing.assert_allclose(V, W, rtol=0, atol=1e-14)


def test_evaluate_is_over_all_rows():
    def evaluate(comm):
        trainer, X, y = new_trainer(comm)
        metrics = {"rows": lambda y, p: len(p) + len(y)}
        return trainer.evaluate(X, y, metrics=metrics)

    found = same_on_ranks(RANKS, evaluate)
    assert found["rows"] == 2 * CELLS
    assert found["loss"] == pytest.approx(same_on_ranks(1, evaluate)["loss"], rel=1e-6)


def test_predict_is_of_own_rows():
    def predict(comm):
        trainer, X, _ = new_trainer(comm)
        if len(X) == 0:
            return True
        return np.array_equal(trainer.predict(X), trainer.net.predict(X))

    assert on_ranks(RANKS, predict) == [True] * RANKS


def test_an_epoch_sees_every_row_once():
    """At a rate that changes nothing the loss of an epoch is that of all rows."""

    def fit(comm):
        trainer, X, y = new_trainer(comm, optimizer=fastbp.SGD(1e-30))
        loss = trainer.evaluate(X, y)["loss"]
        return trainer.fit(X, y, 2, progress=False)["loss"] + [loss]

    *epochs, loss = same_on_ranks(RANKS, fit)
    assert epochs == pytest.approx([loss] * 2, rel=1e-5)


def test_classes_are_balanced_over_all_rows():
    def fit(comm):
        rank = comm.Get_rank()
        X, y = data(rank, comm.Get_size())
        labels = (y[:, 0] > 0.8).astype(int)
        net = fastbp.Network([6, 9, 2], output="softmax", seed=1)
        trainer = fastbp.Trainer(
            net,
            loss="cross_entropy",
            optimizer=fastbp.SGD(0.1),
            class_weight="balanced",
            seed=0,
            comm=comm,
            data="local",
        )
        trainer.fit(X, labels, progress=False)
        return trainer._core.class_weights.tolist()

    found = same_on_ranks(RANKS, fit)
    share = (data(0, 1)[1][:, 0] > 0.8).mean()
    assert found == pytest.approx([0.5 / (1 - share), 0.5 / share])


def test_a_bad_row_of_one_rank_is_named_on_all():
    def fit(comm):
        trainer, X, y = new_trainer(comm)
        X = X.copy()
        if comm.Get_rank() == 1:
            X[3, 2] = np.inf
        before = digest(*trainer.net.weights)
        try:
            trainer.fit(X, y, progress=False)
        except ValueError as error:
            return str(error), digest(*trainer.net.weights) == before

    message, unchanged = same_on_ranks(RANKS, fit)
    assert "row 3" in message
    assert unchanged


def test_no_rank_has_rows():
    def fit(comm):
        trainer, _, _ = new_trainer(comm)
        trainer.fit(np.zeros((0, 6)), np.zeros((0, 2)), progress=False)

    assert all("no rows on any rank" in str(error) for error in on_ranks(2, fit))


def test_more_rows_than_a_batch():
    def step(comm):
        trainer, X, y = new_trainer(comm)
        trainer.step(X[:30], y[:30])

    assert all("expected at most batch_size = 40" in str(e) for e in on_ranks(RANKS, step))


def test_a_fit_is_resumed(tmp_path):
    path = tmp_path / "run.safetensors"

    class Crash(Exception):
        pass

    def fit(comm, at=0, resume=None):
        trainer, X, y = new_trainer(comm, dropout=0.2)

        def step(state):
            if state.steps == at:
                raise Crash

        checkpoint = fastbp.ModelCheckpoint(path, every_updates=3)
        callbacks = [checkpoint, fastbp.LambdaCallback(on_step_end=step)]
        history = trainer.fit(X, y, 3, callbacks=callbacks, resume=resume, progress=False)
        return history["loss"], digest(*trainer.net.weights)

    whole = same_on_ranks(RANKS, fit)
    path.unlink()
    assert all(isinstance(error, Crash) for error in on_ranks(RANKS, partial(fit, at=7)))
    assert same_on_ranks(RANKS, partial(fit, resume=path)) == whole
