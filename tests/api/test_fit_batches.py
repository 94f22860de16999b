"""fit_batches makes the updates of step on what an iterable gives; data may exceed memory."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp.schedules import Cosine
from support import processes
from support.array_views import KINDS
from support.features import MANY
from support.trainers import bits

pytestmark = pytest.mark.law5

ADAM = fastbp.Adam(lr=0.01)
ENGINES = ("numba", "numpy")


def parts(count=3):
    """Batches of unequal length."""
    X, y = MANY.batch()
    places = [slice(0, 15), slice(15, 30), slice(30, 37)][:count]
    return [(X[part], y[part]) for part in places]


def trainer_of_fifteens(engine="numba", **options):
    return MANY.trainer(engine=engine, optimizer=ADAM, batch_size=15, **options)


def stepped(trainer, batches):
    """The mean loss over rows of a step on each."""
    losses = [trainer.step(*batch) for batch in batches]
    return np.average(losses, weights=[len(batch[0]) for batch in batches])


# The same as steps


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "stream",
    [
        parts,
        lambda: lambda: iter(parts()),
        lambda: lambda: (list(batch) for batch in parts()),
        lambda: tuple(parts()),
    ],
    ids=["list", "function", "generator function", "tuple"],
)
def test_fit_batches_equals_its_steps(stream, engine):
    one, other = (trainer_of_fifteens(engine) for _ in range(2))
    history = one.fit_batches(stream(), 2)
    expected = [stepped(other, parts()) for _ in range(2)]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-14)
    assert bits(one) == bits(other)
    assert list(history) == ["loss", "samples_per_second"]
    assert all(rate > 0 for rate in history["samples_per_second"])


def test_fit_batches_equals_fit_without_shuffling():
    one, other = (trainer_of_fifteens() for _ in range(2))
    history, expected = one.fit_batches(parts(), 2), other.fit(*MANY.batch(), 2, shuffle=False)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-14)
    assert bits(one) == bits(other)


def test_a_generator_is_one_epoch():
    one, other = (trainer_of_fifteens() for _ in range(2))
    history = one.fit_batches(batch for batch in parts())
    assert history["loss"] == pytest.approx([stepped(other, parts())], rel=1e-14)


def test_calls_go_on_from_one_another():
    one, other = (trainer_of_fifteens() for _ in range(2))
    one.fit_batches(parts(), 2)
    for _ in range(2):
        other.fit_batches(iter(parts()))
    assert bits(one) == bits(other)


@pytest.mark.parametrize("engine", ENGINES)
def test_weights_of_rows(engine):
    """The loss of an epoch is sum(w l) / rows, of batches without weights too."""
    one, other = (trainer_of_fifteens(engine) for _ in range(2))
    weights = [np.linspace(0, 2, 15), None, np.zeros(7)]
    batches = [(*batch, w) for batch, w in zip(parts(), weights, strict=True)]
    history = one.fit_batches(batches[1:2] + batches, 2)
    for epoch in range(2):
        order = [batches[1], *batches]
        losses = [other.step(*batch) for batch in order]
        mean = np.average(losses, weights=[15, 15, 15, 7])
        assert history["loss"][epoch] == pytest.approx(mean, rel=1e-13)
    assert bits(one) == bits(other)
    nothing = trainer_of_fifteens(engine).fit_batches(
        [(*batch, np.zeros(len(batch[0]))) for batch in parts()]
    )
    assert nothing["loss"] == [0.0]


def test_options_of_the_trainer_hold():
    options = {"dropout": 0.3, "l2": 0.1, "class_weight": {1: 4.0}, "clip_norm": 0.5}
    one, other = (trainer_of_fifteens(**options) for _ in range(2))
    X, y = MANY.batch()
    mean = np.where(y == 1, 4.0, 1.0).mean()  # fit divides by it
    history = one.fit_batches((*part, np.full(len(part[0]), 1 / mean)) for part in parts())
    expected = other.fit(X, y, shuffle=False)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-14)
    assert bits(one) == bits(other)


def test_validation_and_progress(capsys):
    one, other = (trainer_of_fifteens() for _ in range(2))
    X, y = MANY.batch(5)
    history = one.fit_batches(parts(), 2, validation_data=(X, y), progress=True)
    for epoch in range(2):
        stepped(other, parts())
        judged = other.evaluate(X, y)
        assert history["val_loss"][epoch] == judged["loss"]
        assert history["val_accuracy"][epoch] == judged["accuracy"]
    assert "74.0 samples" in capsys.readouterr().err
    trainer_of_fifteens().fit_batches(parts(), progress=False)
    assert not capsys.readouterr().err


def test_callbacks_and_metrics():
    one, other = (trainer_of_fifteens() for _ in range(2))
    X, y = MANY.batch(5)
    seen = []
    log = fastbp.LambdaCallback(
        on_fit_begin=lambda state: seen.append(("begin", state.rows)),
        on_step_end=lambda state: seen.append((state.steps, state.samples, state.step_loss)),
        on_epoch_end=lambda state: seen.append(("epoch", state.epoch, state.rows)),
        on_fit_end=lambda state: seen.append(("end", state.error)),
    )
    metrics = {"share": lambda y, p: (p.argmax(axis=1) == y).mean()}
    options = {"validation_data": (X, y), "metrics": metrics, "callbacks": [log]}
    history = one.fit_batches(parts(), 2, **options)
    expected = [("begin", 0)]
    for epoch in range(2):
        for i, batch in enumerate(parts()):
            samples = 37 * epoch + (15, 30, 37)[i]
            expected.append((3 * epoch + i + 1, samples, other.step(*batch)))
        expected.append(("epoch", epoch + 1, 37))
    assert seen == [*expected, ("end", None)]
    assert history["val_share"] == history["val_accuracy"]


def test_training_stops_where_a_callback_says_so():
    def stop(state):
        if state.steps == 4:
            raise fastbp.StopTraining

    one, other = (trainer_of_fifteens() for _ in range(2))
    callback = fastbp.LambdaCallback(on_step_end=stop)
    history = one.fit_batches(parts(), 5, callbacks=[callback])
    expected = [stepped(other, parts()), other.step(*parts()[0])]
    assert history["loss"] == pytest.approx(expected, rel=1e-14)
    assert bits(one) == bits(other)


def endless():
    while True:
        yield parts()[0]


def test_a_time_limit_ends_a_stream_that_does_not_end():
    trainer = trainer_of_fifteens()
    X, y = MANY.batch(5)
    limit = fastbp.TimeLimit(0.05)
    history = trainer.fit_batches(endless, validation_data=(X, y), callbacks=[limit])
    assert len(history["loss"]) == len(history["val_loss"]) == 1
    assert history["val_loss"][0] == trainer.evaluate(X, y)["loss"]
    assert history["samples_per_second"][0] > 0
    assert trainer.history == history


def test_a_schedule_ends_a_stream():
    """Before anything has changed where the number of batches is known, else when it ends."""
    one, other = (trainer_of_fifteens(schedule=Cosine(5)) for _ in range(2))
    before = bits(one)
    with pytest.raises(ValueError, match=r"Cosine.*5 updates, but 0 have been made and 6 more"):
        one.fit_batches(parts(), 2)
    assert bits(one) == before
    with pytest.raises(ValueError, match=r"Cosine.*5 updates, but 5 have .*trainer\.replace\("):
        one.fit_batches(endless)
    stepped(other, [parts()[0]] * 5)
    assert bits(one) == bits(other)
    with pytest.raises(ValueError, match="5 have been made and 1 more"):
        other.step(*parts()[0])
    assert bits(one) == bits(other)
    assert len(one.replace(schedule=Cosine(9)).fit_batches(parts())["loss"]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_every_dtype(kind):
    X, y = MANY.batch()
    X = np.abs(X * 100).clip(0, 120).astype(kind)
    one, other = (trainer_of_fifteens() for _ in range(2))
    history = one.fit_batches([(X[:15], y[:15])])
    assert history["loss"] == pytest.approx([other.step(X[:15].astype(float), y[:15])], rel=1e-14)


def test_a_generator_may_use_the_trainer():
    """As an agent does, that predicts before it learns."""
    trainer = trainer_of_fifteens()
    seen = []

    def batches():
        for X, y in parts():
            seen.append(trainer.evaluate(X, y)["loss"])
            yield X, y

    assert trainer.fit_batches(batches())["loss"] == pytest.approx(
        [np.average(seen, weights=[15, 15, 7])], rel=1e-12
    )


# Refusals


def refuse(batches, message, error=ValueError, epochs=1, **options):
    trainer = trainer_of_fifteens(**options)
    before = bits(trainer)
    with pytest.raises(error, match=message):
        trainer.fit_batches(batches, epochs)
    assert bits(trainer) == before


NOT_BATCHES = [
    (5, "batches is a int, expected an iterable"),
    (np.array(5), "batches is a ndarray, expected an iterable"),
    (lambda: 5, "what batches returned is a int, expected an iterable"),
    (MANY.batch(), r"batches\[0\] is a ndarray, expected a pair .*call fit\(X, y\)"),
    ([(*parts()[0], *[None] * 4)], r"batches\[0\] is a tuple of 6"),
]
X_AND_Y = [
    (np.zeros((3, 4)), [0] * 3, r"batches\[0\]\[0\] has shape \(3, 4\)"),
    (np.zeros((3, 17)), [0] * 4, r"batches\[0\]\[1\] has shape \(4,\)"),
    (np.zeros((3, 17)), [9] * 3, r"batches\[0\]\[1\] has label 9 at row 0"),
    (np.full((3, 17), np.nan), [0] * 3, r"batches\[0\]\[0\] has nan at row 0"),
    (*MANY.batch(), r"batches\[0\]\[0\] has 37 rows, expected at most batch_size = 15"),
]


@pytest.mark.parametrize(("batches", "message"), NOT_BATCHES)
def test_what_is_no_batch_is_refused(batches, message):
    refuse(batches, message, TypeError)


@pytest.mark.parametrize(("X", "y", "message"), X_AND_Y)
def test_bad_batches_are_refused(X, y, message):
    refuse([(X, y)], message)


def test_bad_weights_are_refused():
    refuse([(*parts()[0], np.ones(3))], r"batches\[0\]\[2\] has shape \(3,\)")
    refuse([(*parts()[0], -np.ones(15))], r"batches\[0\]\[2\] has -1.0 at row 0")


@pytest.mark.parametrize("nothing", [[], lambda: iter(())], ids=["list", "function"])
def test_no_batch_at_all_is_refused(nothing):
    refuse(nothing, "batches had no batch in epoch 1")


def test_a_generator_is_refused_for_more_epochs_before_it_is_read():
    read = []
    batches = (read.append(batch) or batch for batch in parts())
    refuse(batches, "batches is a generator, which can be read once, and epochs is 2.*function",
           epochs=2)  # fmt: skip
    assert not read


def test_an_exhausted_iterator_is_reported():
    batches = iter(parts())
    trainer_of_fifteens().fit_batches(batches)
    refuse(batches, "batches had no batch in epoch 1: where it is an iterator that has been read")


def test_balanced_classes_are_refused_until_fit_has_seen_labels():
    refuse(parts(), "balanced", class_weight="balanced")


def test_other_arguments_are_refused():
    refuse(parts(), "epochs is 0", epochs=0)
    trainer = trainer_of_fifteens()
    with pytest.raises(ValueError, match="progress is 'bar'"):
        trainer.fit_batches(parts(), progress="bar")
    with pytest.raises(TypeError, match="validation_data"):
        trainer.fit_batches(parts(), validation_data=5)


def test_updates_before_a_bad_batch_stay():
    one, other = (trainer_of_fifteens() for _ in range(2))
    bad = parts()[1][0].copy()
    bad[4, 2] = np.inf
    with pytest.raises(ValueError, match=r"batches\[1\]\[0\] has inf at row 4, column 2"):
        one.fit_batches([parts()[0], (bad, parts()[1][1])])
    other.step(*parts()[0])
    assert bits(one) == bits(other)


def test_a_loss_that_is_not_finite_says_where():
    trainer = fastbp.Trainer(
        fastbp.Network([2, 1], seed=0, dtype="float32"), loss="mse", optimizer=fastbp.SGD(lr=1e30)
    )
    X, y = np.ones((4, 2)), np.ones(4)
    with pytest.raises(
        FloatingPointError, match=r"not finite in fit_batches \(epoch 1, step [23]\) at these rows"
    ):
        trainer.fit_batches([(X, y)] * 5)


def test_an_error_of_the_generator_reaches_the_caller_and_leaves_no_lock():
    trainer = trainer_of_fifteens()

    def broken():
        yield parts()[0]
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        trainer.fit_batches(broken())
    with ThreadPoolExecutor(1) as pool:  # this thread would not be refused
        pool.submit(trainer.fit_batches, parts()).result()


# Data larger than memory

MEGABYTE = 2**20
ROWS, COLUMNS = 48_000, 256
"""48 MB of float32."""
SPARE = 16 * MEGABYTE
"""What the process may add to its data."""


def train_beyond_memory(folder):
    """Train on files larger than what the process may still allocate, and print what happened."""
    import resource
    from pathlib import Path

    X = np.load(Path(folder) / "X.npy", mmap_mode="r")
    y = np.load(Path(folder) / "y.npy", mmap_mode="r")
    net = fastbp.Network([COLUMNS, 8, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=ADAM, batch_size=256, seed=0)
    trainer.fit(X[:2048], y[:2048])  # threads and kernels take their memory before the limit
    net.standardize(X[:2048], y[:2048])
    trainer.fit(X[:2048], y[:2048])
    for call in (trainer.evaluate, lambda X, _y: net.predict(X)):
        call(X[:2048], y[:2048])
    status = Path("/proc/self/status").read_text(encoding="ascii")
    used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData"))
    limit = used * 1024 + SPARE
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        np.array(X)
    except MemoryError:
        print("too large")
    net.standardize(X, y)
    losses = trainer.fit(X, y, 3)["loss"]
    places = range(0, ROWS, 256)
    losses += trainer.fit_batches((X[i : i + 256], y[i : i + 256]) for i in places)["loss"]
    print(losses[-1] < 0.5 * losses[0], trainer.evaluate(X, y)["loss"] < losses[0])
    print(net.predict(X).shape)


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mapped memory elsewhere")
def test_data_larger_than_memory_trains(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, (ROWS, COLUMNS)).astype(np.float32)
    assert X.nbytes > 2 * SPARE
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", (100 + 5 * X[:, 0] * X[:, 1]).astype(np.float32))
    program = f"import test_fit_batches; test_fit_batches.train_beyond_memory({str(tmp_path)!r})"
    out = processes.run(program).splitlines()
    assert out == ["too large", "True True", f"({ROWS}, 1)"]


def test_a_loader_of_another_library_is_an_iterable():
    """One with __getitem__ alone, too, as some data sets are."""
    one, other = (trainer_of_fifteens() for _ in range(2))
    kind = type("Loader", (), {"__getitem__": lambda _, i: parts()[i], "__len__": lambda _: 3})
    one.fit_batches(kind(), 2)
    other.fit_batches(parts(), 2)
    assert bits(one) == bits(other)
