"""Layer normalization and residual connections: the laws again, and what each means."""

import copy
import itertools
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import LBFGS, embed
from fastbp.kernels import reference
from fastbp.training.lbfgs_search import minimize
from support import processes
from support.cases import DTYPES, Case, each_dtype, each_engine, each_hidden, flat
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, assert_layers_close, distance, layers_of, tolerance
from support.embed_ways import each_way, parallel_predict
from support.features import CLASSES, EVERY, OPTIMIZERS, OTHERS, Feature
from support.guards import SIDES, guarding
from support.internals import checked_outputs, core
from support.memory_of_cases import report_allocations, stay_inside  # noqa: F401 - for programs
from support.nan_weights import check_nan
from support.padding import check_padding, rest_of
from support.trainers import bits, fingerprint

NORM, RESIDUAL, BOTH = (
    {"layer_norm": True},
    {"residual": True},
    {"layer_norm": True, "residual": True},
)

LAYERS = {
    "normalized": Case((17, 33, 31, 5), 37, ("silu", "tanh"), **CLASSES, **NORM),
    "residual": Case((33, 33, 33, 5), 37, ("relu", "gelu"), **CLASSES, **RESIDUAL),
    "both": Case((19, 33, 33, 5), 37, ("tanh", "relu"), **CLASSES, **BOTH),
    "few rows": Case((33, 33, 33, 5), 3, ("silu", "sigmoid"), **CLASSES, **BOTH),
    "one row": Case((9, 300, 300, 5), 1, ("gelu", "relu"), **BOTH),
    "wide": Case((200, 500, 500, 5), 17, ("relu", "gelu"), **CLASSES, **BOTH),
    "whole vectors": Case((16, 32, 32, 16), 32, "elu", "softmax", "cross_entropy", True, **BOTH),
    "one unit": Case((6, 1, 1, 4), 5, "softplus", "gelu", **BOTH),
    "inputs alone": Case((13, 13, 3), 11, "leaky_relu", **RESIDUAL),
    "deep": Case((3, *(21,) * 6, 2), 11, "tanh", "tanh", "squared_error", **BOTH),
}
"""Two hidden layers, where all features are to be on. A plain wide one goes layer by layer."""

each_layers = pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
each_kind = pytest.mark.parametrize(
    "kind", [NORM, RESIDUAL, BOTH], ids=["normalized", "residual", "both"]
)
WITH_EVERY = ("normalized", "residual", "both", "few rows", "wide")
each_with_every = pytest.mark.parametrize("case", [LAYERS[n] for n in WITH_EVERY], ids=WITH_EVERY)
DROPOUT = Feature({"dropout": 0.4})


def perturbed(layers, layer, part, change):
    return [
        tuple(array + change if (i, j) == (layer, part) else array for j, array in enumerate(one))
        for i, one in enumerate(layers)
    ]


# Law 1


def check_gradients(trainer, feature, case):
    """Along a direction in each of the arrays of each layer."""
    loss, gradients = trainer.loss_and_gradients(*feature.batch(case))
    start, rng = layers_of(trainer), np.random.default_rng(3)
    for layer, parts in enumerate(gradients):
        for part, gradient in enumerate(parts):
            direction = rng.normal(size=gradient.shape)
            direction /= np.linalg.norm(direction)
            values = []
            for step in (H, -H):
                trainer.net.arrays.set_layers(perturbed(start, layer, part, step * direction))
                values.append(trainer.loss_and_gradients(*feature.batch(case))[0])
            trainer.net.arrays.set_layers(start)
            difference = (values[0] - values[1]) / (2 * H)
            along = float((gradient * direction).sum())
            assert abs(difference - along) <= TOLERANCE * (1 + abs(loss)), (layer, part)


@pytest.mark.law1
@pytest.mark.parametrize("feature", [Feature(), DROPOUT], ids=["plain", "dropout"])
@each_layers
def test_gradients_equal_central_differences(case, feature):
    check_gradients(feature.trainer(case), feature, case)


