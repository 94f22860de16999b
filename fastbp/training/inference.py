"""Outputs and losses of a trainer's parameters, or of their moving average."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from ..common import checks
from ..common.types import Array
from ..components.metrics import Metric, apply_metrics
from ..data.tables import Table
from ..kernels.tables import layout
from ..model.network_checks import as_out
from ..runtime.arrays import Dataset, Engine, raise_status
from .core import TrainerCore
from .validation import ROWS_AT_ONCE, Validation, check_some_weight


def evaluate(
    core: TrainerCore, rows: Validation, metrics: Mapping[str, Metric], averaged: bool = False
) -> dict[str, float]:
    """``Trainer.evaluate`` of checked data."""
    engine = engine_of(core, averaged)
    found = _mean_loss(core, rows.data, engine)
    if metrics:
        found |= apply_metrics(metrics, rows.y, outputs(core, rows.data, engine))
    return found


def _mean_loss(core: TrainerCore, data: Dataset, engine: Engine) -> dict[str, float]:
    values = np.zeros((data.rows, 2))
    raise_status(engine.evaluate_rows(data, values), data, core.arrays)
    check_some_weight(data.weights, "sample_weight")
    if core.loss.ignores_nan and data.y is not None:
        values /= _known_share(data)
    loss, n_correct = np.average(values, axis=0, weights=data.weights)
    if core.has_accuracy:
        return {"loss": float(loss), "accuracy": float(n_correct)}
    return {"loss": float(loss)}


def _known_share(data: Dataset) -> float:
    """The weighted share of targets that are known, not NaN; ValueError where none is."""
    y = cast(Table, data.y).array
    known = np.empty(data.rows)
    for start in range(0, data.rows, ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        known[part] = 1 - np.isnan(y[part]).mean(axis=1)
    share = float(np.average(known, weights=data.weights))
    if share == 0:
        raise ValueError(
            f"{data.names[1]} is NaN in every row that has weight, so that no loss is known: give "
            "at least one target"
        )
    return share


def outputs(core: TrainerCore, data: Dataset, engine: Engine, out: Array | None = None) -> Array:
    """The outputs (rows, n_out), in ``out`` or in a new array."""
    out = as_out(out, data.x, core.net.sizes[-1], core.net.dtype)
    fast = engine is core.compiled and core.uses_fast_path
    if not (fast and core.net.fast_fill(data.x, out)):
        raise_status(engine.outputs(data, np.asarray(out)), data, core.arrays)
    return out


def engine_of(core: TrainerCore, averaged: bool) -> Engine:
    """The trainer's engine, or one over the moving average of the parameters."""
    if averaged is False or not checks.flag(averaged, "averaged"):
        return core.engine
    arrays = replace(core.arrays, parameters=average(core))
    return core.new_engine(arrays)


def average(core: TrainerCore) -> Array:
    """The arena of the moving average; ValueError where the trainer keeps none.

    Updates leave it alone before the first of them and in frozen layers: there it is filled in.
    """
    if not core.arrays.spec.averages:
        raise ValueError(
            "averaged is True, but this trainer keeps no moving average: make it with "
            "ema_decay=0.999, say"
        )
    parameters = core.net.arrays.parameters
    arena: Array = core.arrays.moments[core.arrays.spec.moments]
    starts = [*core.net.arrays.plan[1:, layout.WEIGHTS], len(parameters)]
    spans = zip(core.options.lr_factors, starts[:-1], starts[1:], strict=True)
    for factor, start, stop in spans:
        if factor == 0 or core.updates == 0:
            arena[start:stop] = parameters[start:stop]
    return arena
