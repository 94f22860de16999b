"""Training on derivatives: what users pass, what it means, and what is refused."""

from itertools import pairwise

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.training import lbfgs_search
from support.cases import Case, each_engine
from support.derivatives import KNOWN, rows_of
from support.features import softsign
from support.internals import core
from support.resumed_fits import Crash, Crasher, timeless
from support.trainers import bits, training_state

CASE = Case((3, 10, 8, 2), 24, ("tanh", "silu"))
X, Y = CASE.batch()
RNG = np.random.default_rng(6)
J = RNG.normal(size=(24, 2, 3))
V = RNG.normal(size=(24, 3))


def trainer_of(engine="numba", dtype="float64", **options):
    return CASE.trainer(dtype, engine, fastbp.Adam(lr=0.01), **options)


def jacobian_loss(trainer, **arguments):
    return trainer.evaluate(X, Y, **arguments)["jacobian_loss"]


# What it means


@each_engine
def test_derivatives_that_are_not_known_count_for_nothing(engine):
    trainer = trainer_of(engine)
    some = J.copy()
    some[:, 1, 2] = np.nan
    weight = np.ones((2, 3))
    weight[1, 2] = 0
    left_out = trainer.loss_and_gradients(X, Y, jacobian=some)
    weightless = trainer.loss_and_gradients(X, Y, jacobian=J, jacobian_weight=weight)
    assert left_out[0] == weightless[0]
    for one, other in zip(left_out[1], weightless[1], strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert jacobian_loss(trainer, jacobian=some) < jacobian_loss(trainer, jacobian=J)


@each_engine
def test_nothing_known_is_training_on_values(engine):
    trainer = trainer_of(engine)
    found = trainer.evaluate(X, Y, jacobian=np.full_like(J, np.nan))
    assert found["jacobian_loss"] == 0
    assert found["loss"] == pytest.approx(trainer.evaluate(X, Y)["loss"], rel=1e-14)


@each_engine
def test_weights_of_outputs_and_inputs(engine):
    trainer = trainer_of(engine)
    each = RNG.uniform(1, 2, (2, 3))
    parts = [
        jacobian_loss(trainer, jacobian=J, jacobian_weight=each * one.reshape(2, 3))
        for one in np.eye(6)
    ]
    whole = jacobian_loss(trainer, jacobian=J, jacobian_weight=each)
    assert whole == pytest.approx(sum(parts), rel=1e-12)
    one = jacobian_loss(trainer, jacobian=J)
    assert jacobian_loss(trainer, jacobian=J, jacobian_weight=3) == pytest.approx(3 * one)
    for narrow in (np.array([[1.0], [2.0]]), np.array([[1.0, 2.0, 3.0]])):
        found = jacobian_loss(trainer, jacobian=J, jacobian_weight=narrow)
        wide = np.broadcast_to(narrow, (2, 3))
        assert found == jacobian_loss(trainer, jacobian=J, jacobian_weight=wide)


@each_engine
def test_directions_along_an_axis_are_a_column_of_the_jacobian(engine):
    trainer = trainer_of(engine)
    axis = np.tile([0.0, 1.0, 0.0], (24, 1))
    along = jacobian_loss(trainer, jacobian=J[:, :, 1], directions=axis)
    column = jacobian_loss(trainer, jacobian=J, jacobian_weight=[[0, 1, 0]])
    assert along == pytest.approx(3 * column, rel=1e-12)  # the mean is over 3 inputs


@each_engine
def test_directions_are_products_with_the_jacobian(engine):
    trainer = trainer_of(engine)
    h = 2.0**-14
    exact = (trainer.predict(X + h * V) - trainer.predict(X - h * V)) / (2 * h)
    assert jacobian_loss(trainer, jacobian=exact, directions=V) < 1e-14
    moved = exact + np.array([0.5, 0])
    off = jacobian_loss(trainer, jacobian=moved, directions=V, jacobian_weight=[8, 1])
    assert off == pytest.approx(8 * 0.25 / 2, rel=1e-6)


@each_engine
@pytest.mark.parametrize("targets", [True, False], ids=["both", "inputs"])
@pytest.mark.parametrize("known", KNOWN, ids=KNOWN)
def test_derivatives_are_in_the_units_of_the_data(known, targets, engine):
    """A network that scales learns as another does from data and derivatives without units."""
    mean, scale = np.array([1.0, -2, 3]), np.array([0.5, 20, 3])
    y_mean, y_scale = (np.array([5.0, -1]), np.array([10, 0.25])) if targets else (0, np.ones(2))
    raw, plain = trainer_of(engine), trainer_of(engine)
    raw.net.set_scaling(
        input_mean=mean,
        input_scale=scale,
        **({"target_mean": y_mean, "target_scale": y_scale} if targets else {}),
    )
    arguments, units = KNOWN[known].of(CASE), {}
    if known == "directions":
        units = {"directions": arguments["directions"] * scale}
        units["jacobian"] = arguments["jacobian"] * y_scale
    else:
        units["jacobian"] = arguments["jacobian"] * y_scale[:, None] / scale
    raw_X, raw_Y = X * scale + mean, Y * y_scale + y_mean
    losses = [
        (raw.step(raw_X, raw_Y, **(arguments | units)), plain.step(X, Y, **arguments))
        for _ in range(3)
    ]
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-9)
    found, expected = (
        raw.evaluate(raw_X, raw_Y, **(arguments | units)),
        plain.evaluate(X, Y, **arguments),
    )
    assert found == pytest.approx(expected, rel=1e-9)


