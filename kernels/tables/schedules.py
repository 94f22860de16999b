"""Schedules: the factor on a rate, and the momentum, of each update.

An encoded schedule is N_SCHEDULE float64: a code, the warm-up before it, and parameters. All zeros
encode a constant schedule. A table of factors stands anywhere after it in the same vector.
fastbp/components/schedules.py has the formulas and encodes.
"""

import math

from ..base.jit import kernel

CONSTANT, STEPS, INVERSE, COSINE, LINEAR, TABLE, LOG_COSINE = range(7)
"""STEPS: GAMMA to the power of t // EVERY. INVERSE: t + 1 to the power of -POWER. COSINE and
LINEAR anneal from FIRST up to 1 at t = PEAK, and from there to END at t = LAST. TABLE: element t of
the COUNT factors that begin PLACE elements after the schedule does. LOG_COSINE: whole cosines over
the logarithm of 1 + t / SCALE to the base of 2; it ends at t = UPDATES."""

CODE, WARMUP, START_FACTOR = range(3)
"""Elements of every schedule. WARMUP: updates of the warm-up, which begins with START_FACTOR."""

GAMMA, EVERY = 3, 4
POWER = 3
COUNT, PLACE = 3, 4
SCALE, UPDATES = 3, 4
FIRST, PEAK, END, LAST, MOMENTUM, PEAK_MOMENTUM = range(3, 9)
"""MOMENTUM: at t = 0 and t = LAST. PEAK_MOMENTUM: at t = PEAK. NaN: the schedule has no
momentum."""

N_SCHEDULE = 9

LN2 = math.log(2.0)


@kernel
def _annealed(encoded, start, t):
    """``scheduled`` of COSINE and LINEAR, without a warm-up."""
    peak, last = encoded[start + PEAK], encoded[start + LAST]
    if t < peak:
        begin, end, fraction = encoded[start + FIRST], 1.0, t / peak
        from_momentum, momentum = encoded[start + MOMENTUM], encoded[start + PEAK_MOMENTUM]
    else:
        begin, end, fraction = 1.0, encoded[start + END], min((t - peak) / (last - peak), 1.0)
        from_momentum, momentum = encoded[start + PEAK_MOMENTUM], encoded[start + MOMENTUM]
    rest = 1.0 - fraction
    if encoded[start + CODE] == COSINE:
        rest = 0.5 + 0.5 * math.cos(math.pi * fraction)
    # In this form the last value is exact, even where it is much smaller than the first.
    return end + (begin - end) * rest, momentum + (from_momentum - momentum) * rest


@kernel
def scheduled(encoded, start, t):
    """(factor on the rate, momentum or NaN for unchanged) after t updates.

    encoded: float64, the schedule from ``start`` on. t: float64; after the end of a schedule its
    last value stays. Twin: same name.
    """
    code, warmup, factor, momentum = encoded[start + CODE], encoded[start + WARMUP], 1.0, math.nan
    after = max(t - warmup, 0.0)
    if code == STEPS:
        steps = float(math.floor(after / encoded[start + EVERY]))
        factor = encoded[start + GAMMA] ** steps
    elif code == INVERSE:
        factor = (after + 1.0) ** -encoded[start + POWER]
    elif code == TABLE:
        place = encoded[start + PLACE] + min(after, encoded[start + COUNT] - 1.0)
        factor = encoded[start + int(place)]
    elif code == LOG_COSINE:
        cycles = math.log1p(min(after, encoded[start + UPDATES]) / encoded[start + SCALE]) / LN2
        factor = 0.5 - 0.5 * math.cos(2.0 * math.pi * cycles)
    elif code != CONSTANT:
        factor, momentum = _annealed(encoded, start, after)
    if t < warmup:
        first = encoded[start + START_FACTOR]
        factor *= first + (1.0 - first) * (t / warmup)
    return factor, momentum
