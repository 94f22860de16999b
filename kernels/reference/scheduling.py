"""The factor and the momentum that a schedule gives."""

import math

import numpy as np

from ..tables import schedules


def scheduled(values, t):
    """(factor on the rate, momentum or NaN) after t updates; see tables/schedules.py.

    ``values``: float64, a vector that begins with an encoded schedule.
    """
    whole, t = np.asarray(values), float(t)
    values = whole[: schedules.N_SCHEDULE].tolist()
    warmup, first = values[schedules.WARMUP], values[schedules.START_FACTOR]
    rise = first + (1 - first) * t / warmup if t < warmup else 1.0
    after = max(t - warmup, 0.0)
    if values[schedules.CODE] == schedules.TABLE:
        last = values[schedules.COUNT] - 1
        return rise * float(whole[int(values[schedules.PLACE] + min(after, last))]), math.nan
    factor, momentum = _SCHEDULES[values[schedules.CODE]](values, after)
    return rise * factor, momentum


def _anneal(anneal):
    def annealed(values, t):
        first, peak, end, last, outer, inner = values[schedules.FIRST : schedules.N_SCHEDULE]
        if t < peak:
            return anneal(first, 1.0, t / peak), anneal(outer, inner, t / peak)
        fraction = min(1.0, (t - peak) / (last - peak))
        return anneal(1.0, end, fraction), anneal(inner, outer, fraction)

    return annealed


def _log_cosine(values, t):
    ended = min(t, values[schedules.UPDATES])
    cycles = math.log2(1 + ended / values[schedules.SCALE])
    return (1 - math.cos(2 * math.pi * cycles)) / 2, math.nan


_SCHEDULES = {
    schedules.CONSTANT: lambda _values, _t: (1.0, math.nan),
    schedules.STEPS: lambda values, t: (
        values[schedules.GAMMA] ** (t // values[schedules.EVERY]),
        math.nan,
    ),
    schedules.INVERSE: lambda values, t: ((t + 1) ** -values[schedules.POWER], math.nan),
    schedules.COSINE: _anneal(
        lambda begin, end, fraction: end + (begin - end) / 2 * (math.cos(math.pi * fraction) + 1)
    ),
    schedules.LINEAR: _anneal(lambda begin, end, fraction: begin + (end - begin) * fraction),
    schedules.LOG_COSINE: _log_cosine,
}
