"""A trainer on several ranks: what is refused, callbacks, files, and resumed fits."""

import copy
import math
from functools import partial

import numpy as np
import pytest

import fastbp
from support.in_process import on_ranks, same_on_ranks
from support.rank_runs import ROWS, VARIANTS, digest, new_trainer
from support.trainers import training_state


def texts(found):
    return [str(error) for error in found]


# What is refused


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"l2": 0.1}, "l2 is 0.0 on rank 0 and 0.1 on rank 1"),
        ({"optimizer": fastbp.SGD(0.1)}, "optimizer is"),
        ({"parts": 16}, "parts is 8 on rank 0 and 16 on rank 1"),
        ({"seed": 5}, "seed is 4 on rank 0 and 5 on rank 1"),
        ({"dtype": "float64"}, "the network's dtype is 'float32' on rank 0"),
        ({"standardize": True}, "the network's scaling is"),
    ],
)
def test_ranks_that_differ_are_told_apart(options, text):
    def run(comm):
        new_trainer(comm, **(options if comm.Get_rank() else {}))

    found = on_ranks(2, run)
    assert {type(error) for error in found} == {ValueError}
    assert all(text in str(error) for error in found)


def test_more_ranks_than_parts():
    found = on_ranks(3, partial(new_trainer, parts=2))
    assert all("comm has 3 ranks and parts is 2" in str(error) for error in found)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"data": "both"}, "data is 'both'"),
        ({"reduction": "slow"}, "reduction is 'slow'"),
        ({"parts": 0}, "parts is 0"),
        ({"engine": "numpy"}, "comm is given and engine is 'numpy'"),
        ({"loss": "cross_entropy"}, "cross_entropy"),
    ],
)
def test_what_one_rank_refuses_all_refuse(options, text):
    def run(comm):
        new_trainer(comm, **(options if comm.Get_rank() == 1 else {}))

    found = on_ranks(3, run)
    assert {type(error) for error in found} == {ValueError}
    assert all(text in str(error) for error in found)


def test_data_without_a_communicator_are_checked_too():
    with pytest.raises(ValueError, match="data is 'both'"):
        new_trainer(None, data="both")


@pytest.mark.parametrize("call", ["fit", "step", "evaluate", "predict", "fit_batches"])
def test_a_bad_call_on_one_rank_changes_nothing_on_any(call):
    def run(comm):
        trainer, X, y, _ = new_trainer(comm)
        before = training_state(trainer)
        if comm.Get_rank() == 1:
            X = X[:, :5]
        X, y = X[:64], y[:64]
        arguments = {"predict": (X,), "fit_batches": ([(X, y)],)}.get(call, (X, y))
        try:
            getattr(trainer, call)(*arguments)
        except ValueError as error:
            assert training_state(trainer) == before
            trainer.step(np.ones((64, 11)), np.ones((64, 3)))
            return str(error)

    found = on_ranks(3, run)
    assert len(set(found)) == 1
    assert "5" in found[0]


def test_an_invalid_value_is_named_on_all():
    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        X[150, 3] = np.nan
        trainer.fit(X, y, **how)

    for found in on_ranks(3, run):
        assert isinstance(found, ValueError)
        assert "row 150" in str(found)


def test_a_loss_that_is_not_finite_stops_all_where_the_epoch_began():
    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        trainer.fit(X, y, **how)
        before = training_state(trainer)
        y[150] = 1e38
        try:
            trainer.fit(X, y, **how)
        except FloatingPointError:
            return training_state(trainer) == before
        return "no error"

    assert on_ranks(3, run) == [True] * 3


def test_other_numbers_of_rows():
    def run(comm):
        trainer, X, y, _ = new_trainer(comm)
        trainer.step(X[: 64 + comm.Get_rank()], y[: 64 + comm.Get_rank()])

    for found in on_ranks(2, run):
        assert isinstance(found, RuntimeError)
        assert "the ranks do not do the same" in str(found)


def test_derivatives_and_embedded_numbers_are_refused():
    def fit(comm):
        trainer = fastbp.Trainer(
            fastbp.Network([2, 3, 1], activation="tanh", seed=0),
            loss="mse",
            optimizer=fastbp.SGD(0.1),
            comm=comm,
        )
        trainer.step(np.zeros((4, 2)), np.zeros(4), jacobian=np.zeros((4, 1, 2)))

    def embed(comm):
        net = fastbp.Network([2, 1], number_embedding=fastbp.NumberEmbedding())
        fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), comm=comm)

    for run, text in ((fit, "ranks share out the values"), (embed, "ranks do not share out")):
        found = on_ranks(2, run)
        assert {type(error) for error in found} == {ValueError}
        assert all(text in str(error) for error in found)


