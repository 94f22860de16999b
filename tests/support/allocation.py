"""What a call allocates."""

from types import SimpleNamespace

from numba.core.registry import cpu_target
from numba.core.runtime import rtsys


def every_call(it, X=None, y=None, out=None):
    """Each kind of call once, with these arrays in place of its own."""
    trainer = it.trainer
    X, y = it.X if X is None else X, it.y if y is None else y
    trainer.step(X[: it.size], y[: it.size])
    for shuffle in (True, False):
        trainer.fit(X, y, epochs=2, shuffle=shuffle)
    trainer.loss_and_gradients(X, y)
    trainer.evaluate(X, y)
    trainer.predict(X, out=out)
    trainer.net.predict(X, out=out)


def counts():
    """Counters of Numba's run time, which starts with the first function that needs it."""
    rtsys.initialize(cpu_target.target_context)
    return rtsys.get_allocation_stats()


def allocations(work):
    """(allocations of Numba's run time, those not freed since) of a call."""
    before = counts()
    work()
    after = counts()
    made = [new - old for old, new in zip(before, after, strict=True)]
    done = SimpleNamespace(**dict(zip(before._fields, made, strict=True)))
    return done.alloc + done.mi_alloc, done.alloc - done.free


def report_of_loops(loop, *arguments):
    """Print whether a compiled loop allocates as much for 2 turns as for 1000, and frees it.

    The last of its arguments is the number of turns.
    """
    made = []
    for turns in (1, 2, 1000):
        before = counts()
        loop(*arguments, turns)
        made.append([new - old for old, new in zip(before, counts(), strict=True)])
    print(made[1] == made[2], made[1][0] == made[1][1])
