"""Trains multilayer perceptrons on the CPU as fast as the silicon allows."""

from importlib.metadata import version

from . import embed, schedules
from .callbacks import Callback, FitState, LambdaCallback, StopTraining
from .config import show_config
from .history import History
from .lbfgs import LBFGS
from .losses import Huber, Quantile
from .model_checkpoint import ModelCheckpoint
from .models import from_torch, load
from .monitors import EarlyStopping, ReduceLROnPlateau
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, NAdam, RMSprop
from .ready import CSVLogger, TimeLimit
from .startup import warmup
from .trainer import Trainer

__version__ = version("fastbp")

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "FitState",
    "History",
    "Huber",
    "LambdaCallback",
    "ModelCheckpoint",
    "NAdam",
    "Network",
    "Quantile",
    "RMSprop",
    "ReduceLROnPlateau",
    "StopTraining",
    "TimeLimit",
    "Trainer",
    "embed",
    "from_torch",
    "load",
    "schedules",
    "show_config",
    "warmup",
]
