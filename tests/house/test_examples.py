"""The classics of scripts/examples, each with the figures it must reach."""

import numpy as np
import pytest

import fastbp
from support.cases import HIDDEN
from support.examples import load

SEEDS = range(10)


xor = load("xor")
and_gate = load("and_gate")
formula_sheet = load("formula_sheet")
three_descents = load("three_descents")
online_not = load("online_not")
overfitting = load("overfitting")


@pytest.mark.parametrize("seed", SEEDS)
def test_xor_loss_falls_every_hundred_epochs(seed):
    _, losses = xor.train(lr=0.1, epochs=1000, seed=seed)
    assert len(losses) == 1000
    assert np.all(np.diff([*losses[::100], losses[-1]]) < 0)


def test_xor_is_learned_by_nine_seeds_of_ten():
    outputs = [xor.train(lr=5.0, epochs=5000, seed=seed)[0] for seed in SEEDS]
    assert sum(np.abs(p - [[0], [1], [1], [0]]).max() < 0.1 for p in outputs) >= 9


@pytest.mark.parametrize("seed", SEEDS)
def test_and_outputs_are_near_their_targets(seed):
    np.testing.assert_allclose(and_gate.train(seed=seed)[:, 0], [0, 0, 0, 1], atol=0.1)


def test_and_ends_where_the_published_run_ends():
    outputs = [and_gate.train(seed=seed)[:, 0] for seed in SEEDS]
    published = [0.002, 0.015, 0.015, 0.980]
    np.testing.assert_allclose(np.mean(outputs, axis=0), published, atol=0.01)


def test_worked_example_has_the_published_figures():
    example = and_gate.worked_example()
    close = {"rtol": 0, "atol": 1e-8}
    hidden = [[0.83201839, 0.88079708], [0.90887704, 0.95257413]]
    np.testing.assert_allclose(example.hidden, hidden, **close)
    np.testing.assert_allclose(example.outputs, [[0.99188931], [0.99437826]], **close)
    np.testing.assert_allclose(example.output_delta, [[0.99188931], [-0.00562174]], **close)
    assert example.loss == pytest.approx(2.4101046854144412, rel=0, abs=1e-8)


def test_worked_example_follows_the_chain_rule():
    example = and_gate.worked_example()
    a = example.hidden
    hidden_delta = example.output_delta @ and_gate.WEIGHTS[1].T * a * (1 - a)
    np.testing.assert_allclose(example.hidden_delta, hidden_delta, rtol=1e-12)
    (dW1, db1), (dW2, db2) = example.gradients
    np.testing.assert_allclose(dW1, and_gate.X.T @ hidden_delta / 2, rtol=1e-12)
    np.testing.assert_allclose(db1, hidden_delta.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(dW2, a.T @ example.output_delta / 2, rtol=1e-12)
    np.testing.assert_allclose(db2, example.output_delta.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(1, 2), slice(0, 2)])
def test_worked_example_equals_finite_differences(rows):
    net, trainer = and_gate.worked_network()
    X, y = and_gate.X[rows], and_gate.Y[rows]
    exact = trainer.loss_and_gradients(X, y)[1]
    numerical = formula_sheet.finite_differences(net, trainer, X, y)
    for layer in range(2):
        for kind in range(2):
            np.testing.assert_allclose(exact[layer][kind], numerical[layer][kind], atol=1e-9)


def test_iris_is_whole():
    measured, species = formula_sheet.iris()
    np.testing.assert_array_equal(np.bincount(species), [50, 50, 50])
    assert measured.shape == (150, 4)
    np.testing.assert_allclose(measured.sum(axis=0), [876.5, 458.6, 563.7, 179.9])
    # The rows that often go round with errors: Fisher's paper has these.
    np.testing.assert_array_equal(measured[34], [4.9, 3.1, 1.5, 0.2])
    np.testing.assert_array_equal(measured[37], [4.9, 3.6, 1.4, 0.1])


# The cases of the sheet, then every hidden activation and every output with each of its losses.
CASES = dict.fromkeys(
    (
        *((hidden, *pair) for hidden in formula_sheet.HIDDEN for pair in formula_sheet.PAIRS),
        *((hidden, "softmax", "cross_entropy") for hidden in HIDDEN),
        *((hidden, "sigmoid", "bce") for hidden in formula_sheet.HIDDEN),
        *(("tanh", out, loss) for out in HIDDEN for loss in ("mse", "squared_error")),
    )
)
LEAST_SCORE = {"cross_entropy": 0.95, "bce": 0.9, "mse": 0.8, "squared_error": 0.8}


@pytest.mark.parametrize(("hidden", "output", "loss"), CASES)
def test_each_activation_learns_with_each_loss_it_goes_with(hidden, output, loss):
    assert formula_sheet.learn(hidden, output, loss) >= LEAST_SCORE[loss]


@pytest.mark.parametrize(("hidden", "output", "loss"), CASES)
def test_gradients_of_the_formula_sheet(hidden, output, loss):
    assert formula_sheet.gradient_error(hidden, output, loss) < 1e-8


@pytest.mark.parametrize("kind", ["full-batch", "mini-batch", "stochastic"])
def test_each_kind_of_descent_learns_xor_in_eight_seeds_of_ten(kind):
    batch_size = three_descents.BATCH_SIZES[kind]
    runs = [three_descents.train(batch_size, seed) for seed in SEEDS]
    assert sum(loss < 0.02 for loss in three_descents.final_losses(runs)) >= 8


