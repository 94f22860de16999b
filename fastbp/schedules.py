"""Schedules by updates, of the learning rate and others: ``fastbp.schedules.OneCycle``, say.

The classes live in fastbp/components, in schedules.py and annealing.py; this import path is part of
the API.

The factors of a schedule are the ``scheduled_lr`` of a trainer whose lr is 1. The examples of the
classes print them with this function:

>>> def factors(schedule, updates):
...     net = fastbp.Network([1, 1], init="zeros")
...     adam = fastbp.Adam(lr=1.0)
...     trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, schedule=schedule, engine="numpy")
...     found = []
...     for _ in range(updates):
...         found.append(round(trainer.scheduled_lr, 3))
...         trainer.step([[1.0]], [[0.0]])
...     return found
>>> factors(fastbp.schedules.Cosine(updates=4), 4)
[1.0, 0.854, 0.5, 0.146]
"""

from .components.annealing import Cosine, FlatCosine, LogCosine, OneCycle
from .components.schedule_base import Schedule
from .components.schedules import (
    SCHEDULES,
    Constant,
    ExponentialDecay,
    InverseScaling,
    StepDecay,
    Table,
    Warmup,
)

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "ExponentialDecay",
    "FlatCosine",
    "InverseScaling",
    "LogCosine",
    "OneCycle",
    "Schedule",
    "StepDecay",
    "Table",
    "Warmup",
]
