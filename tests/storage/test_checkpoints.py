"""Trainer.save and Trainer.load: nothing that training goes on from is lost."""

import threading

import numpy as np
import pytest
from numba import njit

import fastbp
from fastbp.schedules import SCHEDULES, FlatCosine, OneCycle, Table
from fastbp.storage import model_file
from fastbp.training import checkpoints
from support.cases import CASES, THREE_CLASSES, Case, each_engine
from support.features import EVERY, MANY, OPTIMIZERS, OTHERS, Feature, each_feature
from support.internals import core, functions
from support.trainers import training_state


def after(trainer, feature, case, count=2):
    X, y, weights = feature.batch(case)
    return [trainer.step(X, y, sample_weight=weights) for _ in range(count)]


def saved(trainer, tmp_path, **options):
    path = tmp_path / "trainer.safetensors"
    trainer.save(path)
    return fastbp.Trainer.load(path, **{"functions": functions(trainer)} | options)


@each_engine
@pytest.mark.parametrize("optimizer", (OPTIMIZERS | OTHERS).values(), ids=OPTIMIZERS | OTHERS)
@pytest.mark.parametrize("feature", [Feature(), EVERY], ids=["plain", "every"])
def test_a_loaded_trainer_goes_on_to_the_bit(feature, optimizer, engine, tmp_path):
    trainer = feature.trainer(MANY, "float32", engine, optimizer)
    after(trainer, feature, MANY)
    twin = saved(trainer, tmp_path)
    assert training_state(twin) == training_state(trainer)
    assert after(twin, feature, MANY) == after(trainer, feature, MANY)
    assert training_state(twin) == training_state(trainer)


@each_feature
def test_each_option_is_kept(feature, tmp_path):
    trainer = feature.trainer(MANY, "float64")
    after(trainer, feature, MANY)
    twin = saved(trainer, tmp_path)
    assert core(twin).options == core(trainer).options
    assert after(twin, feature, MANY) == after(trainer, feature, MANY)


LOSSES = ["mae", fastbp.Huber(0.3), fastbp.Quantile(0.9), "squared_error"]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_each_loss_is_kept(loss, tmp_path):
    net = fastbp.Network([3, 5, 2], seed=0)
    trainer = fastbp.Trainer(net, loss=loss, optimizer=fastbp.LBFGS(history=3))
    twin = saved(trainer, tmp_path)
    assert core(twin).loss == core(trainer).loss
    assert twin.optimizer == trainer.optimizer


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_schedule_is_kept(schedule, tmp_path):
    made = {
        "Cosine": lambda kind: kind(90, 0.1),
        "FlatCosine": lambda kind: kind(90, 0.25),
        "LogCosine": lambda kind: kind(90, 5),
        "OneCycle": lambda kind: kind(90, pct_start=0.4, anneal_strategy="linear"),
        "StepDecay": lambda kind: kind(3, 0.7),
        "ExponentialDecay": lambda kind: kind(0.9),
        "InverseScaling": lambda kind: kind(0.7),
        "Warmup": lambda kind: kind(5, OneCycle(80), 0.1),
        "Constant": lambda kind: kind(),
        "Table": lambda kind: kind([1.0, 0.5, 0.25]),
    }[schedule](SCHEDULES[schedule])
    trainer = THREE_CLASSES.trainer("float32", optimizer=fastbp.Adam(), schedule=made)
    assert core(saved(trainer, tmp_path)).options.schedule == made


def test_rates_and_their_schedules_are_kept(tmp_path):
    given = {
        "bias_lr_factor": 0.5,
        "weight_decay_on": "weights",
        "weight_decay_factors": [2.0, 0.0],
        "weight_decay_schedule": FlatCosine(90),
        "dropout_schedule": Table([1.0, 0.5]),
    }
    trainer = THREE_CLASSES.trainer("float32", optimizer=fastbp.AdamW(), **given)
    kept = core(saved(trainer, tmp_path)).options
    assert kept == core(trainer).options
    assert kept != core(THREE_CLASSES.trainer("float32", optimizer=fastbp.AdamW())).options


