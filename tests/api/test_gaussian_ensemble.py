"""An ensemble of means and variances: its deviation, the two parts of it, and its file."""

import numpy as np
import pytest

import fastbp
from fastbp.storage import model_file
from support.cases import each_dtype

ROWS = np.random.default_rng(0).normal(2, 3, (37, 5))
COUNT, TARGETS = 4, 3


def networks(count=COUNT, dtype="float32", scale=1.0, outputs=2 * TARGETS):
    """Networks that scale their targets by ``scale``, and predict variances of that size."""
    nets = [
        fastbp.Network([5, 8 + seed, outputs], "tanh", seed=seed, dtype=dtype)
        for seed in range(count)
    ]
    for net in nets:
        net.set_scaling(target_mean=[0.0] * TARGETS, target_scale=scale)
    return nets


def gaussian(nets):
    return fastbp.Ensemble(nets, likelihood="gaussian")


def parts_of(nets, X):
    """(means, variances), each (networks, rows, targets), float64."""
    outputs = np.array([net.predict(X) for net in nets], "float64")
    return outputs[..., :TARGETS], np.exp(outputs[..., TARGETS:])


@each_dtype
@pytest.mark.parametrize("scale", [1.0, 1e15, 1e-25])
def test_the_deviation_is_that_of_the_mixture(scale, dtype):
    """Of any unit: the squares of 1e-25 and of 1e20 are none in float32."""
    nets = networks(dtype=dtype, scale=scale)
    means, variances = parts_of(nets, ROWS)
    found = gaussian(nets).predict_uncertainty(ROWS)
    assert all(part.shape == (37, TARGETS) for part in found)
    assert all(part.dtype == dtype for part in found)
    # Each of the COUNT - 1 steps of the mean rounds three times, so that a deviation from it is off
    # by as much, and is rounded once more.
    bound = 8 * COUNT * np.finfo(dtype).eps * max(np.abs(means).max(), scale)
    close = {"rtol": 4 * np.finfo(dtype).eps, "atol": bound}
    np.testing.assert_allclose(found.mean, means.mean(0), **close)
    np.testing.assert_allclose(found.epistemic, means.std(0), **close)
    np.testing.assert_allclose(found.aleatoric, np.sqrt(variances.mean(0)), **close)
    of_mixture = (variances + means**2).mean(0) - means.mean(0) ** 2
    np.testing.assert_allclose(found.std, np.sqrt(of_mixture), rtol=1e-5, atol=bound)


def test_predict_returns_the_mean_and_the_deviation_of_it_all():
    ensemble = gaussian(networks())
    found = ensemble.predict_uncertainty(ROWS)
    mean, std = ensemble.predict(ROWS, return_std=True)
    assert np.array_equal(mean, found.mean)
    assert np.array_equal(std, found.std)
    assert np.array_equal(ensemble.predict(ROWS), mean)
    out = np.zeros((37, TARGETS), "float32")
    assert ensemble.predict(ROWS, out) is out
    assert np.array_equal(out, mean)
    with pytest.raises(ValueError, match=r"out has shape \(37, 6\)"):
        ensemble.predict(ROWS, np.zeros((37, 6), "float32"))


def test_one_network_has_its_own_deviation_and_agrees_with_itself():
    (net,) = networks(1)
    found = gaussian([net]).predict_uncertainty(ROWS)
    m, s = np.split(net.predict(ROWS), 2, axis=1)
    assert np.array_equal(found.mean, m)
    np.testing.assert_allclose(found.std, np.exp(s / 2), rtol=1e-6)
    assert not found.epistemic.any()


