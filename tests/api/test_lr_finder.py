"""The learning-rate finder: its curve is that of training, and the trainer stays as it was."""

import io
import math
import sys

import numpy as np
import pytest

import fastbp
from fastbp.kernels import reference
from fastbp.training.core import TrainerCore
from fastbp.training.lr_finder import SMOOTHING, LRCurve, divergence
from support import processes
from support.cases import CASES, each_engine
from support.internals import core

CASE = CASES["one input"]
BATCH = 5
OPTIMIZERS = [fastbp.SGD(0.05, momentum=0.9), fastbp.Adam()]

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)


def half_trained(optimizer=OPTIMIZERS[0], engine="numba"):
    """A trainer in the middle of its training, so that counters and moments are not 0."""
    trainer = CASE.trainer("float64", engine, optimizer, BATCH)
    trainer.fit(*CASE.batch(), epochs=2)
    return trainer


def everything_of(trainer):
    """Everything that a trainer's future depends on, to the bit."""
    own, arrays = core(trainer).arrays, ("parameters", "moments", "hyper")
    return [getattr(own, name).tobytes() for name in arrays], core(trainer).epoch, trainer.lr


def curve(smoothed):
    """A curve of these losses, those of the batches a little higher, at lr 1, 2, 3, ..."""
    smoothed = np.array(smoothed, float)
    return LRCurve(np.arange(1.0, len(smoothed) + 1), smoothed + 0.1, smoothed)


@each_engine
@each_optimizer
def test_the_losses_are_those_of_training_with_these_rates(optimizer, engine):
    X, y = CASE.batch()
    found = half_trained(optimizer, engine).find_lr(X, y, start_lr=1e-4, end_lr=0.1, updates=17)
    np.testing.assert_allclose(found.lrs, np.geomspace(1e-4, 0.1, 17), rtol=1e-12)
    trainer, losses = half_trained(optimizer, engine), []
    orders = [reference.shuffled(trainer.seed, epoch, len(X)) for epoch in range(2, 7)]
    batches = [order[i : i + BATCH] for order in orders for i in range(0, len(X), BATCH)]
    for trainer.lr, rows in zip(found.lrs.tolist(), batches, strict=False):
        losses.append(trainer.step(X[rows], y[rows]))
    assert len(found.losses) == 17
    np.testing.assert_allclose(found.losses, losses, rtol=1e-12)


@each_engine
def test_rows_have_their_weights_and_batches_without_any_are_left_out(engine):
    X, y = CASE.batch()
    trainer, other = half_trained(engine=engine), half_trained(engine=engine)
    order, weights = reference.shuffled(trainer.seed, 2, len(X)), np.linspace(0.5, 2, len(X))
    batches = [order[i : i + BATCH] for i in range(0, len(X), BATCH)]
    weights[batches[0]] = weights[batches[2]] = 0
    rates = np.geomspace(1e-4, 0.1, 3)
    found = trainer.find_lr(X, y, sample_weight=weights, start_lr=1e-4, end_lr=0.1, updates=3)
    losses, divided = [], weights / weights.mean()
    for other.lr, rows in zip(rates.tolist(), (batches[i] for i in (1, 3, 4)), strict=True):
        losses.append(other.step(X[rows], y[rows], divided[rows]))
    np.testing.assert_allclose(found.losses, losses, rtol=1e-12)


@each_engine
def test_no_weight_at_all_is_refused(engine):
    trainer, (X, y) = half_trained(engine=engine), CASE.batch()
    before = everything_of(trainer)
    with pytest.raises(ValueError, match="sample_weight is 0 for every row to train on"):
        trainer.find_lr(X, y, sample_weight=np.zeros(len(X)))
    assert everything_of(trainer) == before


def test_one_row_with_weight_is_enough():
    """It may be early in an epoch and late in the next: an epoch of batches lies between."""
    trainer, (X, y) = half_trained(), CASE.batch()
    weights = np.zeros(len(X))
    weights[3] = 1
    found = trainer.find_lr(X, y, sample_weight=weights, start_lr=1e-6, end_lr=1e-5, updates=20)
    assert len(found.losses) == 20


