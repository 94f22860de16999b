"""Learned embeddings of numbers: the laws again, and what an embedding means."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import NumberEmbedding, embed
from fastbp.kernels import reference
from support import processes
from support.cases import DTYPES, Case, each_dtype, each_engine, flat
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, assert_layers_close, distance, layers_of, tolerance
from support.embed_ways import each_way
from support.features import CLASSES, EVERY, OPTIMIZERS, OTHERS, Feature
from support.guards import SIDES, guarding
from support.internals import core
from support.memory_of_cases import report_allocations, stay_inside  # noqa: F401 - for programs
from support.padding import check_padding, rest_of
from support.trainers import bits, fingerprint

SOME = NumberEmbedding([3, 0, 16], sigma=0.5)
TWO = (17, 33, 31, 5)

NUMBERS = {
    "some columns": Case(TWO, 37, ("silu", "tanh"), **CLASSES, number_embedding=SOME),
    "few rows": Case(TWO, 3, ("relu", "sigmoid"), **CLASSES, number_embedding=SOME),
    "normalized": Case(TWO, 20, "tanh", **CLASSES, layer_norm=True, number_embedding=SOME),
    "no hidden layer": Case((3, 2), 9, number_embedding=NumberEmbedding()),
    "one column, one row": Case((1, 19, 2), 1, number_embedding=NumberEmbedding(sigma=0.7)),
    "odd": Case((5, 7, 3), 41, "gelu", number_embedding=NumberEmbedding([4, 2], 11, 6, 0.3)),
    "one frequency": Case((16, 9, 1), 21, number_embedding=NumberEmbedding([15], 1, 2, 1.0)),
    "many columns": Case((40, 21, 3), 29, "selu", number_embedding=NumberEmbedding()),
    "many rows": Case((4, 6, 2), 1500, "tanh", number_embedding=NumberEmbedding([1, 3])),
}
"""Sizes that fill vectors and do not, batches of one row and of more than a gradient's chain."""

WITH_EVERY = ("some columns", "few rows", "normalized")
each_numbers = pytest.mark.parametrize("case", NUMBERS.values(), ids=NUMBERS)
each_with_every = pytest.mark.parametrize("case", [NUMBERS[n] for n in WITH_EVERY], ids=WITH_EVERY)
RATE = {"embedding_lr_factor": 0.5}


# Law 1


def check_gradients(trainer, feature, case):
    """Along a direction in each of the arrays of each layer, and of the embedding."""
    loss, gradients = trainer.loss_and_gradients(*feature.batch(case))
    start, rng = layers_of(trainer), np.random.default_rng(3)
    assert len(gradients) == len(case.sizes)
    for layer, part in [(i, j) for i, one in enumerate(gradients) for j in range(len(one))]:
        direction = rng.normal(size=gradients[layer][part].shape)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (H, -H):
            moved = [list(one) for one in start]
            moved[layer][part] = moved[layer][part] + step * direction
            trainer.net.arrays.set_layers(moved)
            values.append(trainer.loss_and_gradients(*feature.batch(case))[0])
        trainer.net.arrays.set_layers(start)
        along = float((gradients[layer][part] * direction).sum())
        assert along != 0
        difference = (values[0] - values[1]) / (2 * H)
        assert abs(difference - along) <= TOLERANCE * (1 + abs(loss)), (layer, part)


@pytest.mark.law1
@each_engine
@each_numbers
def test_gradients_equal_central_differences(case, engine):
    check_gradients(case.trainer(engine=engine), Feature(), case)


@pytest.mark.law1
@each_with_every
def test_gradients_with_every_feature(case):
    trainer = EVERY.trainer(case)
    trainer.step(*EVERY.batch(case, 1))
    check_gradients(trainer, EVERY, case)


@pytest.mark.law1
@each_numbers
def test_input_gradients_equal_central_differences(case):
    trainer, (X, _) = case.trainer(), case.batch()
    v, out = np.random.default_rng(5).normal(size=(case.rows, case.sizes[-1])), np.empty_like(X)
    embed.input_gradient(trainer.compiled(), X, v, out)
    for i in range(X.shape[1]):
        step = H * (np.arange(X.shape[1]) == i)
        difference = (trainer.predict(X + step) - trainer.predict(X - step)) / (2 * H)
        np.testing.assert_allclose(out[:, i], (difference * v).sum(axis=1), atol=1e-8)


@pytest.mark.law1
def test_the_twin_of_the_error_of_inputs_equals_central_differences():
    rng, columns = np.random.default_rng(0), np.array([2, 0])
    X, parts = rng.normal(size=(4, 3)), SOME.initial(2, 7)
    error = rng.normal(size=(4, 3 + 2 * 3))
    found = reference.error_through_numbers(X, columns, *parts, error)
    for i in range(3):
        step = H * (np.arange(3) == i)
        one, other = (reference.embed_numbers(X + s, columns, *parts) for s in (step, -step))
        slopes = (error * (one - other)).sum(axis=1) / (2 * H)
        np.testing.assert_allclose(found[:, i], slopes, atol=1e-8)


