"""Law 2, stage by stage: every kernel equals its NumPy twin."""

import numpy as np
import pytest

from fastbp.components import activations, losses
from fastbp.kernels import reference
from fastbp.kernels.base import choices, codes
from fastbp.kernels.primitives import gemm
from fastbp.kernels.stages.losses import SUM_TOLERANCE
from fastbp.kernels.tables import settings
from support import kernel_stages, torch_record
from support.cases import HIDDEN, each_dtype
from support.derivatives import SMOOTH
from support.kernel_stages import (
    ACROSS,
    ACROSS_TIMES,
    DOWN,
    blank,
    from_panels,
    to_panels,
    to_vector,
    vector_lanes,
)

pytestmark = pytest.mark.law2

WIDE = np.float64


def assert_close(actual, expected, scale=0.0, roundings=8):
    """Equal but for so many roundings of the actual's type, of the expected or of ``scale``."""
    assert actual.shape == expected.shape
    allowed = roundings * np.finfo(actual.dtype).eps * (np.abs(expected) + scale)
    np.testing.assert_array_less(np.abs(actual - expected), allowed + np.finfo(actual.dtype).tiny)


def code(name):
    return activations.lookup(name).code


# Products. Sums of small integers are exact, in any order.


def whole_numbers(rng, *shape):
    return rng.integers(-8, 9, shape).astype(WIDE)


