"""The recipe: its schedule, its first weights, its learning rates."""

import numpy as np
import pytest

import fastbp
from fastbp.schedules import FlatCosine, LogCosine

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from fastbp.tabular.recipe import CLASSES, NUMBERS, Task, recipe_of
from fastbp.tabular.rows import mean_square


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


def test_rates_are_those_of_weights_of_variance_one():
    """Of biases 0.1, of the scales of inputs 6, of weight decay 1 times the learning rate."""
    task = Task(6, 2, 25.0, 1000)
    trainer = recipe_of("best", CLASSES, 1000).trainer(task, 10, 0, 1)
    options, flat = trainer._core.options, FlatCosine(40)
    assert options.lr_factors == (1 / 5, 1 / 16, 1 / 16, 1 / 16)
    rates = zip(options.lr_factors, options.bias_lr_factor, strict=True)
    assert [weights * biases for weights, biases in rates] == pytest.approx([0.1] * 4)
    assert options.lr_factors[0] * options.input_scaling == pytest.approx(6)
    decays = zip(options.lr_factors, options.weight_decay_factors, strict=True)
    assert [rate * decay for rate, decay in decays] == pytest.approx([1] * 4)
    assert options.weight_decay_on == "weights"
    assert options.schedule == LogCosine(40, 4)
    assert options.dropout_schedule == options.weight_decay_schedule == flat
    assert options.label_smoothing == 0.1
    assert options.dropout == (0.15, 0.15, 0.15, 0.0)
    assert trainer._core.optimizer == fastbp.AdamW(0.04, (0.9, 0.95), weight_decay=0.02)


def test_little_data():
    trainer = recipe_of("fast", NUMBERS, 100).trainer(Task(1, 1, 0.01, 100), 3, 0, 1)
    options = trainer._core.options
    assert options.lr_factors[0] == 1
    assert options.schedule.total_updates == 3
    assert not any(options.dropout)


@pytest.mark.parametrize(("rows", "epochs"), [(2, 256), (20_000, 64), (80_000, 32), (10**8, 4)])
def test_epochs_go_with_the_square_root_of_the_rows(rows, epochs):
    assert recipe_of("fast", CLASSES, rows).epochs == epochs


@pytest.mark.parametrize("preset", ["fast", "best"])
def test_numbers_of_many_rows_have_one_input(preset):
    found = [recipe_of(preset, CLASSES, rows).numbers for rows in (2, 500_000, 500_001)]
    assert found == ["piecewise", "piecewise", "robust"]


def test_numbers_that_are_given_take_the_place_of_the_presets():
    recipe = recipe_of("best", CLASSES, 100).given(3, None)
    assert (recipe.members, recipe.epochs) == (3, 256)
    assert recipe.given(None, 7).epochs == 7
    with pytest.raises(ValueError, match=r"preset is 'bes', .* did you mean 'best'"):
        recipe_of("bes", CLASSES, 100)