# Law 2


def assert_engines_agree(feature, case, dtype, optimizer):
    compiled, twin = (
        feature.trainer(case, dtype, e, optimizer, **RATE) for e in ("numba", "numpy")
    )
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


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@each_numbers
def test_engines_agree(case, optimizer):
    assert_engines_agree(Feature(), case, "float64", optimizer)


@pytest.mark.law2
@pytest.mark.parametrize("optimizer", (OPTIMIZERS | OTHERS).values(), ids=OPTIMIZERS | OTHERS)
@each_with_every
def test_engines_agree_with_every_feature(case, optimizer):
    assert_engines_agree(EVERY, case, "float64", optimizer)


@pytest.mark.law2
@each_numbers
def test_engines_agree_in_single_precision(case):
    assert_engines_agree(Feature(), case, "float32", OPTIMIZERS["sgd"])


@pytest.mark.law2
@each_dtype
@each_numbers
def test_padding_is_zero_whatever_was_there_before(case, dtype):
    trainer, other = (case.trainer(dtype, optimizer=OPTIMIZERS["adam"]) for _ in range(2))
    X, y = case.batch()
    for one in (trainer, other):
        one.step(X, y)
    core(trainer).compiled.work[:] = np.nan
    for one in (trainer, other):
        one.step(X, y)
    check_padding(trainer, case.rows)
    np.testing.assert_array_equal(trainer.net.arrays.parameters, other.net.arrays.parameters)
    for arena in (trainer.net.arrays.parameters, *core(trainer).arrays.moments):
        assert not rest_of(arena, trainer).any()


# Law 4


@pytest.mark.law4
@each_numbers
def test_the_bits_do_not_depend_on_the_threads(case):
    found = []
    for workers in (1, 2, 3, 7):
        trainer = case.trainer("float32", optimizer=fastbp.Adam(), batch_size=-(-case.rows // 2))
        core(trainer).workers = workers
        found.append(fingerprint(trainer, *case.batch()))
    assert all(one == found[0] for one in found)


@pytest.mark.law4
@each_with_every
def test_the_bits_do_not_depend_on_the_threads_with_every_feature(case):
    """The norm of the gradient is clipped, which stores it first."""
    found = []
    for workers in (1, 2, 3, 7):
        trainer = EVERY.trainer(case, "float32", optimizer=fastbp.Adam(), **RATE)
        core(trainer).workers = workers
        losses = [trainer.step(*EVERY.batch(case, seed)) for seed in range(2)]
        _, gradients = trainer.loss_and_gradients(*EVERY.batch(case))
        found.append((losses, bits(trainer), flat(gradients).tobytes()))
    assert all(one == found[0] for one in found)


@pytest.mark.law4
@each_dtype
@each_numbers
def test_a_row_does_not_depend_on_those_beside_it(case, dtype):
    trainer, (X, _) = case.trainer(dtype), case.batch()
    X = X[:50]
    together, by_row = trainer.predict(X), np.concatenate([trainer.predict(x[None]) for x in X])
    np.testing.assert_array_equal(by_row, together)


# Law 5, and other ways in


@pytest.mark.law5
@each_engine
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}], ids=["at once", "stored"])
def test_fit_equals_its_steps(engine, options):
    case = NUMBERS["some columns"]
    fitted, stepped = (case.trainer("float32", engine, batch_size=15, **options) for _ in range(2))
    X, y = case.batch()
    fitted.fit(X, y, 2, shuffle=False)
    for start in (0, 15, 30) * 2:
        stepped.step(X[start : start + 15], y[start : start + 15])
    assert bits(fitted) == bits(stepped)


@pytest.mark.law5
@each_dtype
@each_way
@each_numbers
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
@each_engine
def test_a_gradient_that_is_applied_is_a_step(engine):
    case = NUMBERS["some columns"]
    one, other = (case.trainer("float32", engine, fastbp.Adam(), **RATE) for _ in range(2))
    for seed in range(2):
        one.apply_gradients(one.loss_and_gradients(*case.batch(seed))[1])
        other.step(*case.batch(seed))
    assert bits(one) == bits(other)


@pytest.mark.law5
@each_engine
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_by_itself_and_alike(copied, engine):
    case = NUMBERS["some columns"]
    original = case.trainer("float32", engine, fastbp.Adam())
    original.step(*case.batch())
    twin = copied(original)
    assert twin.net.number_embedding == SOME
    original.step(*case.batch())
    assert bits(twin) != bits(original)
    twin.step(*case.batch())
    assert bits(twin) == bits(original)


