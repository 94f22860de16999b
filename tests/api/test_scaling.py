"""Scaling inside the network, estimated or set, is the same as scaling by hand."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.components import losses
from fastbp.data import moments
from support import processes
from support.allocation import allocations
from support.array_views import KINDS, VIEWS
from support.cases import Case, each_dtype, each_engine, flat
from support.central_differences import TOLERANCE, H
from support.closeness import AMPLIFICATION, assert_layers_close, distance, layers_of, tolerance
from support.features import EVERY, FEW, MANY, WIDE
from support.internals import core
from support.trainers import bits

LOSSES = [name for name, loss in losses.LOSSES.items() if loss.scalable]
ADAM = fastbp.Adam(lr=0.01, eps=1e-4)  # see features.OPTIMIZERS


def numbers(case, loss="mse"):
    """The same sizes with a loss of numbers; twice as many outputs where there are variances."""
    sizes = case.sizes
    if losses.LOSSES[loss].outputs_per_target == 2:
        sizes = (*case.sizes[:-1], 4)
    return replace(case, sizes=sizes, loss=loss, output="identity", labels=False)


ROUTES = {"many": numbers(MANY), "few": numbers(FEW), "wide": numbers(WIDE)}
"""By rows; few rows; and, in several shares, layer by layer."""

each_route = pytest.mark.parametrize("case", ROUTES.values(), ids=ROUTES)
each_loss = pytest.mark.parametrize("loss", LOSSES)


def raw_batch(case, seed=2):
    """X and y of any size and offset; one column of X is constant."""
    rng, units = np.random.default_rng(seed), np.random.default_rng(9)
    X, y = case.batch(seed)

    def in_units(values):
        columns = values.shape[1]
        scale = 10.0 ** units.uniform(-2, 2, columns)
        return values * scale + units.uniform(-5, 5, columns) * scale

    X, y = in_units(X), in_units(y + rng.normal(size=y.shape))
    X[:, 1:2] = 7.3
    return X, y


def scaled(case, dtype="float64", engine="numba", **options):
    """A trainer of a network that is standardized by batch 2."""
    trainer = case.trainer(dtype, engine, **options)
    trainer.net.standardize(*raw_batch(case))
    return trainer


def by_hand(net, X, y):
    """X and y as the network has them."""
    return (X - net.input_mean) / net.input_scale, (y - net.target_mean) / net.target_scale


def raw_outputs(net, p):
    """Outputs of a network of standardized numbers in the units of y."""
    mean, scale = net.target_mean, net.target_scale
    n = len(mean)
    means = p[:, :n] * scale + mean
    return means if n == p.shape[1] else np.hstack([means, p[:, n:] + 2 * np.log(scale)])


# What is estimated


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("kind", KINDS)
def test_estimates_are_the_mean_and_deviation_of_every_dtype(kind, view, monkeypatch):
    monkeypatch.setattr(moments, "CHUNK", 3 * 7)
    rng = np.random.default_rng(3)
    X = view((rng.normal(size=(50, 7)) * 30 + 60).clip(0, 120).astype(kind))
    y = view((rng.normal(size=(50, 2)) * 30 + 60).clip(0, 120).astype(kind))
    net = fastbp.Network([7, 2], dtype="float64")
    net.standardize(X, y)
    for data, mean, scale in (
        (X, net.input_mean, net.input_scale),
        (y, net.target_mean, net.target_scale),
    ):
        exact = data.astype(np.float64)
        np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-14)
        deviation = np.where(np.ptp(exact, axis=0) > 0, exact.std(axis=0), 1)
        np.testing.assert_allclose(scale, deviation, rtol=1e-13)
        assert mean.dtype == scale.dtype == np.float64
        assert not mean.flags.writeable


def test_estimates_bear_an_offset(monkeypatch):
    """What is left of the deviation in a sum of squares about 0 is 1e18 / 2**53: nothing."""
    monkeypatch.setattr(moments, "CHUNK", 64)
    X = 1e9 + np.random.default_rng(0).normal(size=(1000, 3))
    net = fastbp.Network([3, 1], dtype="float64")
    net.standardize(X)
    centered = X - 1e9
    np.testing.assert_allclose(net.input_mean - 1e9, centered.mean(axis=0), atol=2e-7)
    np.testing.assert_allclose(net.input_scale, centered.std(axis=0), rtol=1e-12)


def test_estimates_of_a_mapped_file(tmp_path):
    rng = np.random.default_rng(1)
    X, y = rng.normal(3, 2, (300, 5)).astype("f4"), rng.normal(size=300)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    one, other = (fastbp.Network([5, 1], seed=0) for _ in range(2))
    one.standardize(mapped, y)
    other.standardize(X, y)
    np.testing.assert_array_equal(one.input_mean, other.input_mean)
    np.testing.assert_array_equal(one.predict(mapped), other.predict(X))


def test_constant_columns_become_zero():
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    X[:, 1] = 0
    X[:, 2] = 0.1
    X[::2, 2] = np.nextafter(np.float32(0.1), np.float32(1))  # constant but for a rounding
    net = fastbp.Network([4, 1])
    net.standardize(X)
    assert net.input_scale[1] == net.input_scale[2] == 1
    assert net.input_mean[1] == 0


def test_without_y_the_scaling_of_targets_stays():
    case = ROUTES["many"]
    X, y = raw_batch(case)
    net = case.network()
    net.standardize(X)
    assert net.target_mean is net.target_scale is None
    net.standardize(X, y)
    mean = net.target_mean
    net.standardize(2 * X)
    np.testing.assert_array_equal(net.target_mean, mean)
    np.testing.assert_allclose(net.input_scale[0], 2 * X[:, 0].std(), rtol=1e-13)


# The same as scaling by hand


@each_loss
@each_route
def test_a_scaled_network_is_one_of_data_scaled_by_hand(case, loss):
    case = numbers(case, loss)
    one, other = scaled(case, optimizer=ADAM), case.trainer(optimizer=ADAM)
    allowed = tolerance(case, "float64") * AMPLIFICATION
    for seed in (2, 3, 4):
        X, y = raw_batch(case, seed)
        own = by_hand(one.net, X, y)
        assert one.evaluate(X, y) == pytest.approx(other.evaluate(*own), rel=allowed)
        loss_of_one, gradients = one.loss_and_gradients(X, y)
        loss_of_other, own_gradients = other.loss_and_gradients(*own)
        assert loss_of_one == pytest.approx(loss_of_other, rel=allowed)
        assert_layers_close(gradients, own_gradients, allowed)
        expected = raw_outputs(one.net, other.predict(own[0]))
        for p in (one.predict(X), one.net.predict(X)):
            np.testing.assert_allclose(p, expected, rtol=1e-10, atol=1e-10 * np.abs(y).max())
        assert one.step(X, y) == pytest.approx(other.step(*own), rel=allowed)
    assert_layers_close(layers_of(one), layers_of(other), allowed)


def test_fit_of_a_scaled_network():
    case = ROUTES["many"]
    X, y = raw_batch(case)
    one, other = scaled(case, batch_size=8), case.trainer(batch_size=8)
    own = by_hand(one.net, X, y)
    history = one.fit(X, y, 3, validation_data=(X, y))
    own_history = other.fit(*own, 3, validation_data=own)
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(history[key], own_history[key], rtol=1e-12)


@pytest.mark.slow("wide")
@each_dtype
@each_loss
@each_route
def test_engines_agree(case, loss, dtype):
    case = numbers(case, loss)
    # The gradient of beta_nll may be larger than that of its value: it diverges at 0.1.
    slower = {"optimizer": fastbp.SGD(lr=0.01)} if loss == "beta_nll" else {}
    compiled, twin = (scaled(case, dtype, engine, **slower) for engine in ("numba", "numpy"))
    core(compiled).workers = 3 if case.rows == WIDE.rows else 0
    allowed = tolerance(case, dtype) * AMPLIFICATION
    for seed in (2, 3):
        X, y = raw_batch(case, seed)
        assert distance(compiled.predict(X), twin.predict(X)) <= allowed
        assert compiled.evaluate(X, y) == pytest.approx(twin.evaluate(X, y), rel=allowed)
        assert compiled.step(X, y) == pytest.approx(twin.step(X, y), rel=allowed)
    assert_layers_close(layers_of(compiled), layers_of(twin), allowed)


@pytest.mark.parametrize("case", [MANY, FEW, WIDE], ids=["many", "few", "wide"])
def test_engines_agree_with_every_feature(case):
    """Labels, dropout, penalties and so on see scaled inputs."""
    compiled, twin = (EVERY.trainer(case, engine=e) for e in ("numba", "numpy"))
    allowed = tolerance(case, "float64") * AMPLIFICATION
    X, y, weights = EVERY.batch(case)
    X = 40 * X + 100
    for trainer in (compiled, twin):
        trainer.net.standardize(X)
    for _ in range(3):
        assert compiled.step(X, y, weights) == pytest.approx(twin.step(X, y, weights), rel=allowed)
    assert_layers_close(layers_of(compiled), layers_of(twin), allowed)
    expected = twin.predict(X, averaged=True)
    assert distance(compiled.predict(X, averaged=True), expected) <= allowed
    averaged = compiled.averaged_network()
    np.testing.assert_array_equal(averaged.input_mean, compiled.net.input_mean)
    np.testing.assert_array_equal(averaged.predict(X), compiled.predict(X, averaged=True))


@pytest.mark.parametrize("loss", [n for n in LOSSES if not losses.LOSSES[n].weighs_gradient])
@pytest.mark.parametrize("case", [ROUTES["many"], ROUTES["few"]], ids=["many", "few"])
def test_gradients_equal_central_differences(case, loss):
    case = numbers(case, loss)
    trainer, rng = scaled(case), np.random.default_rng(3)
    batch = raw_batch(case)
    loss, gradients = trainer.loss_and_gradients(*batch)
    net, start = trainer.net, layers_of(trainer)
    for layer in range(3):
        direction = rng.normal(size=start[layer][0].shape)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (H, -H):
            weights = [w + step * direction if i == layer else w for i, (w, _) in enumerate(start)]
            net.set_parameters(weights, [b for _, b in start])
            values.append(trainer.evaluate(*batch)["loss"])
        along = float((gradients[layer][0] * direction).sum())
        assert abs((values[0] - values[1]) / (2 * H) - along) <= TOLERANCE * (1 + abs(loss))


@each_route
def test_the_bits_do_not_depend_on_the_threads(case):
    found = []
    for workers in (1, 2, 3):
        trainer = scaled(case, "float32", optimizer=ADAM)
        core(trainer).workers = workers
        X, y = raw_batch(case)
        values = [trainer.step(X, y), *trainer.fit(X, y, 2)["loss"], trainer.evaluate(X, y)["loss"]]
        found.append((values, trainer.predict(X).tobytes(), bits(trainer)))
    assert found[0] == found[1] == found[2]


@each_dtype
@each_route
def test_no_scaling_any_more_has_the_bits_of_none_ever(case, dtype):
    plain, once = case.trainer(dtype), scaled(case, dtype)
    assert not core(plain).arrays.spec.extended
    once.net.set_scaling()
    assert once.net.input_mean is once.net.target_scale is None
    X, y = case.batch()
    for _ in range(2):
        assert plain.step(X, y) == once.step(X, y)
    np.testing.assert_array_equal(plain.predict(X), once.predict(X))
    assert bits(plain) == bits(once)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [3, 40])
def test_predictions_of_every_dtype(kind, rows):
    rng = np.random.default_rng(5)
    exact = rng.integers(0, 2 if kind == "?" else 100, (rows, 19)).astype(np.float64)
    for dtype in ("float32", "float64"):
        net = fastbp.Network([19, 8, 3], "tanh", seed=0, dtype=dtype)
        net.standardize(exact, rng.normal(size=(rows, 3)))
        expected = net.predict(exact.astype(dtype))
        np.testing.assert_array_equal(net.predict(exact.astype(kind)), expected)
        np.testing.assert_array_equal(net.predict(np.asfortranarray(exact.astype(kind))), expected)


def test_images_of_bytes_with_a_scale():
    case = replace(MANY, rows=40)
    images = np.random.default_rng(0).integers(0, 256, (40, 17), np.uint8)
    _, labels = case.batch()
    bytes_, floats = case.trainer(), case.trainer()
    bytes_.net.set_scaling(input_scale=255)
    np.testing.assert_array_equal(bytes_.net.input_scale, np.full(17, 255.0))
    np.testing.assert_array_equal(bytes_.net.input_mean, np.zeros(17))
    for _ in range(2):
        expected = floats.step(images / 255, labels)
        assert bytes_.step(images, labels) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(
        bytes_.predict(images), floats.predict(images / 255), rtol=1e-10, atol=1e-13
    )


def test_targets_are_scaled_by_hand_without_inputs():
    case = ROUTES["many"]
    X, _ = case.batch()
    trainer = case.trainer()
    before = trainer.predict(X)
    trainer.net.set_scaling(target_mean=[1, 2, 3, 4, 5], target_scale=10)
    np.testing.assert_allclose(trainer.predict(X), before * 10 + np.arange(1, 6), rtol=1e-12)
    assert trainer.net.input_mean is None


# Inside compiled code


@each_dtype
@pytest.mark.parametrize("loss", ["mse", "gaussian_nll"])
@pytest.mark.parametrize("case", [ROUTES["many"], ROUTES["few"]], ids=["many", "few"])
def test_embed_takes_and_gives_raw_units(case, loss, dtype):
    case = numbers(case, loss)
    one, other = (scaled(case, dtype, optimizer=ADAM) for _ in range(2))
    core(one).workers = core(other).workers = 1
    X, y = (array.astype(dtype) for array in raw_batch(case))
    model, p = one.compiled(), np.empty((case.rows, case.sizes[-1]), dtype)
    gradient = np.empty(one.net.n_parameters, dtype)
    for _ in range(2):
        embed.predict(model, X, p)
        np.testing.assert_array_equal(p, other.predict(X))
        expected, layers = other.loss_and_gradients(X, y)
        assert embed.gradients(model, X, y, gradient) == expected
        np.testing.assert_array_equal(gradient, flat(layers))
        assert embed.step(model, X, y) == other.step(X, y)
    assert bits(one) == bits(other)


@pytest.mark.parametrize("loss", ["mse", "gaussian_nll"])
@pytest.mark.parametrize("case", [ROUTES["many"], ROUTES["few"]], ids=["many", "few"])
def test_input_gradients_are_by_raw_inputs_of_raw_outputs(case, loss):
    case = numbers(case, loss)
    trainer, rng = scaled(case), np.random.default_rng(4)
    X, _ = raw_batch(case)
    v = rng.normal(size=(case.rows, case.sizes[-1]))
    out, scale = np.empty_like(X), trainer.net.input_scale
    embed.input_gradient(trainer.compiled(), X, v, out)
    for _ in range(5):
        direction = rng.normal(size=X.shape)
        direction /= np.linalg.norm(direction)
        values = [(trainer.predict(X + h * direction * scale) * v).sum() for h in (H, -H)]
        along = (out * scale * direction).sum()
        difference = (values[0] - values[1]) / (2 * H)
        assert abs(difference - along) <= TOLERANCE * (1 + np.abs(values[0]))


@pytest.mark.parametrize("case", [ROUTES["many"], ROUTES["few"]], ids=["many", "few"])
def test_a_gradient_of_ones_own_is_by_raw_outputs(case):
    own, trainer = (scaled(case) for _ in range(2))
    X, y = raw_batch(case)
    p, scale = own.predict(X), own.net.target_scale
    dloss_dp = 2 * (p - y) / scale**2 / p.size  # of the mse of scaled targets
    assert embed.step_from(own.compiled(), X, dloss_dp)
    trainer.step(X, y)
    allowed = tolerance(case, "float64") * AMPLIFICATION
    assert_layers_close(layers_of(own), layers_of(trainer), allowed)


# Who keeps it, and who follows


@pytest.mark.parametrize(
    "copied", [lambda x: pickle.loads(pickle.dumps(x)), copy.deepcopy, copy.copy]
)
def test_copies_scale_as_well(copied):
    case = ROUTES["many"]
    trainer, (X, y) = scaled(case), raw_batch(case)
    net = copied(trainer.net)
    for name in ("input_mean", "input_scale", "target_mean", "target_scale"):
        np.testing.assert_array_equal(getattr(net, name), getattr(trainer.net, name))
    np.testing.assert_array_equal(net.predict(X), trainer.net.predict(X))
    net.set_scaling()
    assert trainer.net.input_mean is not None
    if copied is copy.copy:
        return  # that of a trainer trains the same network
    other = copied(trainer)
    assert trainer.step(X, y) == other.step(X, y)
    assert bits(trainer) == bits(other)


@each_engine
def test_trainers_that_have_begun_follow(engine):
    case = ROUTES["many"]
    X, y = raw_batch(case)
    early, late = (case.trainer(engine=engine, optimizer=ADAM) for _ in range(2))
    for trainer in (early, late):
        trainer.step(*case.batch())
        trainer.predict(X)
    again = pickle.loads(pickle.dumps(late))
    moments = core(early).arrays.moments.copy()
    early.net.standardize(X, y)
    again.net.standardize(X, y)
    np.testing.assert_array_equal(core(early).arrays.moments, moments)
    assert early.step(X, y) == again.step(X, y)
    assert early.step(X, y) == again.step(X, y)
    assert bits(early) == bits(again)
    assert early.evaluate(X, y)["loss"] < 0.1 * late.evaluate(X, y)["loss"]


def test_models_from_before_the_first_scaling_say_so():
    case = ROUTES["many"]
    X, y = raw_batch(case)
    trainer = case.trainer(engine="numba")
    early, out = trainer.compiled(), np.empty((case.rows, 5))
    core(trainer).weigh_rows()
    later = trainer.compiled()
    trainer.net.standardize(X, y)
    for model in (early, later):
        with pytest.raises(ValueError, match=r"older than its network's scaling.*compiled\(\)"):
            embed.predict(model, X, out)
        with pytest.raises(ValueError, match="older than its network's scaling"):
            embed.step(model, X, y)
    model = trainer.compiled()
    embed.predict(model, X, out)
    trainer.net.standardize(2 * X, 3 * y)  # from then on models follow, too
    embed.predict(model, X, out)
    np.testing.assert_array_equal(out, trainer.predict(X))


def owner(array):
    """The memory that an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def test_a_model_holds_the_scales_and_outlives_its_network():
    case = ROUTES["few"]
    trainer, (X, _) = scaled(case), raw_batch(case)
    model, expected = trainer.compiled(), trainer.predict(X)
    for scales in trainer.net.arrays.scales:
        assert owner(scales) is owner(model.parameters)
    del trainer
    out = np.empty_like(expected)
    embed.predict(model, X, out)
    np.testing.assert_array_equal(out, expected)