def test_compiled_is_refused():
    def run(comm):
        new_trainer(comm)[0].compiled()

    assert all("comm is given" in text for text in texts(on_ranks(2, run)))


# What a fit begins with


class Silent(fastbp.Callback):
    def on_epoch_end(self, state):
        """Hear of epochs."""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": 3}, "epochs is 2 on rank 0 and 3 on rank 1"),
        ({"shuffle": False}, "shuffle is True on rank 0 and False on rank 1"),
        ({"validation_fraction": 0.2}, "rows to train on is 203 on rank 0 and 162 on rank 1"),
        ({"callbacks": [Silent()]}, "callbacks is [] on rank 0 and ['Silent'] on rank 1"),
        ({"sample_weight": np.ones(ROWS)}, "sample_weight is False on rank 0 and True on rank 1"),
    ],
    ids=["epochs", "shuffle", "validation", "callbacks", "weights"],
)
def test_other_arguments_of_fit_are_told_apart(change, text):
    def run(comm):
        trainer, X, y, _ = new_trainer(comm)
        before = training_state(trainer)
        try:
            trainer.fit(X, y, **({"epochs": 2} | (change if comm.Get_rank() == 1 else {})))
        except ValueError as error:
            assert training_state(trainer) == before
            return str(error)

    found = on_ranks(2, run)
    assert all(text in str(error) for error in found), found


def test_parameters_that_one_rank_has_set():
    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        if comm.Get_rank() == 1:
            trainer.net.set_parameters(trainer.net.weights, [b + 1 for b in trainer.net.biases])
        trainer.fit(X, y, **how)

    for found in on_ranks(2, run):
        assert isinstance(found, ValueError)
        assert "the checksum of the parameters is" in str(found)


def test_files_that_differ(tmp_path):
    """As where each node has a file of its own, and one of them is older."""
    trainer, X, y, how = new_trainer(None)
    for rank in range(2):
        trainer.save(tmp_path / f"{rank}.safetensors")
        trainer.fit(X, y, **how)

    def load(comm):
        fastbp.Trainer.load(tmp_path / f"{comm.Get_rank()}.safetensors", comm=comm)

    for found in on_ranks(2, load):
        assert isinstance(found, ValueError)
        assert "the number of updates is 0 on rank 0 and 3 on rank 1" in str(found)


# Callbacks


def test_all_ranks_have_an_error_before_on_fit_end():
    """Rank 1 alone cannot read its batch, and callbacks of all predict when the fit ends."""

    def run(comm):
        trainer, X, y, _ = new_trainer(comm)
        ends = []

        def batches():
            yield X[:50], y[:50]
            if comm.Get_rank() == 1:
                raise OSError("no such file")
            yield X[:50], y[:50]

        def end(state):
            ends.append((type(state.error).__name__, state.trainer.evaluate(X, y)["loss"]))

        look = fastbp.LambdaCallback(on_fit_end=end)
        try:
            trainer.fit_batches(batches, callbacks=[look], progress=False)
        except OSError as error:
            return str(error), ends

    text, ends = same_on_ranks(3, run)
    assert text == "no such file"
    assert [name for name, _ in ends] == ["OSError"]


def test_a_callback_may_train_another_trainer_of_these_ranks():
    """A rank that fails before that is waited for by none."""

    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        other = new_trainer(comm)[0]

        def step(state):
            if comm.Get_rank() == 1 and state.steps == 2:
                raise LookupError("of rank 1")
            other.step(X[:64], y[:64])

        try:
            trainer.fit(X, y, callbacks=[fastbp.LambdaCallback(on_step_end=step)], **how)
        except LookupError:
            return other.step(X[:64], y[:64]), trainer.step(X[:64], y[:64])

    assert len(same_on_ranks(3, run)) == 2


def fit_with(comm, callback, epochs=3, **options):
    trainer, X, y, how = new_trainer(comm, **options)
    history = trainer.fit(X, y, epochs, callbacks=[callback(comm.Get_rank())], **how)
    return history["loss"], trainer.lr, digest(*trainer.net.weights)