# Law 9


@pytest.mark.law9
@each_engine
@pytest.mark.parametrize("part", range(4))
def test_nan_in_a_parameter_reaches_the_loss(part, engine):
    case = NUMBERS["some columns"]
    trainer = case.trainer("float32", engine, fastbp.Adam())
    X, y = case.batch()
    layers = layers_of(trainer)
    layers[-1][part].flat[-1] = np.nan
    trainer.net.arrays.write_layers(layers)
    assert np.isnan(trainer.evaluate(X, y)["loss"])
    before = bits(trainer)
    with pytest.raises(FloatingPointError, match="loss is not finite"):
        trainer.step(X, y)
    assert bits(trainer) == before


# Laws 6 and 7


@pytest.mark.law6
@pytest.mark.process
def test_steps_make_no_allocation_of_numbas_run_time():
    program = "import test_number_embedding as t; t.report_allocations(t.NUMBERS['some columns'])"
    assert processes.run(program, NUMBA_NRT_STATS="1").splitlines() == ["0 0 0"] * 2


@pytest.mark.slow
@pytest.mark.law7
@pytest.mark.process
@guarding
@pytest.mark.parametrize(("side", "dtype"), list(zip(SIDES, DTYPES, strict=True)))
def test_nothing_beyond_the_arrays_is_touched(side, dtype):
    lines = processes.run(
        f"import test_number_embedding as t; t.stay_inside(t.NUMBERS.values(), {side!r}, {dtype!r})"
    )
    assert len(lines.splitlines()) == 2 * len(NUMBERS)


# What it means


def by_hand(net, X):
    """The inputs of the first layer, one number at a time."""
    w, b, V, c = net.embedding_parameters
    made = net.number_embedding
    more = [
        [c[j, o] + np.cos(2 * np.pi * w[j] * x[column] + b[j]) @ V[j, :, o] for x in X]
        for j, column in enumerate(made.places(net.sizes[0]))
        for o in range(made.width - 1)
    ]
    return np.column_stack([X, *more])


@each_numbers
def test_an_embedding_is_its_formula(case):
    net, (X, _) = case.network(), case.batch()
    plain = fastbp.Network(
        [by_hand(net, X).shape[1], *case.sizes[1:]], case.hidden, case.output,
        layer_norm=case.layer_norm, dtype="float64",
    )  # fmt: skip
    norms = (net.gains, net.shifts) if case.layer_norm else ()
    plain.set_parameters(net.weights, net.biases, *norms)
    found, expected = net.predict(X), plain.predict(by_hand(net, X))
    assert distance(found, expected) <= tolerance(case, "float64") * AMPLIFICATION


@each_engine
def test_embeddings_see_standardized_numbers(engine):
    case = NUMBERS["odd"]
    scaled, plain = case.trainer(engine=engine), case.trainer(engine=engine)
    X, y = case.batch()
    scaled.net.set_scaling(input_mean=3.0, input_scale=2.0)
    for one, given in ((scaled, 2 * X + 3), (plain, X)):
        one.step(given, y)
    assert_layers_close(
        layers_of(scaled), layers_of(plain), tolerance(case, "float64") * AMPLIFICATION
    )


@each_engine
def test_the_rate_of_embeddings_is_their_own(engine):
    """lr_factors, bias_lr_factor and weight_decay_on are of the layers."""
    case, lr = NUMBERS["some columns"], 0.25
    options = {"lr_factors": [0.5, 1, 1], "bias_lr_factor": 0.25, "weight_decay_on": "weights"}
    trainer = case.trainer(engine=engine, optimizer=fastbp.SGD(lr=lr), **options, **RATE)
    before = layers_of(trainer)[-1]
    _, gradients = trainer.loss_and_gradients(*case.batch())
    trainer.step(*case.batch())
    for old, new, g in zip(before, layers_of(trainer)[-1], gradients[-1], strict=True):
        np.testing.assert_allclose(new, old - 0.5 * lr * g, rtol=1e-12, atol=1e-15)


