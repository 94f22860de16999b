"""Laws 6 and 7 with options: a step allocates nothing, and touches only the arrays it was given."""

import gc
import itertools
import tracemalloc
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba import njit

import fastbp
from fastbp.schedules import Cosine, Warmup
from support import processes
from support.allocation import allocations, every_call
from support.cases import Case
from support.features import CLASSES, EVERY, FEATURES, OPTIMIZERS, OTHERS, SETS, Feature
from support.guards import SIDES, Guard, guard_everything, guarding
from support.internals import core

STEPS = 50
LAYERS = {"layer_norm": True, "residual": True}
LABELS = Case((5, 17, 17, 5), 7, **CLASSES)
NUMBERS = Case((5, 17, 17, 3), 7)

PLAIN = Feature()
EVERY_WITHOUT_LABELS = replace(
    EVERY,
    options={
        k: v for k, v in EVERY.options.items() if k not in ("label_smoothing", "class_weight")
    },
)


@njit
def custom_loss(p, y, dloss_dp):
    loss = 0.0
    for i in range(len(p)):
        loss += (p[i] - y[i]) ** 2
        dloss_dp[i] = 2 * (p[i] - y[i])
    return loss


@dataclass(frozen=True)
class Setting:
    """A case, and what its trainer is asked for."""

    case: Case
    feature: Feature = PLAIN
    optimizer: Any = OPTIMIZERS["adam"]
    custom_loss: bool = False
    scales: bool = False

    def trainer(self, dtype="float32", workers=1):
        options = (
            {"schedule": Warmup(2, Cosine(10**6))} if "schedule" in self.feature.options else {}
        )
        trainer = replace(self.feature, options=self.feature.options | options).trainer(
            self.case, dtype, optimizer=self.optimizer
        )
        if self.custom_loss:
            given = self.feature.options | options
            how = {"optimizer": self.optimizer, "batch_size": self.case.rows, "seed": 0}
            trainer = fastbp.Trainer(trainer.net, loss=custom_loss, **how, **given)
        if self.scales:
            target = None if self.case.labels else np.ones(self.case.sizes[-1])
            trainer.net.set_scaling(input_scale=2, target_mean=target)
        core(trainer).workers = workers
        return trainer


def every_setting(labels, numbers):
    """What goes with all options: (name, setting)."""
    for name, optimizer in OPTIMIZERS.items():
        normalized = replace(labels, **LAYERS)
        yield f"every {name}", Setting(labels, EVERY, optimizer)
        yield f"layers {name}", Setting(normalized, EVERY, optimizer, scales=True)
        numeric = replace(numbers, **LAYERS), EVERY_WITHOUT_LABELS, optimizer
        yield f"scales {name}", Setting(*numeric, scales=True)
        yield f"own loss {name}", Setting(*numeric, custom_loss=True)


def all_settings():
    for name, feature in SETS.items():
        for kind, optimizer in OPTIMIZERS.items():
            yield f"{name} {kind}", Setting(LABELS, feature, optimizer)
    for kind, optimizer in OTHERS.items():
        yield f"plain {kind}", Setting(LABELS, PLAIN, optimizer)
        yield f"every {kind}", Setting(LABELS, EVERY, optimizer)
    yield from every_setting(LABELS, NUMBERS)


# Allocation


def repeated(work):
    for _ in range(STEPS):
        work()


def python_growth(work):
    """Bytes by which repeating it grows what Python holds: the least of two rounds."""
    sizes = []
    for _ in range(3):
        repeated(work)
        sizes.append(tracemalloc.get_traced_memory()[0])
    return min(b - a for a, b in itertools.pairwise(sizes))


def report_allocations():
    fastbp.runtime.chunking.next_count = lambda *_: 2**40
    fastbp.warmup()  # tracing would make a compilation slower
    tracemalloc.start()
    for name, setting in all_settings():
        batch = setting.feature.batch(setting.case)
        step = partial(setting.trainer().step, *batch)
        step()
        gc.collect(0)
        gc.disable()
        found = *allocations(partial(repeated, step)), python_growth(step) // STEPS
        gc.enable()
        X, y, weights = batch
        fit = partial(setting.trainer(workers=2).fit, X, y, sample_weight=weights, progress=False)
        fit(epochs=2)
        few, many = (allocations(partial(fit, epochs=epochs)) for epochs in (2, STEPS))
        print(name, *found, many[0] - few[0], many[1], sep="|")


@pytest.mark.slow
@pytest.mark.law6
@pytest.mark.process
def test_no_step_allocates():
    """Neither of Numba's run time, nor what Python keeps; nor one more of a parallel fit."""
    program = "import test_feature_memory; test_feature_memory.report_allocations()"
    lines = processes.run(program, NUMBA_NRT_STATS="1").splitlines()
    assert len(lines) == sum(1 for _ in all_settings())
    for line in lines:
        _, made, kept, python, more, kept_by_fit = line.split("|")
        assert (made, kept, more, kept_by_fit) == ("0", "0", "0", "0"), line
        assert int(python) < 10, line


# Bounds


def bounded_settings():
    """Each feature alone, and all with all else, by rows and where rows are few."""
    for rows in (37, 3):
        labels = Case((17, 33, 33, 5), rows, **CLASSES)
        for name, feature in FEATURES.items():
            yield f"{name} {rows}", Setting(labels, feature)
        for name, setting in every_setting(labels, Case((17, 33, 33, 3), rows)):
            yield f"{name} {rows}", setting


def stay_inside(side, dtype):
    """Fatal if not. Prints each setting before it runs."""
    guard = Guard(side)
    guard_everything(guard)
    for name, setting in bounded_settings():
        for workers in (1, 2):
            print(name, workers, flush=True)
            trainer = setting.trainer(dtype, workers)
            X, y, weights = setting.feature.batch(setting.case)
            X, y = guard.copy(X), guard.copy(y)
            every_call(SimpleNamespace(trainer=trainer, X=X, y=y, size=setting.case.rows))
            if weights is not None:
                weights = guard.copy(weights)
                trainer.step(X, y, weights)
                trainer.fit(X, y, epochs=2, sample_weight=weights)
                trainer.loss_and_gradients(X, y, weights)


@pytest.mark.slow
@pytest.mark.law7
@pytest.mark.process
@guarding
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched(side, dtype):
    program = f"import test_feature_memory; test_feature_memory.stay_inside({side!r}, {dtype!r})"
    lines = processes.run(program).splitlines()
    assert len(lines) == 2 * sum(1 for _ in bounded_settings())
