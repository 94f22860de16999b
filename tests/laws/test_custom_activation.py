"""An activation of the user's own: called by its address, as fast kernels know nothing of it."""

import copy
import math
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from numba import njit
from numba.core import event

import fastbp
from fastbp.components import losses
from support.cases import Case, each_dtype, each_engine, flat, with_pair
from support.central_differences import Probe
from support.closeness import AMPLIFICATION, assert_layers_close, distance, layers_of, tolerance
from support.embed_ways import each_way
from support.features import softsign
from support.internals import core
from support.nan_weights import check_nan
from support.trainers import bits

MANY, FEW, ONE, WIDE = (
    Case((7, 19, 33, 3), 21),
    Case((7, 19, 33, 3), 3),
    Case((7, 19, 33, 3), 1),
    Case((200, 500, 510, 5), 17),
)
ROUTES = {"many": MANY, "few": FEW, "one": ONE, "wide": WIDE}
each_route = pytest.mark.parametrize("case", ROUTES.values(), ids=ROUTES)
ADAM = fastbp.Adam(lr=0.01, eps=1e-4)


@njit
def relu(z):
    if z > 0:  # which is not so for NaN
        return z, 1.0
    return 0.0, 0.0


@njit
def tanh(z):
    a = math.tanh(z)
    return a, 1 - a * a


@njit
def gelu(z):
    p = 0.5 * (1 + math.erf(z / math.sqrt(2)))
    return z * p, p + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


OWN = {f.__name__: f for f in (relu, tanh, gelu)}
each_own = pytest.mark.parametrize("name", OWN)


def pair(case, name, dtype, output="identity", **options):
    """A trainer with an activation of that name, and one with the own function, alike."""
    outputs = (output, OWN.get(output, output))
    trainers = [
        replace(case, hidden=hidden, output=out).trainer(dtype, optimizer=ADAM, **options)
        for hidden, out in zip((name, OWN[name]), outputs, strict=True)
    ]
    known, own = trainers
    own.net.set_parameters(known.net.weights, known.net.biases)
    return known, own


# Law 2


@pytest.mark.slow("float64")
@pytest.mark.law2
@each_dtype
@pytest.mark.parametrize("output", ["identity", "tanh"])
@each_own
@each_route
def test_an_own_activation_is_the_one_of_its_name(case, name, output, dtype):
    """Formulas differ by some ULP of a; products then add their own roundings (tolerance)."""
    known, own = pair(case, name, dtype, output)
    allowed = 8 * tolerance(case, dtype)
    (X, y), (expected, gradients) = case.batch(), known.loss_and_gradients(*case.batch())
    assert distance(own.predict(X), known.predict(X)) <= allowed
    loss, found = own.loss_and_gradients(X, y)
    assert loss == pytest.approx(expected, rel=allowed)
    assert_layers_close(found, gradients, allowed)
    for seed in range(3):
        batch = case.batch(seed)
        assert own.step(*batch) == pytest.approx(known.step(*batch), rel=AMPLIFICATION * allowed)
    assert own.evaluate(X, y) == pytest.approx(known.evaluate(X, y), rel=AMPLIFICATION * allowed)


@pytest.mark.law2
@each_dtype
@each_route
def test_an_own_relu_has_the_bits_of_relu(case, dtype):
    known, own = pair(case, "relu", dtype)
    for seed in range(3):
        assert own.step(*case.batch(seed)) == known.step(*case.batch(seed))
    assert bits(own) == bits(known)


@pytest.mark.law2
@each_dtype
@pytest.mark.parametrize("kinds", [{}, {"layer_norm": True, "residual": True}], ids=["", "layers"])
@each_route
def test_engines_agree(case, kinds, dtype):
    case = replace(case, hidden=(softsign, gelu), output=softsign, **kinds)
    if kinds:
        case = replace(case, sizes=(*case.sizes[:2], *case.sizes[1:2], case.sizes[-1]))
    compiled, twin = (case.trainer(dtype, e, ADAM, dropout=0.3) for e in ("numba", "numpy"))
    allowed = AMPLIFICATION * tolerance(case, dtype)
    X, y = case.batch()
    assert distance(compiled.predict(X), twin.predict(X)) <= allowed
    for seed in range(3):
        batch = case.batch(seed)
        assert compiled.step(*batch) == pytest.approx(twin.step(*batch), rel=allowed)
    assert_layers_close(layers_of(compiled), layers_of(twin), allowed)
    assert compiled.evaluate(X, y) == pytest.approx(twin.evaluate(X, y), rel=allowed)


# Law 1

ANY = [name for name, loss in losses.LOSSES.items() if len(loss.outputs) > 2]


