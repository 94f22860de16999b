"""Trains multilayer perceptrons on the CPU as fast as the silicon allows."""

from importlib.metadata import version

from . import embed, schedules
from .config import show_config
from .history import History
from .losses import Huber, Quantile
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop
from .startup import warmup
from .trainer import Trainer

__version__ = version("fastbp")

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "History",
    "Huber",
    "NAdam",
    "Network",
    "Quantile",
    "RMSprop",
    "Trainer",
    "embed",
    "schedules",
    "show_config",
    "warmup",
]
