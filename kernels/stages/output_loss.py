"""Loss and delta of the output layer, one vector of rows at a time, and the weights of rows."""

import math

from numba import types

from ..base.jit import kernel
from ..base.variants import by_plan
from ..ir.simd import (
    get,
    lanes,
    load,
    offset,
    pointer_to,
    put,
    splat,
    store,
)
from ..ir.typed_pointers import typed_pointer_at
from ..tables import job_table as J
from ..tables import layout as P
from ..tables import settings as H
from .backward import delta_of
from .batch import has_labels, has_output_gradient
from .extended_losses import extended_loss_and_delta, weighs_entries, weight_unit
from .forward import padded
from .losses import allows_nan, loss_and_delta


@kernel
def _loss_and_delta(plan, work, job, vector, valid, rows):
    last = plan[0, P.LAST]
    block, units = offset(work, vector * plan[0, P.BLOCK]), plan[last, P.OUTPUTS]
    places = (
        offset(block, plan[last, P.Z]),
        offset(block, plan[last, P.A]),
        offset(block, plan[0, P.TARGET]),
        delta_of(plan, work, vector, last),
        offset(block, plan[0, P.ROW_LOSS]),
    )
    counts = (units, padded(units, lanes(work)), valid)
    code, labels = plan[last, P.ACTIVATION], has_labels(plan, job)
    loss_and_delta(plan[0, P.LOSS], code, places, labels, counts, rows, None)


output_loss = by_plan(_loss_and_delta, extended_loss_and_delta)
"""Loss and delta of the output layer for one vector of rows.

(plan, work, job, vector, valid, rows); rows: the number of rows that the loss is a mean of.
"""


@kernel
def _class_weight(plan, job, block, lane):
    """The weight of a row's class, or the mean of all by the row's y, float64."""
    n_lanes, last, hyper = (
        lanes(block),
        plan[0, P.LAST],
        typed_pointer_at(job[J.HYPER], types.float64),
    )
    y, units = offset(block, plan[0, P.TARGET]), plan[last, P.OUTPUTS]
    first = H.class_weights(last)
    if has_labels(plan, job):
        return hyper[first + int(get(y, lane))]
    if units == 1:
        share = 0.0 + get(y, lane)  # float64
        return hyper[first] * (1.0 - share) + hyper[first + 1] * share
    mean = 0.0
    for u in range(units):
        mean += hyper[first + u] * get(y, u * n_lanes + lane)
    return mean


@kernel
def _is_known(plan, block, lane):
    """Whether some target of a row is not NaN."""
    n_lanes, y = lanes(block), offset(block, plan[0, P.TARGET])
    for u in range(plan[0, P.TARGETS]):
        if not math.isnan(get(y, u * n_lanes + lane)):
            return True
    return False


@kernel
def _row_weight(plan, job, block, place, lane, by_class):
    """The weight of the row at ``place`` of the order, float64: of the row times of its class.

    It is divided by MEAN_WEIGHT, or what entries leave of it, before it is rounded.
    """
    weight = 1.0
    if job[J.ROW_WEIGHTS] != 0:
        order = pointer_to(job[J.ORDER], types.int64)
        row = get(order, place) if job[J.ORDER] != 0 else place
        weight = get(pointer_to(job[J.ROW_WEIGHTS], types.float64), row)
    if by_class:
        weight *= _class_weight(plan, job, block, lane)
    if job[J.MEAN_WEIGHT] != 0:
        mean = get(pointer_to(job[J.MEAN_WEIGHT], types.float64), 0)
        weight /= mean / weight_unit(plan, job)
    return weight


@kernel
def _times_weights(weight, delta, units, row_loss):
    """delta (units, lanes) and row_loss (lanes,) times each row's weight (lanes,)."""
    n_lanes = lanes(delta)
    factor = load(weight, 0)
    store(row_loss, 0, load(row_loss, 0) * factor)
    for i in range(0, units * n_lanes, n_lanes):
        store(delta, i, load(delta, i) * factor)


@kernel
def _apply_row_weights(plan, work, job, vector, valid):
    last, n_lanes = plan[0, P.LAST], lanes(work)
    block = offset(work, vector * plan[0, P.BLOCK])
    weight = offset(block, plan[0, P.ROW_WEIGHT])
    own = has_output_gradient(job)
    by_class = plan[0, P.CLASSES] == 1 and not own and not weighs_entries(plan)
    first = job[J.START] + vector * n_lanes
    store(weight, 0, splat(weight, 0.0))
    for lane in range(valid):
        put(weight, lane, _row_weight(plan, job, block, first + lane, lane, by_class))
        if not own and allows_nan(plan[last, P.TARGET_KIND]):
            put(weight, lane, get(weight, lane) if _is_known(plan, block, lane) else 0.0)
    if job[J.ROW_WEIGHTS] != 0 or by_class or job[J.MEAN_WEIGHT] != 0:
        delta = delta_of(plan, work, vector, last)
        _times_weights(weight, delta, plan[last, P.OUTPUTS], offset(block, plan[0, P.ROW_LOSS]))


apply_row_weights = by_plan(None, _apply_row_weights)
"""Apply row and class weights to one vector of rows: (plan, work, job, vector, valid)."""
