"""pytest-benchmark cases: ``python -m pytest bench``. The ordinary test run leaves them out."""

import itertools

import pytest

from bench.cases import CASES
from bench.race import baseline_of, network_of, trainer_of

FIT_BATCHES = 4


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(params=["fastbp", "numpy"])
def model(request, case):
    network = network_of(case)
    make = trainer_of if request.param == "fastbp" else baseline_of
    return make(case, network, "sgd")


def test_step(benchmark, case, model):
    batches = itertools.cycle(case.batches())
    benchmark.group = f"step {case.name}"
    benchmark(lambda: model.step(*next(batches)))


def test_predict(benchmark, case, model):
    X, _ = case.data(1)
    benchmark.group = f"predict {case.name}"
    benchmark(model.predict, X)


def test_fit(benchmark, case, model):
    X, y = case.data(FIT_BATCHES)
    benchmark.group = f"fit {case.name}"
    benchmark(model.fit, X, y, epochs=1)
