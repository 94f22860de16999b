"""The arguments of a trainer, their checks, and the arrays for them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from ..common import checks, registry
from ..common.types import Array
from ..components import losses, optimizers, options, schedules, sharing, user_functions
from ..data.scaling import check_loss
from ..kernels.base import codes
from ..kernels.tables import arenas, layout
from ..kernels.tables.learned_scaling import LearnedScaling, length
from ..model.network import Network
from ..runtime.arrays import TrainingArrays

ENGINES = {"numba": "compiled kernels", "numpy": "their NumPy twins, nothing compiled"}


@dataclass(frozen=True, kw_only=True)
class Arguments(options.Arguments):
    """The arguments of a Trainer besides its network, as its caller gave them."""

    loss: losses.LossLike
    optimizer: optimizers.Optimizer
    batch_size: int
    threads: int | str
    seed: int | None
    engine: str
    ignore_nan: bool
    comm: Any
    data: str
    reduction: str
    parts: int

    @classmethod
    def among(cls, names: Mapping[str, Any]) -> Self:
        """Those among the local names of a function that takes them all."""
        return cls(**{field.name: names[field.name] for field in fields(cls)})


_REPLACE = "trainer = trainer.replace({}=...) goes on with another one, and keeps the moments"
_OF_OPTIMIZER = "it is of the optimizer: trainer = trainer.replace(optimizer=...)"
_OF_FIT = "it is an argument of fit"

REMEDIES = {
    **{field.name: _REPLACE.format(field.name) for field in fields(Arguments)},
    **dict.fromkeys(("learning_rate", "learning_rate_init"), "set lr"),
    **dict.fromkeys(("momentum", "betas", "eps", "nesterov", "weight_decay"), _OF_OPTIMIZER),
    **dict.fromkeys(("epochs", "callbacks", "metrics", "shuffle", "progress"), _OF_FIT),
    **dict.fromkeys(("validation_data", "validation_fraction", "validation_rows"), _OF_FIT),
    **dict.fromkeys(("sample_weight", "jacobian", "jacobian_weight", "directions"), _OF_FIT),
    "net": "make a new Trainer of the other network",
    "scheduled_lr": "it is lr times the factor of the schedule: set lr",
    "history": "each fit makes its own",
}
"""Attributes of a Trainer that cannot be set, and what to do instead."""


def as_network(net: Network) -> Network:
    """``net`` itself; TypeError if it is something else."""
    if not isinstance(net, Network):
        raise TypeError(f"net is a {type(net).__name__}, expected a fastbp.Network")
    return net


def as_loss(net: Network, loss: losses.LossLike, ignore_nan: bool) -> losses.Loss:
    """The loss of this name or function; ValueError where it does not go with the network."""
    meant = losses.lookup(loss)
    if checks.flag(ignore_nan, "ignore_nan"):
        meant = losses.that_ignores_nan(meant)
    output = net.arrays.activations[-1]
    losses.check_pair(meant, output, net.sizes[-1])
    check_loss(meant, net.arrays.scaling.targets, net.sizes[-1])
    if meant.function is not None:
        user_functions.check_loss(meant.function, net.sizes[-1], output.code == codes.SOFTMAX)
    return meant


def as_options(
    net: Network, loss: losses.Loss, optimizer: optimizers.Optimizer, given: options.Arguments
) -> options.Options:
    """The checked options; ValueError for an option that the optimizer does not have."""
    checked = options.check(len(net.sizes) - 1, net.sizes[-1], loss, given)
    if checked.embedding_lr_factor != 1 and net.number_embedding is None:
        raise ValueError(
            f"embedding_lr_factor is {checked.embedding_lr_factor:g}, but the network embeds no "
            "numbers: leave it out, or make the Network with a number_embedding"
        )
    if not optimizer.makes_updates:
        losses.check_has_objective(loss)
        options.check_full_batch(checked)
    elif checked.schedule is not None:
        schedules.check_momentum(checked.schedule, optimizer)
    return checked


def as_lr(optimizer: optimizers.Optimizer, lr: float | None) -> float | None:
    """The argument lr of fit; ValueError where it is not above 0, or the optimizer has none."""
    if lr is not None and not optimizer.makes_updates:
        raise ValueError(f"lr is {lr}, but optimizer {optimizer!r} has none: leave it out")
    return None if lr is None else checks.positive(lr, "lr")


def as_engine(engine: str) -> str:
    """``engine`` itself; ValueError or TypeError if it is not the name of an engine."""
    registry.lookup(ENGINES, engine, "engine")
    return engine


def as_sharing(given: Arguments) -> sharing.Sharing:
    """How ranks share the work; ValueError or TypeError where that is not as in ``Trainer``."""
    found = sharing.check(given.data, given.reduction, given.parts)
    if given.comm is not None and given.engine == "numpy":
        raise ValueError(
            "comm is given and engine is 'numpy', whose twins compute on one rank alone: leave one "
            "of them out"
        )
    return found


def new_arrays(
    net: Network,
    loss: losses.Loss,
    optimizer: optimizers.Optimizer,
    wanted: options.Options,
    seed: int,
    weighs_rows: bool,
) -> TrainingArrays:
    """The arrays of a trainer before its first update."""
    custom_loss = 0
    if loss.function is not None:
        custom_loss = user_functions.loss_address(loss.function, net.dtype.itemsize)
    hyper = wanted.hyper(optimizer, loss, net.sizes[-1])
    spec = replace(
        net.arrays.spec,
        loss=loss.code,
        optimizer=optimizer.code,
        moments=optimizer.n_moments,
        extended=net.arrays.spec.extended
        or weighs_rows
        or loss.extended
        or optimizer.extended
        or wanted.any,
        dropout=wanted.dropout,
        averages=wanted.averaging > 0,
        clips_norm=wanted.clip_norm > 0,
        weighs_classes=wanted.class_weight is not None,
        ignores_nan=loss.ignores_nan,
        custom_loss=custom_loss,
        seed=seed,
        input_scaling=len(hyper) - 1 if wanted.input_scaling else 0,
    )
    moments, input_scaling = _new_moments(net, spec)
    return TrainingArrays(
        spec,
        net.arrays.parameters,
        moments,
        hyper,
        loss,
        net.arrays.scales,
        net.custom_activations,
        input_scaling,
        net.arrays.number_columns,
    )


def _new_moments(net: Network, spec: layout.PlanSpec) -> tuple[Array, Array]:
    """The arenas beside the parameters, and the memory of a learned scaling behind them."""
    plan, count = net.arrays.plan, len(net.arrays.parameters)
    more = length(plan, spec.itemsize, spec.moments) if spec.input_scaling else 0
    memory, size = arenas.allocate(spec.arenas * count + more, net.dtype), spec.arenas * count
    if more:
        LearnedScaling(plan, memory[size:], spec.moments).begin()
    return memory[:size].reshape(spec.arenas, count), memory[size:]


def new_arenas(net: Network, count: int) -> Array:
    """Zeros (count, elements), each row laid out as the network's parameters are."""
    size = len(net.arrays.parameters)
    rows: Array = arenas.allocate(count * size, net.dtype).reshape(count, size)
    return rows


def check_no_weights(epochs: object) -> None:
    """TypeError where the third argument of fit is an array: weights of rows, as elsewhere."""
    if hasattr(epochs, "__len__") and not isinstance(epochs, str):
        raise TypeError(
            f"epochs is a {type(epochs).__name__} of numbers, expected an integer >= 1: pass "
            "weights of rows by name, fit(X, y, sample_weight=...)"
        )