@each_engine
def test_weight_decay_is_of_all_parameters_and_penalties_of_none(engine):
    """AdamW shrinks them by their own learning rate; a gradient of zeros changes nothing else."""
    case, lr, decay = NUMBERS["some columns"], 0.01, 0.5
    optimizer = fastbp.AdamW(lr=lr, weight_decay=decay)
    trainer = case.trainer(
        engine=engine, optimizer=optimizer, weight_decay_on="weights", l1=0.1, l2=0.1, **RATE
    )
    before, (X, y) = layers_of(trainer)[-1], case.batch()
    zeros = [tuple(0 * part for part in layer) for layer in layers_of(trainer)]
    trainer.apply_gradients(zeros)
    for old, new in zip(before, layers_of(trainer)[-1], strict=True):
        np.testing.assert_allclose(new, (1 - 0.5 * lr * decay) * old, rtol=1e-14)
    plain = case.trainer(engine=engine, optimizer=optimizer)
    with_price = case.trainer(engine=engine, optimizer=optimizer, l1=0.1, l2=0.1)
    one, other = (t.loss_and_gradients(X, y)[1][-1] for t in (plain, with_price))
    for g, priced in zip(one, other, strict=True):
        np.testing.assert_array_equal(g, priced)


@each_engine
def test_a_frozen_embedding_stays_and_has_no_part_in_a_norm(engine):
    case = NUMBERS["some columns"]
    trainer = case.trainer(engine=engine, clip_norm=1e-3, embedding_lr_factor=0)
    before = layers_of(trainer)
    _, gradients = trainer.loss_and_gradients(*case.batch())
    norm = np.linalg.norm(flat(gradients[:-1]))
    trainer.step(*case.batch())
    after = layers_of(trainer)
    for old, new in zip(before[-1], after[-1], strict=True):
        np.testing.assert_array_equal(old, new)
    moved = flat(before[:-1]) - flat(after[:-1])
    expected = 0.1 * flat(gradients[:-1]) * 1e-3 / (norm + 1e-6)
    np.testing.assert_allclose(moved, expected, atol=1e-14)


@each_engine
def test_a_clipped_norm_is_that_of_layers_and_embedding(engine):
    case = NUMBERS["odd"]
    trainer = case.trainer(engine=engine, clip_norm=1e-3)
    before = flat(layers_of(trainer))
    trainer.step(*case.batch())
    moved = np.linalg.norm(before - flat(layers_of(trainer)))
    assert moved == pytest.approx(0.1 * 1e-3, rel=2e-3)  # NORM_EPS is a thousandth of the norm


@each_engine
def test_the_average_covers_the_embedding(engine):
    case = NUMBERS["some columns"]
    trainer, (X, y) = case.trainer(engine=engine, ema_decay=0.75), case.batch()
    trainer.step(X, y)
    expected = layers_of(trainer)[-1]
    for _ in range(3):
        trainer.step(X, y)
        pairs = zip(expected, layers_of(trainer)[-1], strict=True)
        expected = [part + 0.25 * (now - part) for part, now in pairs]
    found = trainer.averaged_network().embedding_parameters
    for part, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, other, rtol=1e-12, atol=1e-15)


@each_engine
def test_the_average_of_a_frozen_embedding_is_itself(engine):
    case = NUMBERS["some columns"]
    trainer = case.trainer(engine=engine, ema_decay=0.75, embedding_lr_factor=0)
    for seed in range(2):
        trainer.step(*case.batch(seed))
    found, net = trainer.averaged_network(), trainer.net
    for part, other in zip(found.embedding_parameters, net.embedding_parameters, strict=True):
        np.testing.assert_array_equal(part, other)
    assert (found.biases[-1] != net.biases[-1]).all()


def test_scaled_inputs_have_a_scale_for_each_input_of_the_first_layer():
    case = NUMBERS["some columns"]
    trainer = case.trainer(input_scaling=2.0)
    trainer.step(*case.batch())
    assert trainer.input_scale.shape == (17 + 3 * 3,)
    assert (trainer.input_scale != 1).all()


@pytest.mark.slow
def test_a_network_with_embeddings_learns_bends_that_a_plain_one_does_not():
    """cos(12 x) over [-3, 3] has 11 waves."""
    x = np.linspace(-3, 3, 2000, dtype=np.float32)[:, None]
    losses = []
    for made in (NumberEmbedding(sigma=1.0), None):
        net = fastbp.Network([1, 64, 1], "silu", number_embedding=made, seed=0)
        trainer = fastbp.Trainer(
            net, loss="mse", optimizer=fastbp.Adam(lr=0.01), batch_size=256, seed=0
        )
        losses.append(trainer.fit(x, np.cos(12 * x), 60)["loss"][-1])
    assert losses[0] < 0.05 < 0.3 < losses[1]


def test_dense_and_sparse_rows_have_the_same_bits():
    sparse = pytest.importorskip("scipy.sparse")
    case = replace(NUMBERS["some columns"], sizes=(200, 33, 31, 5))
    X, y = case.batch()
    X[np.random.default_rng(0).random(X.shape) < 0.99] = 0
    one, other = (case.trainer("float32", optimizer=fastbp.Adam()) for _ in range(2))
    assert one.step(X, y) == other.step(sparse.csr_array(X), y)
    assert bits(one) == bits(other)