def test_an_exception_in_a_callback_of_one_rank_reaches_all():
    class Fails(fastbp.Callback):
        def __init__(self, rank):
            self.rank = rank

        def on_step_end(self, state):
            if self.rank == 1 and state.steps == 4:
                raise LookupError("of rank 1")

    found = on_ranks(3, partial(fit_with, callback=Fails))
    assert {type(error) for error in found} == {LookupError}


def test_one_rank_stops_all():
    class Stops(fastbp.Callback):
        def __init__(self, rank):
            self.rank = rank

        def on_step_end(self, state):
            if self.rank == 2 and state.steps == 5:
                raise fastbp.StopTraining

    losses, *_ = same_on_ranks(3, partial(fit_with, callback=Stops))
    assert len(losses) == 2


def test_the_learning_rate_is_that_of_rank_0():
    class Sets(fastbp.Callback):
        def __init__(self, rank):
            self.rank = rank

        def on_epoch_end(self, state):
            state.trainer.lr = 0.01 / (2 + self.rank)

    _, lr, _ = same_on_ranks(3, partial(fit_with, callback=Sets))
    assert lr == 0.005


def test_a_time_limit_stops_all_at_the_same_batch():
    run = partial(fit_with, callback=lambda rank: fastbp.TimeLimit(0.05 * (1 + rank)), epochs=10**4)
    losses, *_ = same_on_ranks(3, run)
    assert len(losses) < 10**4


def test_calls_within_callbacks():
    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        seen = []
        look = fastbp.LambdaCallback(
            on_epoch_end=lambda s: seen.append(s.trainer.evaluate(X, y)["loss"]),
            on_fit_end=lambda s: seen.append(float(s.trainer.predict(X)[0, 0])),
        )
        trainer.fit(X, y, 2, callbacks=[look], **how)
        return seen

    assert len(same_on_ranks(3, run)) == 3


def test_metrics_are_computed_on_rank_0_alone():
    calls = []

    def run(comm):
        trainer, X, y, _ = new_trainer(comm)

        def metric(_, p):
            calls.append(comm.Get_rank())
            return float(comm.Get_rank() + p[0, 0])

        return trainer.evaluate(X, y, metrics={"mine": metric})

    assert "mine" in same_on_ranks(3, run)
    assert calls == [0]


def test_streams():
    def run(comm):
        trainer, X, y, _ = new_trainer(comm)
        batches = [(X[i : i + 50], y[i : i + 50]) for i in range(0, ROWS, 50)]
        history = trainer.fit_batches(batches, 2, validation_data=(X, y), progress=False)
        return history["loss"], history["val_loss"], digest(*trainer.net.weights)

    assert len({str(same_on_ranks(ranks, run)) for ranks in (1, 2, 5)}) == 1


# What ranks have together


def test_parameters_and_seed_are_those_of_rank_0():
    def run(comm):
        net = fastbp.Network([4, 3], seed=comm.Get_rank())
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), comm=comm)
        return digest(*net.weights), trainer.seed

    weights, _ = same_on_ranks(4, run)
    assert weights == digest(*fastbp.Network([4, 3], seed=0).weights)


def test_gradients_of_all_ranks_are_averaged_by_their_rows():
    def run(comm):
        trainer, X, y, _ = new_trainer(comm, optimizer=fastbp.SGD(1.0), dtype="float64")
        first, last = ((0, 10), (10, 10), (10, 64))[comm.Get_rank()]
        before = trainer.net.weights[0]
        _, gradient = trainer.loss_and_gradients(X[:64], y[:64])
        mine = gradient
        if first < last:
            _, mine = trainer.loss_and_gradients(X[first:last], y[first:last])
        trainer.apply_gradients(mine, rows=last - first)
        step = before - trainer.net.weights[0]
        close = np.allclose(step, gradient[0][0], rtol=0, atol=1e-14)
        return bool(close), digest(*trainer.net.weights)

    close, _ = same_on_ranks(3, run)
    assert close


@pytest.mark.parametrize("rows", [None, -1, 0])
def test_rows_of_gradients_are_checked(rows):
    def run(comm):
        trainer, X, y, _ = new_trainer(comm)
        trainer.apply_gradients(trainer.loss_and_gradients(X, y)[1], rows)

    for found in on_ranks(2, run):
        assert isinstance(found, TypeError if rows is None else ValueError)
        assert "rows is" in str(found)


