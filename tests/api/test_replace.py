"""Trainers that go on from others, optimizers that begin anew, and what cannot be set."""

import numpy as np
import pytest

import fastbp
from fastbp.kernels.base import codes
from fastbp.kernels.tables import settings
from fastbp.schedules import Cosine
from support.cases import THREE_CLASSES, each_engine
from support.internals import core
from support.trainers import adam_trainer, bits, training_state

OPTIMIZERS = {
    "SGD": (fastbp.SGD(0.1, momentum=0.9), fastbp.SGD(0.05, momentum=0.8, nesterov=True)),
    "Adam": (fastbp.Adam(0.01), fastbp.Adam(1e-3, betas=(0.8, 0.99))),
    "AdamW": (fastbp.AdamW(0.01), fastbp.AdamW(1e-3, weight_decay=0.1)),
    "NAdam": (fastbp.NAdam(0.01), fastbp.NAdam(1e-3)),
    "RAdam": (fastbp.RAdam(0.01), fastbp.RAdam(1e-3)),
    "RMSprop": (fastbp.RMSprop(0.01, momentum=0.5), fastbp.RMSprop(1e-3, momentum=0.5)),
    "Adagrad": (fastbp.Adagrad(0.01), fastbp.Adagrad(1e-3)),
}


def trained(engine="numba", optimizer=None, **options):
    X, y = THREE_CLASSES.batch()
    trainer = THREE_CLASSES.trainer("float32", engine, optimizer or fastbp.Adam(0.01), 8, **options)
    trainer.fit(X, y, epochs=2)
    return trainer


# replace


@each_engine
@pytest.mark.parametrize("one", [pair[0] for pair in OPTIMIZERS.values()], ids=OPTIMIZERS)
def test_what_stays(one, engine):
    """Everything: it goes on to the bits of the one that it came from."""
    X, y = THREE_CLASSES.batch()
    options = {"ema_decay": 0.9, "class_weight": "balanced", "schedule": Cosine(100)}
    options["input_scaling"] = 6.0
    trainer, other = (trained(engine, one, **options) for _ in range(2))
    trainer.lr = other.lr = 0.02
    twin = trainer.replace()
    assert twin is not trainer
    assert twin.net is trainer.net
    assert training_state(twin) == training_state(trainer)
    assert twin.history == trainer.history
    assert twin.fit(X, y)["loss"] == other.fit(X, y)["loss"]
    assert training_state(twin) == training_state(other)
    assert repr(twin) == repr(other)


