"""Gradients that are sent in bfloat16, and what rounding has left."""

from functools import partial

import numpy as np
import pytest

import fastbp
from fastbp.distributed import cuts, sums
from fastbp.distributed.rounded import RoundedExchange, Rounding
from fastbp.kernels import reference
from fastbp.kernels.tables import arenas
from support import local_runs
from support.in_process import on_ranks, same_on_ranks
from support.rank_runs import VARIANTS, fingerprint

LARGEST = 2.0**-8
"""What rounding to 8 binary digits loses of a number, at most."""

MORE = 1 / 255
"""The same where what was left before is added first: x = 2^-8 (1 + x)."""

SIZE = 64 * 25


def numbers(size=SIZE, seed=0):
    """Float32 of all sizes, and both signs."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(size) * 2.0 ** rng.integers(-60, 60, size)).astype("float32")


def compiled(values, left):
    """As the twin ``round_with_rest``."""
    rounded, left = np.empty(len(values), np.uint16), left.copy()
    sums.round_with_rest(values, left, rounded)
    return rounded, left


@pytest.fixture(params=[compiled, reference.round_with_rest], ids=["kernel", "twin"])
def round_once(request):
    """What values of any number are rounded to, and what that loses."""

    def rounding(values):
        padded = np.zeros(-(-len(values) // 16) * 16, "float32")
        padded[: len(values)] = values
        rounded, left = request.param(padded, np.zeros_like(padded))
        return reference.widened(rounded)[: len(values)], left[: len(values)]

    return rounding


def test_a_number_goes_to_the_nearest(round_once):
    values = numbers()
    found, left = round_once(values)
    digits = values.view(np.uint32) >> 16 << 16
    below = digits.view(np.float32).astype(float)  # towards 0
    beyond = (digits + 0x10000).view(np.float32).astype(float)
    exact = values.astype(float)
    nearest = np.minimum(abs(exact - below), abs(exact - beyond))
    np.testing.assert_array_equal(abs(exact - found), nearest)
    np.testing.assert_array_equal(found.astype(float) + left, exact)
    assert (abs(left) <= LARGEST * abs(values)).all()


def test_half_goes_to_even(round_once):
    found, _ = round_once(np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8], np.float32))
    assert found.tolist() == [1.0, 1 + 2**-6, -1.0]


def test_what_is_not_finite_stays_so_and_leaves_nothing(round_once):
    odd = np.array([0x7FFFFFFF, 0xFFFFFFFF], np.uint32).view(np.float32)
    values = np.array([np.nan, *odd, np.inf, -np.inf, np.finfo("float32").max], np.float32)
    found, left = round_once(values)
    assert np.isnan(found[:3]).all()
    assert found[3:].tolist() == [np.inf, -np.inf, np.inf]
    assert left.tolist() == [0.0] * 6


def test_kernels_equal_their_twins():
    values, left = numbers(), numbers(seed=1)
    expected, found = reference.round_with_rest(values, left), compiled(values, left)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1].view(np.uint32), expected[1].view(np.uint32))
    target = arenas.allocate(SIZE, values.dtype)
    sums.widen(found[0], target)
    np.testing.assert_array_equal(target, reference.widened(found[0]))
    sums.add_widened(found[0], target)
    np.testing.assert_array_equal(target, 2 * reference.widened(found[0]))


def of_spans(arrays, spans):
    """The elements (n, ...) of some spans of the last axis."""
    return np.concatenate([arrays[..., first:last] for first, last in spans], axis=-1)


def sums_of(ranks, gradients, spans):
    """What the spans add up to in each update; gradients: (updates, ranks, size)."""

    def program(comm):
        exchange = RoundedExchange(comm, gradients.shape[2], spans)
        cut, found = cuts.own([8] * ranks, 8, comm.Get_rank()), []
        for of_update in gradients:
            exchange.own[0][:] = of_update[comm.Get_rank()]
            found.append(of_spans(exchange.sum(cut), spans))
        return [each.tobytes() for each in found]

    whole = same_on_ranks(ranks, program)
    return np.array([np.frombuffer(each, "float32") for each in whole])


def bound(gradients):
    """How far the sum over all updates is from that of the gradients, at most.

    Each rank and the owner has something left: of the gradients' sizes, and of their sum's. Every
    sum of float32 rounds: those of the ranks, that with what is left, twice.
    """
    updates, ranks, _ = gradients.shape
    size = abs(gradients.astype(float)).sum(axis=1).max(axis=0)
    left = size * MORE + size * (1 + MORE) * MORE
    return left + updates * (ranks + 1) * 2.0**-24 * size * (1 + MORE) ** 2


@pytest.mark.parametrize("ranks", [2, 3, 5])
@pytest.mark.parametrize("updates", [1, 40])
def test_what_is_lost_comes_later(ranks, updates):
    """Each gradient is the last, times a little: what rounding loses does not cancel by itself."""
    rng, size = np.random.default_rng(1), 1024
    steady = rng.standard_normal((1, ranks, size)) * 2.0 ** rng.integers(-3, 3, size)
    growth = 1 + 0.001 * np.arange(updates)[:, None, None]
    gradients = (steady * growth).astype("float32")
    spans = [(0, 320), (512, 1024)]
    found = sums_of(ranks, gradients, spans).astype(float).cumsum(axis=0)
    exact = of_spans(gradients.astype(float).sum(axis=1).cumsum(axis=0), spans)
    most = of_spans(bound(gradients), spans)
    assert (abs(found - exact) <= most).all()


@pytest.mark.parametrize("of_ranks", [(1 + 2.0**-10,) * 2, (1.0, 2.0**-8)], ids=["rank", "owner"])
def test_without_what_is_left_the_same_is_lost_in_every_update(of_ranks, monkeypatch):
    """In bfloat16 1 + 2^-10 is 1, and so is the sum 1 + 2^-8: what is left tells the difference."""
    gradients = np.tile(np.array(of_ranks, "float32")[:, None], (256, 1, 16))
    exact = 256 * sum(of_ranks)
    error = abs(sums_of(2, gradients, [(0, 16)]).sum(axis=0) - exact).max()
    round_it = Rounding.round

    def forget(self, values, out):
        self.left[:] = 0.0
        round_it(self, values, out)

    monkeypatch.setattr(Rounding, "round", forget)
    without = abs(sums_of(2, gradients, [(0, 16)]).sum(axis=0) - exact).max()
    assert error <= bound(gradients).max() < without
    assert without == exact - 256 * round(sum(of_ranks))


def test_one_rank_rounds_nothing():
    gradients = numbers()[None, None]
    np.testing.assert_array_equal(sums_of(1, gradients, [(0, SIZE)])[0], gradients[0, 0])


@pytest.mark.parametrize("variant", ["plain", "clipped", "frozen"])
def test_the_bits_are_the_same_for_the_same_ranks(variant):
    run = partial(fingerprint, reduction="bfloat16", **VARIANTS[variant])
    assert same_on_ranks(3, run) == same_on_ranks(3, run)


def test_ranks_with_rows_of_their_own():
    """The last of four has none."""

    def run(comm):
        trainer, X, y = local_runs.new_trainer(comm, reduction="bfloat16")
        return trainer.fit(X, y, 3, progress=False)["loss"]

    losses = same_on_ranks(4, run)
    assert losses[-1] < losses[0]


def test_float64_is_refused():
    def run(comm):
        net = fastbp.Network([2, 1], dtype="float64")
        fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.1), comm=comm, reduction="bfloat16")

    for error in on_ranks(2, run):
        assert isinstance(error, ValueError)
        assert "dtype is float64, expected float32: pass reduction='fast'" in str(error)