def run_multiply(way, a, b, rows, bias, dtype):
    """C (rows, columns of b) from matrices whose panels have gaps of NaN, which must stay."""
    w, gap = vector_lanes(dtype), 16
    a, b = to_panels(a, dtype, gap), to_panels(b, dtype, gap)
    padded = -(-rows // w) * w
    c = blank(len(b) * (padded * w + gap), dtype).reshape(len(b), -1)
    steps = (b.shape[1] - gap) // w
    arguments = (a.ravel(), a.shape[1], b.ravel(), b.shape[1], c.ravel(), c.shape[1])
    kernel_stages.multiply(way, *arguments, rows, len(b), steps, bias)
    assert np.isnan(c[:, padded * w :]).all()
    return from_panels(c, padded, len(b) * w)[:rows]


ROWS = (1, 5, 17, gemm.ROWS_BLOCK + 5)
STEPS = (1, 3, 33, 2 * max(choices.current().down.steps, choices.current().across.steps) + 7)


@pytest.mark.quick("3-")
@each_dtype
@pytest.mark.parametrize("vectors", range(1, 9))
def test_multiply_down_equals_its_twin(vectors, dtype):
    rng, w = np.random.default_rng(vectors), vector_lanes(dtype)
    for units in ROWS:
        for inputs in STEPS:
            A = whole_numbers(rng, vectors * w, inputs)
            W, bias = whole_numbers(rng, inputs, units), whole_numbers(rng, units)
            expected = reference.forward([W], [bias], [codes.IDENTITY], A)[0][0]
            padded = np.zeros(-(-units // w) * w, dtype)
            padded[:units] = bias
            z = run_multiply(DOWN, W, A.T, units, padded, dtype)
            np.testing.assert_array_equal(z, expected.T)


@each_dtype
@pytest.mark.parametrize("vectors", range(1, 9))
def test_multiply_across_equals_its_twin(vectors, dtype):
    rng, w = np.random.default_rng(vectors), vector_lanes(dtype)
    for inputs in ROWS:
        for units in STEPS:
            delta, W = whole_numbers(rng, vectors * w, units), whole_numbers(rng, inputs, units)
            outs = [None, np.ones((len(delta), inputs)), None]
            expected, _ = reference.backward(
                [None, W], [codes.IDENTITY] * 2, outs, [*outs, None], delta
            )
            error = run_multiply(ACROSS, W, delta.T, inputs, np.zeros(1, dtype), dtype)
            np.testing.assert_array_equal(error, expected.T)


@each_dtype
@pytest.mark.parametrize("vectors", range(1, 9))
def test_multiply_across_times_has_the_factors_of_each_vector(vectors, dtype):
    rng, w = np.random.default_rng(vectors), vector_lanes(dtype)
    columns = np.arange(vectors * w)
    own = (1 + columns // w) // 2 * w + columns % w
    for inputs in ROWS:
        for units in STEPS:
            delta, W = whole_numbers(rng, vectors * w, units), whole_numbers(rng, inputs, units)
            factors = np.zeros((-(-inputs // w) * w, own[-1] + 1))
            factors[:inputs] = whole_numbers(rng, inputs, factors.shape[1])
            panels = to_panels(factors, dtype, 16).ravel()
            error = run_multiply(ACROSS_TIMES, W, delta.T, inputs, panels, dtype)
            np.testing.assert_array_equal(error, W @ delta.T * factors[:inputs, own])


# Activations and slopes


@each_dtype
@pytest.mark.parametrize("name", HIDDEN)
def test_activation_and_slope_equal_their_twins(name, dtype):
    z = blank(4096, dtype)
    z[:] = np.concatenate([np.linspace(-12, 12, 4000), np.linspace(-100, 100, 96)])
    a, derivative = blank(len(z), dtype), blank(len(z), dtype)
    kernel_stages.elementwise_stage(code(name), z, z, a)
    kernel_stages.elementwise_stage(code(name) + kernel_stages.DERIVATIVE, z, a, derivative)
    expected = reference.activation(code(name), z.astype(WIDE))
    assert_close(a, expected, np.abs(z))
    assert_close(
        derivative, reference.derivative(code(name), z.astype(WIDE), expected), 1 + np.abs(z)
    )


@each_dtype
@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivative_equals_its_twin(name, dtype):
    largest = 0.9 * np.finfo(dtype).max
    z = blank(4112, dtype)  # whole vectors of every width
    z[:4096] = np.concatenate([np.linspace(-12, 12, 4000), np.linspace(-100, 100, 96)])
    z[4096:4104] = [np.nan, 1e4, -1e4, 1e19, -1e19, largest, -largest, 0]
    a, found = blank(len(z), dtype), blank(len(z), dtype)
    kernel_stages.elementwise_stage(code(name), z, z, a)
    kernel_stages.elementwise_stage(code(name) + kernel_stages.SECOND_DERIVATIVE, z, a, found)
    assert np.isnan(found[4096])
    with np.errstate(all="ignore"):
        exact = z[:4096].astype(WIDE)
        expected = reference.second_derivative(code(name), exact, a[:4096].astype(WIDE))
    assert_close(found[:4096], expected, 1 + np.abs(exact))
    assert (np.abs(found[4097:4103]) < 1e-30).all()  # far out every one is straight


@each_dtype
@pytest.mark.parametrize("name", HIDDEN)
def test_nan_passes_through_activation_and_slope(name, dtype):
    z = blank(vector_lanes(dtype), dtype)
    a, derivative = blank(len(z), dtype, 0), blank(len(z), dtype, 0)
    kernel_stages.elementwise_stage(code(name), z, z, a)
    assert np.isnan(a).all()
    kernel_stages.elementwise_stage(code(name) + kernel_stages.DERIVATIVE, z, a, derivative)
    assert np.isnan(derivative).all()


# Losses


def unit_counts(dtype):
    w = vector_lanes(dtype)
    return 1, 3, w, 2 * w + 3


class Rows:
    """One vector of rows of a last layer, ``valid`` of them real and NaN in the others."""

    def __init__(self, loss, output, units, valid, dtype, labels=False):
        rng = np.random.default_rng(units)
        self.loss, self.output, self.dtype = losses.lookup(loss).code, code(output), dtype
        self.units, self.valid, self.labels = units, valid, labels
        self.z = rng.normal(0, 3, (valid, units)).astype(dtype)
        self.p = reference.activation(self.output, self.z)
        self.y = rng.normal(0, 3, (valid, units)).astype(dtype)
        if labels:
            self.y = rng.integers(0, units, (valid, 1))
        elif loss == "cross_entropy":
            self.y = rng.dirichlet(np.ones(units), valid).astype(dtype)
            self.y *= np.array(1 + 0.9 * SUM_TOLERANCE, dtype)  # as far from 1 as is allowed
        elif loss == "bce":
            self.y = rng.random((valid, units)).astype(dtype)

    def run(self, stage, n=1):
        """(p, delta, values) after a stage, with all that the twins do not have."""
        p = to_vector(self.p, self.dtype)
        delta, values = blank(len(p), self.dtype), blank(vector_lanes(self.dtype), self.dtype)
        z, y = (to_vector(rows, self.dtype) for rows in (self.z, self.y))
        kernel_stages.loss_stage(
            stage, self.loss, self.output, z, p, y, self.labels, delta,
            self.units, self.valid, n, values,
        )  # fmt: skip
        w = vector_lanes(self.dtype)
        return p.reshape(-1, w), delta.reshape(-1, w), values

    def wide(self):
        """z, p and y for a twin, in double precision."""
        y = self.y[:, 0] if self.labels else self.y.astype(WIDE)
        return self.z.astype(WIDE), self.p.astype(WIDE), y


def valid_counts(dtype):
    return {1, vector_lanes(dtype) - 1, vector_lanes(dtype)}


@each_dtype
def test_softmax_equals_its_twin(dtype):
    for units in unit_counts(dtype):
        rows = Rows("cross_entropy", "softmax", units, vector_lanes(dtype), dtype)
        rows.p[:] = np.nan
        p, _, _ = rows.run(kernel_stages.SOFTMAX)
        expected = reference.activation(codes.SOFTMAX, rows.z.astype(WIDE)).T
        assert_close(p[:units], expected, roundings=8 + units + np.ptp(rows.z))
        assert not p[units:].any()


LOSS_CASES = [
    (loss.name, output, False)
    for loss in losses.LOSSES.values()
    for output in loss.outputs
    if not loss.extended
] + [("cross_entropy", "softmax", True)]


@each_dtype
@pytest.mark.parametrize(("loss", "output", "labels"), LOSS_CASES)
def test_loss_and_delta_equal_their_twins(loss, output, labels, dtype):
    n = 37
    for units in unit_counts(dtype):
        for valid in valid_counts(dtype):
            rows = Rows(loss, output, units, valid, dtype, labels)
            z, p, y = rows.wide()
            _, delta, values = rows.run(kernel_stages.LOSS_AND_DELTA, n)
            expected = reference.row_losses(rows.loss, z, p, y)
            assert_close(values[:valid], expected, np.abs(z).max(), roundings=8 + units)
            expected = reference.output_delta(rows.loss, rows.output, z, p, y, n)
            divisor = n if loss in ("cross_entropy", "squared_error") else n * units
            scale = (1 + np.abs(z)) * (1 + np.abs(p) + np.abs(rows.y)) / divisor
            assert_close(delta[:units, :valid], expected.T, scale.T, roundings=8 + units)
            assert not delta[units:].any()
            assert not delta[:, valid:].any()
            assert not values[valid:].any()


@each_dtype
@pytest.mark.parametrize("labels", [False, True])
def test_hits_of_cross_entropy_equal_their_twin(labels, dtype):
    rng, w = np.random.default_rng(3), vector_lanes(dtype)
    for units in unit_counts(dtype):
        rows = Rows("cross_entropy", "softmax", units, w, dtype, labels)
        for _ in range(20):
            rows.p = rng.integers(0, 4, (w, units)) / 4  # with ties
            rows.y = rng.integers(0, units, (w, 1)) if labels else rng.integers(0, 3, (w, units))
            _, _, values = rows.run(kernel_stages.HITS)
            y = rows.y[:, 0] if labels else rows.y
            np.testing.assert_array_equal(values, reference.correct(rows.loss, rows.p, y))


@each_dtype
def test_hits_of_bce_equal_their_twin(dtype):
    rng, w = np.random.default_rng(4), vector_lanes(dtype)
    for units in unit_counts(dtype):
        rows = Rows("bce", "sigmoid", units, w, dtype)
        rows.p, rows.y = rng.integers(0, 5, (2, w, units)) / 4  # some are 0.5
        _, _, values = rows.run(kernel_stages.HITS)
        assert_close(values, reference.correct(codes.BCE, rows.p, rows.y))


def is_refused(loss, y, dtype, labels=False):
    rows = Rows(loss, losses.lookup(loss).outputs[0], 3, len(y), dtype, labels)
    rows.y = y
    padding = to_vector(y, dtype)
    padding[np.isnan(padding)] = 0  # as the gather leaves it
    values = blank(vector_lanes(dtype), dtype)
    kernel_stages.loss_stage(
        kernel_stages.INVALID_TARGET, losses.lookup(loss).targets, rows.output, padding, padding,
        padding, labels, padding, 3, len(y), 1, values,
    )  # fmt: skip
    return bool(values[0])


TARGETS = (
    ("cross_entropy", 1.0, False),
    ("cross_entropy", 1.0009, False),
    ("cross_entropy", 0.9991, False),
    ("cross_entropy", 1.0011, True),
    ("cross_entropy", 0.9989, True),
    ("bce", 0.0, False),
    ("bce", 1.0, False),
    ("bce", -0.001, True),
    ("bce", 1.001, True),
    ("mse", -1e9, False),
    ("squared_error", 1e9, False),
)


@each_dtype
@pytest.mark.parametrize(("loss", "entry", "refused"), TARGETS)
def test_targets_outside_what_the_loss_allows_are_refused(loss, entry, refused, dtype):
    for valid in valid_counts(dtype):
        for lane in range(valid):
            y = np.tile([0.0, 1.0, 0.0], (valid, 1))
            y[lane, 1] = entry
            assert is_refused(loss, y, dtype) == refused


@each_dtype
def test_a_negative_probability_is_refused(dtype):
    assert is_refused("cross_entropy", np.array([[0.6, -0.1, 0.5]]), dtype)


@each_dtype
@pytest.mark.parametrize(("label", "refused"), [(0, False), (2, False), (3, True), (-1, True)])
def test_labels_outside_the_outputs_are_refused(label, refused, dtype):
    for lane in range(vector_lanes(dtype)):
        y = np.ones((vector_lanes(dtype), 1))
        y[lane] = label
        assert is_refused("cross_entropy", y, dtype, labels=True) == refused


# Updates


@each_dtype
@pytest.mark.parametrize("case", torch_record.CASES)
def test_update_equals_its_twin(case, dtype):
    optimizer, rng = torch_record.optimizer(case), np.random.default_rng(5)
    for t in (1, 2, 50):
        hyper = np.zeros(settings.FIRST_LAYER)
        own = optimizer.hyper()
        hyper[: codes.N_HYPER], hyper[settings.UPDATES] = own, t - 1
        momenta = [reference.nadam_momentum(own, i) for i in range(1, t)]
        hyper[settings.OPTIMIZER_STATE] = np.prod(momenta)
        start = rng.normal(size=(4, 64))
        start[3] = start[3] ** 2  # v is a mean of squares
        actual = [part.astype(dtype) for part in start]
        expected = [part.astype(WIDE) for part in actual]
        kernel_stages.update_stage(optimizer.code, hyper, *actual)
        reference.update(optimizer.code, own, t, *expected)
        for got, wanted in zip(actual, expected, strict=True):
            assert_close(got, wanted, 1)


# Shuffling


@pytest.mark.parametrize("n", [0, 1, 2, 13, 1000])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 3), (2**63 - 1, 12345)])
def test_shuffle_equals_its_twin(seed, epoch, n):
    order = np.full(n, -1)
    kernel_stages.shuffle_stage(False, seed, epoch, order)
    np.testing.assert_array_equal(order, reference.shuffled(seed, epoch, n))
    rows = order * 3 + 1
    given = rows.copy()
    kernel_stages.shuffle_stage(True, seed, epoch, given)
    np.testing.assert_array_equal(given, rows[order])