@pytest.mark.law1
@pytest.mark.parametrize("feature", [Feature(), DROPOUT], ids=["plain", "dropout"])
@each_kind
@each_hidden
def test_gradients_of_every_activation(hidden, kind, feature):
    case = Case((7, 19, 19, 3), 9, hidden, **kind)
    check_gradients(feature.trainer(case), feature, case)


@pytest.mark.law1
@each_with_every
def test_gradients_with_every_feature(case):
    trainer = EVERY.trainer(case)
    trainer.step(*EVERY.batch(case, 1))
    check_gradients(trainer, EVERY, case)


@pytest.mark.law1
@each_layers
def test_input_gradients_equal_central_differences(case):
    trainer, (X, _) = case.trainer(), case.batch()
    v, out = np.random.default_rng(5).normal(size=(case.rows, case.sizes[-1])), np.empty_like(X)
    embed.input_gradient(trainer.compiled(), X, v, out)
    for i in range(X.shape[1]):
        step = H * (np.arange(X.shape[1]) == i)
        difference = (trainer.predict(X + step) - trainer.predict(X - step)) / (2 * H)
        np.testing.assert_allclose(out[:, i], (difference * v).sum(axis=1), atol=1e-8)


# Law 2


def assert_engines_agree(feature, case, dtype, optimizer):
    compiled, twin = (feature.trainer(case, dtype, e, optimizer) for e in ("numba", "numpy"))
    allowed = tolerance(case, dtype) * AMPLIFICATION
    X, y, weights = feature.batch(case)
    assert distance(compiled.predict(X), twin.predict(X)) <= allowed
    loss, gradients = compiled.loss_and_gradients(X, y, weights)
    twin_loss, twin_gradients = twin.loss_and_gradients(X, y, weights)
    assert loss == pytest.approx(twin_loss, rel=allowed)
    assert_layers_close(gradients, twin_gradients, allowed)
    for seed in range(3):
        batch = feature.batch(case, seed)
        assert compiled.step(*batch) == pytest.approx(twin.step(*batch), rel=allowed)
    assert_layers_close(layers_of(compiled), layers_of(twin), allowed)
    averaged = core(compiled).options.averaging > 0
    expected = twin.evaluate(X, y, weights, averaged=averaged)
    assert compiled.evaluate(X, y, weights, averaged=averaged) == pytest.approx(
        expected, rel=allowed
    )


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@each_layers
def test_engines_agree(case, optimizer):
    assert_engines_agree(Feature(), case, "float64", optimizer)


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@each_with_every
def test_engines_agree_with_every_feature(case, optimizer):
    assert_engines_agree(EVERY, case, "float64", optimizer)


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", OTHERS.values(), ids=OTHERS)
def test_engines_agree_with_every_optimizer(optimizer):
    assert_engines_agree(EVERY, LAYERS["both"], "float64", optimizer)


@pytest.mark.law2
@each_layers
def test_engines_agree_in_single_precision(case):
    assert_engines_agree(Feature(), case, "float32", OPTIMIZERS["sgd"])


@pytest.mark.law2
@each_dtype
@each_layers
def test_padding_is_zero_whatever_was_there_before(case, dtype):
    trainer, other = (case.trainer(dtype, optimizer=OPTIMIZERS["adam"]) for _ in range(2))
    X, y = case.batch()
    for one in (trainer, other):
        one.step(X, y)
    core(trainer).compiled.work[:] = np.nan
    for one in (trainer, other):
        one.step(X, y)
    if case is not LAYERS["one unit"]:  # whose z are all their own mean: delta is 0
        check_padding(trainer, case.rows)
    np.testing.assert_array_equal(trainer.net.arrays.parameters, other.net.arrays.parameters)
    for arena in (trainer.net.arrays.parameters, *core(trainer).arrays.moments):
        assert not rest_of(arena, trainer).any()


# Law 4


