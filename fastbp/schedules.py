"""Schedules of the learning rate and momentum by updates: ``fastbp.schedules.OneCycle`` and others.

The classes live in fastbp/components/schedules.py; this import path is part of the API.
"""

from .components.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    Schedule,
    StepDecay,
    Warmup,
)

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "ExponentialDecay",
    "InverseScaling",
    "OneCycle",
    "Schedule",
    "StepDecay",
    "Warmup",
]