@each_engine
@pytest.mark.parametrize(("one", "next_one"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_of_the_same_class_keeps_its_moments(one, next_one, engine):
    trainer = trained(engine, one)
    trainer.lr = 0.5
    twin = trainer.replace(optimizer=next_one)
    assert (twin.optimizer, twin.lr) == (next_one, next_one.lr)
    assert bits(twin) == bits(trainer)
    assert core(twin).updates == core(trainer).updates == 6
    assert trainer.lr == 0.5


def test_another_optimizer_begins_anew():
    trainer = trained(ema_decay=0.9)
    twin = trainer.replace(optimizer=fastbp.SGD(0.3, momentum=0.9))
    assert (twin.lr, core(twin).updates) == (0.3, 0)
    assert not core(twin).arrays.moments.any()
    assert core(twin).epoch == core(trainer).epoch == 2
    X, y = THREE_CLASSES.batch()
    twin.step(X[:8], y[:8])
    np.testing.assert_array_equal(twin.predict(X, averaged=True), twin.predict(X))


def test_momentum_that_is_added_begins_at_zero():
    trainer = trained(optimizer=fastbp.RMSprop(0.01))
    twin = trainer.replace(optimizer=fastbp.RMSprop(0.01, momentum=0.9))
    kept, added = core(twin).arrays.moments[:2]
    assert kept.tobytes() == core(trainer).arrays.moments[0].tobytes()
    assert not added.any()


def test_an_average_that_is_added_begins_at_the_parameters():
    trainer, (X, y) = trained(), THREE_CLASSES.batch()
    twin = trainer.replace(ema_decay=0.9)
    np.testing.assert_array_equal(twin.predict(X, averaged=True), trainer.predict(X))
    before = trainer.net.weights[0]
    twin.step(X[:8], y[:8])
    expected = 0.9 * before + 0.1 * trainer.net.weights[0]
    np.testing.assert_allclose(twin.averaged_network().weights[0], expected, rtol=1e-5, atol=1e-7)


CHANGES = {
    "batch_size": (3, lambda t: t.batch_size),
    "seed": (77, lambda t: t.seed),
    "engine": ("numpy", lambda t: core(t).engine_name),
    "threads": (1, lambda t: core(t).threads),
    "l1": (0.5, lambda t: core(t).arrays.hyper[settings.L1]),
    "l2": (0.5, lambda t: core(t).arrays.hyper[settings.L2]),
    "dropout": (0.5, lambda t: core(t).options.dropout[0]),
    "label_smoothing": (0.5, lambda t: core(t).options.label_smoothing),
    "clip_norm": (0.5, lambda t: core(t).options.clip_norm),
    "clip_value": (0.5, lambda t: core(t).options.clip_value),
    "schedule": (Cosine(60), lambda t: core(t).options.schedule),
    "lr_factors": (0.5, lambda t: core(t).options.lr_factors[0]),
    "bias_lr_factor": (0.5, lambda t: (core(t).options.bias_lr_factor or [1])[0]),
    "weight_decay_on": ("weights", lambda t: core(t).options.weight_decay_on),
    "weight_decay_factors": ([0.0, 2.0], lambda t: list(core(t).options.weight_decay_factors)),
    "weight_decay_schedule": (Cosine(60), lambda t: core(t).options.weight_decay_schedule),
    "dropout_schedule": (Cosine(60), lambda t: core(t).options.dropout_schedule),
    "class_weight": ("balanced", lambda t: core(t).options.class_weight),
}


@each_engine
@pytest.mark.parametrize("name", CHANGES)
def test_what_changes(name, engine):
    value, found = CHANGES[name]
    trainer = trained(engine)
    before = training_state(trainer), found(trainer)
    twin = trainer.replace(**{name: value})
    assert found(twin) == value
    assert training_state(twin)[0] == training_state(trainer)[0]
    assert (training_state(trainer), found(trainer)) == before
    X, y = THREE_CLASSES.batch()
    assert np.isfinite(twin.fit(X, y)["loss"]).all()


def test_rows_that_had_weights_may_have_them_again():
    X, y = THREE_CLASSES.batch()
    trainer = THREE_CLASSES.trainer("float32", batch_size=8)
    trainer.fit(X, y, sample_weight=np.ones(len(X)))
    assert core(trainer.replace(l2=0.0)).extended


def test_the_loss_may_be_another():
    net = fastbp.Network([2, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam())
    twin = trainer.replace(loss=fastbp.Huber(0.25))
    assert twin.loss == "huber"
    assert core(twin).arrays.hyper[settings.LOSS_PARAMETER] == 0.25


def test_a_class_of_the_users_stays():
    class Mine(fastbp.Trainer):
        def __init__(self, *args, tag, **options):
            super().__init__(*args, **options)
            self.tag = tag

    trainer = Mine(fastbp.Network([2, 1]), loss="mse", optimizer=fastbp.Adam(), tag="a")
    twin = trainer.replace(batch_size=3)
    assert (type(twin), twin.tag, twin.batch_size) == (Mine, "a", 3)


def test_what_replace_refuses():
    trainer = trained()
    for changes, error, message in (
        ({"batchsize": 3}, TypeError, "no argument 'batchsize': did you mean 'batch_size'"),
        ({"zzz": 3}, TypeError, "no argument 'zzz': there are loss, optimizer"),
        ({"net": trainer.net}, TypeError, "replace keeps the network"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"loss": "bce"}, ValueError, "bce"),
    ):
        with pytest.raises(error, match=message):
            trainer.replace(**changes)


def test_a_trainer_is_replaced_within_a_fit():
    """By a callback, for use afterwards."""
    made = []
    X, y = THREE_CLASSES.batch()
    keep = fastbp.LambdaCallback(on_epoch_end=lambda s: made.append(s.trainer.replace(l2=0.1)))
    adam_trainer(THREE_CLASSES).fit(X, y, epochs=2, callbacks=[keep])
    assert made[-1].fit(X, y)["loss"]


# reset_optimizer


@each_engine
@pytest.mark.parametrize("one", [pair[0] for pair in OPTIMIZERS.values()], ids=OPTIMIZERS)
def test_a_reset_optimizer_is_a_new_one(one, engine):
    X, y = THREE_CLASSES.batch()
    options = {"ema_decay": 0.9, "schedule": Cosine(20), "input_scaling": 6.0}
    trainer = trained(engine, one, **options)
    trainer.lr = 0.03
    trainer.reset_optimizer()
    fresh = fastbp.Trainer(
        trainer.net, loss=trainer.loss, optimizer=one, batch_size=8, seed=trainer.seed,
        engine=engine, **options,
    )  # fmt: skip
    fresh.lr = 0.03
    core(fresh).epoch = 2
    assert training_state(trainer) == training_state(fresh)
    weights, biases = trainer.net.weights, trainer.net.biases
    losses = []
    for one_of_them in (trainer, fresh):
        trainer.net.set_parameters(weights, biases)
        losses.append(one_of_them.fit(X, y, epochs=2)["loss"])
    assert losses[0] == losses[1]
    assert training_state(trainer) == training_state(fresh)


def test_a_schedule_begins_anew_with_the_optimizer():
    trainer = trained(schedule=Cosine(6))
    assert trainer.scheduled_lr == 0
    trainer.reset_optimizer()
    assert trainer.scheduled_lr == trainer.lr == 0.01
    X, y = THREE_CLASSES.batch()
    trainer.fit(X, y, epochs=2)


def test_a_model_follows_a_reset_optimizer():
    trainer, (X, y) = trained(), THREE_CLASSES.batch()
    model = trainer.compiled()
    trainer.reset_optimizer()
    X = np.ascontiguousarray(X[:8], np.float32)
    fastbp.embed.step(model, X, y[:8])
    assert core(trainer).updates == 1
    assert core(trainer).arrays.hyper[codes.LR] == trainer.lr


# What cannot be set


def trainer_and_network():
    net = fastbp.Network([2, 3, 1], seed=0)
    return fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), seed=0), net