@pytest.mark.law4
@each_layers
def test_the_bits_do_not_depend_on_the_threads(case):
    found = []
    for workers in (1, 2, 3):
        trainer = case.trainer("float32", optimizer=fastbp.Adam(), batch_size=-(-case.rows // 2))
        core(trainer).workers = workers
        found.append(fingerprint(trainer, *case.batch()))
    assert found[0] == found[1] == found[2]


@pytest.mark.law4
@each_with_every
def test_the_bits_do_not_depend_on_the_threads_with_every_feature(case):
    found = []
    for workers in (1, 2, 3):
        trainer = EVERY.trainer(case, "float32", optimizer=fastbp.Adam())
        core(trainer).workers = workers
        losses = [trainer.step(*EVERY.batch(case, seed)) for seed in range(2)]
        _, gradients = trainer.loss_and_gradients(*EVERY.batch(case))
        found.append((losses, bits(trainer), flat(gradients).tobytes()))
    assert found[0] == found[1] == found[2]


@pytest.mark.law4
@each_dtype
@each_layers
def test_a_row_does_not_depend_on_those_beside_it(case, dtype):
    trainer, (X, _) = case.trainer(dtype), case.batch()
    together, by_row = trainer.predict(X), np.concatenate([trainer.predict(x[None]) for x in X])
    np.testing.assert_array_equal(by_row, together)


# Law 5, and other ways in


@pytest.mark.law5
def test_fit_equals_its_steps():
    case = LAYERS["both"]
    fitted, stepped = (case.trainer("float32", batch_size=15) for _ in range(2))
    X, y = case.batch()
    fitted.fit(X, y, 2, shuffle=False)
    for _ in range(2):
        for start in range(0, case.rows, 15):
            stepped.step(X[start : start + 15], y[start : start + 15])
    assert bits(fitted) == bits(stepped)


@pytest.mark.law5
@each_dtype
@each_way
@each_layers
def test_an_embedded_model_is_the_trainer(case, way, dtype):
    one, other = (case.trainer(dtype, optimizer=fastbp.Adam()) for _ in range(2))
    (X, y), model = case.batch(), one.compiled()
    X, y = X.astype(dtype), y if case.labels else y.astype(dtype)
    p, gradient = (
        np.empty((case.rows, case.sizes[-1]), dtype),
        np.full(one.net.n_parameters, np.nan, dtype),
    )
    for _ in range(2):
        way.predict(model, X, p)
        np.testing.assert_array_equal(p, other.predict(X))
        loss, gradients = other.loss_and_gradients(X, y)
        assert way.gradients(model, X, y, gradient) == loss
        np.testing.assert_array_equal(gradient, flat(gradients))
        assert way.step(model, X, y) == other.step(X, y)
        assert bits(one) == bits(other)


@pytest.mark.law5
@each_layers
def test_input_gradients_and_steps_from_outputs_equal_their_twins(case):
    trainer, (X, _) = case.trainer(optimizer=fastbp.SGD(lr=1.0)), case.batch()
    layers, shape = layers_of(trainer), core(trainer).arrays.spec
    weights, biases = [layer[0] for layer in layers], [layer[1] for layer in layers]
    codes, more = (
        shape.activations,
        (None, [layer[2:] or None for layer in layers], shape.adds_inputs),
    )
    zs, outs = reference.forward(weights, biases, codes, X, *more)
    v, out = np.random.default_rng(5).normal(size=outs[-1].shape), np.empty_like(X)
    delta = reference.delta_from_output(codes[-1], zs[-1], outs[-1], v)
    deltas, norms, past = reference.errors(weights, codes, zs, outs, delta, *more)
    allowed = 8 * tolerance(case, "float64")
    embed.input_gradient(trainer.compiled(), X, v, out)
    assert distance(out, reference.error_of_inputs(weights, deltas, past)) <= allowed
    assert embed.step_from(trainer.compiled(), X, v)
    pairs = zip(reference.gradients(outs, deltas), norms, strict=True)
    gradient = flat([(*pair, *(norm or ())) for pair, norm in pairs])
    assert distance(flat(layers) - flat(layers_of(trainer)), gradient) <= 8 * allowed


@pytest.mark.law5
@each_dtype
@each_with_every
def test_many_threads_predict_at_once(case, dtype):
    trainer = case.trainer(dtype)
    X = np.random.default_rng(0).normal(size=(200, case.sizes[0])).astype(dtype)
    expected, found = checked_outputs(trainer.net, X), [[] for _ in range(4)]

    def predict(mine):
        for _ in range(10):
            mine.append(trainer.net.predict(X))

    threads = [threading.Thread(target=predict, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for p in itertools.chain(*found):
        np.testing.assert_array_equal(p, expected)
    out = np.empty_like(expected)
    parallel_predict(trainer.compiled(), X, out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.law5
@each_engine
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@each_kind
def test_a_copy_goes_on_by_itself_and_alike(kind, copied, engine):
    case = Case((9, 21, 21, 3), 11, **kind)
    original = case.trainer("float32", engine, fastbp.Adam())
    original.step(*case.batch())
    twin = copied(original)
    assert (twin.net.layer_norm, twin.net.residual) == (case.layer_norm, case.residual)
    original.step(*case.batch())
    assert bits(twin) != bits(original)
    twin.step(*case.batch())
    assert bits(twin) == bits(original)


# Law 9


@pytest.mark.law9
@each_engine
@each_kind
@each_hidden
def test_nan_in_a_parameter_reaches_the_loss(hidden, kind, engine):
    case = Case((3, 19, 19, 3), 7, hidden, "softmax", "cross_entropy", **kind)
    check_nan(case, "float32", engine)


# Laws 6 and 7


@pytest.mark.law6
@pytest.mark.process
def test_steps_make_no_allocation_of_numbas_run_time():
    program = "import test_norm_and_residual as t; t.report_allocations(t.LAYERS['both'])"
    assert processes.run(program, NUMBA_NRT_STATS="1").splitlines() == ["0 0 0"] * 2


@pytest.mark.slow
@pytest.mark.law7
@pytest.mark.process
@guarding
@pytest.mark.parametrize(("side", "dtype"), list(zip(SIDES, DTYPES, strict=True)))
def test_nothing_beyond_the_arrays_is_touched(side, dtype):
    lines = processes.run(
        f"import test_norm_and_residual as t; t.stay_inside(t.LAYERS.values(), {side!r}, {dtype!r})"
    )
    assert len(lines.splitlines()) == 2 * len(LAYERS)


# What each means


def test_a_normalized_layer_computes_the_formula():
    case = Case((5, 40, 3), 9, "identity", **NORM)
    net, (X, _) = case.network(), case.batch()
    (W, V), (b, c), (gain,), (shift,) = net.weights, net.biases, net.gains, net.shifts
    z = X @ W + b
    n = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(net.predict(X), (n * gain + shift) @ V + c, rtol=1e-12)
    fresh = fastbp.Network([5, 40, 3], layer_norm=True)
    assert (fresh.gains[0] == 1).all()
    assert (fresh.shifts[0] == 0).all()


def test_normalized_units_far_from_zero_keep_their_digits():
    """z = 10,000 + z', of order 1: the variance is that of z', no difference of squares."""
    case = Case((5, 400, 3), 9, "identity", **NORM)
    near, far = case.network("float32"), case.network("float32")
    exact = case.network("float64")
    for net in (far, exact):
        biases = [net.biases[0] + 10_000, net.biases[1]]
        net.set_parameters(near.weights, biases)
    X, _ = case.batch()
    # z itself is rounded to an ulp of 10,000 in each unit; each output sums 400 of them.
    ulp = np.spacing(np.float32(10_000))
    assert np.abs(far.predict(X) - exact.predict(X)).max() <= 20 * ulp


def test_a_residual_layer_adds_its_inputs():
    case = Case((7, 7, 7, 4, 3), 9, "tanh", **RESIDUAL)
    net, (X, _) = case.network(), case.batch()
    a = X
    for layer, (W, b) in enumerate(zip(net.weights[:-1], net.biases[:-1], strict=True)):
        a = np.tanh(a @ W + b) + (a if layer < 2 else 0)
    np.testing.assert_allclose(net.predict(X), a @ net.weights[-1] + net.biases[-1], rtol=1e-12)


def test_penalties_spare_gains_and_shifts():
    case = LAYERS["both"]
    plain, penalized = case.trainer(), case.trainer(l1=0.01, l2=0.05)
    (_, expected), (_, found) = (t.loss_and_gradients(*case.batch()) for t in (plain, penalized))
    for one, other in zip(found, expected, strict=True):
        assert distance(one[0], other[0]) > 1e-3
        assert_layers_close([one[1:]], [other[1:]], 1e-13)


def test_a_clipped_gradient_has_the_norm_asked_for():
    case = LAYERS["both"]
    trainer = case.trainer(clip_norm=0.01, optimizer=fastbp.SGD(lr=1.0))
    before = flat(layers_of(trainer))
    trainer.step(*case.batch())
    norm = np.linalg.norm(flat(layers_of(trainer)) - before)
    assert norm == pytest.approx(0.01, rel=1e-3)  # torch's 1e-6 beside a norm of about 0.1


def test_a_frozen_layer_keeps_its_gains_and_shifts():
    trainer = LAYERS["both"].trainer(lr_factors=[1, 0, 1], optimizer=fastbp.AdamW(lr=0.1))
    before = layers_of(trainer)
    trainer.step(*LAYERS["both"].batch())
    for layer, (one, other) in enumerate(zip(before, layers_of(trainer), strict=True)):
        for part, part_before in zip(other, one, strict=True):
            assert np.array_equal(part, part_before) == (layer == 1)


def test_the_average_covers_gains_and_shifts():
    case = LAYERS["both"]
    trainer = case.trainer(ema_decay=0.75)
    trainer.step(*case.batch())
    expected = flat(layers_of(trainer))
    for _ in range(3):
        trainer.step(*case.batch())
        expected += 0.25 * (flat(layers_of(trainer)) - expected)
    net = trainer.averaged_network()
    found = flat(net.arrays.layers())
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def mean_square(depth, **kinds):
    """Of a deep network's errors on x0 x1 in its last epoch; that of the constant 0 is 0.77."""
    X = np.random.default_rng(0).normal(size=(256, 8))
    net = fastbp.Network([8, *[32] * depth, 1], "tanh", seed=0, **kinds)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(lr=1e-3), batch_size=64, seed=0)
    return trainer.fit(X, X[:, 0] * X[:, 1], epochs=100)["loss"][-1]


@pytest.mark.slow
def test_a_deep_residual_network_learns_where_a_plain_one_does_not():
    assert mean_square(100) > 0.5
    assert mean_square(100, **BOTH) < 0.1


def test_early_stopping_brings_gains_and_shifts_back():
    case = LAYERS["both"]
    trainer, (X, y) = case.trainer(optimizer=fastbp.SGD(lr=0.1)), case.batch()
    kept = []

    def keep(_state):
        kept.append(flat(layers_of(trainer)))

    stopper = fastbp.EarlyStopping("loss", patience=3, mode="max")
    callbacks = [fastbp.LambdaCallback(on_epoch_end=keep), stopper]
    trainer.fit(X, y, epochs=20, callbacks=callbacks)
    assert stopper.best_epoch < len(kept)
    np.testing.assert_array_equal(flat(layers_of(trainer)), kept[stopper.best_epoch - 1])


@each_kind
def test_full_batch_minimization_takes_gains_and_shifts_along(kind):
    case = Case((4, 11, 11, 2), 40, "tanh", **kind)
    trainer, (X, y) = case.trainer(), case.batch()
    before = layers_of(trainer)
    outcome = minimize(LBFGS(), trainer.net, lambda: trainer.loss_and_gradients(X, y), 20)
    assert outcome.losses[-1] < outcome.losses[0]
    assert trainer.evaluate(X, y)["loss"] == pytest.approx(outcome.losses[-1], rel=1e-13)
    for one, other in zip(before, layers_of(trainer), strict=True):
        assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# Parameters


def test_parameters_are_counted_and_set():
    case = LAYERS["normalized"]
    net = case.network()
    assert net.n_parameters == sum(
        part.size for layer in layers_of(case.trainer()) for part in layer
    )
    assert [g.shape for g in net.gains] == [s.shape for s in net.shifts] == [(33,), (31,)]
    assert not net.gains[0].flags.writeable
    gains, shifts = net.gains, net.shifts
    net.set_parameters(net.weights, net.biases)
    for one, other in zip((*gains, *shifts), (*net.gains, *net.shifts), strict=True):
        np.testing.assert_array_equal(one, other)
    net.set_parameters(net.weights, net.biases, gains=shifts)
    np.testing.assert_array_equal(net.gains[1], shifts[1])
    np.testing.assert_array_equal(net.shifts[1], shifts[1])
    plain = replace(case, layer_norm=False).network()
    assert plain.gains == plain.shifts == []


def test_bad_parameters_are_refused():
    net = LAYERS["normalized"].network()
    before = net.arrays.parameters.copy()
    weights, biases, gains, shifts = net.weights, net.biases, net.gains, net.shifts
    for bad, message in (
        (gains[:1], r"gains has 1 arrays, expected 2, one per hidden layer"),
        ([gains[0], gains[0]], r"gains\[1\] has shape \(33,\), expected \(31,\)"),
        ([gains[0], gains[1] * np.nan], r"gains\[1\] has nan"),
    ):
        with pytest.raises(ValueError, match=message):
            net.set_parameters(weights, biases, bad, shifts)
    with pytest.raises(TypeError, match="shifts is float, expected a sequence of 2 arrays"):
        net.set_parameters(weights, biases, gains, 1.0)
    np.testing.assert_array_equal(net.arrays.parameters, before)
    plain = LAYERS["residual"].network()
    with pytest.raises(ValueError, match="gains are given, but the layers are not normalized"):
        plain.set_parameters(plain.weights, plain.biases, gains=gains)


@pytest.mark.parametrize(
    ("sizes", "options", "error", "message"),
    [
        ([4, 2], NORM, ValueError, r"layer_norm is True, but sizes \[4, 2\] has no hidden layer"),
        (
            [4, 4],
            RESIDUAL,
            ValueError,
            "residual is True, but in sizes .* no hidden layer is as wide",
        ),
        ([4, 5, 6, 6], RESIDUAL, ValueError, "residual is True"),
        ([4, 5, 2], {"layer_norm": 1}, TypeError, "layer_norm is 1, of type int, expected a bool"),
        ([4, 4, 2], {"residual": "yes"}, TypeError, "residual is 'yes', of type str"),
    ],
)
def test_what_would_be_without_effect_is_refused(sizes, options, error, message):
    with pytest.raises(error, match=message):
        fastbp.Network(sizes, **options)


def test_engines_agree_on_a_scaled_network():
    case = LAYERS["both"]
    X, y = case.batch()
    trainers = [case.trainer(engine=engine, dropout=0.3, l2=0.1) for engine in ("numba", "numpy")]
    for trainer in trainers:
        trainer.net.standardize(X)
    losses = [[trainer.step(X, y) for _ in range(3)] for trainer in trainers]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert_layers_close(*map(layers_of, trainers), 1e-10)


@pytest.mark.parametrize("rows", [1, 5, 40])
@each_dtype
@each_engine
def test_a_variance_that_overflows_is_refused(rows, dtype, engine):
    """Its square root would make each unit 0, and the loss one of the shifts alone."""
    case = Case((3, 20, 20, 2), rows, "tanh", **NORM)
    trainer, (X, y) = case.trainer(dtype, engine), case.batch()
    large = 50 * X * np.sqrt(np.finfo(dtype).max).item()
    assert np.isfinite(large.astype(dtype)).all()
    before = bits(trainer)
    for call in (trainer.step, trainer.fit, trainer.loss_and_gradients):
        with pytest.raises(FloatingPointError, match="not finite"):
            call(large, y)
    assert bits(trainer) == before
    assert np.isnan(trainer.evaluate(large, y)["loss"])
    assert np.isnan(trainer.predict(large)).all()
    assert np.isnan(trainer.net.predict(large)).all()
    if engine == "numba":
        model, inputs = trainer.compiled(), np.ascontiguousarray(large, dtype)
        assert np.isnan(embed.step(model, inputs, np.ascontiguousarray(y, dtype)))
        out = np.zeros((rows, 2), dtype)
        embed.predict(model, inputs, out)
        assert np.isnan(out).all()
    assert bits(trainer) == before
    trainer.step(X, y)