def test_networks_learn_the_noise_and_disagree_where_there_were_no_rows():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-3, -1, (300, 1)), rng.uniform(1, 3, (300, 1))])
    y = np.sin(x) + 0.1 * rng.normal(size=x.shape)
    nets = []
    for seed in range(5):
        nets.append(fastbp.Network([1, 32, 2], activation="relu", seed=seed))
        nets[-1].standardize(x, y)
        loss, adam = fastbp.BetaNLL(), fastbp.Adam(0.01)
        trainer = fastbp.Trainer(nets[-1], loss=loss, optimizer=adam, batch_size=60, seed=seed)
        trainer.fit(x, y, 200)
    ensemble = gaussian(nets)
    near, far = (ensemble.predict_uncertainty(np.array(at)) for at in ([[-2.0]], [[9.0]]))
    assert near.aleatoric[0, 0] == pytest.approx(0.1, rel=0.3)
    assert near.epistemic[0, 0] < 0.05
    assert far.epistemic[0, 0] > 3 * near.epistemic[0, 0]
    found = fastbp.calibration.scores(y, *ensemble.predict(x, return_std=True))
    assert 0.9 < found["picp"] < 1
    assert 0.8 < found["spread_skill_ratio"] < 1.25


def test_repr_and_attributes_tell_the_likelihood():
    ensemble = gaussian(networks())
    assert "6 outputs>, likelihood='gaussian')" in repr(ensemble)
    assert (ensemble.likelihood, ensemble.n_targets) == ("gaussian", 3)
    plain = fastbp.Ensemble(networks())
    assert (plain.likelihood, plain.n_targets) == (None, 6)
    with pytest.raises(AttributeError, match="make a new Ensemble"):
        plain.likelihood = "gaussian"


def test_a_file_keeps_the_likelihood(tmp_path):
    path, ensemble = tmp_path / "ensemble.safetensors", gaussian(networks())
    ensemble.save(path)
    loaded = fastbp.Ensemble.load(path)
    assert loaded.likelihood == "gaussian"
    expected = ensemble.predict(ROWS, return_std=True)
    assert np.array_equal(loaded.predict(ROWS, return_std=True), expected)
    fastbp.Ensemble(networks()).save(path)
    assert fastbp.Ensemble.load(path).likelihood is None
    assert list(model_file.read(path, "ensemble")[0]) == ["members"]  # as older versions wrote it


@pytest.mark.parametrize(
    ("written", "match"),
    [
        (7, "'likelihood' is 7"),
        (None, "'likelihood' is None"),
        ("poisson", "likelihood is 'poisson'"),
    ],
)
def test_another_likelihood_in_a_file_is_refused(tmp_path, written, match):
    path = tmp_path / "ensemble.safetensors"
    gaussian(networks()).save(path)
    meta, tensors = model_file.read(path, "ensemble")
    model_file.write(path, "ensemble", meta | {"likelihood": written}, tensors)
    with pytest.raises(ValueError, match=match):
        fastbp.Ensemble.load(path)


@pytest.mark.parametrize(
    ("nets", "match"),
    [
        ([fastbp.Network([5, 3])], "the networks have 3 outputs of activation identity"),
        ([fastbp.Network([5, 4], output="tanh")], "4 outputs of activation tanh"),
    ],
    ids=["odd", "activation"],
)
def test_networks_without_variances_are_refused(nets, match):
    with pytest.raises(ValueError, match=f"likelihood is 'gaussian', but .*{match}"):
        gaussian(nets)


def test_networks_that_scale_their_variances_are_refused():
    nets = networks()
    nets[2].set_scaling(target_scale=[2.0] * 6)
    with pytest.raises(ValueError, match=r"but nets\[2\] scales 6 targets and has 6 outputs"):
        gaussian(nets)


def test_other_likelihoods_are_refused():
    with pytest.raises(ValueError, match=r"likelihood is 'normal', .* one of 'gaussian'"):
        fastbp.Ensemble(networks(), likelihood="normal")
    with pytest.raises(TypeError, match="likelihood is True"):
        fastbp.Ensemble(networks(), likelihood=True)


def test_an_ensemble_without_variances_says_how_to_get_them():
    with pytest.raises(ValueError, match=r"no likelihood, .*BetaNLL"):
        fastbp.Ensemble(networks()).predict_uncertainty(ROWS)