ARGUMENTS = [
    *("loss", "optimizer", "batch_size", "threads", "seed", "engine", "l1", "l2", "dropout"),
    *("label_smoothing", "clip_value", "clip_norm", "ema_decay", "class_weight", "schedule"),
    *("lr_factors", "bias_lr_factor", "weight_decay_on", "weight_decay_factors"),
    *("weight_decay_schedule", "dropout_schedule", "input_scaling", "embedding_lr_factor"),
    *("comm", "data", "reduction", "parts"),
]


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_a_trainer_are_replaced_and_not_set(name):
    trainer, _ = trainer_and_network()
    before = vars(trainer).copy()
    message = rf"setting '{name}' .*trainer\.replace\({name}=\.\.\.\)"
    with pytest.raises(AttributeError, match=message):
        setattr(trainer, name, 0.5)
    assert vars(trainer) == before


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("learning_rate", "set lr"),
        ("weight_decay", r"replace\(optimizer="),
        ("callbacks", "argument of fit"),
        ("epochs", "argument of fit"),
        ("net", "new Trainer"),
        ("history", "each fit"),
        ("scheduled_lr", "set lr"),
        ("l_r", "did you mean 'lr'"),
        ("dropuot", "did you mean 'dropout'"),
        ("anything", "derive a class from Trainer"),
    ],
)
def test_other_attributes_of_a_trainer_say_what_to_do(name, remedy):
    trainer, _ = trainer_and_network()
    with pytest.raises(AttributeError, match=f"setting '{name}' of a Trainer.*{remedy}"):
        setattr(trainer, name, 0.5)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        *((n, "make a new Network") for n in ("sizes", "activation", "activations", "output")),
        *((n, "make a new Network") for n in ("seed", "dtype", "layer_norm", "residual", "init")),
        *((n, "set_parameters") for n in ("weights", "biases", "gains", "shifts", "W", "b")),
        *((n, "set_scaling") for n in ("input_mean", "target_scale")),
        ("n_parameters", "read alone"),
        ("weight", "did you mean 'weights'"),
        ("anything", "derive a class from Network"),
        ("arrays", "values of your own"),
    ],
)
def test_attributes_of_a_network_say_what_to_do(name, remedy):
    _, net = trainer_and_network()
    with pytest.raises(AttributeError, match=f"setting '{name}' of a Network.*{remedy}"):
        setattr(net, name, 0.5)


def test_what_can_be_set():
    trainer, net = trainer_and_network()
    trainer.lr = 0.25
    trainer._mine = net._mine = 1
    trainer.step = print  # as a stand-in of a test does
    del trainer.step
    assert trainer.lr == 0.25


def test_a_class_of_ones_own_has_attributes_of_its_own():
    class Mine(fastbp.Trainer):
        l2 = "mine"
        batch_size = property(lambda self: self._batch, lambda self, value: self._set(value))

        def _set(self, value):
            self._batch = value

    trainer = Mine(fastbp.Network([2, 1]), loss="mse", optimizer=fastbp.Adam())
    trainer.note, trainer.l2, trainer.batch_size = "a", "b", 7
    assert (trainer.note, trainer.l2, trainer.batch_size) == ("a", "b", 7)
    with pytest.raises(AttributeError, match="of a Mine"):
        trainer.dropout = 0.5
    net = type("Net", (fastbp.Network,), {})([2, 1])
    net.note = 1
    with pytest.raises(AttributeError, match="of a Net"):
        net.seed = 1


def test_weights_of_classes_that_are_given_take_the_place_of_balanced_ones():
    X, y = THREE_CLASSES.batch()
    trainer = trained(class_weight="balanced")
    given = trainer.replace(class_weight={0: 100.0})
    expected = fastbp.Trainer(
        trainer.net, loss="cross_entropy", optimizer=fastbp.Adam(), class_weight={0: 100.0}
    )
    assert given.loss_and_gradients(X, y)[0] == expected.loss_and_gradients(X, y)[0]


def test_a_layer_that_is_thawed_keeps_its_average():
    X, y = THREE_CLASSES.batch()
    frozen = trained(ema_decay=0.5, lr_factors=[0.0] + [1.0] * (len(THREE_CLASSES.sizes) - 2))
    before = frozen.net.weights[0].copy()
    thawed = frozen.replace(lr_factors=1.0)
    assert np.array_equal(thawed.averaged_network().weights[0], before)
    thawed.step(X[:8], y[:8])
    assert np.allclose(thawed.averaged_network().weights[0], before, atol=0.05)
