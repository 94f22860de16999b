"""Reprs: each reads as the call that makes the object, without the arguments that have defaults."""

import dataclasses

import pytest

import fastbp
from fastbp import schedules
from fastbp.components import losses, optimizers

SPECS = {
    "fastbp.SGD(lr=0.1)": fastbp.SGD(0.1),
    "fastbp.SGD(lr=0.1, momentum=0.9, nesterov=True)": fastbp.SGD(0.1, 0.9, True),
    "fastbp.Adam()": fastbp.Adam(),
    "fastbp.Adam(betas=(0.5, 0.9), eps=1e-06)": fastbp.Adam(betas=(0.5, 0.9), eps=1e-6),
    "fastbp.AdamW(weight_decay=0.0)": fastbp.AdamW(weight_decay=0),
    "fastbp.RMSprop(lr=0.5, alpha=0.0)": fastbp.RMSprop(0.5, alpha=0),
    "fastbp.Adagrad(lr_decay=0.5)": fastbp.Adagrad(lr_decay=0.5),
    "fastbp.NAdam(momentum_decay=0.5)": fastbp.NAdam(momentum_decay=0.5),
    "fastbp.LBFGS(history=3)": fastbp.LBFGS(3),
    "fastbp.Huber(delta=0.5)": fastbp.Huber(0.5),
    "fastbp.Quantile(q=0.25)": fastbp.Quantile(0.25),
    "fastbp.schedules.Constant()": schedules.Constant(),
    "fastbp.schedules.StepDecay(every=2)": schedules.StepDecay(2),
    "fastbp.schedules.ExponentialDecay(gamma=0.5)": schedules.ExponentialDecay(0.5),
    "fastbp.schedules.InverseScaling(power=2.0)": schedules.InverseScaling(2),
    "fastbp.schedules.Cosine(updates=9)": schedules.Cosine(9),
    "fastbp.schedules.OneCycle(updates=9, anneal_strategy='linear')": schedules.OneCycle(
        9, anneal_strategy="linear"
    ),
    "fastbp.schedules.Warmup(updates=5)": schedules.Warmup(5),
    "fastbp.schedules.Warmup(updates=5, then=fastbp.schedules.Cosine(updates=9))": schedules.Warmup(
        5, schedules.Cosine(9)
    ),
}


@pytest.mark.parametrize("expected", SPECS)
def test_a_specification_is_the_call_that_makes_it(expected):
    spec = SPECS[expected]
    assert repr(spec) == expected
    assert eval(repr(spec), {"fastbp": fastbp}) == spec


def test_every_kind_of_specification_is_tried():
    kinds = {*optimizers.OPTIMIZERS.values(), *schedules.SCHEDULES.values()}
    kinds |= {*losses.NUMBERED.values(), fastbp.LBFGS}
    assert {type(spec) for spec in SPECS.values()} == kinds


def test_a_class_of_the_users_own_has_no_path():
    @dataclasses.dataclass(frozen=True, repr=False)
    class Mine(fastbp.Adam):
        lr: float = 0.5

    assert repr(Mine(eps=0.1)) == "Mine(eps=0.1)"