@each_engine
@each_optimizer
def test_the_trainer_stays_as_it_was(optimizer, engine):
    trainer, other = half_trained(optimizer, engine), half_trained(optimizer, engine)
    before = everything_of(trainer)
    trainer.find_lr(*CASE.batch())
    assert everything_of(trainer) == before
    futures = [t.fit(*CASE.batch(), epochs=2)["loss"] for t in (trainer, other)]
    assert futures[0] == futures[1]
    assert everything_of(trainer) == everything_of(other)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_the_trainer_stays_as_it_was_whatever_ends_it(error, monkeypatch):
    trainer, run, calls = half_trained(), TrainerCore.run, []

    def ends(*arguments):
        calls.append(0)
        if len(calls) == 7:
            raise error
        return run(*arguments)

    before = everything_of(trainer)
    monkeypatch.setattr(TrainerCore, "run", ends)
    with pytest.raises(error):
        trainer.find_lr(*CASE.batch())
    assert everything_of(trainer) == before


@each_engine
def test_a_bad_value_is_found_in_its_row(engine):
    trainer = half_trained(engine=engine)
    X, y = CASE.batch()
    X[19] = np.nan
    before = everything_of(trainer)
    with pytest.raises(ValueError, match="row 19"):
        trainer.find_lr(X, y)
    assert everything_of(trainer) == before


@each_engine
def test_it_ends_where_the_loss_diverges(engine):
    X = np.random.default_rng(0).standard_normal((64, 3))
    net = fastbp.Network([3, 1], seed=0, dtype="float64")
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(1.0), seed=0, engine=engine)
    found = trainer.find_lr(X, X.sum(axis=1), end_lr=1e3)
    assert 10 < len(found.lrs) == len(found.losses) == len(found.smoothed) < 100
    assert found.smoothed[-1] > divergence(found.smoothed)
    assert (found.smoothed[:-1] <= divergence(found.smoothed[:-1])).all()
    assert 1e-7 < found.suggestion < 1


@each_engine
def test_a_loss_that_is_not_finite_ends_it_and_is_no_part_of_the_curve(engine):
    """The first update takes float32 to a loss that overflows."""
    net = fastbp.Network([1, 1], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), seed=0, engine=engine)
    found = trainer.find_lr([[1.0]], [5.0], start_lr=1e30, end_lr=1e38, updates=9)
    assert len(found.lrs) == 1
    assert np.isfinite(found.losses).all()
    assert math.isnan(found.suggestion)


@each_engine
def test_a_first_loss_that_is_not_finite_is_an_error(engine):
    net = fastbp.Network([1, 1], seed=0)
    net.set_parameters([np.full((1, 1), 1e30)], [np.zeros(1)])
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), engine=engine)
    with pytest.raises(FloatingPointError, match="find_lr"):
        trainer.find_lr([[1.0]], [5.0])


def test_the_smoothed_loss_is_a_weighted_mean_of_those_so_far():
    found = half_trained().find_lr(*CASE.batch(), updates=30)
    for k in range(30):
        weights = SMOOTHING ** np.arange(k, -1.0, -1.0)
        expected = np.average(found.losses[: k + 1], weights=weights)
        assert found.smoothed[k] == pytest.approx(expected, rel=1e-12)


def test_the_suggestion_is_a_tenth_of_where_the_loss_is_lowest():
    assert curve([5, 4, 3, 2, 1, 4, 9]).suggestion == 0.5
    assert curve([5, 4, 3]).suggestion == pytest.approx(0.3)
    assert math.isnan(curve([1, 2, 3]).suggestion)


def test_a_minimum_at_the_edge_is_not_suggested_without_a_word():
    X = np.random.default_rng(0).standard_normal((512, 4))
    y = np.sin(X).sum(axis=1)
    net = fastbp.Network([4, 32, 1], "tanh", seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(), batch_size=512, seed=0)
    found = trainer.find_lr(X, y, end_lr=1e-3)
    assert found.is_open
    assert "suggestion 0.0001" in repr(found)
    with pytest.warns(
        UserWarning, match=r"highest rate that find_lr tried, 0\.001: .*larger end_lr"
    ):
        assert found.suggestion == pytest.approx(1e-4)
    assert 1e-4 < trainer.find_lr(X, y).suggestion < 1  # and no warning
    assert math.isnan(trainer.find_lr(X, y, start_lr=1e3, end_lr=1e4).suggestion)


