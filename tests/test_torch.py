"""Law 3: twenty steps of every optimizer follow torch's recorded ones."""

import pytest
import recorded
from cases import each_dtype

import fastbp

LOSS_TOLERANCE = {"float64": 1e-10, "float32": 3e-6}
"""Of a loss, relative: it is a mean of eleven logarithms of parameters that follow to 1e-5."""


def new_trainer(optimizer, dtype, engine, **options):
    network = recorded.NETWORK
    net = fastbp.Network(
        network["sizes"], network["activation"], network["output"], seed=0, dtype=dtype
    )
    net.set_parameters(*recorded.initial(dtype))
    return fastbp.Trainer(
        net,
        loss=network["loss"],
        optimizer=optimizer,
        batch_size=len(recorded.RECORD["X"][0]),
        engine=engine,
        **options,
    )


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@each_dtype
@pytest.mark.parametrize("case", recorded.CASES)
def test_twenty_steps_follow_torch(case, dtype, engine):
    follow(new_trainer(recorded.optimizer(case), dtype, engine), case, dtype)


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@each_dtype
@pytest.mark.parametrize("case", recorded.OPTIONS)
def test_twenty_steps_with_an_option_follow_torch(case, dtype, engine):
    optimizer = recorded.optimizer("sgd_momentum")
    follow(new_trainer(optimizer, dtype, engine, **recorded.OPTIONS[case]), case, dtype)


def follow(trainer, case, dtype):
    for step in range(recorded.STEPS):
        loss = trainer.step(*recorded.batch(step, dtype))
        expected = recorded.RECORD[f"{case}/{dtype}/loss"][step]
        assert loss == pytest.approx(expected, rel=LOSS_TOLERANCE[dtype])
        if step + 1 in recorded.RECORDED_STEPS:
            net = trainer.net
            recorded.assert_follows(case, dtype, step + 1, net.weights, net.biases)
