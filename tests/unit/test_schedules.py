"""Learning-rate schedules: kernel and twin, torch's recorded values, and what is refused."""

import dataclasses
import json
import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from numba import types

import fastbp
from fastbp.components import schedules
from fastbp.kernels import reference
from fastbp.kernels.base.jit import entry
from fastbp.kernels.ir.typed_pointers import typed_pointer_at
from fastbp.kernels.tables import schedules as kernels
from fastbp.schedules import (
    Constant,
    Cosine,
    ExponentialDecay,
    FlatCosine,
    InverseScaling,
    LogCosine,
    OneCycle,
    StepDecay,
    Table,
    Warmup,
)

with np.load(Path(__file__).parents[1] / "data" / "torch_schedules.npz") as archive:
    RECORD = dict(archive)


def made(kind, arguments):
    """The schedule that a pair of the record describes."""
    if "then" in arguments:
        arguments = arguments | {"then": made(*arguments["then"])}
    return getattr(schedules, kind)(**arguments)


OF_TORCH = {case: made(*spec) for case, spec in json.loads(str(RECORD["cases"])).items()}
OTHERS = {
    "constant": Constant(),
    "inverse": InverseScaling(),
    "inverse_power": InverseScaling(1.7),
    "warmup_inverse": Warmup(6, then=InverseScaling(), start_factor=1.0),
    "warmup_one_cycle": Warmup(7, then=OneCycle(40)),
    "every_step": StepDecay(1, 0.5),
    "shortest_cosine": Cosine(1),
    "shortest_cycle": OneCycle(2, pct_start=0.6),
    "flat_cosine": FlatCosine(60),
    "never_flat": FlatCosine(60, 0.0),
    "shortest_flat": FlatCosine(1, 0.9),
    "log_cosine": LogCosine(60),
    "one_cosine": LogCosine(60, 1),
    "most_cosines": LogCosine(10**5, 32),
    "shortest_cosines": LogCosine(1, 3),
    "warmup_log_cosine": Warmup(5, then=LogCosine(60, 3)),
    "table": Table([0.5, 1.0, 0.0, 0.25]),
    "warmup_table": Warmup(3, then=Table.of(lambda t: 0.9**t, updates=40)),
}
ALL = OF_TORCH | OTHERS
ENDING = {case: spec for case, spec in ALL.items() if spec.total_updates is not None}
TIMES = (*range(80), 999, 2**40)

each = pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)


@entry
def schedule_stage(address, start, t):
    """``scheduled`` of the cells at an address."""
    return kernels.scheduled(typed_pointer_at(address, types.float64), start, t)


def values(schedule, updates):
    """(factors, momenta) of so many updates, by the twin."""
    pairs = [reference.scheduled(schedule.encoded(), t) for t in range(updates)]
    return np.array(pairs).T


def rounding(schedule):
    """Eight roundings of 1, which no value is above; of LogCosine as many of its largest phase."""
    inner = schedule.then if isinstance(schedule, Warmup) else schedule
    phase = math.pi * inner.cycles if isinstance(inner, LogCosine) else 0.0
    return 8 * (1 + phase) * np.finfo(float).eps


@pytest.mark.parametrize("start", [0, 3])
@each
def test_kernel_equals_its_twin(schedule, start):
    encoded = np.concatenate([np.full(start, np.inf), schedule.encoded(), [np.inf]])
    for t in TIMES:
        actual = schedule_stage(encoded.ctypes.data, start, float(t))
        expected = reference.scheduled(encoded[start:-1], t)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=rounding(schedule))


@pytest.mark.parametrize("case", OF_TORCH)
def test_values_are_torch_s(case):
    expected = RECORD[f"{case}/factor"], RECORD[f"{case}/momentum"]
    factors, momenta = values(OF_TORCH[case], len(expected[0]))
    np.testing.assert_allclose(factors, expected[0], rtol=0, atol=1e-12)
    momenta = np.where(np.isnan(momenta), 0.5, momenta)
    np.testing.assert_allclose(momenta, expected[1], rtol=0, atol=1e-12)


