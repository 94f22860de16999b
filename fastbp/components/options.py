"""The options of a Trainer: penalties, dropout, clipping, class weights, schedules, rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common import checks, registry, specs
from ..common.types import Floats, Ints
from ..kernels.base import codes
from ..kernels.tables import settings
from ..kernels.tables.schedules import CODE, N_SCHEDULE, PLACE, TABLE
from . import schedules
from .losses import Loss
from .optimizers import Optimizer
from .schedule_base import Schedule


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The options of a Trainer as its caller gave them; ``Trainer`` says what each means."""

    l1: float
    l2: float
    dropout: float | Sequence[float]
    label_smoothing: float
    clip_value: float | None
    clip_norm: float | None
    ema_decay: float | None
    class_weight: str | Mapping[int, float] | Sequence[Mapping[int, float]] | None
    schedule: Schedule | None
    lr_factors: float | Sequence[float]
    bias_lr_factor: float | Sequence[float]
    weight_decay_on: str
    weight_decay_factors: float | Sequence[float]
    weight_decay_schedule: Schedule | None
    dropout_schedule: Schedule | None
    input_scaling: float | None
    embedding_lr_factor: float


WEIGHT_DECAY_ON = {"all": 1.0, "weights": 0.0}
"""What weight decay is of, and its factor for biases, gains and shifts."""


@dataclass(frozen=True)
class Options:
    """The options of a Trainer, checked."""

    l1: float
    l2: float
    dropout: tuple[float, ...]
    """One rate for each layer; that of the last is 0."""
    label_smoothing: float
    clip_value: float
    clip_norm: float
    averaging: float
    """Decay of the moving average; 0 for none."""
    class_weight: str | tuple[float, ...] | tuple[tuple[float, ...], ...] | None
    """"balanced", or one weight for each class; for bce with several outputs for each output."""
    schedule: Schedule | None
    lr_factors: tuple[float, ...]
    # Pickles of 0.1.0 have none of these.
    bias_lr_factor: tuple[float, ...] = ()
    """One for each layer; () for 1 in every layer."""
    weight_decay_on: str = "all"
    weight_decay_factors: tuple[float, ...] = ()
    """Likewise."""
    weight_decay_schedule: Schedule | None = None
    dropout_schedule: Schedule | None = None
    input_scaling: float = 0.0
    """Factor on the learning rate of the learned scaling of the inputs; 0 for none. Pickles of
    0.1.0 have none."""
    embedding_lr_factor: float = 1.0
    """Likewise."""

    @property
    def any(self) -> bool:
        """Whether one of these options needs the extended kernels."""
        numbers = (self.l1, self.l2, *self.dropout, self.label_smoothing)
        numbers += (self.clip_value, self.clip_norm, self.averaging, self.input_scaling)
        chosen = self.class_weight is not None or bool(self.given_schedules)
        return any(numbers) or chosen or bool(_rates(self))

    @property
    def given_schedules(self) -> dict[str, Schedule]:
        """The schedules that are given, by their arguments."""
        each = {name: getattr(self, name) for name in SCHEDULED}
        return {name: schedule for name, schedule in each.items() if schedule is not None}

    @property
    def total_updates(self) -> int | None:
        """The updates until the first of the schedules ends; None where none does."""
        totals = (schedule.total_updates for schedule in self.given_schedules.values())
        return min((total for total in totals if total is not None), default=None)

    def hyper(self, optimizer: Optimizer, loss: Loss, n_out: int) -> Floats:
        """The hyperparameter vector (kernels/tables/settings.py) before the first update."""
        layers = len(self.lr_factors)
        count = loss.n_weights(n_out, self.class_weight is not None)
        hyper = np.zeros(settings.length(layers, count))
        hyper[: codes.N_HYPER] = optimizer.hyper()
        values = {
            settings.L1: self.l1,
            settings.L2: self.l2,
            settings.SMOOTHING: self.label_smoothing,
            settings.CLIP_VALUE: self.clip_value,
            settings.CLIP_NORM: self.clip_norm,
            settings.AVERAGING: self.averaging,
            settings.LOSS_PARAMETER: loss.parameter,
            settings.PER_UNIT_DECAY: WEIGHT_DECAY_ON[self.weight_decay_on],
            settings.EMBEDDING_LR: self.embedding_lr_factor,
            settings.PENALTY_SCALE: 1.0,
            settings.CLIP_SCALE: 1.0,
            settings.OPTIMIZER_STATE: 1.0,
        }
        hyper[list(values)] = list(values.values())
        of_layers = hyper[settings.FIRST_LAYER : settings.class_weights(layers)]
        of_layers[settings.LR_FACTOR :: settings.PER_LAYER] = self.lr_factors
        of_layers[settings.BIAS_LR_FACTOR :: settings.PER_LAYER] = self.bias_lr_factor or 1.0
        of_layers[settings.DECAY_FACTOR :: settings.PER_LAYER] = self.weight_decay_factors or 1.0
        weights = hyper[settings.class_weights(layers) :]
        weights.fill(1.0)
        if isinstance(self.class_weight, tuple):
            weights[:] = np.ravel(self.class_weight)
        for name, schedule in self.given_schedules.items():
            hyper = _with_schedule(hyper, SCHEDULED[name], schedule.encoded())
        return np.append(hyper, self.input_scaling) if self.input_scaling else hyper


