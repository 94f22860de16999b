"""Multilayer perceptrons, trained on the CPU as fast as the silicon allows.

>>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
>>> net = fastbp.Network([1, 16, 1], activation="tanh", seed=0)
>>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(lr=0.01), seed=0)
>>> history = trainer.fit(X, X**2, epochs=200)
>>> p = net.predict(X)

=============  ==================================================================================
make           Network, NumberEmbedding, Ensemble, load, from_onnx, from_torch
train          Trainer (fit, step, fit_batches, evaluate, find_lr, save), History
optimizers     SGD, Adam, AdamW, RMSprop, Adagrad, NAdam, RAdam, LBFGS
losses         names such as "mse", "bce", "cross_entropy"; Huber, Quantile, BetaNLL; your own
schedules      fastbp.schedules: Cosine, OneCycle, StepDecay, Warmup, Table, and more
callbacks      EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, CSVLogger, TimeLimit,
               LambdaCallback, Callback, FitState, StopTraining
in njit code   fastbp.embed: predict, step, gradients, input_gradient, jacobian, jvp, step_from,
               copy;
               fastbp.math: exp, tanh, for activations of your own
how sure       Ensemble of loss BetaNLL, fastbp.calibration: picp, crps_gaussian, ence, and more
the machine    show_config, warmup
=============  ==================================================================================

Examples in docstrings assume ``import numpy as np`` and ``import fastbp``.
"""

from . import calibration, embed, math, schedules  # noqa: F401 - math is no name for import *
from .callbacks.base import Callback, FitState, LambdaCallback, StopTraining
from .callbacks.history import History
from .callbacks.loggers import CSVLogger, TimeLimit
from .callbacks.model_checkpoint import ModelCheckpoint
from .callbacks.monitors import EarlyStopping, ReduceLROnPlateau
from .components import optimizers
from .components.lbfgs import LBFGS
from .components.losses import BetaNLL, Huber, Quantile
from .components.number_embedding import NumberEmbedding
from .components.optimizers import *  # noqa: F403 - those of its __all__
from .config import show_config
from .model.ensemble import Ensemble
from .model.model_io import load
from .model.network import Network
from .model.network_export import from_onnx, from_torch
from .moved import attribute as __getattr__  # noqa: F401 - of names that no longer are here
from .moved import find_moved_modules
from .startup import warmup
from .training.trainer import Trainer

__version__ = "0.1.0"

find_moved_modules(__name__)

__all__ = [
    "LBFGS",
    "BetaNLL",
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
    "NumberEmbedding",
    "Quantile",
    "ReduceLROnPlateau",
    "StopTraining",
    "TimeLimit",
    "Trainer",
    "calibration",
    "embed",
    "from_onnx",
    "from_torch",
    "load",
    "schedules",
    "show_config",
    "warmup",
]
__all__ += optimizers.__all__


def __dir__() -> list[str]:
    return __all__
