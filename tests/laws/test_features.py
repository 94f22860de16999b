"""Regularization, weights of rows, and the like: alone, in pairs, and all together."""

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels import reference
from fastbp.schedules import Cosine, OneCycle, StepDecay
from support import processes
from support.cases import each_dtype, each_engine, flat
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, assert_layers_close, layers_of, tolerance
from support.features import (
    EVERY,
    FEW,
    MANY,
    OF_THE_LOSS,
    OPTIMIZERS,
    OTHERS,
    ROUTES,
    SETS,
    Feature,
    each_feature,
    each_set,
    each_set_by_each_route,
)
from support.internals import core
from support.trainers import bits

STEPS = 3


def run(trainer, feature, case, steps=STEPS):
    """Losses of some steps on other batches each."""
    return [trainer.step(*feature.batch(case, seed)) for seed in range(steps)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_engines_agree_on_a_cycle_of_the_momentum(optimizer):
    feature = Feature({"schedule": OneCycle(STEPS + 1, pct_start=0.5)})
    assert_engines_agree(feature, MANY, "float64", optimizer)


def test_a_schedule_multiplies_the_learning_rate():
    X, y = MANY.batch()
    trainer, by_hand = MANY.trainer(schedule=StepDecay(every=2, gamma=0.5)), MANY.trainer()
    for factor in (1, 1, 0.5, 0.5, 0.25):
        assert trainer.scheduled_lr == trainer.lr * factor
        by_hand.lr = trainer.lr * factor
        assert trainer.step(X, y) == by_hand.step(X, y)
    assert bits(trainer) == bits(by_hand)


def test_a_schedule_shorter_than_training_is_refused():
    X, y = MANY.batch()
    trainer = MANY.trainer(schedule=Cosine(updates=7), batch_size=10)
    with pytest.raises(ValueError, match=r"is for 7 updates, but 0 have been made and 8 more"):
        trainer.fit(X, y, epochs=2)
    trainer.fit(X, y)
    with pytest.raises(ValueError, match="but 4 have been made and 4 more"):
        trainer.fit(X, y)


def test_a_cycle_of_a_momentum_that_there_is_none_of_is_refused():
    for optimizer in (fastbp.SGD(lr=0.1), fastbp.NAdam()):
        with pytest.raises(ValueError, match="OneCycle cycles the momentum, but"):
            MANY.trainer(optimizer=optimizer, schedule=OneCycle(10))


# Law 1


def penalized_loss(trainer, feature, case):
    loss, _ = trainer.loss_and_gradients(*feature.batch(case))
    return loss


@pytest.mark.law1
@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
@pytest.mark.parametrize(
    "feature",
    [feature for name, feature in SETS.items() if set(name.split("-")) <= {*OF_THE_LOSS, "every"}],
    ids=[name for name in SETS if set(name.split("-")) <= {*OF_THE_LOSS, "every"}],
)
def test_gradients_equal_central_differences(feature, case):
    trainer = feature.trainer(case)
    trainer.step(*feature.batch(case, 1))
    loss, gradients = trainer.loss_and_gradients(*feature.batch(case))
    net, rng = trainer.net, np.random.default_rng(3)
    start = net.weights, net.biases
    for layer, part in ((0, 0), (1, 0), (2, 0), (0, 1), (2, 1)):
        direction = rng.normal(size=gradients[layer][part].shape)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (H, -H):
            moved = [[array.copy() for array in kind] for kind in start]
            moved[part][layer] += step * direction
            net.set_parameters(*moved)
            values.append(penalized_loss(trainer, feature, case))
        net.set_parameters(*start)
        difference = (values[0] - values[1]) / (2 * H)
        along = float((gradients[layer][part] * direction).sum())
        assert abs(difference - along) <= TOLERANCE * (1 + abs(loss))


# Law 2


def assert_engines_agree(feature, case, dtype, optimizer):
    compiled, twin = (feature.trainer(case, dtype, e, optimizer) for e in ("numba", "numpy"))
    allowed = tolerance(case, dtype) * AMPLIFICATION
    loss, gradients = compiled.loss_and_gradients(*feature.batch(case))
    twin_loss, twin_gradients = twin.loss_and_gradients(*feature.batch(case))
    assert loss == pytest.approx(twin_loss, rel=allowed)
    assert_layers_close(gradients, twin_gradients, allowed)
    assert run(compiled, feature, case) == pytest.approx(run(twin, feature, case), rel=allowed)
    assert_layers_close(layers_of(compiled), layers_of(twin), allowed)
    X, y, weights = feature.batch(case)
    averaged = core(compiled).options.averaging > 0
    expected = twin.evaluate(X, y, weights, averaged=averaged)
    assert compiled.evaluate(X, y, weights, averaged=averaged) == pytest.approx(
        expected, rel=allowed
    )


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@each_set_by_each_route
def test_engines_agree(case, feature, optimizer):
    assert_engines_agree(feature, case, "float64", optimizer)


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("feature", [Feature(), EVERY], ids=["plain", "every"])
@each_dtype
def test_engines_agree_with_every_optimizer(dtype, feature, optimizer):
    assert_engines_agree(feature, MANY, dtype, optimizer)


@pytest.mark.law2
@each_feature
def test_engines_agree_in_single_precision(feature):
    assert_engines_agree(feature, MANY, "float32", OPTIMIZERS["sgd"])


@pytest.mark.law2
@each_dtype
def test_extended_kernels_without_features_have_the_bits_of_plain_ones(dtype):
    for case in ROUTES.values():
        plain, extended = (case.trainer(dtype) for _ in range(2))
        core(extended).weigh_rows()
        for workers in (1, 3):
            core(plain).workers = core(extended).workers = workers
            for seed in range(2):
                assert plain.step(*case.batch(seed)) == extended.step(*case.batch(seed))
            assert bits(plain) == bits(extended)


# Law 4


@pytest.mark.law4
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@each_set
def test_the_bits_do_not_depend_on_the_threads(feature, optimizer):
    for case in ROUTES.values():
        found = []
        for workers in (1, 2, 3):
            trainer = feature.trainer(case, "float32", optimizer=optimizer)
            core(trainer).workers = workers
            losses = run(trainer, feature, case, 2)
            _, gradients = trainer.loss_and_gradients(*feature.batch(case))
            found.append((losses, bits(trainer), [g.tobytes() for pair in gradients for g in pair]))
        assert found[0] == found[1] == found[2]


# Law 5


@pytest.mark.law5
def test_fit_equals_its_steps():
    X, y, weights = EVERY.batch(MANY)
    fitted, stepped = (EVERY.trainer(MANY, "float32", batch_size=15) for _ in range(2))
    history = fitted.fit(X, y, 2, sample_weight=weights, shuffle=False)
    divided = weights / (weights * np.array([0.5, 1, 1, 4, 1])[y]).mean()
    parts = [slice(start, start + 15) for start in range(0, MANY.rows, 15)]
    for epoch in range(2):
        losses = [stepped.step(X[part], y[part], divided[part]) for part in parts]
        expected = np.average(losses, weights=[15, 15, 7])
        assert history["loss"][epoch] == pytest.approx(expected, rel=1e-13)
    assert bits(fitted) == bits(stepped)


@pytest.mark.law5
def test_weights_follow_their_rows_through_a_shuffle():
    X, y, weights = EVERY.batch(MANY)
    one, by_hand = (EVERY.trainer(MANY, "float32", batch_size=15) for _ in range(2))
    order = reference.shuffled(one.seed, 0, MANY.rows)
    one.fit(X, y, sample_weight=weights)
    by_hand.fit(X[order], y[order], sample_weight=weights[order], shuffle=False)
    assert bits(one) == bits(by_hand)


@pytest.mark.law5
@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
def test_embed_makes_the_trainers_steps(case):
    options = EVERY.options
    one, other = (case.trainer("float32", **options) for _ in range(2))
    X, y = case.batch()
    X, model = X.astype(np.float32), one.compiled()
    out = np.empty(one.net.n_parameters, np.float32)
    for _ in range(3):
        loss = embed.gradients(model, X, y, out)
        expected, gradients = other.loss_and_gradients(X, y)
        assert loss == expected
        np.testing.assert_array_equal(out, flat(gradients))
        assert embed.step(model, X, y) == other.step(X, y)
    assert bits(one) == bits(other)


# What each means


def test_penalties_are_part_of_the_loss_and_spare_biases():
    plain, penalized = MANY.trainer(), MANY.trainer(l1=0.01, l2=0.05)
    X, y = MANY.batch()
    loss, gradients = plain.loss_and_gradients(X, y)
    custom_loss, own = penalized.loss_and_gradients(X, y)
    weights = plain.net.weights
    sizes, squares = (sum(f(w).sum() for w in weights) for f in (np.abs, np.square))
    assert custom_loss == pytest.approx(loss + 0.01 * sizes + 0.025 * squares, rel=1e-13)
    for w, (dW, db), (own_dW, own_db) in zip(weights, gradients, own, strict=True):
        np.testing.assert_allclose(own_dW, dW + 0.01 * np.sign(w) + 0.05 * w, rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(own_db, db, rtol=1e-13)
    assert penalized.evaluate(X, y) == plain.evaluate(X, y)


def test_dropout_is_another_at_each_update_and_none_in_predictions():
    trainer, plain = MANY.trainer(dropout=0.5), MANY.trainer()
    X, y = MANY.batch()
    np.testing.assert_array_equal(trainer.predict(X), plain.predict(X))
    first = trainer.loss_and_gradients(X, y)[0]
    assert trainer.loss_and_gradients(X, y)[0] == first
    trainer.step(X, y)
    changed = MANY.trainer(dropout=0.5)
    changed.net.set_parameters(trainer.net.weights, trainer.net.biases)
    assert changed.loss_and_gradients(X, y)[0] != trainer.loss_and_gradients(X, y)[0]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_independently(rate):
    """Counts within six standard deviations of those of independent draws."""
    from fastbp.kernels.reference import dropout_factors

    rows, units = 400, 300
    kept = np.array([dropout_factors(7, t, 2, range(rows), units, rate) > 0 for t in range(4)])
    sigma = (rate * (1 - rate)) ** 0.5
    for axes in ((0, 1), (0, 2), (1, 2), (0, 1, 2)):
        dropped = 1 - kept.mean(axis=axes)
        n = kept.size / np.size(dropped)
        assert np.abs(dropped - rate).max() < 6 * sigma / n**0.5
    for one, other in (
        (kept[0], kept[1]),
        (kept[:, 1:], kept[:, :-1]),
        (kept[..., 1:], kept[..., :-1]),
    ):
        both = (~one & ~other).mean()
        assert abs(both - rate**2) < 6 * (rate**2 * (1 - rate**2) / one.size) ** 0.5


def test_inputs_of_weight_two_equal_the_row_twice():
    X, y = MANY.batch()
    weights = np.ones(len(X))
    weights[[3, 7]] = 2
    weighted, doubled = MANY.trainer(), MANY.trainer(batch_size=len(X) + 2)
    loss = weighted.step(X, y, weights / weights.mean())
    again = [*range(len(X)), 3, 7]
    assert loss == pytest.approx(doubled.step(X[again], y[again]), rel=1e-13)
    for one, other in zip(weighted.net.weights, doubled.net.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


def test_class_weights_multiply_sample_weights():
    X, y = MANY.batch()
    by_class, by_hand = MANY.trainer(class_weight={1: 3.0}), MANY.trainer()
    weights = np.linspace(0.5, 2, len(X))
    table = np.array([1, 3, 1, 1, 1.0])
    assert by_class.step(X, y, weights) == pytest.approx(
        by_hand.step(X, y, weights * table[y]), rel=1e-14
    )


def test_balanced_classes_weigh_the_same():
    X, y = MANY.batch()
    counts = np.bincount(y, minlength=5)
    balanced = MANY.trainer(class_weight="balanced")
    for call in (balanced.step, balanced.loss_and_gradients):
        with pytest.raises(ValueError, match="fit has not been called"):
            call(X, y)
    by_hand = MANY.trainer(class_weight=dict(enumerate(len(y) / (5 * counts))))
    assert balanced.fit(X, y)["loss"] == by_hand.fit(X, y)["loss"]
    assert balanced.step(X, y) == by_hand.step(X, y)


@each_engine
@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
def test_a_batch_without_weight_makes_no_update(case, engine):
    trainer = case.trainer(engine=engine, optimizer=fastbp.Adam())
    X, y = case.batch()
    before = bits(trainer), core(trainer).arrays.hyper[8]
    assert trainer.step(X, y, np.zeros(len(X))) == 0.0
    assert (bits(trainer), core(trainer).arrays.hyper[8]) == before
    assert trainer.step(X, y) > 0


@each_engine
def test_fit_leaves_out_batches_without_weight(engine):
    trainers = [
        MANY.trainer(engine=engine, batch_size=10, optimizer=fastbp.Adam()) for _ in range(2)
    ]
    X, y = MANY.batch()
    weights = np.ones(len(X))
    weights[10:20] = 0
    rest = np.r_[0:10, 20 : len(X)]
    fitted, by_hand = trainers
    loss = fitted.fit(X, y, sample_weight=weights, shuffle=False)["loss"][0]
    divided = (weights / weights.mean())[rest]
    parts = slice(0, 10), slice(10, 20), slice(20, 27)
    losses = [by_hand.step(X[rest][part], y[rest][part], divided[part]) for part in parts]
    assert loss == pytest.approx(np.average([*losses, 0], weights=[10, 10, 7, 10]), rel=1e-13)
    assert bits(fitted) == bits(by_hand)


def test_a_clipped_gradient_has_the_norm_asked_for():
    X, y = MANY.batch()
    trainer = MANY.trainer(clip_norm=0.01, optimizer=fastbp.SGD(lr=1.0))
    before = flat(layers_of(trainer))
    trainer.step(X, y)
    norm = np.linalg.norm(flat(layers_of(trainer)) - before)
    assert norm == pytest.approx(0.01, rel=1e-3)  # torch's 1e-6 beside a norm of about 0.1


def test_a_gradient_that_is_not_finite_changes_nothing():
    trainer = MANY.trainer("float32", clip_norm=1.0, optimizer=fastbp.SGD(lr=1.0))
    X, y = MANY.batch()
    net = trainer.net
    big = [w.copy() for w in net.weights]
    big[0] *= 1e30
    big[1] *= 1e-30
    net.set_parameters(big, net.biases)
    before = bits(trainer)
    with pytest.raises(FloatingPointError, match="not finite"):
        trainer.step(X * 1e9, y)
    assert bits(trainer) == before


def test_a_frozen_layer_stays():
    trainer = MANY.trainer(lr_factors=[1, 0, 1], optimizer=fastbp.AdamW(lr=0.1))
    before = trainer.net.weights
    run(trainer, Feature(), MANY)
    after = trainer.net.weights
    assert np.array_equal(before[1], after[1])
    assert not np.array_equal(before[0], after[0])


def test_the_average_of_the_parameters():
    trainer = MANY.trainer(ema_decay=0.75)
    X, y = MANY.batch()
    np.testing.assert_array_equal(trainer.predict(X, averaged=True), trainer.predict(X))
    trainer.step(X, y)
    expected = trainer.net.weights[1].copy()
    for _ in range(4):
        trainer.step(X, y)
        expected += 0.25 * (trainer.net.weights[1] - expected)
    averaged = fastbp.Network(MANY.sizes, MANY.hidden, MANY.output, dtype="float64")
    net = trainer.averaged_network()
    np.testing.assert_allclose(net.weights[1], expected, rtol=1e-12, atol=1e-15)
    averaged.set_parameters(net.weights, net.biases)
    np.testing.assert_array_equal(trainer.predict(X, averaged=True), averaged.predict(X))
    assert not np.array_equal(trainer.predict(X), averaged.predict(X))
    with pytest.raises(ValueError, match="ema_decay"):
        MANY.trainer().predict(X, averaged=True)


@each_engine
def test_the_average_of_a_frozen_layer_is_the_layer(engine):
    trainer = MANY.trainer(engine=engine, ema_decay=0.5, lr_factors=[0, 1, 1])
    net = trainer.net
    net.set_parameters([w + 1 for w in net.weights], net.biases)
    run(trainer, Feature(), MANY)
    np.testing.assert_array_equal(trainer.averaged_network().weights[0], net.weights[0])
    assert not np.array_equal(trainer.averaged_network().weights[1], net.weights[1])


def test_own_gradients_are_those_of_outputs_without_dropout():
    one, other = MANY.trainer(dropout=0.5), MANY.trainer(dropout=0.0)
    X, v = MANY.batch()[0], np.ones((MANY.rows, MANY.sizes[-1]))
    v[:, 0] = 0
    for trainer in (one, other):
        assert embed.step_from(trainer.compiled(), X, v)
    assert bits(one) == bits(other)


@each_engine
def test_rows_without_weight_have_neither_loss_nor_gradient(engine):
    X, y = MANY.batch()
    trainer = MANY.trainer(engine=engine, l1=0.1, l2=0.1)
    loss, gradients = trainer.loss_and_gradients(X, y, np.zeros(len(X)))
    assert loss == 0.0
    assert not flat(gradients).any()


def test_many_epochs_in_one_call_equal_their_steps():
    X, y, weights = EVERY.batch(MANY)
    fitted, stepped = (EVERY.trainer(MANY, "float32") for _ in range(2))
    losses = fitted.fit(X, y, 5, sample_weight=weights, shuffle=False)["loss"]
    divided = weights / (weights * np.array([0.5, 1, 1, 4, 1])[y]).mean()
    assert losses == [stepped.step(X, y, divided) for _ in range(5)]
    assert bits(fitted) == bits(stepped)


# What goes wrong leaves all as it was


def kernels_and_memory(trainer):
    return core(trainer).arrays.spec.extended, trainer.compiled()


def test_a_refused_call_with_weights_leaves_the_plain_kernels():
    X, y = MANY.batch()
    trainer, weights = MANY.trainer(batch_size=10), np.ones(MANY.rows)
    extended, model = kernels_and_memory(trainer)
    with pytest.raises(ValueError, match="batch_size"):
        trainer.step(X, y, weights)
    with pytest.raises(ValueError, match="epochs"):
        trainer.fit(X, y, epochs=0, sample_weight=weights)
    assert not extended
    assert kernels_and_memory(trainer)[0] is False
    assert trainer.compiled() is model


def test_a_model_follows_balanced_classes():
    trainer, X, y = MANY.trainer(class_weight="balanced"), *MANY.batch()
    trainer.fit(X, y)
    model = trainer.compiled()
    trainer.fit(X, (y + 1) % 3)
    assert trainer.compiled() is model


def test_balanced_classes_of_bad_labels_are_refused_and_forgotten():
    X, y = MANY.batch()
    trainer = MANY.trainer(class_weight="balanced")
    trainer.fit(X, y)
    before = core(trainer).arrays.hyper.copy()
    bad = y.copy()
    bad[3] = 7
    with pytest.raises(ValueError, match="label 7 at row 3"):
        trainer.fit(X, bad)
    np.testing.assert_array_equal(core(trainer).arrays.hyper, before)


IN_TWO_THREADS = """
import threading, time
import numpy as np, fastbp
net = fastbp.Network([784, 1024, 1024, 10], output="softmax", seed=0)
trainer = fastbp.Trainer(
    net, loss="cross_entropy", optimizer=fastbp.SGD(0.01), batch_size=256, threads=1
)
X, y = np.ones((256, 784), "f4"), np.zeros(256, "i8")
trainer.step(X, y)
for delay in (0.001, 0.003):
    thread = threading.Thread(target=lambda: [trainer.step(X, y) for _ in range(2)])
    thread.start()
    time.sleep(delay)
    try:
        trainer.step(X, y, np.ones(256))
    except RuntimeError as error:
        print(error)
    thread.join()
print("alive")
"""


@pytest.mark.process
def test_weights_in_a_second_thread_take_nothing_from_the_first():
    assert processes.run(IN_TWO_THREADS).splitlines()[-1] == "alive"


# Bad values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 1.0}, r"dropout is 1.0, expected a finite number in \[0, 1\)"),
        ({"dropout": []}, "dropout has 0 numbers"),
        ({"dropout": [0.1]}, "dropout has 1 numbers, expected 2, one per hidden layer"),
        ({"dropout": [0.1, -0.2]}, r"dropout\[1\] is -0.2"),
        ({"l1": -1}, "l1 is -1.0, expected a finite number 0 or more"),
        ({"l2": float("nan")}, "l2 is nan"),
        ({"label_smoothing": 1}, "label_smoothing is 1.0"),
        ({"clip_norm": 0}, "clip_norm is 0.0, expected a finite number above 0"),
        ({"clip_value": -1}, "clip_value is -1.0"),
        ({"ema_decay": 0}, "ema_decay is 0"),
        ({"ema_decay": 1}, "ema_decay is 1.0"),
        ({"class_weight": {5: 1.0}}, "class_weight has label 5, but there are 5 classes"),
        ({"class_weight": {0: -1.0}}, r"class_weight\[0\] is -1.0"),
        ({"class_weight": "even"}, "class_weight is 'even', expected 'balanced'"),
        ({"lr_factors": [1, 1]}, "lr_factors has 2 numbers, expected 3, one per layer"),
        ({"lr_factors": -1}, "lr_factors is -1.0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MANY.trainer(**options)


def test_options_without_a_meaning_are_refused():
    from dataclasses import replace

    case = replace(MANY, loss="mse", output="identity", labels=False)
    for options in ({"label_smoothing": 0.1}, {"class_weight": "balanced"}):
        with pytest.raises(ValueError, match="mse"):
            case.trainer(**options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight has shape \(3,\), expected \(37,\)"),
        (np.full(37, -1.0), "sample_weight has -1.0 at row 0"),
        (np.full(37, np.nan), "sample_weight has nan at row 0"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    X, y = MANY.batch()
    trainer = MANY.trainer()
    before = bits(trainer)
    for call in (trainer.step, trainer.loss_and_gradients, trainer.evaluate):
        with pytest.raises(ValueError, match=message):
            call(X, y, weights)
    with pytest.raises(ValueError, match=message):
        trainer.fit(X, y, sample_weight=weights)
    assert bits(trainer) == before
