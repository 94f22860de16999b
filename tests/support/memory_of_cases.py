"""What networks of a kind allocate, and touch: programs for processes of their own."""

import itertools
from functools import partial
from types import SimpleNamespace

import fastbp
from support.allocation import allocations, every_call
from support.guards import Guard, guard_everything
from support.internals import core


def report_allocations(case):
    """Print what more updates allocate of Numba's run time, "0 0 0" for nothing, by workers."""
    fastbp.runtime.chunking.next_count = lambda *_: 2**40
    for workers in (1, 2):
        trainer, batch = case.trainer("float32"), case.batch()
        core(trainer).workers = workers
        trainer.fit(*batch)
        few, many = (allocations(partial(trainer.fit, *batch, epochs=n)) for n in (2, 500))
        print(many[0] - few[0], few[1], many[1])


def stay_inside(cases, side, dtype):
    """Make every call beside pages that none may touch. Prints each case before it runs."""
    guard = Guard(side)
    guard_everything(guard)
    for case, workers in itertools.product(cases, (1, 2)):
        print(case, workers, flush=True)
        trainer = case.trainer(dtype, batch_size=-(-case.rows // 2), optimizer=fastbp.Adam())
        core(trainer).workers = workers
        X, y = map(guard.copy, case.batch())
        every_call(SimpleNamespace(trainer=trainer, X=X, y=y, size=trainer.batch_size))