def test_a_trainer_without_them_writes_what_older_versions_read(tmp_path):
    path = tmp_path / "trainer"
    THREE_CLASSES.trainer("float32", optimizer=fastbp.AdamW()).save(path)
    known = {"l1", "l2", "dropout", "label_smoothing", "clip_value", "clip_norm", "ema_decay"}
    known |= {"class_weight", "schedule", "lr_factors"}
    known |= {"loss", "optimizer", "batch_size", "seed", "engine"}
    assert set(checkpoints.read(path).arguments) == known


@njit
def own(p, y, dloss_dp):
    loss = 0.0
    for i in range(len(p)):
        dloss_dp[i] = p[i] - y[i]
        loss += 0.5 * (p[i] - y[i]) ** 2
    return loss


def test_a_loss_of_ones_own_is_passed_to_load(tmp_path):
    net = fastbp.Network([3, 5, 2], seed=0)
    trainer = fastbp.Trainer(net, loss=own, optimizer=fastbp.SGD(0.1))
    X, y = np.ones((4, 3)), np.ones((4, 2))
    trainer.step(X, y)
    with pytest.raises(
        ValueError, match=r"loss is the function 'own'.*functions=\{'own': \.\.\.\}"
    ):
        saved(trainer, tmp_path, functions={})
    twin = saved(trainer, tmp_path, functions={"own": own})
    assert twin.step(X, y) == trainer.step(X, y)


def test_a_loss_and_an_activation_of_one_name(tmp_path):
    """They are told apart by name when they are loaded."""

    @njit
    def own(z):
        return 2.0 * z, 2.0

    net = fastbp.Network([3, 5, 2], own, seed=0)
    trainer = fastbp.Trainer(net, loss=globals()["own"], optimizer=fastbp.SGD(0.1))
    with pytest.raises(ValueError, match="two functions of your own are both called 'own'"):
        trainer.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_class_weights_balanced_by_a_fit_are_kept(tmp_path):
    trainer = THREE_CLASSES.trainer("float32", class_weight="balanced", batch_size=8)
    X, y = THREE_CLASSES.batch()
    trainer.fit(X, y)
    twin = saved(trainer, tmp_path)
    assert twin.step(X[:8], y[:8]) == trainer.step(X[:8], y[:8])
    assert training_state(twin) == training_state(trainer)


def test_a_learning_rate_that_was_set_scaling_and_history_are_kept(tmp_path):
    trainer = Case((4, 9, 2), 20).trainer("float32", optimizer=fastbp.Adam(), batch_size=8)
    X, y = 5 + np.random.default_rng(0).normal(size=(20, 4)), np.arange(40.0).reshape(20, 2)
    trainer.net.standardize(X, y)
    history = trainer.fit(X, y, epochs=3)
    trainer.lr = 0.125
    twin = saved(trainer, tmp_path)
    assert twin.lr == 0.125
    assert twin.history == history == trainer.history
    assert twin.fit(X, y)["loss"] == trainer.fit(X, y)["loss"]
    np.testing.assert_array_equal(twin.predict(X), trainer.predict(X))


def test_a_stream_is_written_with_its_history(tmp_path):
    trainer, path = THREE_CLASSES.trainer("float32"), tmp_path / "stream.safetensors"
    checkpoint = fastbp.ModelCheckpoint(path)
    history = trainer.fit_batches([THREE_CLASSES.batch()], epochs=2, callbacks=[checkpoint])
    twin = fastbp.Trainer.load(path)
    assert twin.history == history == trainer.history
    assert training_state(twin) == training_state(trainer)


def test_threads_are_not_kept(tmp_path):
    trainer = THREE_CLASSES.trainer("float32", threads=1)
    assert core(saved(trainer, tmp_path)).threads == core(THREE_CLASSES.trainer()).threads
    assert core(saved(trainer, tmp_path, threads=1)).threads == 1


# What is refused


def edited(trainer, tmp_path, change):
    """The trainer's file with its content changed, and a checksum that fits."""
    path = tmp_path / "changed.safetensors"
    trainer.save(path)
    meta, tensors = model_file.read(path, "checkpoint")
    change(meta, tensors)
    model_file.write(path, "checkpoint", meta, tensors)
    return path


