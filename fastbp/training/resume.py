"""A fit as a checkpoint has it, and what a later fit takes up of it."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..callbacks.history import History
from ..data.tables import Table
from ..model import model_io
from ..storage import tree_codec
from . import checkpoints, cursor
from .cursor import FitCursor

if TYPE_CHECKING:
    from .fitting import Fit


def describe(fit: "Fit") -> dict[str, Any]:
    """Where a fit stands, and what it was asked for."""
    return {
        "asked": _asked(fit),
        "position": vars(fit.position),
        "callbacks": fit.watch.describe(),
    }


def _asked(fit: "Fit") -> dict[str, Any]:
    """What must be the same again, as JSON has it; arrays by shape and dtype."""
    data, held_out = fit.order.data, fit.held_out
    return {
        "X": _table(data.x),
        "y": data.y and _table(data.y),
        "sample_weight": data.weights is not None,
        "shuffle": fit.order.shuffle,
        "rows to train on": fit.order.rows,
        "rows of validation": held_out.data.rows if held_out else 0,
        "metrics": sorted(fit.metrics),
        "callbacks": [type(callback).__name__ for callback in fit.watch.callbacks],
    }


def _table(table: Table) -> list[Any]:
    return [list(table.array.shape), str(table.array.dtype)]


@dataclass
class Resumed:
    """What a fit takes up."""

    learned: "checkpoints.Learned"
    position: FitCursor

    @property
    def history(self) -> History:
        """Of the epochs before."""
        return self.learned.history


def read(path: str | os.PathLike[str], fit: "Fit") -> Resumed:
    """What the file has for this fit to go on from; nothing has changed yet.

    ValueError where the file is no checkpoint of a fit, or trainer, data or callbacks are not as
    they were. OSError where it cannot be read.
    """
    trainer = fit.trainer
    checkpoint = checkpoints.read(path, trainer._functions())
    with checkpoints.naming(path):
        if checkpoint.fit is None:
            raise ValueError(
                "it was not written within fit by batches, and there is nothing to resume: load "
                "it with fastbp.Trainer.load, and call fit"
            )
        _compare(_of_network(checkpoint.net), _of_network(trainer._net), "the network's ")
        _compare(checkpoint.arguments, checkpoints.arguments(trainer), "the trainer's ")
        _compare(tree_codec.get(checkpoint.fit, "asked", dict), _asked(fit), "")
        return _resumed(checkpoint, fit)


def _resumed(checkpoint: "checkpoints.Checkpoint", fit: "Fit") -> Resumed:
    described, rows = checkpoint.fit, fit.order.rows
    batch, epochs = min(fit.trainer.batch_size, rows), fit.watch.state.epochs
    place = tree_codec.get(described, "position", dict)
    resumed = Resumed(
        learned=checkpoint.check(fit.trainer),
        position=cursor.from_tree(place, rows, batch, epochs),
    )
    made = resumed.position.epochs - len(resumed.position.ended)
    if len(resumed.history.get("loss", ())) != made:
        raise ValueError(f"its history is not of the {made} epochs that were made")
    fit.watch.take_up(tree_codec.get(described, "callbacks", dict))
    return resumed


def _of_network(net: Any) -> dict[str, Any]:
    """What must be the same; the seed made its first weights, which are long gone."""
    scales = [None if s is None else s.tolist() for s in (net.input_mean, net.input_scale)]
    scales += [None if s is None else s.tolist() for s in (net.target_mean, net.target_scale)]
    description = {key: value for key, value in model_io.describe(net).items() if key != "seed"}
    return description | {"scaling": scales}


def _compare(then: dict[str, Any], now: dict[str, Any], whose: str) -> None:
    """ValueError that tells the first difference."""
    for key in [*now, *then]:
        if then.get(key) != now.get(key):
            raise ValueError(
                f"{whose}{key} was {then.get(key)!r:.200} and is {now.get(key)!r:.200}: a fit goes "
                "on with the same arguments and data; fastbp.Trainer.load makes the same trainer"
            )