def test_predict_gives_the_loss_of_the_formula():
    net, trainer = three_descents.train(batch_size=4)
    p = net.predict(three_descents.INPUTS)
    by_hand = np.sum((three_descents.TARGETS - p) ** 2) / (2 * len(p))
    reported = trainer.evaluate(three_descents.INPUTS, three_descents.TARGETS)["loss"]
    assert reported == pytest.approx(by_hand, rel=1e-4)


def test_output_delta_of_the_squared_error_has_the_slope_of_the_sigmoid():
    net, trainer = three_descents.train(batch_size=1)
    x, y = three_descents.INPUTS[1:2], three_descents.TARGETS[1:2]
    p = net.predict(x)
    delta = trainer.loss_and_gradients(x, y)[1][-1][1]
    np.testing.assert_allclose(delta, ((p - y) * p * (1 - p))[0], rtol=1e-4)


def test_weight_decay_shrinks_the_weights_and_still_learns():
    decayed, trainer = three_descents.train(batch_size=4, weight_decay=1e-4)
    plain, _ = three_descents.train(batch_size=4)
    size = three_descents.size_of_weights
    assert size(decayed) < 0.95 * size(plain)
    loss = trainer.evaluate(three_descents.INPUTS, three_descents.TARGETS)["loss"]
    assert loss < 0.02


def test_weight_decay_adds_its_multiple_of_the_weights_to_the_gradient():
    X, y = three_descents.INPUTS, three_descents.TARGETS
    net = fastbp.Network([2, 3, 1], activation="sigmoid", output="sigmoid", dtype="float64")
    optimizer = fastbp.SGD(lr=0.1, weight_decay=0.01)
    trainer = fastbp.Trainer(net, loss="squared_error", optimizer=optimizer)
    _, gradients = trainer.loss_and_gradients(X, y)
    expected = [
        W - 0.1 * (dW + 0.01 * W) for W, (dW, _) in zip(net.weights, gradients, strict=True)
    ]
    trainer.step(X, y)
    for W, right in zip(net.weights, expected, strict=True):
        np.testing.assert_allclose(W, right, rtol=1e-12)


@pytest.fixture(scope="module")
def overfitted() -> list[dict[str, tuple[fastbp.History, float]]]:
    """The runs of overfitting.py by remedy, for each of five seeds."""
    return [
        {remedy: overfitting.train(remedy, seed) for remedy in overfitting.REMEDIES}
        for seed in range(5)
    ]


@pytest.mark.slow
def test_a_network_overfits(overfitted):
    for runs in overfitted:
        history, end = runs["nothing"]
        assert history["loss"][-1] < end / 2
        assert end > 1.5 * min(history["val_loss"])


@pytest.mark.slow
@pytest.mark.parametrize("remedy", ["L2 regularization", "dropout", "early stopping"])
def test_a_remedy_lowers_the_validation_loss_of_every_seed(overfitted, remedy):
    for runs in overfitted:
        assert runs[remedy][1] < 0.75 * runs["nothing"][1]


@pytest.mark.slow
def test_early_stopping_ends_with_the_best_weights_and_before_the_last_epoch(overfitted):
    for runs in overfitted:
        history, end = runs["early stopping"]
        assert end == min(history["val_loss"])
        assert len(history["loss"]) < overfitting.EPOCHS


def test_online_not_is_learned_alike_by_steps_and_by_fit():
    by_steps, steps = online_not.new_network()
    by_fit, fit = online_not.new_network()
    rows = online_not.random_rows()
    assert len(rows) == 40_000
    online_not.train_by_steps(steps, rows)
    online_not.train_by_fit(fit, rows)
    np.testing.assert_allclose(by_fit.predict(online_not.INPUTS), online_not.TARGETS, atol=0.1)
    for a, b in zip(
        (*by_steps.weights, *by_steps.biases), (*by_fit.weights, *by_fit.biases), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(1, 5))
def test_online_not_is_learned_from_other_weights(seed):
    net, trainer = online_not.new_network(seed)
    online_not.train_by_fit(trainer, online_not.random_rows(seed=seed))
    np.testing.assert_allclose(net.predict(online_not.INPUTS), online_not.TARGETS, atol=0.1)


@pytest.mark.parametrize("row", range(4))
def test_online_gradients_equal_the_chain_rule(row):
    net, trainer = online_not.new_network(dtype="float64")
    x, y = online_not.INPUTS[row], online_not.TARGETS[row]
    expected = online_not.chain_rule(net.weights, net.biases, x, y)
    _, gradients = trainer.loss_and_gradients(x[None], y[None])
    for got, right in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got[0], right[0], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(got[1], right[1], rtol=1e-12, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "shown"),
    [
        (xor, ["epoch    0  loss", "epoch  900  loss", "of 10 lie within 0.1"]),
        (and_gate, ["AND after 1000 updates", "2.41010468541444", "0.99188931", "-0.00562174"]),
        (formula_sheet, ["cross_entropy", "mse", "gradient error"]),
        (three_descents, ["full-batch", "mini-batch", "stochastic", "weight_decay"]),
        (overfitting, ["nothing", "L2 regularization", "dropout", "early stopping"]),
        (online_not, ["loop of step:", "call of fit:", "the same.", "NOT 1 1"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_script_prints(example, shown, capsys):
    example.main()
    printed = capsys.readouterr().out
    for part in shown:
        assert part in printed


def test_class_weights_find_what_fails():
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    failures = load("failures")
    found, table, state = failures.search()
    scores = failures.best_scores(found)
    assert scores["balanced"] > scores[None] + 0.03
    assert found.best_params_["classifier__class_weight"] == "balanced"
    assert (found.predict(table)[state == "fails"] == "fails").mean() > 0.8
