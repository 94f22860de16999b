"""A step allocates, leaks and compiles nothing, and touches only the arrays it was given."""

import ast
import gc
import itertools
import signal
import sys
import tracemalloc
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core import event
from numba.core.dispatcher import Dispatcher

import fastbp
from fastbp.kernels.entry import run
from support import processes
from support.allocation import allocations, every_call
from support.cases import HIDDEN
from support.guards import PAGE, SIDES, Guard, guard_everything, guarding
from support.internals import core

SHARES = (1, 2)
STEPS = 1000
OUTPUT = {"mse": "identity", "squared_error": "tanh", "bce": "sigmoid", "cross_entropy": "softmax"}
OPTIMIZERS = (
    fastbp.SGD(lr=0.01),
    fastbp.SGD(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    fastbp.Adam(),
    fastbp.AdamW(),
    fastbp.RMSprop(momentum=0.5),
)


def trainer_and_data(
    sizes=(5, 17, 3),
    loss="mse",
    optimizer=OPTIMIZERS[2],
    activation="relu",
    *,
    rows=20,
    batch_size=7,
    dtype="float32",
    workers=1,
    **options,
):
    net = fastbp.Network(sizes, activation=activation, output=OUTPUT[loss], seed=1, dtype=dtype)
    trainer = fastbp.Trainer(
        net, loss=loss, optimizer=optimizer, batch_size=batch_size, seed=1, **options
    )
    core(trainer).workers = workers
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, (rows, sizes[0])).astype("f4")
    y = rng.uniform(0, 1, (rows, sizes[-1])).astype("f4")
    if loss == "cross_entropy":
        y = rng.integers(0, sizes[-1], rows)
    return SimpleNamespace(trainer=trainer, X=X, y=y, size=min(batch_size, rows))


# Allocation


def report_allocations():
    fastbp.runtime.chunking.next_count = lambda *_: 2**40
    for workers in SHARES:
        it = trainer_and_data(workers=workers)
        fit = partial(it.trainer.fit, it.X, it.y)
        fit(epochs=2)
        few, many = (allocations(partial(fit, epochs=epochs)) for epochs in (2, STEPS))
        print(workers, few[0] > 0, many[0] - few[0], few[1], many[1])


@pytest.mark.law6
@pytest.mark.process
def test_steps_make_no_allocation_of_numbas_run_time():
    """A parallel call makes handles for its arguments, a serial one none; more steps, no more."""
    program = "import test_memory; test_memory.report_allocations()"
    lines = processes.run(program, NUMBA_NRT_STATS="1").splitlines()
    assert lines == [f"{workers} {workers > 1} 0 0 0" for workers in SHARES]