def test_a_network_forgets_its_trainers():
    net = ROUTES["few"].network()
    trainer = fastbp.Trainer(net, loss="bce" if net.output == "sigmoid" else "mse", optimizer=ADAM)
    assert len(net.arrays.followers) == 1
    del trainer
    assert len(net.arrays.followers) == 0


def report_allocations():
    """What a call of fit allocates of Numba's run time."""
    for case in ROUTES.values():
        trainer, (X, y) = scaled(case, "float32", optimizer=ADAM), raw_batch(case)
        core(trainer).workers = 1
        trainer.fit(X, y, 2)
        print(*(allocations(lambda: trainer.fit(X, y, 50))))  # noqa: B023


@pytest.mark.process
def test_steps_make_no_allocation_of_numbas_run_time():
    program = "import test_scaling; test_scaling.report_allocations()"
    assert processes.run(program, NUMBA_NRT_STATS="1").split() == ["0"] * 6


# Refusals


def unchanged(net):
    return net.input_mean is None and net.target_mean is None and not net.arrays.spec.extended


def refuse(net, message, call, error=ValueError):
    with pytest.raises(error, match=message):
        call(net)
    assert unchanged(net)


GOOD = np.random.default_rng(0).normal(size=(10, 3))


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (GOOD[:, :2], None, r"X has shape \(10, 2\), expected \(n, 3\)"),
        (np.where(np.eye(10, 3) > 0, np.nan, GOOD), None, "X has nan at row 0, column 0"),
        (GOOD, np.full((10, 2), np.inf), "y has inf at row 0, column 0"),
        (GOOD, GOOD[:9, :2], r"y has shape \(9, 2\), expected \(10, 2\) or \(10, 1\)"),
        (GOOD, [[1], [2, 3]], "y is a list that NumPy cannot read"),
        (GOOD, np.ma.masked_all((10, 2)), "y is a masked array"),
        (GOOD, GOOD, r"y has shape \(10, 3\).*leave y out"),
        (1e9 + GOOD, None, "X has mean .* in column 0, values that float32 can hardly tell apart"),
        (GOOD, 1e9 + GOOD[:, :2], "y has mean .* subtract an offset"),
        (1e300 * GOOD, None, "input_mean has .* finite in float32"),
    ],
)
def test_data_without_a_scaling_are_refused(X, y, message):
    refuse(fastbp.Network([3, 2]), message, lambda net: net.standardize(X, y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_scale": 0}, "input_scale has 0.0 at 0, expected numbers above 0"),
        ({"input_scale": [1, -2, 1]}, "input_scale has -2.0 at 1"),
        ({"target_scale": 1e-40}, "target_scale has 1e-40 at 0.*float32"),
        ({"target_scale": np.nan}, "target_scale has nan at 0"),
        ({"input_mean": [0, np.inf, 0]}, "input_mean has inf at 1, expected .* finite in float32"),
        ({"input_mean": [1, 2]}, r"input_mean has shape \(2,\), expected \(3,\), or one number"),
        ({"input_mean": [[1], [2, 3]]}, "input_mean is a list that NumPy cannot read"),
        ({"input_scale": np.ma.masked_all(3)}, "input_scale is a masked array"),
        ({"input_mean": np.longdouble("1e4000")}, "input_mean has inf at 0"),
        ({"target_mean": [1, 2, 3]}, r"target_mean has shape \(3,\), expected \(2,\) or \(1,\)"),
        (
            {"target_mean": [1, 2], "target_scale": [1]},
            "target_mean has 2 numbers and target_scale 1",
        ),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    refuse(fastbp.Network([3, 2]), message, lambda net: net.set_scaling(**options))


def test_what_is_no_number_is_refused():
    for value in ("1", None, 1j, True):
        if value is not None:
            refuse(
                fastbp.Network([3, 2]),
                "input_scale has dtype .*, expected real numbers",
                lambda net, value=value: net.set_scaling(input_scale=value),
                TypeError,
            )


def custom_loss():
    from numba import njit

    @njit
    def squares(p, y, dloss_dp):
        total = 0.0
        for i in range(len(p)):
            dloss_dp[i] = 2 * (p[i] - y[i])
            total += (p[i] - y[i]) ** 2
        return total

    return squares


@pytest.mark.parametrize(
    ("output", "loss"),
    [
        ("softmax", "cross_entropy"),
        ("sigmoid", "bce"),
        ("softplus", "poisson"),
        ("identity", custom_loss()),
    ],
    ids=["cross_entropy", "bce", "poisson", "own"],
)
def test_losses_without_scaled_targets_refuse_them(output, loss):
    X, y = GOOD, GOOD[:, :2]
    net = fastbp.Network([3, 2], output=output)
    trainer = fastbp.Trainer(net, loss=loss, optimizer=ADAM)
    refuse(net, "does not go with scaled targets", lambda net: net.standardize(X, y))
    refuse(net, "does not go with scaled targets", lambda net: net.set_scaling(target_mean=1))
    net.standardize(X)
    del trainer
    if output == "softmax":  # no loss of these outputs goes with them
        return
    net.standardize(X, y)
    with pytest.raises(ValueError, match="does not go with scaled targets, which mse, "):
        fastbp.Trainer(net, loss=loss, optimizer=ADAM)


@pytest.mark.parametrize(
    ("output", "y"),
    [
        ("softmax", GOOD[:, 0]),
        ("softmax", GOOD[:, 0] > 0),
        ("softmax", GOOD[:, :2]),
        ("sigmoid", GOOD[:, 0] > 0),
        ("sigmoid", (GOOD[:, 0] > 0).astype(int)),
        ("sigmoid", (GOOD[:, :2] > 0).astype("uint8")),
    ],
)
def test_labels_are_not_standardized(output, y):
    """Without a trainer, which would refuse them by its loss. (n,) is one for two outputs, too."""
    message = "^y .*'softmax' does not go|^y has dtype .*labels.*leave y out.*astype"
    refuse(fastbp.Network([3, 2], output=output), message, lambda net: net.standardize(GOOD, y))
    message = message.replace("^y", r"^batches\[0\]\[1\]").replace("leave y", "leave batches.*")
    refuse(
        fastbp.Network([3, 2], output=output),
        message,
        lambda net: net.standardize_batches([(GOOD, y)]),
    )


def test_quantities_of_sigmoid_outputs_are_standardized():
    net = fastbp.Network([3, 2], output="sigmoid")
    net.standardize(GOOD, GOOD[:, :2])
    assert net.target_mean is not None


def test_a_loss_with_another_number_of_targets_is_refused():
    net = fastbp.Network([3, 2])
    net.standardize(GOOD, GOOD[:, :2])
    with pytest.raises(ValueError, match="scales 2 targets, but loss 'gaussian_nll' with 2 out"):
        fastbp.Trainer(net, loss="gaussian_nll", optimizer=ADAM)
    net.standardize(GOOD, GOOD[:, 0])
    with pytest.raises(ValueError, match="scales 1 targets, but loss 'mse' with 2 outputs has 2"):
        fastbp.Trainer(net, loss="mse", optimizer=ADAM)


def test_values_are_refused_as_the_user_has_them():
    case = ROUTES["many"]
    trainer, (X, y) = scaled(case, "float32", optimizer=ADAM), raw_batch(case)
    before = bits(trainer)
    for value, message in ((np.nan, "X has nan at row 5, column 2"), (1e39, "too large")):
        bad = X.copy()
        bad[5, 2] = value
        for call in (trainer.predict, lambda X: trainer.step(X, y)):
            with pytest.raises(ValueError, match=message):
                call(bad)
    assert bits(trainer) == before


def test_scaling_while_another_thread_trains_is_refused():
    import threading

    case = ROUTES["few"]
    trainer, (X, y) = case.trainer(), raw_batch(case)
    inside, done = threading.Event(), threading.Event()

    def batches():
        inside.set()
        done.wait(30)
        yield case.batch()

    worker = threading.Thread(target=trainer.fit_batches, args=(batches(),))
    worker.start()
    inside.wait(30)
    try:
        with pytest.raises(RuntimeError, match="in use by another thread"):
            trainer.net.standardize(X, y)
    finally:
        done.set()
        worker.join()
    trainer.net.standardize(X, y)
    assert core(trainer).arrays.spec.extended


def test_one_layer_and_one_of_everything():
    for sizes in ((1, 1), (1, 1, 1), (40, 1)):
        case = Case(sizes, 20)
        one, other = scaled(case), case.trainer()
        X, y = raw_batch(case)
        own = by_hand(one.net, X, y)
        assert one.step(X, y) == pytest.approx(other.step(*own), rel=1e-12)
        np.testing.assert_allclose(
            one.predict(X), raw_outputs(one.net, other.predict(own[0])), rtol=1e-9, atol=1e-12
        )
