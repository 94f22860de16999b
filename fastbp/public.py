"""The public names of the package, which hands them out."""

from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from . import embed, math, schedules  # noqa: F401 - math is no name for import *
from .callbacks.base import Callback, FitState, LambdaCallback, StopTraining
from .callbacks.history import History
from .callbacks.loggers import CSVLogger, TimeLimit
from .callbacks.model_checkpoint import ModelCheckpoint
from .callbacks.monitors import EarlyStopping, ReduceLROnPlateau
from .components import optimizers
from .components.lbfgs import LBFGS
from .components.losses import Huber, Quantile
from .components.optimizers import *  # noqa: F403 - those of its __all__
from .config import show_config
from .model.ensemble import Ensemble
from .model.model_io import load
from .model.network import Network
from .model.network_export import from_onnx, from_torch
from .startup import warmup
from .training.trainer import Trainer

__all__ = [
    "LBFGS",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "Ensemble",
    "FitState",
    "History",
    "Huber",
    "LambdaCallback",
    "ModelCheckpoint",
    "Network",
    "Quantile",
    "ReduceLROnPlateau",
    "StopTraining",
    "TimeLimit",
    "Trainer",
    "embed",
    "from_onnx",
    "from_torch",
    "load",
    "schedules",
    "show_config",
    "warmup",
]
__all__ += optimizers.__all__

if global_compiler_lock.is_locked():
    # Compiled code is the first to use a name: what is compiled now knows no function that came
    # since it began.
    cpu_target.typing_context.refresh()
