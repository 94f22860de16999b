"""What the parameters of an estimator describe: a network, an optimizer, a trainer's arguments."""

import warnings
from itertools import pairwise
from typing import Any

import numpy as np

from ..common import checks
from ..common.types import Floats
from ..components.lbfgs import LBFGS
from ..components.optimizers import SGD, Adam, Optimizer
from ..model.network import Network
from ..runtime import threads
from .objective import Objective
from .parameters import ACTIVATIONS, Parameters

LARGEST_BATCH = 200
"""Of batch_size "auto"."""

SMALLEST_GAIN = 2.220446049250313e-09
"""L-BFGS ends where an iteration lowers the loss by a smaller share: SciPy's default."""


def sizes_of_hidden(hidden_layer_sizes: Any) -> list[int]:
    """The units of each hidden layer. TypeError or ValueError unless they are integers above 0."""
    sizes = hidden_layer_sizes if np.iterable(hidden_layer_sizes) else [hidden_layer_sizes]
    sizes = list(sizes)
    for size in sizes:
        if checks.as_integer(size) is None:
            raise TypeError(
                f"hidden_layer_sizes has {size!r}, of type {type(size).__name__}, expected "
                "integers above 0"
            )
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def new_network(given: Parameters, sizes: list[int], objective: Objective, dtype: Any) -> Network:
    """A network of zeros."""
    activation = given.activation
    return Network.blank(
        sizes,
        activation=activation if callable(activation) else ACTIVATIONS[activation],
        output=objective.output,
        seed=0,  # not used
        dtype=dtype,
        layer_norm=given.layer_norm,
        residual=given.residual,
    )


def initial(random: Any, sizes: list[int], activation: Any) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases as scikit-learn draws them: uniform ones of Glorot and Bengio (2010)."""
    weights, biases = [], []
    for n_in, n_out in pairwise(sizes):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_in + n_out))
        weights.append(random.uniform(-bound, bound, (n_in, n_out)))
        biases.append(random.uniform(-bound, bound, n_out))
    return weights, biases


def is_full_batch(given: Parameters) -> bool:
    """Whether each iteration is on all rows: L-BFGS."""
    return given.solver == "lbfgs" if given.optimizer is None else not given.optimizer.makes_updates


def dtype_of(given: Parameters, of_rows: Any) -> Any:
    """The dtype of the network: as in scikit-learn, L-BFGS computes in float64 by default."""
    return given.dtype or (np.float64 if is_full_batch(given) else of_rows)


def has_partial_fit(given: Parameters) -> bool:
    """True; AttributeError for L-BFGS, which needs all rows at once."""
    if is_full_batch(given):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


def optimizer_of(given: Parameters, scale: float) -> Optimizer:
    """The optimizer. scale: of ``Objective``."""
    if given.optimizer is not None:
        return given.optimizer
    if given.solver == "lbfgs":
        return LBFGS(
            tolerance=given.tol / scale,
            loss_tolerance=SMALLEST_GAIN,
            max_evaluations=given.max_fun,
        )
    if given.solver == "sgd":
        nesterov = given.nesterovs_momentum and given.momentum > 0
        return SGD(given.learning_rate_init * scale, given.momentum, nesterov)
    betas = (given.beta_1, given.beta_2)
    return Adam(given.learning_rate_init, betas, given.epsilon / scale)


def batch_size_of(given: Parameters, rows: int) -> int:
    """The rows of an update; a warning where fewer are given than asked for."""
    if given.batch_size == "auto" or is_full_batch(given):
        return min(LARGEST_BATCH, rows)
    if given.batch_size > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=2,
        )
    return int(min(given.batch_size, rows))


def trainer_arguments(
    given: Parameters, rows: int, mean_weight: float, scale: float
) -> dict[str, Any]:
    """The arguments of a trainer besides network, loss, optimizer and seed.

    scikit-learn divides the penalty by the weights of a batch; here all batches have the same one.
    """
    batch_size = batch_size_of(given, rows)
    summed = rows if is_full_batch(given) else batch_size
    return {
        "batch_size": batch_size,
        "l2": given.alpha / (summed * mean_weight * scale),
        "dropout": tuple(given.dropout) if np.iterable(given.dropout) else given.dropout,
        "clip_norm": None if given.clip_norm is None else given.clip_norm / scale,
        "ema_decay": given.ema_decay,
        # joblib's processes may have fewer than the one that made the estimator.
        "threads": "auto" if given.n_threads is None else min(given.n_threads, threads.most()),
    }