def test_inverse_scaling_divides_by_a_power_of_the_update():
    factors, momenta = values(InverseScaling(0.5), 101)
    assert factors[[0, 3, 99]].tolist() == [1, 0.5, 0.1]
    assert np.isnan(momenta).all()


@pytest.mark.parametrize("updates", [1, 40, 1000])
@pytest.mark.parametrize("cycles", [1, 2, 4])
def test_log_cosine_is_its_formula(updates, cycles):
    t = np.arange(updates)
    grown = 1 + (2**cycles - 1) * t / updates
    expected = 0.5 * (1 - np.cos(2 * np.pi * np.log2(grown)))
    factors, momenta = values(LogCosine(updates, cycles), updates)
    np.testing.assert_allclose(factors, expected, rtol=0, atol=rounding(LogCosine(9, cycles)))
    assert np.isnan(momenta).all()


def test_log_cosine_is_0_between_its_cycles_and_1_within_each():
    """Four cycles over 15 parts begin after 0, 1, 3 and 7 of them."""
    factors, _ = values(LogCosine(15 * 64), 15 * 64 + 1)
    assert factors[[0, 64, 3 * 64, 7 * 64, 15 * 64]].max() < rounding(LogCosine(9))
    inside = [factors[a * 64 : b * 64].max() for a, b in ((0, 1), (1, 3), (3, 7), (7, 15))]
    assert min(inside) > 0.99


@pytest.mark.parametrize("flat", [0.0, 0.25, 0.5])
def test_flat_cosine_is_flat_and_then_a_cosine(flat):
    factors, momenta = values(FlatCosine(80, flat), 80)
    begins = int(80 * flat)
    assert (factors[: begins + 1] == 1).all()
    cosine, _ = values(Cosine(80 - begins), 80 - begins)
    np.testing.assert_allclose(factors[begins:], cosine, rtol=0, atol=1e-15)
    assert np.isnan(momenta).all()


@each
def test_no_factor_is_above_the_largest(schedule):
    factors, _ = values(schedule, 100)
    assert factors.max() <= schedule.largest_factor * (1 + 1e-15)


def test_the_largest_factors_above_1():
    cycle = OneCycle(40, div_factor=0.5, final_div_factor=0.25)
    for schedule in (cycle, Warmup(1, cycle), Table([0.5, 4.0])):
        factors, _ = values(schedule, schedule.total_updates)
        assert schedule.largest_factor > 1
        assert factors.max() == pytest.approx(schedule.largest_factor)


def test_a_constant_schedule_is_all_zeros_and_changes_nothing():
    assert not Constant().encoded().any()
    factor, momentum = reference.scheduled(np.zeros(kernels.N_SCHEDULE), 5)
    assert factor == 1
    assert math.isnan(momentum)


@pytest.mark.parametrize("schedule", ENDING.values(), ids=ENDING)
def test_a_schedule_stays_where_it_ends(schedule):
    end, later = (reference.scheduled(schedule.encoded(), t) for t in (schedule.total_updates, 1e6))
    assert end == later or (end[0] == later[0] and math.isnan(end[1]))


def test_the_smallest_factor_is_exact_in_the_kernel():
    schedule = OneCycle(100, anneal_strategy="linear")
    encoded = schedule.encoded()
    assert schedule_stage(encoded.ctypes.data, 0, 99.0)[0] == 1 / 25 / 1e4


def test_a_warmup_reaches_the_first_value_of_what_follows():
    factors, momenta = values(Warmup(10, then=OneCycle(40), start_factor=0.5), 50)
    after, cycled = values(OneCycle(40), 40)
    assert factors[0] == 0.5 * after[0]
    np.testing.assert_array_equal(factors[10:], after)
    np.testing.assert_array_equal(momenta[10:], cycled)
    assert (momenta[:10] == cycled[0]).all()


def test_total_updates():
    assert Constant().total_updates is None
    assert Warmup(3).total_updates is None
    assert Cosine(7).total_updates == OneCycle(7).total_updates == 7
    assert Warmup(3, then=Cosine(7)).total_updates == 10