def test_lbfgs_has_no_learning_rate_to_find():
    trainer = fastbp.Trainer(fastbp.Network([2, 1]), loss="mse", optimizer=fastbp.LBFGS())
    with pytest.raises(ValueError, match="find_lr makes updates by batches, and optimizer fastbp"):
        trainer.find_lr(np.ones((3, 2)), np.ones(3))


def test_divergence_serves_losses_of_either_sign():
    assert divergence([1.0]) == 4
    assert divergence([1.0, 0.8]) == pytest.approx(3.2)  # four times the lowest, as in fastai
    assert divergence([1.0, 0.0]) == 3
    assert divergence([-1.0]) == 2
    assert divergence([1.0, -1.0]) == 5


def test_the_suggestion_trains():
    """It is far better than a hundredth of it, and a hundred times it fails."""
    X = np.random.default_rng(0).standard_normal((512, 4))
    y = np.sin(X).sum(axis=1)

    def loss_with(factor):
        net = fastbp.Network([4, 32, 1], "tanh", seed=0, dtype="float64")
        rule = fastbp.SGD(0.1, momentum=0.9)
        trainer = fastbp.Trainer(net, loss="mse", optimizer=rule, batch_size=32, seed=0)
        trainer.lr = factor * trainer.find_lr(X, y).suggestion
        try:
            return trainer.fit(X, y, epochs=5)["loss"][-1]
        except FloatingPointError:
            return math.inf

    assert loss_with(1) < 0.5 * min(loss_with(0.01), loss_with(100))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"start_lr": 0.0}, ValueError, "start_lr is 0.0, expected a finite number above 0"),
        ({"end_lr": math.inf}, ValueError, "end_lr is inf"),
        ({"start_lr": 0.1, "end_lr": 0.1}, ValueError, "end_lr is 0.1, expected a number above"),
        ({"updates": 1}, ValueError, "updates is 1, expected an integer >= 2"),
        ({"updates": 50.0}, TypeError, "updates is 50.0"),
        ({"start_lr": "small"}, TypeError, "start_lr is 'small'"),
    ],
)
def test_bad_arguments(options, error, message):
    trainer = half_trained()
    with pytest.raises(error, match=message):
        trainer.find_lr(*CASE.batch(), **options)


def test_bad_data():
    X, y = CASE.batch()
    with pytest.raises(ValueError, match="y has"):
        half_trained().find_lr(X, y[:-1])


# The figure


def test_plot_draws_losses_and_suggestion():
    drawn = curve([5, 4, 3, 2, 1, 4, 9])
    (axes,) = drawn.plot().axes
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"batch", "smoothed", "suggestion 0.5"}
    np.testing.assert_array_equal(lines["batch"].get_ydata(), drawn.losses)
    np.testing.assert_array_equal(lines["smoothed"].get_ydata(), drawn.smoothed)
    assert lines["suggestion 0.5"].get_xdata() == [0.5, 0.5]
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "loss")


def test_plot_looks_at_what_has_not_diverged():
    (axes,) = curve([1.9, 0.9, 1e9]).plot().axes
    assert axes.get_ylim() == pytest.approx((0.9, 2.1))


@pytest.mark.parametrize("losses", [[1, 2, 3], [1]])
def test_plot_does_without_a_suggestion(losses):
    figure = curve(losses).plot()
    assert len(figure.axes[0].lines) == 2
    figure.savefig(io.BytesIO())


def test_plot_without_matplotlib_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[plot\]'"):
        curve([1, 2]).plot()


@pytest.mark.process
def test_import_needs_no_extra():
    program = "import sys, fastbp; print({'matplotlib', 'scipy.optimize'} & set(sys.modules))"
    assert processes.run(program) == "set()\n"
