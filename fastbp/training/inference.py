"""Outputs and losses of a trainer's parameters, or of their moving average."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Array
from ..components.metrics import Metric, apply_metrics
from ..data.tables import as_input_parts
from ..kernels.tables import layout
from ..model.network_checks import as_out
from ..runtime.arrays import Dataset, Engine, raise_status
from .core import TrainerCore
from .validation import are_classes, check_some_weight, known_shares


def evaluate(
    core: TrainerCore,
    parts: Iterable[Dataset],
    metrics: Mapping[str, Metric],
    averaged: bool = False,
) -> dict[str, float]:
    """``Trainer.evaluate`` of checked data, which come in one part or in several."""
    engine, has_accuracy = engine_of(core, averaged), core.has_accuracy
    values: list[Array] = []
    known: list[Array] = []
    weights: list[Array] = []
    targets: list[Array] = []
    predictions: list[Array] = []
    of_derivatives: list[Array] = []
    for data in parts:
        values.append(np.zeros((data.rows, 2)))
        raise_status(engine.evaluate_rows(data, values[-1]), data, core.arrays)
        of_derivatives += _losses_of_derivatives(core, data, engine)
        known += _known_of(core, data)
        if data.weights is not None:
            weights.append(data.weights)
        if has_accuracy and not core.loss.takes_labels and data.y is not None:
            has_accuracy = are_classes(data.y)
        if metrics and data.y is not None:
            targets.append(data.y.given)
            predictions.append(outputs(core, data, engine))
    weight_of_rows = _joined(weights) if weights else None
    of_rows = _joined(values)
    if core.is_local:
        core.rows_of_ranks(len(of_rows), weight_of_rows is not None)
        has_accuracy = bool(core.summed(np.array(not has_accuracy)) == 0)
    found = _means(core, of_rows, weight_of_rows, has_accuracy)
    if known:
        share = _known_share(core, _joined(known), weight_of_rows)
        found = {key: value / share for key, value in found.items()}
    if of_derivatives:
        mean = np.average(_joined(of_derivatives), weights=weight_of_rows)
        found["jacobian_loss"] = float(mean)
    if metrics:
        y, p = (core.joined_on_first(_joined(parts)) for parts in (targets, predictions))
        labels = core.loss.takes_labels
        found |= core.of_first(lambda: apply_metrics(metrics, y, p, labels))
    return found


def _known_of(core: TrainerCore, data: Dataset) -> list[Array]:
    """[the share of each row's targets that is known (n,)], or [] where all must be."""
    if data.y is None or not core.loss.ignores_nan:
        return []
    return [known_shares(data.y)]


def _losses_of_derivatives(core: TrainerCore, data: Dataset, engine: Engine) -> list[Array]:
    """[the loss of each row's derivatives (n,)], or [] where none are known."""
    if data.derivatives is None:
        return []
    losses = np.zeros(data.rows)
    raise_status(engine.derivative_losses(data, losses), data, core.arrays)
    return [losses]


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _known_share(core: TrainerCore, known: Array, weights: Array | None) -> float:
    """The weighted share of targets that are known, not NaN; ValueError where none is."""
    share = float(core.average(known, weights))
    if share == 0:
        raise ValueError(
            "y is NaN in every row that has weight, so that no loss is known: give at least one "
            "target"
        )
    return share


def _means(
    core: TrainerCore, values: Array, weights: Array | None, has_accuracy: bool
) -> dict[str, float]:
    check_some_weight(core.some(weights), "sample_weight")
    loss, n_correct = core.average(values, weights)
    if has_accuracy:
        return {"loss": float(loss), "accuracy": float(n_correct)}
    return {"loss": float(loss)}


def outputs_of(core: TrainerCore, X: Any, engine: Engine, out: Array | None) -> Array:
    """The outputs (rows, n_out) of the user's X, in ``out`` or in a new array."""
    net = core.net
    with nullcontext() if core.is_local else core.together("predict"):
        whole, parts = as_input_parts(X, net.sizes[0], "X", net.feature_names_in)
        out = as_out(out, whole, net.sizes[-1], net.dtype)
        for x in parts:
            rows = out if len(x.array) == len(out) else out[x.first :][: len(x.array)]
            outputs(core, Dataset(x), engine, rows)
    return out


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
    plan, factors = core.net.arrays.plan, [*core.options.lr_factors]
    starts = [*plan[1:, layout.WEIGHTS], len(parameters)]
    if plan[0, layout.NUMBERS]:
        factors.append(core.options.embedding_lr_factor)
        starts.insert(-1, plan[0, layout.EMBEDDING])
    spans = zip(factors, starts[:-1], starts[1:], strict=True)
    for factor, start, stop in spans:
        if factor == 0 or core.updates == 0:
            arena[start:stop] = parameters[start:stop]
    return arena
