"""Law 3: twenty steps of every optimizer follow torch's recorded ones."""

import numpy as np
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
    options = torch_record.OPTIONS[case]
    optimizer = torch_record.optimizer(torch_record.BASES[case])
    trainer = new_trainer(optimizer, dtype, engine, **options)
    follow(trainer, case, dtype, options.get("class_weight"))


def follow(trainer, case, dtype, class_weight=None):
    """torch divides by the sum of a batch's weights, and step by its rows."""
    for step in range(torch_record.STEPS):
        X, labels = torch_record.batch(step, dtype)
        weights = None
        if class_weight:
            mean = np.mean([class_weight.get(int(label), 1.0) for label in labels])
            weights = np.full(len(labels), 1 / mean)
        loss = trainer.step(X, labels, weights)
        expected = torch_record.RECORD[f"{case}/{dtype}/loss"][step]
        assert loss == pytest.approx(expected, rel=LOSS_TOLERANCE[dtype])
        if step + 1 in torch_record.RECORDED_STEPS:
            net = trainer.net
            torch_record.assert_follows(case, dtype, step + 1, net.weights, net.biases)