SCHEDULED = {
    "schedule": settings.SCHEDULE,
    "weight_decay_schedule": settings.DECAY_SCHEDULE,
    "dropout_schedule": settings.DROPOUT_SCHEDULE,
}
"""The options that are schedules, and their places in the hyperparameter vector."""


def _with_schedule(hyper: Floats, start: int, encoded: Floats) -> Floats:
    """The vector with an encoded schedule from ``start`` on, the factors of a table at its end."""
    if encoded[CODE] == TABLE:
        encoded[PLACE] = len(hyper) - start
    hyper[start : start + N_SCHEDULE] = encoded[:N_SCHEDULE]
    return np.concatenate([hyper, encoded[N_SCHEDULE:]])


def _rates(options: Options) -> dict[str, Any]:
    """The options of learning rates and weight decay that are not their defaults."""
    given = {
        "lr_factors": any(factor != 1 for factor in options.lr_factors),
        "bias_lr_factor": bool(options.bias_lr_factor),
        "weight_decay_on": options.weight_decay_on != "all",
        "weight_decay_factors": bool(options.weight_decay_factors),
        "embedding_lr_factor": options.embedding_lr_factor != 1,
    }
    return {name: is_given for name, is_given in given.items() if is_given}


def check(n_layers: int, n_out: int, loss: Loss, given: Arguments) -> Options:
    """The checked options of a trainer. ValueError or TypeError names the option that is wrong."""
    smoothing = checks.from_zero_below_one(given.label_smoothing, "label_smoothing")
    if smoothing and not loss.has_classes:
        raise ValueError(
            f"label_smoothing is {smoothing}, but loss {loss.name!r} has no labels: use it with "
            "'cross_entropy' or 'bce'"
        )
    checked = Options(
        l1=checks.not_negative(given.l1, "l1"),
        l2=checks.not_negative(given.l2, "l2"),
        dropout=(
            *_per_layer(
                given.dropout, n_layers - 1, "dropout", "hidden layer", checks.from_zero_below_one
            ),
            0.0,
        ),
        label_smoothing=smoothing,
        clip_value=0.0
        if given.clip_value is None
        else checks.positive(given.clip_value, "clip_value"),
        clip_norm=0.0 if given.clip_norm is None else checks.positive(given.clip_norm, "clip_norm"),
        averaging=0.0 if given.ema_decay is None else _decay(given.ema_decay),
        class_weight=_class_weight(given.class_weight, loss, n_out),
        schedule=None if given.schedule is None else schedules.check(given.schedule),
        lr_factors=_per_layer(
            given.lr_factors, n_layers, "lr_factors", "layer", checks.not_negative
        ),
        bias_lr_factor=_unless_1(
            _per_layer(given.bias_lr_factor, n_layers, "bias_lr_factor", "layer", checks.positive)
        ),
        weight_decay_on=_weight_decay_on(given.weight_decay_on),
        weight_decay_factors=_unless_1(
            _per_layer(
                given.weight_decay_factors,
                n_layers,
                "weight_decay_factors",
                "layer",
                checks.not_negative,
            )
        ),
        weight_decay_schedule=_factors(given.weight_decay_schedule, "weight_decay_schedule"),
        dropout_schedule=_factors(given.dropout_schedule, "dropout_schedule"),
        input_scaling=0.0
        if given.input_scaling is None
        else checks.positive(given.input_scaling, "input_scaling"),
        embedding_lr_factor=checks.not_negative(given.embedding_lr_factor, "embedding_lr_factor"),
    )
    _check_dropout(checked)
    return checked


