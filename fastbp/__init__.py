"""Multilayer perceptrons, trained on the CPU as fast as the silicon allows.

>>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
>>> net = fastbp.Network([1, 16, 1], activation="tanh", seed=0)
>>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.Adam(lr=0.01), seed=0)
>>> history = trainer.fit(X, X**2, epochs=200)
>>> p = net.predict(X)

=============  ==================================================================================
make           Network, Ensemble, load, from_onnx, from_torch
train          Trainer (fit, step, fit_batches, evaluate, find_lr, save), History
optimizers     SGD, Adam, AdamW, RMSprop, Adagrad, NAdam, RAdam, LBFGS
losses         names such as "mse", "bce", "cross_entropy"; Huber, Quantile; your own
schedules      fastbp.schedules: Cosine, OneCycle, StepDecay, Warmup, Table, and more
callbacks      EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, CSVLogger, TimeLimit,
               LambdaCallback, Callback, FitState, StopTraining
in njit code   fastbp.embed: predict, step, gradients, input_gradient, step_from, copy;
               fastbp.math: exp, tanh, for activations of your own
the machine    show_config, warmup
=============  ==================================================================================

Examples in docstrings assume ``import numpy as np`` and ``import fastbp``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .moved import attribute, find_moved_modules

if TYPE_CHECKING:
    from .components.optimizers import *  # noqa: F403 - those of its __all__
    from .public import *  # noqa: F403 - likewise

__version__ = "0.1.0"

find_moved_modules(__name__)


def _load() -> list[str]:
    """Load the library, and have its public names here; returns them.

    Numba takes most of a second to import, which ``fastbp --help`` does without. While the library
    is being loaded there are none yet.
    """
    public = import_module(".public", __name__)
    names: list[str] = getattr(public, "__all__", [])
    globals().update({name: getattr(public, name) for name in names})
    return names


if not TYPE_CHECKING:  # to which every name would be one

    def __getattr__(name: str) -> Any:
        """A public name, a room, or a module that has moved: the first one loads the library."""
        if name == "__all__":
            return _load()
        if not name.startswith("__"):
            _load()
            if name in globals():
                return globals()[name]
        return attribute(name)


def __dir__() -> list[str]:
    return _load()
