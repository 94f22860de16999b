"""How a trainer shows itself: the call that makes it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..common.call_repr import Text, as_call
from ..components import losses
from ..components.options import Options, as_given
from ..runtime.threads import maximum
from .core import TrainerCore


def as_text(trainer: object, core: TrainerCore) -> str:
    """``fastbp.Trainer(fastbp.Network(...), ...)``; an lr that was set since is a comment."""
    net, _, _ = repr(core.net).partition("  #")
    call = as_call(trainer, Text(net), **arguments(core))
    given = getattr(core.optimizer, "lr", core.lr)  # LBFGS has none
    return call if core.lr == given else f"{call}  # lr is now {core.lr:g}"


def arguments(core: TrainerCore) -> dict[str, Any]:
    """The arguments of a trainer besides its network, as a caller gives them."""
    return {
        "loss": losses.as_argument(core.loss),
        "optimizer": core.optimizer,
        "batch_size": core.batch_size,
        "threads": "auto" if core.threads == maximum("auto") else core.threads,
        "seed": core.seed,
        "engine": core.engine_name,
        **_options(core.options),
        "ignore_nan": core.loss.ignores_nan,
        "comm": core.group and core.group.comm,
        **asdict(core.sharing),
    }


def _options(options: Options) -> dict[str, Any]:
    given: Any = options.class_weight
    if isinstance(given, tuple):
        by_label = as_given(given)
        some = by_label if isinstance(by_label, list) else [by_label]
        short = [{label: one for label, one in each.items() if one != 1} for each in some]
        given = short if isinstance(by_label, list) else short[0]
    return {
        "l1": options.l1,
        "l2": options.l2,
        "dropout": _shortest(options.dropout[:-1], 0.0),
        "label_smoothing": options.label_smoothing,
        "clip_value": options.clip_value or None,
        "clip_norm": options.clip_norm or None,
        "ema_decay": options.averaging or None,
        "class_weight": given,
        "schedule": options.schedule,
        "lr_factors": _shortest(options.lr_factors, 1.0),
        "bias_lr_factor": _shortest(options.bias_lr_factor, 1.0),
        "weight_decay_on": options.weight_decay_on,
        "weight_decay_factors": _shortest(options.weight_decay_factors, 1.0),
        "weight_decay_schedule": options.weight_decay_schedule,
        "dropout_schedule": options.dropout_schedule,
        "input_scaling": options.input_scaling or None,
        "embedding_lr_factor": options.embedding_lr_factor,
    }


def _shortest(values: Sequence[float], default: float) -> float | list[float]:
    """One number where all are equal."""
    if not values:
        return default
    return values[0] if len(set(values)) == 1 else list(values)
