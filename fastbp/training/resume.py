"""The part of a checkpoint about a fit, and how a later fit resumes it."""

import math
import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..callbacks.base import Callback
from ..callbacks.monitors import Monitoring
from ..common import checks
from ..components.options import SCHEDULED
from ..data import names
from ..data.tables import Table
from ..model import model_io
from ..model.network import Network
from ..runtime.arrays import Dataset
from ..storage import tree_codec
from . import checkpoints, cursor
from .core import TrainerCore
from .cursor import FitCursor
from .row_order import RowOrder

if TYPE_CHECKING:
    from .fitting import Fit


OF_0_1_0 = {"set_lr": math.nan, "is_cut": False}
"""What files of 0.1.0 do not say."""


OF_ONE_RANK = (
    *("X", "y", "sample_weight"),
    *("rows of validation", "weights of validation_data"),
)
"""Items that differ between ranks which have rows of their own, or none."""


def to_dict(fit: "Fit", order: RowOrder) -> dict[str, Any]:
    """The progress and the arguments of a fit, for a checkpoint."""
    return {
        "asked": arguments(fit, order),
        "position": vars(fit.cursor),
        "mean_weight": order.mean_weight,
        "callbacks": fit.watch.to_dict(),
        "set_lr": fit.set_lr,
        "is_cut": fit.watch.state.is_cut,
    }


def arguments(fit: "Fit", order: RowOrder) -> dict[str, Any]:
    """The arguments that must be the same when the fit is resumed; arrays by shape and dtype."""
    data, held_out = order.data, fit.held_out
    return {
        "X": _table(data.x),
        "y": data.y and _table(data.y),
        "sample_weight": data.weights is not None,
        **_of_derivatives(data),
        "shuffle": order.shuffle,
        "rows to train on": order.rows,
        "rows of validation": held_out.rows if held_out else 0,
        # None where there are none: older files say nothing of them.
        "weights of validation_data": _has_weights(order, held_out) or None,
        "metrics": sorted(fit.metrics),
        "callbacks": [type(callback).__name__ for callback in fit.watch.callbacks],
    }


def common_arguments(fit: "Fit", order: RowOrder) -> dict[str, Any]:
    """Those that must be the same on all ranks."""
    apart = OF_ONE_RANK if fit.core.is_local else ()
    return {key: value for key, value in arguments(fit, order).items() if key not in apart}


def _has_weights(order: RowOrder, held_out: Dataset | None) -> bool:
    """Whether validation_data has weights."""
    given = held_out if order.chosen is None else None
    return given is not None and given.weights is not None


def _of_derivatives(data: Dataset) -> dict[str, Any]:
    """What is known of derivatives; nothing for nothing, as in older files."""
    known = data.derivatives
    if known is None:
        return {}
    return {
        "jacobian": [list(known.jacobian.shape), str(known.jacobian.dtype)],
        "jacobian_weight": known.weights.tolist(),
        "directions": known.directions and _table(known.directions),
    }


def _table(table: Table) -> list[Any]:
    return [list(table.array.shape), str(table.array.dtype)]


@dataclass
class ResumePoint:
    """The state that a fit resumes from: the saved trainer, and the progress of the fit.

    set_lr: the learning rate that the user had set when the fit began; NaN for none.
    mean_weight: of the rows; None in files of versions that did not divide by it.
    """

    saved: checkpoints.SavedState
    cursor: FitCursor
    mean_weight: float | None
    set_lr: float


def learning_rates(
    core: TrainerCore, point: ResumePoint | None, asked: float | None
) -> tuple[float, float]:
    """The learning rate that a fit goes on with, and the one that was set when it began, or NaN.

    asked: by ``fit(lr=)``. Else the one that the user has set since the trainer was made or loaded.
    Else that of the checkpoint; also where a program runs once more, and sets what it set before
    the fit began.
    """
    lr, set_lr = core.lr, core.lr if core.lr != core.settled_lr else math.nan
    if point is not None:
        runs_again = core.updates == 0 and set_lr == point.set_lr
        if math.isnan(set_lr) or runs_again:
            lr, set_lr = point.saved.lr, point.set_lr
    return lr if asked is None else asked, set_lr


def read(path: str | os.PathLike[str], fit: "Fit", order: RowOrder) -> ResumePoint:
    """The state in a file for this fit to resume from; nothing has changed yet.

    ValueError where the file is no checkpoint of a fit, or trainer, data or callbacks are not as
    they were. OSError where it cannot be read.
    """
    core = fit.core
    functions = {function.__name__: function for function in core.functions()}
    checkpoint = checkpoints.read(path, functions)
    with checkpoints.naming(path):
        if checkpoint.fit is None:
            raise ValueError(
                "it was not written within fit by batches, and there is nothing to resume: load "
                "it with fastbp.Trainer.load, and call fit"
            )
        _compare(_network(checkpoint.net), _network(core.net), "the network's ")
        _compare(checkpoint.arguments, checkpoints.arguments(core), "the trainer's ")
        names.check(checkpoint.net.feature_names_in, order.data.x.columns, order.data.names[0])
        asked, now = tree_codec.get(checkpoint.fit, "asked", dict), arguments(fit, order)
        if core.is_local:  # rank 0 wrote what its own rows were
            now |= {key: asked.get(key) for key in OF_ONE_RANK}
        called = tree_codec.get(asked, "callbacks", _are_names)
        callbacks = fit.watch.counterparts(called)
        _compare(asked, now if callbacks is None else now | {"callbacks": called}, "")
        point = _resume_point(checkpoint, fit, order, callbacks or [])
    _warn_of_its_end(path, fit, point.cursor.epochs)
    return point


