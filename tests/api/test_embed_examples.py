"""The loops of scripts/examples that train and predict inside njit code."""

import numpy as np
import pytest

import fastbp
from support.examples import EXAMPLES, load

cart_pole = load("cart_pole")
surrogate = load("surrogate")
reinforce = load("reinforce")
flame = load("flame")
active_learning = load("active_learning")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_pole_stands_once_the_model_has_learned_the_motor(seed):
    models = (cart_pole.new_trainer(seed).compiled() for _ in range(2))
    rngs = (np.random.default_rng(seed) for _ in range(2))
    falls, loss = cart_pole.control(next(models), 20_000, next(rngs))
    without, _ = cart_pole.control(next(models), 20_000, next(rngs), False)
    assert falls[1:5].sum() <= 1
    assert falls[7:].sum() <= 1
    assert without.sum() > 100
    assert loss < 1e-2


def test_the_peer_in_numpy_is_the_same_model():
    trainer = cart_pole.new_trainer()
    peer, rng = cart_pole.NumpyModel(trainer.net), np.random.default_rng(0)
    for _ in range(20):
        row, y = (rng.normal(size=n).astype(np.float32) for n in (5, 4))
        assert peer.step(row, y) == pytest.approx(trainer.step(row[None], y[None]), rel=1e-4)
    p = trainer.predict(row[None])[0]
    np.testing.assert_allclose(peer.predict(row), p, atol=1e-5)
    assert cart_pole.control_from_python(peer, 100, rng) < 10


@pytest.mark.slow
def test_the_surrogates_trajectory_is_near_the_true_one():
    trainer, error = surrogate.train()
    assert error < 0.01
    distance, size = surrogate.trajectory_error(trainer.compiled())
    assert distance < 0.1 * size


@pytest.mark.slow
def test_the_return_rises():
    for seed in range(3):
        returns = reinforce.learn(
            reinforce.new_trainer(seed).compiled(), 60, np.random.default_rng(seed)
        )
        assert returns[:5].mean() < 60
        assert returns[-10:].mean() > 150


@pytest.mark.slow
def test_disagreement_finds_the_front_with_fewer_runs():
    found = {
        way: np.mean([active_learning.run(way, seed)[1] for seed in range(2)], axis=0)
        for way in ("random", "disagreement")
    }
    assert found["disagreement"][-1] < 0.9 * found["random"][-1]


@pytest.mark.parametrize(
    "name", ["cart_pole", "surrogate", "flame", "reinforce", "active_learning"]
)
def test_a_simulation_draws_its_picture(name, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(EXAMPLES)
    path = tmp_path / "new" / f"{name}.png"
    if name == "cart_pole":
        cart_pole.draw({learns: np.arange(10) for learns in (False, True)}, path)
    elif name == "surrogate":
        net = fastbp.Network([2, 4, 1], seed=0)
        trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1))
        surrogate.draw(trainer.compiled(), path)
    elif name == "flame":
        states = [np.zeros((flame.CELLS, 1))] * 4
        monkeypatch.setattr(flame, "burn", lambda *_: (states, 1.0, np.ones(1)))
        flame.draw(None, path)
    elif name == "reinforce":
        reinforce.draw(path, seeds=1, updates=1)
    else:
        errors = np.ones((2, 3))
        found = {way: (np.zeros((60, 2)), errors) for way in active_learning.WAYS}
        active_learning.draw(found, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size < 60_000


def test_every_picture_of_the_gallery_is_small():
    pictures = list((EXAMPLES / "pictures").glob("*.png"))
    assert len(pictures) > 3
    assert all(picture.stat().st_size < 60_000 for picture in pictures)


def test_the_flame_burns_as_with_the_true_rate(capsys, monkeypatch):
    net, (of_rate, of_slope) = flame.train()
    assert of_rate < 0.01
    assert of_slope < 0.1
    model = flame.compiled(net)
    (true, _, _), (found, iterations, changes) = (
        flame.burn(model, exact) for exact in (True, False)
    )
    # An error of the rate where nothing burns yet heats the gas, which grows like exp(k t) with the
    # slope k there; a flame is faster or slower by a share that is of the size of this heat.
    k, end = flame.rate_slope(0.0), 20
    heat = of_rate * np.expm1(k * end) / k
    assert abs(found[-1][-1, 0] - true[-1][-1, 0]) < heat + 0.01
    assert abs(flame.speed(found) - flame.speed(true)) < heat * flame.speed(true)
    assert iterations < 5
    assert changes[-1] < flame.TOLERANCE
    rounding = flame.CELLS * np.finfo(float).eps
    assert np.all(changes[1:] < changes[:-1] ** 2 + rounding)  # as only exact derivatives make them
    assert max(np.abs(a - b).max() for a, b in zip(true, found, strict=True)) < 0.1
    monkeypatch.setattr("sys.argv", ["flame.py"])
    flame.main()
    assert "Newton iterations a step" in capsys.readouterr().out


def test_the_flames_derivative_is_its_rates():
    u, h = np.linspace(0, 1, 21), 1e-6
    difference = (flame.rate(u + h) - flame.rate(u - h)) / (2 * h)
    np.testing.assert_allclose(flame.rate_slope(u), difference, atol=1e-8)