@each
def test_cells_are_of_one_length_and_finite_but_for_momenta(schedule):
    encoded = schedule.encoded()
    assert encoded.ndim == 1
    is_table = encoded[kernels.CODE] == kernels.TABLE
    assert len(encoded) - kernels.N_SCHEDULE == (encoded[kernels.COUNT] if is_table else 0)
    assert encoded.dtype == np.float64
    assert np.isfinite(encoded[: kernels.MOMENTUM]).all()


@each
def test_specifications_are_frozen_and_pickle(schedule):
    copy = pickle.loads(pickle.dumps(schedule))
    assert (copy, hash(copy)) == (schedule, hash(schedule))
    for field in dataclasses.fields(schedule):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(schedule, field.name, 1)


# What is refused

OUT_OF_RANGE = [
    (StepDecay, {"every": 0}, "StepDecay: every is 0"),
    (
        StepDecay,
        {"every": 5, "gamma": 0.0},
        "gamma is 0.0, expected a finite number above 0 and at most 1",
    ),
    (StepDecay, {"every": 5, "gamma": 1.1}, "StepDecay: gamma is 1.1"),
    (ExponentialDecay, {"gamma": -0.5}, "ExponentialDecay: gamma is -0.5"),
    (ExponentialDecay, {"gamma": math.nan}, "gamma is nan"),
    (
        InverseScaling,
        {"power": 0},
        "InverseScaling: power is 0.0, expected a finite number above 0",
    ),
    (InverseScaling, {"power": math.inf}, "power is inf"),
    (Cosine, {"updates": -1}, "Cosine: updates is -1, expected an integer >= 1"),
    (
        Cosine,
        {"updates": 9, "end_factor": 1.0},
        "end_factor is 1.0, expected a finite number in [0, 1)",
    ),
    (StepDecay, {"every": 10**400}, "StepDecay: every is 2**63 or more"),
    (Cosine, {"updates": 10**400}, "Cosine: updates is 2**63 or more"),
    (OneCycle, {"updates": 10**400}, "OneCycle: updates is 2**63 or more"),
    (FlatCosine, {"updates": 0}, "FlatCosine: updates is 0"),
    (FlatCosine, {"updates": 9, "flat": 1.0}, "flat is 1.0, expected a finite number in [0, 1)"),
    (FlatCosine, {"updates": 9, "flat": -0.1}, "FlatCosine: flat is -0.1"),
    (LogCosine, {"updates": 0}, "LogCosine: updates is 0"),
    (LogCosine, {"updates": 9, "cycles": 0}, "LogCosine: cycles is 0, expected an integer >= 1"),
    (LogCosine, {"updates": 9, "cycles": 33}, "cycles is 33, expected an integer in [1, 32]"),
    (Warmup, {"updates": 10**400}, "Warmup: updates is 2**63 or more"),
    (OneCycle, {"updates": 0}, "OneCycle: updates is 0"),
    (OneCycle, {"updates": 3}, "more than 1 update"),
    (OneCycle, {"updates": 100, "pct_start": 0.0}, "more than 1 update"),
    (OneCycle, {"updates": 100, "pct_start": 1.0}, "pct_start is 1.0"),
    (OneCycle, {"updates": 100, "anneal_strategy": "cosine"}, "one of 'cos', 'linear'"),
    (OneCycle, {"updates": 100, "base_momentum": 1.0}, "base_momentum is 1.0"),
    (OneCycle, {"updates": 100, "max_momentum": -0.1}, "max_momentum is -0.1"),
    (OneCycle, {"updates": 100, "div_factor": 0.0}, "div_factor is 0.0"),
    (OneCycle, {"updates": 100, "final_div_factor": -1.0}, "final_div_factor is -1.0"),
    (Warmup, {"updates": 0}, "Warmup: updates is 0"),
    (
        Warmup,
        {"updates": 5, "start_factor": 0.0},
        "start_factor is 0.0, expected a finite number above 0 and at most 1",
    ),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), OUT_OF_RANGE)
def test_numbers_out_of_range(kind, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**arguments)


