"""pytest-benchmark cases: ``python -m pytest bench``. The ordinary test run leaves them out."""

import itertools

import pytest

from bench.cases import CASES
from bench.environment import available_cpus
from bench.peers import load

EPOCH_BATCHES = 4


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=["fastbp", "numpy"])
def model(request, case):
    return load(request.param)(case, "sgd", available_cpus())


def test_step(benchmark, case, model):
    batches = itertools.cycle(case.batches())
    benchmark.group = f"step {case.name}"
    benchmark(lambda: model.step(*next(batches)))


def test_predict(benchmark, case, model):
    X, _ = case.data(1)
    benchmark.group = f"predict {case.name}"
    benchmark(model.predict, X)


def test_epoch(benchmark, case, model):
    X, y = case.data(EPOCH_BATCHES)
    benchmark.group = f"epoch {case.name}"
    benchmark(model.epoch, X, y)