def to_dict(options: Options) -> dict[str, Any]:
    """The options as arguments of a Trainer, in types that JSON has."""
    weights = options.class_weight
    return {
        "l1": options.l1,
        "l2": options.l2,
        "dropout": list(options.dropout[:-1]),
        "label_smoothing": options.label_smoothing,
        "clip_value": options.clip_value or None,
        "clip_norm": options.clip_norm or None,
        "ema_decay": options.averaging or None,
        "class_weight": np.array(weights).tolist() if isinstance(weights, tuple) else weights,
        "schedule": specs.to_dict(options.schedule),
        "lr_factors": list(options.lr_factors),
    } | _added(options)


def _added(options: Options) -> dict[str, Any]:
    """The options that 0.1.0 did not have, where they are given: other files are as they were."""
    names = {*_rates(options), *options.given_schedules} - {"lr_factors", "schedule"}
    names |= {"input_scaling"} if options.input_scaling else set()
    return {name: specs.to_dict(getattr(options, name)) for name in sorted(names)}


def from_dict(described: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a Trainer from the result of ``to_dict``; ``check`` checks them."""
    weights = described.get("class_weight")
    if isinstance(weights, list):
        weights = as_given(weights)
    found = {name: described.get(name) for name in SCHEDULED}
    return {"class_weight": weights} | {
        name: None if one is None else specs.from_dict(one, schedules.SCHEDULES, name)
        for name, one in found.items()
    }


def as_given(weights: Sequence[Any]) -> Any:
    """What ``Trainer`` takes for these weights of classes: a dict, or one for each output."""
    if weights and isinstance(weights[0], Sequence):
        return [dict(enumerate(of_output)) for of_output in weights]
    return dict(enumerate(weights))


def check_full_batch(options: Options) -> None:
    """ValueError for an option that L-BFGS cannot use, because it makes no updates by batches."""
    given = {
        "dropout": any(options.dropout),
        "clip_value": options.clip_value > 0,
        "clip_norm": options.clip_norm > 0,
        "ema_decay": options.averaging > 0,
        **dict.fromkeys(options.given_schedules, True),
        **_rates(options),
        "input_scaling": options.input_scaling > 0,
    }
    refused = [name for name, is_given in given.items() if is_given]
    if refused:
        raise ValueError(
            f"{refused[0]} is given, but optimizer LBFGS has neither updates by batches nor a "
            "learning rate, and needs the same loss at every evaluation: leave it out, or use "
            "another optimizer"
        )


def _per_layer(value: Any, count: int, name: str, layer: str, check_one: Any) -> tuple[float, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        number = check_one(value, name)
        if name == "dropout" and number and not count:
            raise ValueError(
                f"dropout is {number}, but the network has no hidden layer: leave it out, or give "
                "the network one"
            )
        return (number,) * count
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise TypeError(
            f"{name} is an array of shape {value.shape}, expected a number, or one per {layer}"
        )
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} numbers, expected {count}, one per {layer}")
    return tuple(check_one(number, f"{name}[{i}]") for i, number in enumerate(value))


def _weight_decay_on(value: Any) -> str:
    registry.lookup(WEIGHT_DECAY_ON, value, "weight_decay_on")
    return str(value)


def _unless_1(factors: tuple[float, ...]) -> tuple[float, ...]:
    """() where all are 1."""
    return () if set(factors) == {1.0} else factors


def _factors(value: Any, argument: str) -> Schedule | None:
    """A schedule of a rate, which has no momentum."""
    if value is None:
        return None
    return schedules.check_no_momentum(schedules.check(value, argument), argument)


def _check_dropout(options: Options) -> None:
    """ValueError where a schedule raises a rate of dropout to 1 or more."""
    schedule, rate = options.dropout_schedule, max(options.dropout)
    if schedule is not None and rate * schedule.largest_factor >= 1:
        raise ValueError(
            f"dropout_schedule is {schedule!r}, with factors up to {schedule.largest_factor:g}, "
            f"and dropout is {rate:g}: their product must stay below 1"
        )


def _decay(value: Any) -> float:
    decay = checks.from_zero_below_one(value, "ema_decay")
    if decay == 0:
        raise ValueError("ema_decay is 0, expected a number in (0, 1), such as 0.999, or None")
    return decay


def _class_weight(
    value: Any, loss: Loss, n_out: int
) -> str | tuple[float, ...] | tuple[tuple[float, ...], ...] | None:
    if value is None:
        return None
    if not loss.has_classes:
        raise ValueError(
            f"class_weight is given, but loss {loss.name!r} with {n_out} outputs has no classes: "
            "use it with 'cross_entropy' or 'bce'; for others pass sample_weight"
        )
    if isinstance(value, str):
        if value != "balanced":
            raise ValueError(f"class_weight is {value!r}, expected 'balanced', a dict or None")
        return value
    if loss.takes_labels or n_out == 1:
        return _by_label(value, n_out if loss.takes_labels else 2, "class_weight")
    if isinstance(value, Mapping):
        return (_by_label(value, 2, "class_weight"),) * n_out
    if not isinstance(value, Sequence):
        raise _no_class_weight(value, "class_weight", ", a list of one for each output,")
    if len(value) != n_out:
        raise ValueError(
            f"class_weight has {len(value)} dicts, expected {n_out}, one for each output"
        )
    return tuple(_of_output(one, f"class_weight[{i}]") for i, one in enumerate(value))


def _of_output(value: Any, name: str) -> tuple[float, ...]:
    """The weights of 0 and 1 of one output."""
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{name} is {value!r}, expected a dict of weights by label, such as {{1: 2.0}}, and "
            "{} for weights of 1: 'balanced' stands for all outputs, class_weight='balanced'"
        )
    return _by_label(value, 2, name)


def _by_label(value: Any, classes: int, name: str) -> tuple[float, ...]:
    """The weights of all classes from a dict of some."""
    if not isinstance(value, Mapping):
        raise _no_class_weight(value, name)
    weights = [1.0] * classes
    for label, weight in value.items():
        place = checks.integer(label, f"a label of {name}", 0)
        if place >= classes:
            raise ValueError(
                f"{name} has label {place}, but there are {classes} classes: labels must lie "
                f"in [0, {classes})"
            )
        weights[place] = checks.not_negative(weight, f"{name}[{place}]")
    return tuple(weights)


def _no_class_weight(value: Any, name: str, more: str = "") -> TypeError:
    return TypeError(
        f"{name} is a {type(value).__name__}, expected 'balanced', a dict of weights by label, "
        f"such as {{0: 1.0, 1: 5.0}}{more or ','} or None"
    )


def balanced(counts: Ints) -> Floats:
    """Weights n / (classes in y * rows of the class): every class as much as any other.

    counts: rows of each class. A class without rows has weight 1. (King and Zeng, 2001.)
    """
    present = np.maximum(np.count_nonzero(counts), 1)
    return np.where(counts > 0, counts.sum() / (present * np.maximum(counts, 1)), 1.0)
