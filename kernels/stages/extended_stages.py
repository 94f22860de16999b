"""What extended plans do beside plain ones: before a batch's rows, and after its gradient."""

import math

from numba import types

from ..base import codes
from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import get, offset, pointer_to
from ..ir.typed_pointers import typed_pointer_at
from ..tables import job_table as J
from ..tables import layout as P
from ..tables import settings as H
from ..tables.schedules import scheduled
from .dropout import set_thresholds, update_key
from .number_updates import apply_numbers, measure_numbers
from .regularization import clip_scale, finish_gradients, measure_gradient, measure_weights
from .update import apply_part
from .update_rules import momentum_of, next_state, set_powers


@kernel
def _work_out(plan, hyper):
    """The scalars of an update before ARE_GIVEN: those that come from a libm."""
    updates = hyper[H.UPDATES]
    dropout, _ = scheduled(hyper, H.DROPOUT_SCHEDULE, updates)
    hyper[H.STEP_DROPOUT] = dropout
    decay, _ = scheduled(hyper, H.DECAY_SCHEDULE, updates)
    hyper[H.STEP_DECAY] = hyper[codes.WEIGHT_DECAY] * decay
    factor, momentum = scheduled(hyper, H.SCHEDULE, updates)
    hyper[H.STEP_LR] = hyper[codes.LR] * factor
    constant = momentum_of(hyper)
    hyper[H.STEP_MOMENTUM] = constant if math.isnan(momentum) else momentum
    set_powers(plan[0, P.OPTIMIZER], hyper)


@kernel
def _prepare(plan, job):
    hyper = typed_pointer_at(job[J.HYPER], types.float64)
    plan[0, P.FIRST_ROW] = job[J.START] if job[J.TASK] == J.GRADIENTS else 0
    plan[0, P.KEY] = update_key(plan[0, P.SEED], int(hyper[H.UPDATES]))
    if hyper[H.ARE_GIVEN] == 0.0:
        _work_out(plan, hyper)
    # A custom output gradient was computed from the outputs of predict, without dropout.
    drops = job[J.TASK] == J.TRAIN or job[J.TASK] == J.GRADIENTS
    set_thresholds(plan, hyper[H.STEP_DROPOUT] if drops else 0.0)
    hyper[H.PENALTY_SCALE] = 0.0 if job[J.TASK] == J.APPLY_GRADIENT else 1.0
    hyper[H.CLIP_SCALE] = 1.0


prepare = by_plan(None, _prepare)
"""Compute the scalars that a batch's stages read: (plan, job)."""


@kernel
def _measure_layer(plan, params, work, job, layer, worker, workers):
    hyper = typed_pointer_at(job[J.HYPER], types.float64)
    measure_weights(plan, params, work, hyper, layer, worker, workers)


measure_layer = by_plan(None, _measure_layer)
"""One worker's part of the penalty on a layer's weights.

(plan, params, work, job, layer, worker, workers)
"""


@kernel
def _stores_none(plan):
    return False


@kernel
def _stores_gradient(plan):
    return plan[0, P.GRADIENT] >= 0


stores_gradient = by_plan(_stores_none, _stores_gradient)
"""Whether an update stores its whole gradient first, to clip its norm: (plan)."""


@kernel
def _no_arena(plan, moments):
    return moments


@kernel
def _gradient_arena(plan, moments):
    return offset(moments, plan[0, P.GRADIENT] * plan[0, P.PARAMETERS])


gradient_arena = by_plan(_no_arena, _gradient_arena)
"""The arena that stores the gradient: (plan, moments)."""


@kernel
def _update_is_made(plan, work, hyper, job, after):
    return J.NOTHING


@kernel
def _after_weights(plan, work, hyper, job, after):
    if job[J.TASK] == J.GRADIENTS:
        if after == J.FINISH or job[J.START] + job[J.BATCH] < job[J.ROWS]:
            return J.NOTHING
        weight = get(pointer_to(job[J.WEIGHT_SUMS], types.float64), 0)
        hyper[H.PENALTY_SCALE] = 1.0 if weight > 0.0 else 0.0
        return J.FINISH
    if after == J.BY_WEIGHTS and plan[0, P.GRADIENT] >= 0 and job[J.TASK] != J.INPUT_GRADIENT:
        return J.MEASURE
    if after == J.MEASURE:
        hyper[H.CLIP_SCALE] = clip_scale(plan, work, hyper)
        if not math.isfinite(hyper[H.CLIP_SCALE]):
            job[J.STATUS] = J.NOT_FINITE
            return J.NOTHING
        return J.APPLY
    return J.NOTHING


after_weights = by_plan(_update_is_made, _after_weights)
"""The stage after BY_WEIGHTS, MEASURE, APPLY or FINISH; NOTHING after the last, or on failure.

(plan, work, hyper, job, after)
"""


@kernel
def _applies_none(plan):
    return J.NOTHING


@kernel
def _first_of_apply(plan):
    return J.MEASURE if plan[0, P.GRADIENT] >= 0 else J.APPLY


first_of_apply = by_plan(_applies_none, _first_of_apply)
"""The first stage of APPLY_GRADIENT: (plan)."""


@kernel
def _extra_stage(plan, params, moments, work, hyper, job, stage, worker, workers):
    if stage == J.FINISH:
        finish_gradients(plan, params, moments, hyper, worker, workers)
        return
    gradient = _gradient_arena(plan, moments)
    if job[J.TASK] == J.APPLY_GRADIENT:
        gradient = pointer_to(job[J.OUT], moments)
    if stage == J.MEASURE:
        measure_gradient(plan, params, gradient, work, hyper, worker, workers)
        measure_numbers(plan, (params, gradient, work), hyper, worker, workers)
    else:
        apply_part(plan, params, moments, gradient, hyper, worker, workers)
        apply_numbers(plan, (params, moments, gradient), hyper, worker, workers)


extra_stage = by_plan(None, _extra_stage)
"""One worker's part of MEASURE, APPLY or FINISH.

(plan, params, moments, work, hyper, job, stage, worker, workers)
"""


@kernel
def _count(plan, hyper):
    hyper[H.UPDATES] += 1.0


@kernel
def _count_and_keep_state(plan, hyper):
    hyper[H.OPTIMIZER_STATE] = next_state(plan[0, P.OPTIMIZER], hyper)
    hyper[H.UPDATES] += 1.0


count_update = by_plan(_count, _count_and_keep_state)
"""Count one update: (plan, hyper)."""
