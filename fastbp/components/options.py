"""The options of a Trainer: penalties, dropout, clipping, class weights, schedule, rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common import checks, specs
from ..common.types import Floats, Ints
from ..kernels.base import codes
from ..kernels.tables import settings
from ..kernels.tables.schedules import CODE, N_SCHEDULE, PLACE, TABLE
from . import schedules
from .losses import Loss
from .optimizers import Optimizer


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
    schedule: schedules.Schedule | None
    lr_factors: float | Sequence[float]
    input_scaling: float | None


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
    schedule: schedules.Schedule | None
    lr_factors: tuple[float, ...]
    input_scaling: float = 0.0
    """Factor on the learning rate of the learned scaling of the inputs; 0 for none. Pickles of
    0.1.0 have none."""

    @property
    def any(self) -> bool:
        """Whether one of these options needs the extended kernels."""
        numbers = (self.l1, self.l2, *self.dropout, self.label_smoothing)
        numbers += (self.clip_value, self.clip_norm, self.averaging, self.input_scaling)
        chosen = self.class_weight is not None or self.schedule is not None
        return any(numbers) or chosen or any(factor != 1 for factor in self.lr_factors)

    def hyper(self, optimizer: Optimizer, loss: Loss, n_out: int) -> Floats:
        """The hyperparameter vector (kernels/tables/settings.py) before the first update."""
        layers = len(self.lr_factors)
        count = loss.n_weights(n_out, self.class_weight is not None)
        length = settings.length(layers, count)
        encoded = np.zeros(N_SCHEDULE) if self.schedule is None else self.schedule.encoded()
        table = encoded[N_SCHEDULE:]
        hyper = np.zeros(length + len(table) + (self.input_scaling > 0))
        hyper[: codes.N_HYPER] = optimizer.hyper()
        values = {
            settings.L1: self.l1,
            settings.L2: self.l2,
            settings.SMOOTHING: self.label_smoothing,
            settings.CLIP_VALUE: self.clip_value,
            settings.CLIP_NORM: self.clip_norm,
            settings.AVERAGING: self.averaging,
            settings.LOSS_PARAMETER: loss.parameter,
            settings.PENALTY_SCALE: 1.0,
            settings.CLIP_SCALE: 1.0,
            settings.OPTIMIZER_STATE: 1.0,
        }
        hyper[list(values)] = list(values.values())
        hyper[settings.SCHEDULE : settings.STEP_LR] = encoded[:N_SCHEDULE]
        if encoded[CODE] == TABLE:
            hyper[settings.SCHEDULE + PLACE] = length - settings.SCHEDULE
            hyper[length : length + len(table)] = table
        if self.input_scaling:
            hyper[-1] = self.input_scaling
        for layer, factor in enumerate(self.lr_factors, 1):
            hyper[settings.of_layer(layer, settings.LR_FACTOR)] = factor
        weights = hyper[settings.class_weights(layers) : length]
        weights.fill(1.0)
        if isinstance(self.class_weight, tuple):
            weights[:] = np.ravel(self.class_weight)
        return hyper


def check(n_layers: int, n_out: int, loss: Loss, given: Arguments) -> Options:
    """The checked options of a trainer. ValueError or TypeError names the option that is wrong."""
    smoothing = checks.from_zero_below_one(given.label_smoothing, "label_smoothing")
    if smoothing and not loss.has_classes:
        raise ValueError(
            f"label_smoothing is {smoothing}, but loss {loss.name!r} has no labels: use it with "
            "'cross_entropy' or 'bce'"
        )
    return Options(
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
        input_scaling=0.0
        if given.input_scaling is None
        else checks.positive(given.input_scaling, "input_scaling"),
    )


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
        **({"input_scaling": options.input_scaling} if options.input_scaling else {}),
    }


def from_dict(described: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a Trainer from the result of ``to_dict``; ``check`` checks them."""
    weights, schedule = described.get("class_weight"), described.get("schedule")
    if isinstance(weights, list):
        weights = as_given(weights)
    if schedule is not None:
        schedule = specs.from_dict(schedule, schedules.SCHEDULES, "schedule")
    return {"class_weight": weights, "schedule": schedule}


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
        "schedule": options.schedule is not None,
        "lr_factors": any(factor != 1 for factor in options.lr_factors),
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
