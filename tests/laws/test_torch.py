"""Law 3: twenty steps of every optimizer follow torch's recorded ones."""

import pytest

import fastbp
from support import torch_record
from support.cases import each_dtype, each_engine

pytestmark = pytest.mark.law3

LOSS_TOLERANCE = {"float64": 1e-10, "float32": 3e-6}
"""Of a loss, relative: it is a mean of eleven logarithms of parameters that follow to 1e-5."""


def new_trainer(optimizer, dtype, engine, **options):
    network = torch_record.NETWORK
    net = fastbp.Network(
        network["sizes"], network["activation"], network["output"], seed=0, dtype=dtype
    )
    net.set_parameters(*torch_record.initial(dtype))
    return fastbp.Trainer(
        net,
        loss=network["loss"],
        optimizer=optimizer,
        batch_size=len(torch_record.RECORD["X"][0]),
        engine=engine,
        **options,
    )


@pytest.mark.quick("float32-numba")
@each_engine
@each_dtype
@pytest.mark.parametrize("case", torch_record.CASES)
def test_twenty_steps_follow_torch(case, dtype, engine):
    follow(new_trainer(torch_record.optimizer(case), dtype, engine), case, dtype)


@each_engine
@each_dtype
@pytest.mark.parametrize("case", torch_record.OPTIONS)
def test_twenty_steps_with_an_option_follow_torch(case, dtype, engine):
    optimizer = torch_record.optimizer("sgd_momentum")
    follow(new_trainer(optimizer, dtype, engine, **torch_record.OPTIONS[case]), case, dtype)


def follow(trainer, case, dtype):
    for step in range(torch_record.STEPS):
        loss = trainer.step(*torch_record.batch(step, dtype))
        expected = torch_record.RECORD[f"{case}/{dtype}/loss"][step]
        assert loss == pytest.approx(expected, rel=LOSS_TOLERANCE[dtype])
        if step + 1 in torch_record.RECORDED_STEPS:
            net = trainer.net
            torch_record.assert_follows(case, dtype, step + 1, net.weights, net.biases)