def _set(*keys, value):
    def change(meta, _tensors):
        for key in keys[:-1]:
            meta = meta[key]
        meta[keys[-1]] = value

    return change


def _drop(*keys):
    def change(meta, _tensors):
        for key in keys[:-1]:
            meta = meta[key]
        del meta[keys[-1]]

    return change


LIES = {
    "no arguments": _drop("arguments"),
    "no loss": _drop("arguments", "loss"),
    "an argument too many": _set("arguments", "verbose", value=True),
    "an unknown loss": _set("arguments", "loss", value="hinge"),
    "a loss that is a number": _set("arguments", "loss", value=3),
    "another pair": _set("arguments", "loss", value="bce"),
    "an unknown optimizer": _set("arguments", "optimizer", value={"kind": "os.system"}),
    "an optimizer without fields": _set("arguments", "optimizer", value={"kind": "Adam"}),
    "a batch of nothing": _set("arguments", "batch_size", value=0),
    "a dropout of all": _set("arguments", "dropout", value=[1.0]),
    "a dropout of strings": _set("arguments", "dropout", value="0"),
    "weights of no class": _set("arguments", "class_weight", value=[1.0] * 9),
    "a decay of nothing": _set("arguments", "weight_decay_on", value="biases"),
    "factors of strings": _set("arguments", "weight_decay_factors", value="12"),
    "a dropout by Adam": _set("arguments", "dropout_schedule", value={"kind": "Adam"}),
    "a schedule that is none": _set("arguments", "schedule", value={"kind": "Adam"}),
    "no lr": _set("learned", "lr", value=0.0),
    "updates below 0": _set("learned", "updates", value=-1),
    "updates of a float": _set("learned", "updates", value=1.5),
    "an epoch beyond counting": _set("learned", "epoch", value=2**60),
    "moments too few": _set("learned", "moments", value=[]),
    "moments that are numbers": _set("learned", "moments", value=[1, 2]),
    "a tensor used twice": _set(
        "learned", "moments", value=[[{"$tensor": "learned.moments.0.0.0"}]]
    ),
    "history that is no columns": _set("history", "columns", "loss", value=1),
    "history without a column": _set("history", "keys", value=["loss"]),
    "a fit that is a number": _set("fit", value=1),
    "no network": _set("network", value=None),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_file_that_lies_is_refused(lie, tmp_path):
    trainer = THREE_CLASSES.trainer("float32", optimizer=fastbp.Adam(), batch_size=8)
    trainer.fit(*THREE_CLASSES.batch())
    path = edited(trainer, tmp_path, lie)
    with pytest.raises(ValueError, match=r"changed\.safetensors' cannot be loaded: "):
        fastbp.Trainer.load(path)


def test_a_model_is_no_checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    THREE_CLASSES.network().save(path)
    with pytest.raises(ValueError, match=r"of kind 'model'.*load it with fastbp\.load"):
        fastbp.Trainer.load(path)


def test_a_trainer_in_training_cannot_be_saved_from_another_thread(tmp_path):
    trainer, errors = THREE_CLASSES.trainer("float32", batch_size=8), []

    def save(_state):
        def elsewhere():
            try:
                trainer.save(tmp_path / "x")
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    trainer.fit(*THREE_CLASSES.batch(), callbacks=[fastbp.LambdaCallback(on_epoch_end=save)])
    assert "in use by another thread" in errors[0]
    assert not (tmp_path / "x").exists()


def test_the_file_can_be_read_by_others(tmp_path):
    from safetensors.numpy import load_file

    trainer = CASES["odd"].trainer("float32", optimizer=fastbp.Adam())
    trainer.save(tmp_path / "trainer.safetensors")
    tensors = load_file(tmp_path / "trainer.safetensors")
    shapes = [tensors[f"learned.moments.0.{i}.0"].shape for i in range(3)]
    assert shapes == [W.shape for W in trainer.net.weights]
    assert checkpoints.read(tmp_path / "trainer.safetensors").fit is None
