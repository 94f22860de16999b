"""Ranks with rows of their own: the mean over all rows, whoever has them."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest

import fastbp
from fastbp.distributed.local_job import begins
from support import in_process, local_runs
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


# Ranks without rows


def classes(comm, **options):
    """A classifier of which rank 0 alone has rows: 20, whose labels are (n,)."""
    rows = 20 if comm.Get_rank() == 0 else 0
    X = np.random.default_rng(2).normal(size=(20, 6))[:rows]
    net = fastbp.Network([6, 9, 2], output="softmax", seed=1)
    options = {"loss": "cross_entropy", "optimizer": fastbp.SGD(0.1), "seed": 0} | options
    trainer = fastbp.Trainer(net, comm=comm, data="local", **options)
    return trainer, X, (X[:, 0] > 0).astype(np.int64)


def test_metrics_of_labels_where_a_rank_has_none():
    def evaluate(comm):
        trainer, X, y = classes(comm)
        return trainer.evaluate(X, y, metrics={"shape": lambda y, p: y.ndim * 100 + len(p)})

    assert same_on_ranks(3, evaluate)["shape"] == 120


def test_validation_where_a_rank_has_no_targets():
    """Targets that are not known count for nothing, and a rank may know none."""

    def fit(comm):
        net = fastbp.Network([6, 9, 1], output="sigmoid", seed=1)
        adam = fastbp.Adam(0.01)
        trainer = fastbp.Trainer(
            net, loss="bce", optimizer=adam, ignore_nan=True, seed=0, comm=comm, data="local"
        )
        X, y = data(0, 1)[0][:30], np.tile([0.0, 1.0, np.nan], 10)
        held = (X, y) if comm.Get_rank() == 1 else (X[:0], y[:0])
        if comm.Get_rank() == 2:
            held = X, np.full(30, np.nan)
        return trainer.fit(X, y, validation_data=held, progress=False)["val_loss"]

    assert len(same_on_ranks(3, fit)) == 1


def test_validation_rows_of_a_rank_may_have_no_weight():
    def fit(comm):
        trainer, X, y = classes(comm)
        held = (X, y, np.ones(len(X)))
        if comm.Get_rank() == 1:
            held = data(0, 1)[0][:5], np.zeros(5, int), np.zeros(5)
        return trainer.fit(X, y, validation_data=held, progress=False)["val_loss"]

    assert len(same_on_ranks(3, fit)) == 1


def test_a_rank_may_hold_out_no_row():
    def fit(comm):
        trainer, X, y = new_trainer(comm)
        rows = [0, 3] if comm.Get_rank() == 0 else []
        return trainer.fit(X, y, validation_rows=rows, progress=False)["val_loss"]

    assert len(same_on_ranks(RANKS, fit)) == 1


@pytest.mark.parametrize("way", ["fraction", "data"])
def test_no_rank_has_a_row_to_validate(way):
    """That is said before the first update."""

    def fit(comm):
        trainer, X, y = new_trainer(comm)
        before = digest(*trainer.net.weights)
        X, y = data(0, 1)[0][:1], data(0, 1)[1][:1]
        how = {"validation_fraction": 0.5}
        if way == "data":
            how = {"validation_data": (X[:0], y[:0])}
        try:
            trainer.fit(X, y, progress=False, **how)
        except ValueError as error:
            return str(error), digest(*trainer.net.weights) == before

    message, unchanged = same_on_ranks(2, fit)
    assert "has no rows on any rank" in message
    assert unchanged


@pytest.mark.parametrize("call", ["evaluate", "validation"])
def test_weights_of_some_ranks_only(call):
    def run(comm):
        trainer, X, y = new_trainer(comm)
        weights = (np.ones(len(X)),) if comm.Get_rank() == 1 else ()
        if call == "evaluate":
            trainer.evaluate(X, y, *weights)
        else:
            trainer.fit(X, y, validation_data=(X, y, *weights), progress=False)

    for found in on_ranks(RANKS, run):
        assert isinstance(found, ValueError)
        assert "is given on some ranks only" in str(found)


def test_weights_are_resumed_where_a_rank_has_no_rows(tmp_path):
    path = tmp_path / "run.safetensors"

    def fit(comm, resume=None):
        trainer, X, y = classes(comm)
        callbacks = [fastbp.ModelCheckpoint(path)]
        how = {"sample_weight": np.linspace(0, 1, len(X)), "resume": resume, "progress": False}
        held = {"validation_data": (X, y, np.ones(len(X)))}
        return trainer.fit(X, y, 2, callbacks=callbacks, **held, **how)["val_loss"]

    assert same_on_ranks(3, fit) == same_on_ranks(3, partial(fit, resume=path))


def test_the_mean_weight_is_that_of_all_rows():
    """Only the ratios of weights count, whoever has them."""

    def fit(comm, factor):
        trainer, X, y = new_trainer(comm, dtype="float64")
        first = 1 + comm.Get_rank()
        weights = factor * np.linspace(first, first + 1, len(X))
        return trainer.fit(X, y, sample_weight=weights, progress=False)["loss"]

    assert same_on_ranks(RANKS, partial(fit, factor=1.0)) == same_on_ranks(
        RANKS, partial(fit, factor=2.0)
    )


# Batches


@pytest.mark.parametrize("counts", [(5, 5, 5, 5), (3, 3, 3, 3, 3, 3), (1,) * 8, (7, 0, 7, 7)])
def test_batches_have_as_many_rows_as_another(counts):
    rows = sum(counts)
    for batches in range(1, rows + 1):
        begun = np.array([begins(counts, number, batches) for number in range(batches + 1)])
        assert begun[0].tolist() == [0] * len(counts)
        assert begun[-1].tolist() == list(counts)
        of_batch = np.diff(begun, axis=0)
        assert (of_batch >= 0).all()
        if len(set(counts)) == 1:
            assert np.ptp(of_batch.sum(axis=1)) <= 1


def test_updates_of_ranks_with_few_rows_each():
    """Four ranks with three rows: batches of two rows are six updates, not three of four rows."""

    def fit(comm):
        trainer, *_ = new_trainer(comm, batch_size=2)
        X, y = (part[3 * comm.Get_rank() :][:3] for part in data(0, 1))
        taken = []
        look = fastbp.LambdaCallback(on_step_end=lambda state: taken.append(state.samples))
        trainer.fit(X, y, callbacks=[look], progress=False)
        return trainer.updates, taken

    assert same_on_ranks(4, fit) == (6, [2, 4, 6, 8, 10, 12])


def test_the_loss_of_a_part_of_an_epoch_is_the_mean_over_its_rows():
    def fit(comm):
        trainer, X, y = new_trainer(comm)
        losses, taken = [], [0]

        def step(state):
            losses.append(state.step_loss)
            taken.append(state.samples)
            if state.steps == 2:
                raise fastbp.StopTraining

        look = fastbp.LambdaCallback(on_step_end=step)
        found = trainer.fit(X, y, callbacks=[look], progress=False)["loss"][-1]
        return found, np.average(losses, weights=np.diff(taken)), taken

    found, expected, taken = same_on_ranks(RANKS, fit)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 70 < taken[-1] < 80, "batches of 40 of 150 rows have 37 or 38"


def test_a_stream_has_batches_of_at_most_batch_size_rows_in_all():
    def fit(comm):
        trainer, X, y = new_trainer(comm)
        trainer.fit_batches([(X[:30], y[:30])], progress=False)

    for found in on_ranks(RANKS, fit):
        assert "rows, expected at most batch_size = 40" in str(found)


def test_a_stream_that_ends_on_one_rank():
    def fit(comm):
        trainer, X, y = new_trainer(comm)
        trainer.fit_batches([(X[:5], y[:5])] * (2 if comm.Get_rank() else 1), progress=False)

    for found in on_ranks(2, fit):
        assert "rank 0 told its callbacks of an event" in str(found)
        assert "rank 1 told its rows" in str(found)


def test_what_all_ranks_are_told_does_not_grow_with_the_rows(monkeypatch):
    """Weights, losses and outputs stay where the rows are; rank 0 has the outputs for metrics."""

    def most_told(rows):
        sizes = []

        def allgather(self, item):
            sizes.append(len(pickle.dumps(item)))
            return usual(self, item)

        def fit(comm):
            trainer, *_ = new_trainer(comm)
            X, y = (np.ones((rows, n)) for n in (6, 2))
            how = {"sample_weight": np.linspace(1, 2, rows), "validation_fraction": 0.5}
            how["metrics"] = {"bias": lambda y, p: float(np.mean(y - p))}
            trainer.fit(X, y, progress=False, **how)
            return trainer.evaluate(X, y, how["sample_weight"])

        monkeypatch.setattr(in_process.Communicator, "allgather", allgather)
        same_on_ranks(2, fit)
        return max(sizes)

    usual = in_process.Communicator.allgather
    assert most_told(2000) < most_told(200) + 100


# Means, scales and learning rates over the rows of all


def standardized(comm, by_batches=False):
    """Mean and scale of inputs and targets."""
    rank, ranks = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    X, y = data(rank, ranks)
    net = fastbp.Network([6, 9, 2], seed=1, dtype="float64")
    if by_batches:
        net.standardize_batches([(X[:3], y[:3]), (X[3:], y[3:])], comm=comm)
    else:
        net.standardize(X, y, comm=comm)
    parts = net.input_mean, net.input_scale, net.target_mean, net.target_scale
    return [part.tolist() for part in parts]


@pytest.mark.parametrize("by_batches", [False, True])
def test_mean_and_scale_are_of_all_rows(by_batches):
    """Sums of n terms, and of their squares, differ by less than n roundings of their sizes."""
    run = partial(standardized, by_batches=by_batches)
    expected = standardized(None)
    eps, X = np.finfo(np.float64).eps, data(0, 1)[0]
    for ranks in (1, 2, RANKS):
        for one, two in zip(same_on_ranks(ranks, run), expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=2 * CELLS * eps * np.abs(X).max())


def test_one_rank_has_the_bits_of_none():
    assert same_on_ranks(1, standardized) == standardized(None)


def test_a_trainer_takes_what_all_have_standardized():
    def fit(comm):
        X, y = data(comm.Get_rank(), comm.Get_size())
        net = fastbp.Network([6, 9, 2], seed=1)
        net.standardize(X, y, comm=comm)
        how = {"loss": "mse", "optimizer": fastbp.Adam(0.01), "seed": 0, "data": "local"}
        return fastbp.Trainer(net, comm=comm, **how).fit(X, y, 2, progress=False)["loss"]

    first, second = same_on_ranks(RANKS, fit)
    assert second < first


@pytest.mark.parametrize("kind", ["inf", "targets", "names", "none"])
def test_rows_that_cannot_be_standardized(kind):
    def run(comm):
        rank = comm.Get_rank()
        X, y = data(rank, 3)
        X = X.copy()
        if kind == "inf" and rank == 1:
            X[2, 3] = np.inf
        if kind == "targets" and rank == 1:
            y = None
        if kind == "names":
            X = pd.DataFrame(X, columns=[f"{'abc'[rank]}{i}" for i in range(6)])
        if kind == "none":
            X, y = X[:0], y[:0]
        net = fastbp.Network([6, 2], seed=1)
        try:
            net.standardize(X, y, comm=comm)
        except ValueError as error:
            return str(error), net.input_mean, net.feature_names_in

    expected = {
        "inf": "X has inf at row 2, column 3",
        "targets": "y is given on some ranks only",
        "names": "X of another rank lacks",
        "none": "X has 0 row",
    }
    for message, mean, names in on_ranks(3, run):
        assert expected[kind] in message
        assert mean is names is None


def test_find_lr_is_over_all_rows():
    """Each of 10 updates differs by less than 200 roundings from that of one trainer."""

    def sweep(comm):
        how = {"dtype": "float64", "optimizer": fastbp.SGD(0.5), "batch_size": CELLS}
        trainer, X, y = new_trainer(comm, **how)
        curve = trainer.find_lr(X, y, start_lr=1e-3, end_lr=0.1, updates=10)
        assert trainer.updates == 0
        return curve.losses.tolist()

    losses = same_on_ranks(RANKS, sweep)
    X, y = data(0, 1)
    net = fastbp.Network([6, 20, 17, 2], "tanh", seed=3, dtype="float64")
    alone = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.5), batch_size=CELLS, seed=8)
    curve = alone.find_lr(X, y, start_lr=1e-3, end_lr=0.1, updates=10)
    assert losses == pytest.approx(curve.losses.tolist(), rel=10 * 200 * np.finfo(float).eps)


def test_find_lr_takes_batches_of_all_ranks():
    def sweep(comm):
        trainer, X, y = new_trainer(comm, dropout=0.1)
        curve = trainer.find_lr(X, y, updates=9)
        return curve.losses.tolist()

    assert same_on_ranks(RANKS, sweep) == same_on_ranks(RANKS, sweep)