@pytest.mark.law1
@pytest.mark.parametrize("loss", ANY)
@pytest.mark.parametrize("own", [softsign, tanh, gelu], ids=["softsign", "tanh", "gelu"])
def test_gradients_equal_central_differences(own, loss):
    Probe(with_pair(Case((3, 19, 5, 3), 7), own, (loss, own))).check()


# Law 4


@pytest.mark.law4
@each_route
def test_the_bits_do_not_depend_on_the_threads(case):
    case, found = replace(case, hidden=(gelu, softsign), output=tanh), []
    for workers in (1, 2, 3):
        trainer = case.trainer("float32", optimizer=ADAM)
        core(trainer).workers = workers
        losses = [trainer.step(*case.batch(seed)) for seed in range(2)]
        found.append((losses, bits(trainer), trainer.predict(case.batch()[0]).tobytes()))
    assert found[0] == found[1] == found[2]


# Law 6


def train_and_predict(trainer, case):
    X, y = case.batch()
    trainer.step(X, y)
    trainer.predict(X)
    trainer.net.predict(X)


@pytest.mark.law6
def test_another_one_compiles_no_kernel():
    def another(z):
        return softsign(z)

    first, other = (
        [(replace(c, hidden=kind, output=kind).trainer(), c) for c in (MANY, FEW)]
        for kind in (tanh, njit(another))
    )
    for trainer, case in first:
        train_and_predict(trainer, case)
    with event.install_recorder("numba:compiler_lock") as recorder:
        for trainer, case in other:
            train_and_predict(trainer, case)
    assert not recorder.buffer


# Law 9


@pytest.mark.law9
@each_engine
@pytest.mark.parametrize("rows", [7, 21])
def test_nan_in_a_weight_reaches_the_loss(rows, engine):
    check_nan(Case((3, 19, 5, 3), rows, relu, relu), "float32", engine)


# Other ways in


@each_dtype
@each_way
@pytest.mark.parametrize("case", [MANY, FEW, ONE], ids=["many", "few", "one"])
def test_an_embedded_model_is_the_trainer(case, way, dtype):
    case = replace(case, hidden=gelu, output=softsign)
    one, other = (case.trainer(dtype, optimizer=ADAM) for _ in range(2))
    model, (X, y) = one.compiled(), (a.astype(dtype) for a in case.batch())
    p, gradient = np.empty_like(y), np.empty(one.net.n_parameters, dtype)
    for _ in range(2):
        way.predict(model, X, p)
        np.testing.assert_array_equal(p, other.predict(X))
        loss, gradients = other.loss_and_gradients(X, y)
        assert way.gradients(model, X, y, gradient) == loss
        np.testing.assert_array_equal(gradient, flat(gradients))
        assert way.step(model, X, y) == other.step(X, y)
        assert bits(one) == bits(other)


@pytest.mark.parametrize("case", [MANY, FEW], ids=["many", "few"])
def test_input_gradients_go_through_it(case):
    known, own = pair(case, "gelu", "float64", "tanh")
    X, v = case.batch()
    expected, found = np.empty_like(X), np.empty_like(X)
    for trainer, out in ((known, expected), (own, found)):
        fastbp.embed.input_gradient(trainer.compiled(), X, v, out)
    assert distance(found, expected) <= 8 * tolerance(case, "float64")


@each_engine
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_alike(copied, engine):
    case = replace(MANY, hidden=("relu", softsign), output=tanh)
    original = case.trainer("float32", engine, ADAM)
    original.step(*case.batch())
    twin = copied(original)
    original.step(*case.batch())
    assert bits(twin) != bits(original)
    twin.step(*case.batch())
    assert bits(twin) == bits(original)
    assert twin.net.custom_activations[1:] == (softsign, tanh)


def test_a_network_knows_its_functions():
    net = fastbp.Network([3, 4, 4, 2], ["silu", softsign], tanh)
    assert net.activations == ("silu", "softsign", "tanh")
    assert net.output == "tanh"
    assert net.custom_activations == (None, softsign, tanh)
    assert fastbp.Network([3, 2]).custom_activations == (None,)


def test_weights_start_as_those_of_no_rectifier():
    own, known = (fastbp.Network([3, 4, 2], hidden, seed=0) for hidden in (relu, "tanh"))
    np.testing.assert_array_equal(own.weights[0], known.weights[0])


# Where there is no number


@njit
def raising(z):
    if z > 50:
        raise ValueError("too large")
    return z, 1.0


@njit
def root(z):
    """1 at z = 5, where it is vertical."""
    return 1 + np.cbrt(z - 5), np.divide(1.0, 3 * np.cbrt(z - 5) ** 2)


BEYOND = {"raises": (raising, 100.0), "vertical": (root, 5.0)}
each_beyond = pytest.mark.parametrize(("own", "z"), BEYOND.values(), ids=BEYOND)