@each_engine
def test_rows_have_weights_in_both_losses(engine):
    trainer = trainer_of(engine)
    weights = RNG.uniform(0, 2, 24)
    weights[:12] = 0
    found = trainer.evaluate(X, Y, weights, jacobian=J)
    rows = slice(12, None)
    alone = trainer.evaluate(X[rows], Y[rows], weights[rows], jacobian=J[rows])
    assert found == pytest.approx(alone, rel=1e-12)
    loss = trainer.step(X, Y, weights / weights.mean(), jacobian=J)
    assert loss == pytest.approx(sum(found.values()), rel=1e-12)


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda a: a.astype(np.float32),
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.tolist(),
        lambda a: np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0),
    ],
    ids=["fortran", "float32", "strided", "negative", "lists", "rows last"],
)
@pytest.mark.parametrize("known", KNOWN, ids=KNOWN)
def test_layout_and_kind_of_arrays_change_nothing(known, view):
    arguments = {
        name: x if name == "jacobian_weight" else x.astype(np.float32).astype(np.float64)
        for name, x in KNOWN[known].of(CASE).items()
    }
    viewed = {n: x if n == "jacobian_weight" else view(x) for n, x in arguments.items()}
    one, other = trainer_of(), trainer_of()
    one.fit(X, Y, epochs=2, **arguments)
    other.fit(X, Y, epochs=2, **viewed)
    assert bits(one) == bits(other)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float16", "bool"])
def test_derivatives_of_any_real_dtype(dtype):
    whole = (np.arange(J.size).reshape(J.shape) % 2).astype(dtype)
    one, other = trainer_of(dtype="float32"), trainer_of(dtype="float32")
    one.step(X, Y, jacobian=whole)
    other.step(X, Y, jacobian=whole.astype(np.float64))
    assert bits(one) == bits(other)


@each_engine
def test_one_output_may_be_flat(engine):
    case = Case((3, 8, 1), 24, "tanh")
    x, y = case.batch()
    for arguments in (
        {"jacobian": J[:, :1]},
        {"jacobian": J[:, :1, 0], "directions": V},
    ):
        one, other = (case.trainer(engine=engine) for _ in range(2))
        flat = arguments | {"jacobian": arguments["jacobian"][:, 0]}
        assert one.step(x, y, **arguments) == other.step(x, y[:, 0], **flat)
        assert bits(one) == bits(other)


def test_sparse_rows_have_the_bits_of_dense_ones():
    sparse = pytest.importorskip("scipy.sparse")
    some = np.where(RNG.random(X.shape) < 0.3, X, 0)
    one, other = trainer_of(), trainer_of()
    one.fit(some, Y, epochs=2, jacobian=J)
    other.fit(sparse.csr_array(some), Y, epochs=2, jacobian=J)
    assert bits(one) == bits(other)