NO_NUMBERS = [
    (StepDecay, {"every": 2.5}, "StepDecay: every is 2.5, of type float"),
    (ExponentialDecay, {"gamma": "0.9"}, "ExponentialDecay: gamma is '0.9', of type str"),
    (InverseScaling, {"power": None}, "power is None"),
    (LogCosine, {"updates": 9, "cycles": 4.0}, "LogCosine: cycles is 4.0, of type float"),
    (FlatCosine, {"updates": 9, "flat": "half"}, "FlatCosine: flat is 'half', of type str"),
    (Cosine, {"updates": 1e3}, "Cosine: updates is 1000.0, of type float"),
    (Cosine, {"updates": True}, "updates is True"),
    (OneCycle, {"updates": 100, "cycle_momentum": 1}, "cycle_momentum is 1"),
    (OneCycle, {"updates": 100, "anneal_strategy": 1}, "anneal_strategy is 1"),
    (Warmup, {"updates": 5, "then": fastbp.Adam()}, "Warmup: then is fastbp.Adam("),
    (Warmup, {"updates": 5, "then": Cosine}, "Cosine(updates=1000)"),
    (Warmup, {"updates": 5, "then": Warmup(5)}, "without Warmup"),
]


@pytest.mark.parametrize(("kind", "arguments", "message"), NO_NUMBERS)
def test_what_is_no_number_or_no_schedule(kind, arguments, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        kind(**arguments)


@each
def test_check_takes_a_specification(schedule):
    assert schedules.check(schedule) is schedule


@pytest.mark.parametrize("schedule", [None, "cosine", Cosine, 0.1, fastbp.SGD(0.1)])
def test_check_refuses_what_is_no_specification(schedule):
    with pytest.raises(TypeError, match=r"schedule is .*StepDecay.*Warmup"):
        schedules.check(schedule)


WITHOUT = [fastbp.SGD(0.1), fastbp.RMSprop(), fastbp.Adagrad(), fastbp.NAdam()]
WITH = [fastbp.SGD(0.1, momentum=0.9), fastbp.RMSprop(momentum=0.9), fastbp.Adam(), fastbp.AdamW()]


@pytest.mark.parametrize("optimizer", WITHOUT, ids=repr)
@pytest.mark.parametrize("schedule", [OneCycle(9), Warmup(5, then=OneCycle(9))], ids=repr)
def test_a_momentum_that_cycles_needs_one_to_replace(schedule, optimizer):
    with pytest.raises(ValueError, match="cycle_momentum=False"):
        schedules.check_momentum(schedule, optimizer)


@pytest.mark.parametrize("optimizer", WITH, ids=repr)
def test_optimizers_with_a_momentum_take_every_schedule(optimizer):
    for schedule in ALL.values():
        schedules.check_momentum(schedule, optimizer)


@pytest.mark.parametrize("optimizer", WITHOUT, ids=repr)
def test_other_schedules_need_no_momentum(optimizer):
    for schedule in (Constant(), Warmup(3, then=Cosine(9)), OneCycle(9, cycle_momentum=False)):
        schedules.check_momentum(schedule, optimizer)


@pytest.mark.parametrize("schedule", [Constant(), LogCosine(9), OneCycle(9, cycle_momentum=False)])
def test_a_factor_alone_goes_with_any_rate(schedule):
    assert schedules.check_no_momentum(schedule, "x") is schedule


@pytest.mark.parametrize("schedule", [OneCycle(9), Warmup(5, then=OneCycle(9))], ids=repr)
def test_a_momentum_belongs_to_the_learning_rate(schedule):
    with pytest.raises(ValueError, match=r"^x is .*OneCycle.*cycle_momentum=False"):
        schedules.check_no_momentum(schedule, "x")


@pytest.mark.parametrize("schedule", [Cosine(100), Warmup(40, then=Cosine(60))], ids=repr)
def test_a_schedule_shorter_than_training(schedule):
    schedules.check_length(schedule, made=0, more=100)
    schedules.check_length(schedule, made=60, more=40)
    with pytest.raises(ValueError, match="for 100 updates, but 60 have been made and 41 more"):
        schedules.check_length(schedule, made=60, more=41)


def test_an_endless_schedule_is_long_enough():
    schedules.check_length(Warmup(40, then=InverseScaling()), made=10**9, more=10**9)
