"""``embed.copy``: target networks. And models that are globals, which Numba would freeze."""

import copy

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import fastbp
from fastbp import embed
from support.internals import core


@njit
def njit_copy(a, b, tau):
    embed.copy(a, b, tau)


@njit
def njit_copy_all(a, b):
    embed.copy(a, b)


@njit
def njit_copy_by_name(a, b, tau):
    embed.copy(b=b, a=a, tau=tau)


each_way = pytest.mark.parametrize(
    "move", [embed.copy, njit_copy, njit_copy_by_name], ids=["Python", "njit", "by name"]
)
KINDS = {
    "plain": {},
    "extended": {"layer_norm": True, "residual": True},
    "scaled": {"scaled": True},
}


def trainer(seed, dtype="float32", sizes=(5, 9, 9, 2), scaled=False, **kinds):
    net = fastbp.Network(sizes, "tanh", seed=seed, dtype=dtype, **kinds)
    if scaled:
        net.set_scaling(input_mean=1.0, input_scale=2.0, target_mean=3.0)
    optimizer = fastbp.Adam(lr=0.01)
    return fastbp.Trainer(net, loss="mse", optimizer=optimizer, batch_size=4 + seed)


def parameters(net):
    return [*net.weights, *net.biases, *net.gains, *net.shifts]


@each_way
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kinds", KINDS.values(), ids=KINDS)
def test_it_moves_by_tau(move, dtype, kinds):
    one, other = (trainer(seed, dtype, **kinds) for seed in (0, 1))
    X = np.ones((3, 5), dtype)
    other.step(X, X[:, :2])
    before, kept = copy.deepcopy(other), core(other).arrays.moments.copy()
    move(one.compiled(), other.compiled(), 0.25)
    triples = zip(*(parameters(t.net) for t in (one, before, other)), strict=True)
    for a, b, found in triples:
        exact = 0.75 * b.astype("float64") + 0.25 * a.astype("float64")
        np.testing.assert_array_equal(found, exact.astype(dtype))
    move(one.compiled(), other.compiled(), 1)
    assert other.net.allclose(one.net, 0, 0)
    np.testing.assert_array_equal(other.predict(X), one.predict(X))
    np.testing.assert_array_equal(core(other).arrays.moments, kept)
    assert (other.updates, one.updates) == (1, 0)


def test_tau_is_one_by_default():
    for move in (embed.copy, njit_copy_all):
        one, other = trainer(0), trainer(1)
        move(one.compiled(), other.compiled())
        assert other.net.allclose(one.net, 0, 0)


def test_tau_zero_and_a_copy_to_itself_change_nothing():
    one, other = trainer(0), trainer(1)
    before = [copy.deepcopy(t.net) for t in (one, other)]
    embed.copy(one.compiled(), other.compiled(), 0)
    embed.copy(one.compiled(), one.compiled(), 1)
    assert one.net.allclose(before[0], 0, 0)
    assert other.net.allclose(before[1], 0, 0)


@each_way
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"sizes": (5, 9, 2)}, "other sizes"),
        ({"sizes": (5, 9, 8, 2)}, "other sizes"),
        ({"layer_norm": True}, "another layer_norm"),
        ({"scaled": True}, "scale differently"),
    ],
)
def test_other_networks_are_refused(move, other, message):
    for a, b in (({}, other), (other, {})):
        one, two = trainer(0, **a), trainer(1, **b)
        before = copy.deepcopy(two.net)
        with pytest.raises(ValueError, match=message):
            move(one.compiled(), two.compiled(), 0.5)
        assert two.net.allclose(before, 0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scales_of_other_values_are_refused(dtype):
    one, two = trainer(0, dtype, scaled=True), trainer(1, dtype, scaled=True)
    embed.copy(one.compiled(), two.compiled())
    for change in ({"input_mean": [1, 1, 1, 1, 1.5]}, {"target_mean": [3, 2]}):
        values = {"input_mean": 1.0, "input_scale": 2.0, "target_mean": 3.0} | change
        two.net.set_scaling(**values)
        with pytest.raises(ValueError, match="scale differently"):
            embed.copy(one.compiled(), two.compiled())


@each_way
@pytest.mark.parametrize("tau", [-0.1, 1.1, np.nan, np.inf])
def test_tau_is_a_share(move, tau):
    one, two = trainer(0), trainer(1)
    with pytest.raises(ValueError, match=r"tau is not in \[0, 1\]"):
        move(one.compiled(), two.compiled(), tau)


@each_way
def test_other_types_are_refused(move):
    one, two = trainer(0).compiled(), trainer(1, "float64").compiled()
    with pytest.raises(TypingError, match="b is of float64, expected a model of float32"):
        move(one, two, 1.0)
    with pytest.raises(TypingError, match="tau is "):
        move(one, one, np.ones(2))
    with pytest.raises(TypingError, match=r"a is .* expected what trainer\.compiled"):
        move(np.ones(3), one, 1.0)


@each_way
def test_models_older_than_a_scaling_are_refused(move):
    old, new = trainer(0), trainer(1)
    models = old.compiled(), new.compiled()
    old.net.set_scaling(input_mean=1.0)
    for a, b in (models, models[::-1]):
        with pytest.raises(ValueError, match="older than its network's scaling"):
            move(a, b, 1.0)


def test_a_copied_header_is_refused():
    model = trainer(0).compiled()
    for short in (model.header[:5].copy(), model.header.copy()):
        broken = model._replace(header=short)
        for a, b in ((model, broken), (broken, model)):
            with pytest.raises(ValueError, match="model is a copy"):
                embed.copy(a, b)


def test_a_global_model_is_refused_with_the_remedy():
    enclosed = trainer(0).compiled()
    several = (enclosed, enclosed)

    @njit
    def of_one(X, out):
        embed.predict(enclosed, X, out)

    @njit
    def of_several(X, out):
        embed.predict(several[0], X, out)

    X, out = np.ones((1, 5), "float32"), np.ones((1, 2), "float32")
    for function in (of_one, of_several):
        with pytest.raises(TypingError, match="pass it as an argument: globals are frozen when"):
            function(X, out)