def test_derivatives_teach_a_function_from_few_rows():
    """Rosenbrock's, of 2 inputs, by 25 rows."""
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 5)] * 2), axis=-1).reshape(-1, 2)

    def rosenbrock(x):
        return (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2

    a, b = grid.T
    slopes = np.stack([2 * (a - 1) - 400 * a * (b - a * a), 200 * (b - a * a)], axis=1)
    unseen = RNG.uniform(-2, 2, (500, 2))
    errors = []
    for arguments in ({}, {"jacobian": slopes}):
        net = fastbp.Network([2, 24, 24, 1], activation="tanh", seed=0, dtype="float64")
        net.standardize(grid, rosenbrock(grid)[:, None])
        schedule = fastbp.schedules.Cosine(1000)
        trainer = fastbp.Trainer(
            net, loss="mse", optimizer=fastbp.Adam(lr=0.01), schedule=schedule, seed=0
        )
        trainer.fit(grid, rosenbrock(grid), epochs=1000, progress=False, **arguments)
        errors.append(np.std(net.predict(unseen)[:, 0] - rosenbrock(unseen)))
    assert errors[1] < errors[0] / 2


# Calls


@each_engine
def test_held_out_rows_have_their_derivatives(engine):
    history = trainer_of(engine).fit(X, Y, epochs=2, validation_fraction=0.25, jacobian=J)
    rows = np.arange(8)
    other = trainer_of(engine)
    known = {"jacobian": J, "jacobian_weight": 2.0}
    found = other.fit(X, Y, epochs=1, validation_rows=rows, **known)["val_jacobian_loss"]
    assert history.keys() >= {"val_loss", "val_jacobian_loss"}
    assert found == [jacobian_loss_of(other, rows)]
    data = (X[:8], Y[:8], None, J[:8])
    found = other.fit(X, Y, epochs=1, validation_data=data, **known)["val_jacobian_loss"]
    assert found == [jacobian_loss_of(other, rows)]


def jacobian_loss_of(trainer, rows):
    found = trainer.evaluate(X[rows], Y[rows], jacobian=J[rows], jacobian_weight=2.0)
    return found["jacobian_loss"]


def test_callbacks_can_follow_the_loss_of_derivatives():
    stopping = fastbp.EarlyStopping("val_jacobian_loss", patience=1, min_delta=1e9)
    history = trainer_of().fit(
        X, Y, epochs=20, validation_fraction=0.25, jacobian=J, callbacks=[stopping]
    )
    assert len(history["loss"]) < 20


@each_engine
@pytest.mark.parametrize("known", KNOWN, ids=KNOWN)
def test_a_resumed_fit_has_the_bits_of_one_that_was_not_interrupted(known, engine, tmp_path):
    arguments, path = KNOWN[known].of(CASE), tmp_path / "fit.ckpt"
    whole, part = (trainer_of(engine, "float32", batch_size=7) for _ in range(2))
    expected = whole.fit(X, Y, epochs=5, **arguments)
    kept = fastbp.ModelCheckpoint(path, every_updates=3)
    with pytest.raises(Crash):
        part.fit(X, Y, epochs=5, callbacks=[kept, Crasher(10)], **arguments)
    other = fastbp.Trainer.load(path)
    found = other.fit(X, Y, epochs=5, resume=path, callbacks=[kept, Crasher()], **arguments)
    assert timeless(found) == timeless(expected)
    assert training_state(other) == training_state(whole)
    for wrong in ({}, arguments | {"jacobian_weight": 3.0}):
        again = fastbp.Trainer.load(path)
        with pytest.raises(ValueError, match=r"(jacobian|directions).* was .* and is"):
            again.fit(X, Y, epochs=5, resume=path, callbacks=[kept, Crasher()], **wrong)


def test_lbfgs_takes_them():
    trainer = CASE.trainer(optimizer=fastbp.LBFGS())
    before = sum(trainer.evaluate(X, Y, jacobian=J).values())
    history = trainer.fit(X, Y, epochs=30, jacobian=J)
    after = sum(trainer.evaluate(X, Y, jacobian=J).values())
    assert history["loss"][-1] == pytest.approx(after, rel=1e-9)
    assert after < before
    assert all(one >= other for one, other in pairwise(history["loss"]))
    assert isinstance(trainer.outcome, lbfgs_search.Outcome)


def test_embed_has_no_derivatives():
    model = trainer_of().compiled()
    with pytest.raises(TypeError, match="jacobian"):
        embed.step(model, X, Y, jacobian=J)


def test_calls_with_and_without_derivatives_take_turns():
    """Each goes on from where the other has left off, as the twins do."""
    trainers = [trainer_of(engine) for engine in ("numba", "numpy")]
    for trainer in trainers:
        trainer.step(X, Y)
        trainer.step(X, Y, jacobian=J)
        trainer.step(X, Y, jacobian=J[:, :, 0], directions=V)
        trainer.fit(X, Y)
    one, other = (np.concatenate([w.ravel() for w in t.net.weights]) for t in trainers)
    np.testing.assert_allclose(one, other, rtol=1e-9)


# What is refused


def calls(trainer):
    return {
        "fit": trainer.fit,
        "step": trainer.step,
        "evaluate": trainer.evaluate,
        "loss_and_gradients": trainer.loss_and_gradients,
        "fit_batches": lambda x, y, jacobian=None, directions=None, **more: trainer.fit_batches(
            [(x, y, None, jacobian, directions)], **more
        ),
    }


CALLS = tuple(calls(trainer_of("numpy")))

with_inf = J.copy()
with_inf[5, 1, 2] = np.inf
too_large = J.copy()
too_large[4, 0, 1] = 1e300
v_with_nan = V.copy()
v_with_nan[3, 1] = np.nan

WRONG = {
    "rows last": (np.moveaxis(J, 0, -1), {}, "the rows come last.*moveaxis"),
    "inputs first": (np.swapaxes(J, 1, 2), {}, "np.swapaxes"),
    "fewer rows": (J[:-1], {}, r"shape \(23, 2, 3\), expected \(24, 2, 3\)"),
    "flat": (J[:, 0], {}, r"expected \(24, 2, 3\) \(rows, outputs, inputs\)"),
    "whole with directions": (J, {"directions": V}, r"expected \(24, 2\) .*J v"),
    "directions": (J[:, :, 0], {"directions": V[:, :2]}, "directions has shape"),
    "rows of directions": (J[:, :, 0], {"directions": V[:9]}, "directions has 9 rows, expected 24"),
    "infinite": (with_inf, {}, "jacobian has inf at row 5, output 1, input 2.*NaN for"),
    "direction": (J[:, :, 0], {"directions": v_with_nan}, "directions has nan at row 3, column 1"),
    "weights": (J, {"jacobian_weight": np.ones(3)}, r"shape \(3,\), expected one number or \(2, 3"),
    "negative weight": (J, {"jacobian_weight": -1}, "jacobian_weight has -1.0"),
    "no weight": (J, {"jacobian_weight": 0}, "is 0 for every derivative"),
    "nan weight": (J, {"jacobian_weight": np.nan}, "jacobian_weight has nan"),
}


@each_engine
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("jacobian", "more", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(jacobian, more, message, call, engine):
    trainer = trainer_of(engine)
    before = training_state(trainer)
    with pytest.raises(ValueError, match=message):
        calls(trainer)[call](X, Y, jacobian=jacobian, **more)
    assert training_state(trainer) == before


@each_engine
def test_numbers_too_large_for_the_dtype_are_refused(engine):
    with pytest.raises(ValueError, match=r"1e\+300 at row 4, output 0, input 1, .*too large"):
        trainer_of(engine, "float32").step(X, Y, jacobian=too_large)


@each_engine
def test_a_bad_target_is_named_beside_good_derivatives(engine):
    y = Y.copy()
    y[7, 1] = np.nan
    with pytest.raises(ValueError, match="y has nan at row 7, column 1"):
        trainer_of(engine).step(X, y, jacobian=J)


def test_wrong_dtypes_are_refused():
    with pytest.raises(TypeError, match="jacobian has dtype complex128"):
        trainer_of().step(X, Y, jacobian=J + 0j)
    with pytest.raises(TypeError, match="jacobian_weight has dtype <U"):
        trainer_of().step(X, Y, jacobian=J, jacobian_weight="all")


@pytest.mark.parametrize("call", [name for name in CALLS if name != "fit_batches"])
def test_weights_and_directions_need_derivatives(call):
    trainer = trainer_of()
    with pytest.raises(ValueError, match="directions is given, but jacobian is not"):
        calls(trainer)[call](X, Y, directions=V)
    with pytest.raises(ValueError, match="jacobian_weight is 2, but jacobian is not given"):
        calls(trainer)[call](X, Y, jacobian_weight=2)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu"])
def test_activations_that_are_not_smooth_are_refused(name):
    for case in (
        Case((3, 10, 8, 2), 24, ("tanh", name)),
        Case((3, 10, 8, 2), 24, "tanh", name),
    ):
        layer = 2 if case.output != name else 3
        with pytest.raises(ValueError, match=f"layer {layer} has activation '{name}'.*jumps.*tanh"):
            case.trainer().fit(X, Y, jacobian=J)


def test_other_functions_and_losses_are_refused():
    with pytest.raises(ValueError, match=r"'softsign', your own function"):
        Case((3, 10, 8, 2), 24, softsign).trainer().step(X, Y, jacobian=J)
    with pytest.raises(ValueError, match=r"gaussian_nll.*are not y alone"):
        Case((3, 10, 2), 24, "tanh", loss="gaussian_nll").trainer().step(X, Y[:, :1], jacobian=J)


def test_a_batch_that_is_refused_brings_the_epoch_back():
    trainer = trainer_of(batch_size=4)
    trainer.fit(X, Y, jacobian=J)
    before = bits(trainer)
    with pytest.raises(ValueError, match="jacobian has inf") as caught:
        trainer.fit(X, Y, epochs=2, jacobian=with_inf)
    assert "end of the epoch before" in str(caught.value.__notes__)
    assert bits(trainer) == before


def test_rows_are_parts_of_their_whole():
    """What fits a batch fits its rows."""
    arguments = rows_of(KNOWN["jacobian"].of(CASE), slice(3, 9))
    trainer = trainer_of()
    core(trainer).workers = 2
    assert np.isfinite(trainer.step(X[3:9], Y[3:9], **arguments))
