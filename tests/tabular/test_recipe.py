"""The recipe: its schedule, its first weights, its learning rates."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from fastbp.tabular.recipe import CLASSES, NUMBERS, Task, cycles, recipe_of
from fastbp.tabular.rows import mean_square


def test_the_schedule_is_four_cycles_that_become_longer():
    factors = np.array(cycles(1500).factors)
    t = np.arange(1500) / 1500
    expected = 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))
    np.testing.assert_allclose(factors, expected, atol=1e-12)
    # log2(1 + 15 t) is 0, 1, 2, 3 where t is 0, 1/15, 3/15, 7/15.
    assert factors[[0, 100, 300, 700]] == pytest.approx([0, 0, 0, 0], abs=1e-12)
    peaks = (factors[1:-1] > factors[:-2]) & (factors[1:-1] > factors[2:])
    assert peaks.sum() == 4


@pytest.mark.parametrize("goal", [CLASSES, NUMBERS], ids=["classes", "numbers"])
@pytest.mark.parametrize("columns", [10, 400])
def test_the_first_layer_has_the_variance_of_ntk(goal, columns):
    """1 from the weights, for one-hot rows as for numbers, and 1 from the biases."""
    rng = np.random.default_rng(0)
    hot = np.eye(columns, dtype=np.float32)[rng.integers(0, columns, 500)]
    X = np.hstack([rng.normal(size=(500, 4)).astype(np.float32), hot])
    recipe = recipe_of("fast", goal, 500)
    net = recipe.network(Task(X.shape[1], 3, mean_square(X), 500), seed=4)
    z = X @ net.weights[0]
    # 256 units, whose squares have the deviation sqrt(2) and more: five of sqrt(2 / 256), and 10%.
    assert abs(np.square(z).mean() - 1) < 5 * np.sqrt(2 / 256) + 0.1
    assert abs(np.square(net.biases[0]).mean() - 1) < 5 * np.sqrt(2 / 256)
    assert abs(np.square(net.weights[1]).mean() * 256 - 1) < 5 * np.sqrt(2 / 256**2)
    assert not net.weights[-1].any()
    assert not net.biases[-1].any()


def test_networks_differ_by_seed_alone():
    recipe, task = recipe_of("fast", CLASSES, 500), Task(6, 2, 6.0, 500)
    one, again, other = (recipe.network(task, seed) for seed in (1, 1, 2))
    assert one.allclose(again, 0, 0)
    assert not one.allclose(other)


def test_learning_rates_are_those_of_weights_of_variance_one():
    task = Task(6, 2, 25.0, 1000)
    trainer = recipe_of("fast", CLASSES, 1000).trainer(task, 10, 0, 1)
    options = trainer._core.options
    assert options.lr_factors == (1 / 5, 1 / 16, 1 / 16, 1 / 16)
    assert options.schedule.total_updates == 10 * 4
    assert options.label_smoothing == 0.1
    assert trainer.lr == 0.04
    tiny = recipe_of("best", NUMBERS, 100).trainer(Task(1, 1, 0.01, 100), 3, 0, 1)
    assert tiny._core.options.lr_factors[0] == 1
    assert tiny._core.options.schedule.total_updates == 3
    assert tiny._core.options.dropout == (0.15, 0.15, 0.15, 0.0)


@pytest.mark.parametrize(("rows", "epochs"), [(2, 256), (20_000, 64), (80_000, 32), (10**8, 4)])
def test_epochs_go_with_the_square_root_of_the_rows(rows, epochs):
    assert recipe_of("fast", CLASSES, rows).epochs == epochs


def test_numbers_that_are_given_take_the_place_of_the_presets():
    recipe = recipe_of("best", CLASSES, 100).given(3, None)
    assert (recipe.members, recipe.epochs) == (3, 256)
    assert recipe.given(None, 7).epochs == 7
    with pytest.raises(ValueError, match=r"preset is 'bes', .* did you mean 'best'"):
        recipe_of("bes", CLASSES, 100)
