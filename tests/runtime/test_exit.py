"""A process that ends while a daemon thread trains: at once, with its own exit code, no crash."""

import threading
import time

import numpy as np
import pytest

import fastbp
from support import processes, threading_layers
from support.internals import core
from support.trainers import LARGE, trainer_in_thirds

PATIENCE = 60
"""Seconds after which a process counts as hanging; it takes one or two."""

PROGRAM = """
import sys, test_exit
test_exit.begin_training({workers})
{end}
"""

ENDS = (
    ("", 2, 0),
    ("", 1, 0),
    ("sys.exit(3)", 2, 3),
    ("raise KeyError('by the test')", 2, 1),
)
"""The last line of the main thread, in how many shares the other trains, the exit code."""


def begin_training(workers):
    """In a daemon thread; returns at some moment of it."""
    trainer, begun = trainer_in_thirds(LARGE), threading.Event()
    core(trainer).workers = workers
    begin = fastbp.LambdaCallback(on_epoch_end=lambda _: begun.set())

    def train():
        trainer.fit(*LARGE.batch(), callbacks=[begin])
        trainer.fit(*LARGE.batch(), epochs=10**6)

    threading.Thread(target=train, daemon=True).start()
    begun.wait()
    time.sleep(np.random.default_rng().uniform(0, 0.2))


def check_exits(environment):
    """All ends at once; the exit codes and what they said are as they should be."""
    started = [
        (processes.start(PROGRAM.format(workers=workers, end=end), **environment), end, code)
        for end, workers, code in ENDS
    ]
    try:
        for process, end, code in started:
            out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == code, f"{process.returncode} after {end!r}\n{err}"
            assert out == ""
            assert err.endswith("KeyError: 'by the test'\n") if "raise" in end else err == ""
    finally:
        for process, *_ in started:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.process
@threading_layers.each_layer
def test_a_process_ends_while_a_daemon_thread_trains(layer):
    check_exits(threading_layers.settings(layer))


def repeat(times):
    """The same many times, under each layer that there is: for a night."""
    for layer in threading_layers.POOLS:
        try:
            environment = threading_layers.settings(layer)
        except pytest.skip.Exception:
            continue
        for _ in range(times):
            check_exits(environment)