@each_engine
@each_beyond
@pytest.mark.parametrize("rows", [21, 2])
@pytest.mark.parametrize("layer", ["hidden", "output"])
def test_where_there_is_no_number_is_no_update(layer, rows, own, z, engine):
    case = replace(Case((1, 1, 1), rows, "identity"), **{layer: own})
    trainer = case.trainer(engine=engine)
    trainer.net.set_parameters([[[1.0]], [[1.0]]], [[0.0], [0.0]])
    X, y = np.ones((rows, 1)), np.ones((rows, 1))
    assert np.isfinite(trainer.loss_and_gradients(X, y)[0])
    X[-1] = z
    before = bits(trainer)
    with pytest.raises(FloatingPointError):
        trainer.step(X, y)
    assert bits(trainer) == before
    assert np.isnan(trainer.predict(X)[-1])


@each_beyond
@pytest.mark.parametrize("rows", [21, 2, 1])
def test_it_meets_no_row_that_does_not_exist(rows, own, z):
    """z is 1 for each row, but would be where there is no number if X were 0."""
    case = Case((1, 3, 1), rows, own)
    trainer = case.trainer()
    biases = [np.full(3, z), trainer.net.biases[1]]
    trainer.net.set_parameters([np.full((1, 3), 1 - z), trainer.net.weights[1]], biases)
    X, y = np.ones((rows, 1)), np.ones((rows, 1))
    assert np.isfinite(trainer.predict(X)).all()
    assert np.isfinite(trainer.step(X, y))
    assert np.isfinite(flat(layers_of(trainer))).all()


# Bad input


@njit
def wrong(z):
    return z * z, z


@njit
def unbounded(z):
    return math.sqrt(abs(z)), np.divide(0.5 * np.sign(z), math.sqrt(abs(z)))


@njit
def two_arguments(z, a):
    return z, a


@njit
def one_number(z):
    return z


@njit
def three_numbers(z):
    return z, z, z


@njit
def row(z):
    return np.array([z]), np.array([1.0])


@njit
def failing(z):
    if z < 0:
        raise ValueError("negative")
    return z, 1.0


@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        (wrong, ValueError, r"activation 'wrong' returned da/dz = .* where central differences"),
        (
            unbounded,
            ValueError,
            r"activation 'unbounded' returned .* at z = 0: both must be finite",
        ),
        (two_arguments, TypeError, "argument"),
        (one_number, TypeError, r"'one_number' returned 0.0 at z = 0, expected two numbers"),
        (three_numbers, TypeError, r"returned \(0.0, 0.0, 0.0\) at z = 0, expected two numbers"),
        (row, TypeError, "expected two numbers"),
        (failing, ValueError, "negative"),
        (softsign.py_func, TypeError, r"it must be one of 'identity'.* numba.njit has compiled"),
        (math.tanh, TypeError, "numba.njit has compiled"),
        (3, TypeError, "is 3, of type int"),
    ],
)
def test_a_wrong_one_is_refused(own, error, message):
    for options in ({"activation": own}, {"activation": ["relu", own]}, {"output": own}):
        with pytest.raises(error, match=message) as caught:
            fastbp.Network([3, 4, 4, 2], **options)
        if own in (two_arguments, failing):
            told = [str(caught.value), *getattr(caught.value, "__notes__", ())]
            assert re.search(r"must be an njit .*f\(z\) -> \(a, da/dz\)", told[-1])


@pytest.mark.parametrize("loss", [name for name in losses.LOSSES if name not in ANY])
def test_a_loss_that_needs_a_certain_output_refuses_it(loss):
    own = njit(lambda z: (z, 1.0))
    own.__name__ = losses.LOSSES[loss].outputs[0]  # which is not what it is
    net = fastbp.Network([3, 4, 2], output=own)
    with pytest.raises(ValueError, match=f"loss '{loss}' needs output=.*, and the network has"):
        fastbp.Trainer(net, loss=loss, optimizer=ADAM)


@pytest.mark.slow
def test_an_own_loss_goes_with_it():
    @njit
    def squares(p, y, dloss_dp):
        dloss_dp[:] = 2 * (p - y)
        return ((p - y) ** 2).sum()

    case = replace(MANY, hidden=softsign, output=tanh)
    known = case.trainer()
    own = fastbp.Trainer(known.net, loss=squares, optimizer=ADAM, batch_size=case.rows)
    _, gradients = own.loss_and_gradients(*case.batch())
    _, expected = known.loss_and_gradients(*case.batch())
    thrice = [tuple(3 * part for part in layer) for layer in expected]
    assert_layers_close(gradients, thrice, tolerance(case, "float64"))
