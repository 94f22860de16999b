"""Sizes beyond memory, and beyond int64: refused, or no more taken than there are rows."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp.kernels.tables import layout
from support import processes
from support.cases import each_case
from support.fuzzing import INPUTS, OUTPUTS, ROWS, SUBJECTS, contents


def rows(count, columns, value=0.0):
    """So many equal rows in the memory of one number."""
    return np.broadcast_to(np.float32(value), (count, columns))


def beyond_memory():
    """(what is called, what its message says), each of which raises MemoryError or ValueError."""
    small = SUBJECTS[0].trainer()
    net, many, too_many = small.net, 2**38, 2**41
    network, sgd = fastbp.Network, fastbp.SGD(0.1)
    huge = fastbp.Trainer(net, loss="mse", optimizer=sgd, batch_size=10**12)
    beyond = fastbp.Trainer(net, loss="mse", optimizer=sgd, batch_size=10**30)
    yield lambda: network([10**6, 10**6]), "sizes [1000000, 1000000] make 1000001000000 parameters"
    yield lambda: network([10**9, 10**9], init="zeros"), "sizes"
    yield lambda: network([2**31, 2**32, 2**31]), "sizes"
    yield lambda: network([2**62, 1]), "sizes"
    yield lambda: network([1, 2**63]), "sizes[1]"
    yield lambda: network([10**400, 1]), "sizes[0]"
    yield lambda: network([1, 10**5000]), "sizes[1]"
    yield huge.compiled, "batch_size is 1000000000000"
    yield beyond.compiled, "batch_size is 1000000"
    yield lambda: small.find_lr(*SUBJECTS[0].data(), updates=10**13), "updates"
    yield lambda: small.find_lr(*SUBJECTS[0].data(), updates=10**30), "updates"
    for predict in (net.predict, small.predict):
        yield lambda predict=predict: predict(rows(many, INPUTS)), "shape (274877906944, 2)"
        yield lambda predict=predict: predict(rows(too_many, INPUTS)), "X has shape"
    for call in (small.fit, small.evaluate, small.find_lr):
        yield lambda call=call: call(rows(many, INPUTS), rows(many, OUTPUTS)), "(274877906944,"
        yield lambda call=call: call(rows(2**59, INPUTS), rows(2**59, OUTPUTS)), "X has shape"
    for count in (many, 2**59):
        X, y = rows(count, INPUTS), rows(count, OUTPUTS)
        yield lambda X=X, y=y: small.step(X, y), "X has"
        yield lambda X=X, y=y: small.fit(X, y, validation_fraction=0.5), ""
        yield lambda X=X, y=y: small.fit(*SUBJECTS[0].data(), validation_data=(X, y)), ""
        yield lambda X=X, y=y: net.standardize(X[:0], y), "X is empty"
    bad = rows(many, OUTPUTS, np.nan)  # found at once, without memory for an order
    yield lambda: small.fit(rows(many, INPUTS), bad, shuffle=False), "y has nan at row 0"


def try_beyond_memory():
    """As much address space as there is, and 2 GB: what takes more is refused."""
    import resource

    SUBJECTS[0].trainer().fit(*SUBJECTS[0].data())
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + 2**31
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number, (call, said) in enumerate(beyond_memory()):
        with pytest.raises((MemoryError, ValueError)) as caught:
            call()
        assert said in str(caught.value), number
    few_rows_in_huge_batches()
    print("went on")


def few_rows_in_huge_batches():
    """Memory is for the rows that there are."""
    for engine in ("numba", "numpy"):
        expected = None
        for batch_size in (ROWS, 10**12, 10**30):
            net = fastbp.Network([INPUTS, 5, OUTPUTS], seed=0)
            trainer = fastbp.Trainer(
                net, loss="mse", optimizer=fastbp.Adam(), batch_size=batch_size, seed=0,
                engine=engine,
            )  # fmt: skip
            X, y = SUBJECTS[0].data()
            found = [trainer.step(X, y), trainer.fit(X, y)["loss"], trainer.evaluate(X, y)]
            found += [trainer.loss_and_gradients(X, y)[0], trainer.find_lr(X, y).losses.tolist()]
            found += [trainer.fit_batches([(X, y)])["loss"], contents(net.weights)]
            expected = expected or found
            assert found == expected


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="limits address space, as Linux does")
def test_sizes_beyond_memory_are_refused():
    assert processes.run("import test_sizes; test_sizes.try_beyond_memory()") == "went on\n"


@each_case
@pytest.mark.parametrize("capacity", [1, 1000])
def test_the_bound_on_memory_is_above_what_a_plan_takes(case, capacity, monkeypatch):
    """Else a plan's sizes could be beyond int64 where the bound is not."""
    for features in (
        {},
        {"dropout": (0.5,) * len(case.sizes[1:]), "residual": True, "extended": True},
    ):
        shape = replace(case.network().arrays.spec, capacity=capacity, **features)
        plan = layout.make_plan(shape)
        with monkeypatch.context() as patch:
            taken = shape.itemsize * (plan[0, layout.PARAMETERS] + plan[0, layout.WORK])
            patch.setattr(layout, "MOST_BYTES", taken)
            with pytest.raises(MemoryError, match="more memory than any machine has"):
                layout.make_plan(shape)