def resident():
    """Bytes of this process in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE


def growth(work):
    """Bytes by which a call of ``work`` grows the process, and those that Python allocated.

    The least of two rounds: what leaks grows in both, what happens once does not.
    """
    used = []
    for count in (100, STEPS, STEPS):
        for _ in range(count):
            work()
        gc.collect()
        used.append((resident(), tracemalloc.get_traced_memory()[0]))
    grown = [
        [(b - a) // STEPS for a, b in zip(*pair, strict=True)] for pair in itertools.pairwise(used)
    ]
    return [min(column) for column in zip(*grown, strict=True)]


def works():
    for workers in SHARES:
        it = trainer_and_data(workers=workers)
        X, y = it.X[: it.size], it.y[: it.size]
        yield partial(it.trainer.step, X, y)
    out = it.trainer.predict(X)
    core(it.trainer).workers = 1
    yield partial(it.trainer.predict, X, out=out)
    yield partial(it.trainer.evaluate, X, y)
    yield partial(it.trainer.loss_and_gradients, X, y)


def report_growth():
    tracemalloc.start()
    print([growth(work) for work in works()])


@pytest.mark.slow
@pytest.mark.law6
@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_flat_over_a_thousand_steps():
    """And over as many of the other calls."""
    found = ast.literal_eval(processes.run("import test_memory; test_memory.report_growth()"))
    assert len(found) == 5
    for process, python in found:
        assert process < 300, found
        assert python < 10, found


# Compilation


def layouts(X, folder):
    """The same numbers, or nearly, in every kind of array."""
    small = np.abs(X * 100)
    yield from (X.astype(dtype) for dtype in ("f2", "f4", "f8"))
    yield from (small.astype(dtype) for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))
    yield X > 0
    yield np.asfortranarray(X)
    yield X[::-1, ::-1]
    yield np.repeat(X, 2, axis=1)[:, ::2]
    yield np.broadcast_to(X[:1], X.shape)
    yield X.tolist()
    fixed = X.copy()
    fixed.flags.writeable = False
    yield fixed
    mapped = np.memmap(folder / "X", X.dtype, "w+", shape=X.shape)
    mapped[...] = X
    yield mapped


def every_network(**options):
    for sizes in ((5, 17, 3), (2, 1), (40, 30, 1, 20, 2)):
        for loss in OUTPUT:
            for i, activation in enumerate(HIDDEN):
                optimizer = OPTIMIZERS[i % len(OPTIMIZERS)]
                yield trainer_and_data(sizes, loss, optimizer, activation, **options)


def dispatchers():
    """The compiled functions that Python calls."""
    compiled = {name: f for name, f in vars(run).items() if isinstance(f, Dispatcher)}
    return {name: f for name, f in compiled.items() if f.py_func.__module__ == run.__name__}


def report_compilations(folder):
    for workers in SHARES:
        every_call(trainer_and_data(workers=workers))
    with event.install_recorder("numba:compiler_lock") as recorder:
        for workers in SHARES:
            for it in every_network(workers=workers):
                every_call(it)
            it = trainer_and_data(workers=workers)
            for X in layouts(it.X, Path(folder)):
                every_call(it, X=X)
            for y in layouts(np.abs(it.y), Path(folder)):
                every_call(it, y=y)
            every_call(it, out=np.empty((len(it.X), 3), "f4"))
    print({name: len(f.signatures) for name, f in dispatchers().items()})
    print(run.code.cache_info().currsize, len(recorder.buffer))


@pytest.mark.slow
@pytest.mark.law6
@pytest.mark.process
def test_every_network_and_every_kind_of_array_is_one_compilation(tmp_path):
    program = f"import test_memory; test_memory.report_compilations({str(tmp_path)!r})"
    signatures, counts = processes.run(program).splitlines()
    assert signatures == "{'parallel': 1}"
    assert counts == "1 0"


def report_twins():
    with event.install_recorder("numba:compiler_lock") as recorder:
        it = trainer_and_data(engine="numpy")
        it.trainer.fit(it.X, it.y, epochs=2, validation_data=(it.X, it.y))
        it.trainer.loss_and_gradients(it.X, it.y)
        it.trainer.predict(it.X)
    print(len(recorder.buffer), sum(len(f.signatures) for f in dispatchers().values()))


@pytest.mark.law6
@pytest.mark.process
def test_the_numpy_engine_compiles_nothing():
    assert processes.run("import test_memory; test_memory.report_twins()") == "0 0\n"


# Bounds


SHAPES = (
    # sizes, rows, rows of a batch
    ((1, 1), 1, 1),
    ((1, 7, 1), 3, 2),
    ((3, 5, 2), 17, 17),
    ((17, 33, 9, 1), 33, 16),
    ((16, 64, 16), 32, 16),
    ((13, 1, 130), 49, 20),
    ((130, 40, 3), 5, 64),
    ((5, 3), 700, 300),
)


def guarded_inputs(guard, X):
    yield from (guard.copy(X.astype(dtype)) for dtype in ("f2", "f4", "f8", "u1", "i8", "?"))
    yield guard.copy(X.T).T
    for steps in ((2, 3), (-1, 1), (1, -1), (-3, -2)):
        yield guard.strided(X, *steps)


def guarded_targets(guard, y):
    yield guard.copy(y)
    if y.ndim == 1:
        yield guard.strided(y[:, None].astype("u1"), -3, 1)[:, 0]
        y = np.eye(y.max() + 1)[y]
    yield guard.strided(y.astype("f8"), 2, 1)
    yield guard.copy(y.T).T


def stay_inside(side, dtype):
    """Fatal if not. Prints each case before it runs."""
    guard = Guard(side)
    guard_everything(guard)
    for i, (sizes, rows, batch_size) in enumerate(SHAPES):
        for j, (loss, workers) in enumerate(product(OUTPUT, SHARES)):
            print(sizes, rows, batch_size, loss, workers, flush=True)
            it = trainer_and_data(
                sizes,
                loss,
                OPTIMIZERS[j // 2 + 1],
                HIDDEN[(i + j) % len(HIDDEN)],
                rows=rows,
                batch_size=batch_size,
                dtype=dtype,
                workers=workers,
            )
            if it.y.ndim == 1:
                it.y[-1] = sizes[-1] - 1
            if (i + j // 2) % 2:
                regression = loss in ("mse", "squared_error")
                it.trainer.net.set_scaling(
                    input_scale=2, target_mean=np.ones(sizes[-1]) if regression else None
                )
            X, y = list(guarded_inputs(guard, it.X)), list(guarded_targets(guard, it.y))
            out = guard.empty((rows, sizes[-1]), dtype)
            every_call(it, X[1], y[0], out)
            every_call(it, X[(i + j) % len(X)], y[(i + j) % len(y)], out)


@pytest.mark.slow("float64")
@pytest.mark.law7
@pytest.mark.process
@guarding
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched(side, dtype):
    program = f"import test_memory; test_memory.stay_inside({side!r}, {dtype!r})"
    lines = processes.run(program).splitlines()
    assert len(lines) == len(SHAPES) * len(OUTPUT) * len(SHARES)


TRESPASS = """
import ctypes
from support import guards
array = guards.Guard({side!r}).zeros(3, "f4")
array[:] = 1
ctypes.c_float.from_address(array.ctypes.data + {offset}).value
"""


@pytest.mark.law7
@pytest.mark.process
@guarding
@pytest.mark.parametrize("side", SIDES)
def test_a_guard_is_where_the_array_ends(side):
    beyond, inside = {"start": (-4, 0), "end": (12, 8)}[side]
    processes.run(TRESPASS.format(side=side, offset=inside))
    trespasser = processes.start(TRESPASS.format(side=side, offset=beyond))
    trespasser.communicate()
    assert -trespasser.returncode in (signal.SIGSEGV, signal.SIGBUS)