def test_rows_go_with_a_communicator():
    trainer, X, y, _ = new_trainer(None)
    with pytest.raises(ValueError, match="rows is 5"):
        trainer.apply_gradients(trainer.loss_and_gradients(X, y)[1], 5)


def test_replace_keeps_the_ranks():
    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        trainer.fit(X, y, **how)
        trainer = trainer.replace(batch_size=50)
        return trainer.rank == comm.Get_rank(), trainer.fit(X, y, **how)["loss"]

    same_on_ranks(3, run)


def test_copies_have_no_communicator():
    def run(comm):
        trainer, X, y, how = new_trainer(comm)
        alone = copy.deepcopy(trainer)
        if comm.Get_rank() == 1:
            alone.fit(X, y, **how)
        return alone.rank, trainer.step(X[:64], y[:64])

    same_on_ranks(3, run)


# Files


def test_a_fit_is_resumed_on_another_number_of_ranks(tmp_path):
    """The run that is cut, on 3 ranks, and goes on on 2, has the bits of one on 1."""
    path, options = tmp_path / "run.safetensors", VARIANTS["dropout"]

    class Crash(Exception):
        pass

    def fit(comm, at=math.inf, **more):
        trainer, X, y, how = new_trainer(comm, **options)
        log = []

        def step(state):
            if state.steps == at:
                raise Crash

        callbacks = [
            fastbp.ModelCheckpoint(path, every_updates=2),
            fastbp.EarlyStopping(patience=9),
            fastbp.CSVLogger(tmp_path / "run.csv"),
            fastbp.LambdaCallback(on_step_end=step),
        ]
        held = {"validation_fraction": 0.2}
        history = trainer.fit(X, y, 3, callbacks=callbacks, **held, **more, **how)
        log += history["loss"] + history["val_loss"]
        return log, training_state(trainer)

    whole = same_on_ranks(1, fit)
    path.unlink()
    assert all(isinstance(error, Crash) for error in on_ranks(3, partial(fit, at=3)))
    assert path.exists()
    assert same_on_ranks(2, partial(fit, resume=path)) == whole


def test_a_trainer_is_loaded_on_several_ranks(tmp_path):
    path = tmp_path / "trainer.safetensors"

    def train(comm):
        trainer, X, y, how = new_trainer(comm)
        trainer.fit(X, y, **how)
        trainer.save(path)
        return trainer.fit(X, y, **how)["loss"]

    def go_on(comm):
        trainer = fastbp.Trainer.load(path, comm=comm)
        _, X, y, how = new_trainer(None)
        return trainer.fit(X, y, **how)["loss"]

    assert same_on_ranks(3, train) == same_on_ranks(2, go_on)


def test_a_file_that_one_rank_cannot_read(tmp_path):
    path = tmp_path / "trainer.safetensors"
    new_trainer(None)[0].save(path)

    def load(comm):
        fastbp.Trainer.load(path if comm.Get_rank() else tmp_path / "none", comm=comm)

    assert {type(error) for error in on_ranks(2, load)} == {FileNotFoundError}


def test_other_parts_are_not_resumed(tmp_path):
    path = tmp_path / "run.safetensors"

    def fit(comm, parts, resume=None):
        trainer, X, y, how = new_trainer(comm, parts=parts)
        callbacks = [fastbp.ModelCheckpoint(path)]
        trainer.fit(X, y, 2, callbacks=callbacks, resume=resume, **how)

    assert on_ranks(2, partial(fit, parts=8)) == [None] * 2
    for found in on_ranks(2, partial(fit, parts=4, resume=path)):
        assert "the trainer's parts was 8 and is 4" in str(found)


@pytest.mark.parametrize("variant", ["dropout", "weights", "scaled"])
def test_find_lr_is_shared_out(variant):
    def sweep(comm):
        trainer, X, y, how = new_trainer(comm, **VARIANTS[variant])
        before = training_state(trainer)
        curve = trainer.find_lr(X, y, sample_weight=how["sample_weight"], updates=12)
        assert training_state(trainer) == before
        return curve.losses.tolist(), curve.suggestion

    assert len({str(same_on_ranks(ranks, sweep)) for ranks in (1, 2, 5)}) == 1


def test_find_lr_is_refused_on_all():
    def sweep(comm):
        trainer, X, y, _ = new_trainer(comm)
        trainer.find_lr(X, y[: 5 if comm.Get_rank() == 1 else None])

    found = on_ranks(3, sweep)
    assert {type(error) for error in found} == {ValueError}
    assert len(set(texts(found))) == 1