def _warn_of_its_end(path: str | os.PathLike[str], fit: "Fit", made: int) -> None:
    if fit.watch.stopped and made < fit.watch.state.epochs:
        warnings.warn(
            f"the fit that wrote {str(path)!r} was ended by a callback after {made} epochs "
            "(StopTraining, as EarlyStopping raises it), and stays ended: this call of fit trains "
            "nothing. To train on, fastbp.Trainer.load(path).fit(...), without resume",
            stacklevel=6,
        )


REMEDIES = {
    **{
        name: f"fastbp.Trainer.load(path).replace({name}=...) keeps the moments: call its fit "
        "without resume"
        for name in SCHEDULED
    },
    "optimizer": "for another learning rate pass fit(resume=path, lr=...); for another optimizer "
    "call fastbp.Trainer.load(path).replace(optimizer=...).fit(...), without resume",
    "callbacks": "pass callbacks of the classes that there were, in that order, as "
    "fastbp.ModelCheckpoint(path); others may be added",
    **dict.fromkeys(
        (
            *("X", "y", "sample_weight", "jacobian", "jacobian_weight", "directions"),
            *("shuffle", "rows to train on", "rows of validation"),
        ),
        "to train on with others, fastbp.Trainer.load(path).fit(...), without resume",
    ),
}
"""What to do where the user means to change something."""


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _resume_point(
    checkpoint: checkpoints.Checkpoint, fit: "Fit", order: RowOrder, callbacks: list[Callback]
) -> ResumePoint:
    """callbacks: those that go on as the ones that there were."""
    described, rows = checkpoint.fit or {}, order.rows
    batch, epochs = min(fit.core.batch_size, rows), fit.watch.state.epochs
    place = tree_codec.get(described, "position", dict)
    point = ResumePoint(
        saved=checkpoint.check(fit.core),
        cursor=cursor.from_tree(place, rows, batch, epochs),
        set_lr=tree_codec.get(OF_0_1_0 | (described or {}), "set_lr", float),
        mean_weight=_mean_weight(described),
    )
    made, history = point.cursor.epochs - len(point.cursor.ended), point.saved.history
    if tree_codec.get(OF_0_1_0 | (described or {}), "is_cut", bool):  # the epoch goes on
        for key, column in history.items():
            history[key] = column[:-1]
    if len(history.get("loss", ())) != made:
        raise ValueError(f"its history is not of the {made} epochs that were made")
    of_callbacks = tree_codec.get(described, "callbacks", dict)
    fit.watch.restore(of_callbacks, callbacks)
    for callback, state in zip(callbacks, of_callbacks["states"], strict=True):
        if isinstance(callback, Monitoring):
            callback.check_state(state)
    return point


def check_mean_weight(point: ResumePoint | None, found: float) -> None:
    """ValueError where the weights of the rows are not those that the fit began with."""
    known = None if point is None else point.mean_weight
    if known is not None and not math.isclose(known, found, rel_tol=1e-9):
        raise ValueError(
            f"the weights of the rows have the mean {found:g}, and had {known:g} when the fit "
            "began: it cannot be loaded, resume with the same sample_weight and class_weight"
        )


def _mean_weight(described: dict[str, Any]) -> float | None:
    if "mean_weight" not in described:
        return None
    return checks.positive(tree_codec.get(described, "mean_weight", float), "mean_weight")


def _network(net: Network) -> dict[str, Any]:
    """The properties of a network that must be the same.

    The seed made its first weights only. A new network has no names of columns yet.
    """
    scales = [None if s is None else s.tolist() for s in (net.input_mean, net.input_scale)]
    scales += [None if s is None else s.tolist() for s in (net.target_mean, net.target_scale)]
    apart = ("seed", model_io.NAMES)
    description = {key: value for key, value in model_io.to_dict(net).items() if key not in apart}
    return description | {"scaling": scales}


def _compare(then: dict[str, Any], now: dict[str, Any], whose: str) -> None:
    """ValueError for the first difference."""
    for key in [*now, *then]:
        if then.get(key) != now.get(key):
            remedy = REMEDIES.get(key, "fastbp.Trainer.load makes the same trainer")
            raise ValueError(
                f"{whose}{key} was {then.get(key)!r:.200} and is {now.get(key)!r:.200}: a fit goes "
                f"on with the same arguments and data; {remedy}"
            )
