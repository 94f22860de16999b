"""Checkpoints: a trainer, its network, and the fit that it is in, as one file (model_file.py)."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..callbacks.history import History
from ..common import checks, specs
from ..common.types import Array
from ..components import losses, optimizers, options
from ..components.lbfgs import LBFGS
from ..data.names import Names
from ..kernels.tables import arenas, settings
from ..model import model_io
from ..model.network import Network
from ..storage import model_file, tree_codec
from . import input_scaling
from .core import TrainerCore

Functions = Mapping[str, Callable[..., Any]]

OPTIMIZERS = optimizers.OPTIMIZERS | {"LBFGS": LBFGS}


def write(core: TrainerCore, path: str | os.PathLike[str]) -> None:
    """``Trainer.save``."""
    model_io.check_names(core.functions())
    tree = {
        "network": {"meta": model_io.to_dict(core.net), "tensors": model_io.tensors(core.net)},
        "arguments": arguments(core),
        "learned": _state(core),
        "history": _columns(core.history),
        "fit": core.fit and core.fit.to_dict(),
    }
    tensors: dict[str, Array] = {}
    packed = {key: tree_codec.pack(value, key, tensors) for key, value in tree.items()}
    model_file.write(path, "checkpoint", packed, tensors)


def arguments(core: TrainerCore) -> dict[str, Any]:
    """The arguments of the trainer except its network and threads, as JSON."""
    return {
        "loss": losses.to_dict(core.loss),
        "optimizer": specs.to_dict(core.optimizer),
        "batch_size": core.batch_size,
        "seed": core.seed,
        "engine": core.engine_name,
        **options.to_dict(core.options),
        **({"ignore_nan": True} if core.loss.ignores_nan else {}),
        **(asdict(core.sharing) if core.group is not None else {}),
    }


def _columns(history: History) -> dict[str, Any]:
    """The columns of a History, and their order, which the JSON of the file does not keep."""
    columns = {key: np.array(column) for key, column in history.items()}
    return {"keys": list(history), "columns": columns}


def _state(core: TrainerCore) -> dict[str, Any]:
    """What training has changed, besides the network's parameters."""
    arrays, plan = core.arrays, core.net.arrays.plan
    kept = arrays.moments[: arrays.spec.moments + arrays.spec.averages]
    return {
        "lr": core.lr,
        "updates": core.updates,
        "mu_product": float(arrays.hyper[settings.OPTIMIZER_STATE]),
        "class_weights": core.class_weights if core.is_balanced else None,
        "weighs_rows": core.weighs_rows,
        "epoch": core.epoch,
        "moments": [list(arenas.read_layers(plan, arena)) for arena in kept],
        "input_scaling": input_scaling.state(core),
    }


@dataclass
class Checkpoint:
    """The content of a file, checked as far as it can be without a trainer."""

    net: Network
    arguments: dict[str, Any]
    learned: dict[str, Any]
    history: History
    fit: dict[str, Any] | None

    def trainer_arguments(self, functions: Functions) -> dict[str, Any]:
        """The keyword arguments of its trainer."""
        given = dict(self.arguments)
        given["loss"] = losses.from_dict(given.get("loss"), functions)
        given["optimizer"] = specs.from_dict(given.get("optimizer"), OPTIMIZERS, "optimizer")
        return given | options.from_dict(given)

    def check(self, core: TrainerCore) -> "SavedState":
        """The saved state of this trainer; ValueError where it does not fit the trainer."""
        learned, balanced = self.learned, core.options.class_weight == "balanced"
        updates, epoch = (tree_codec.get(learned, key, _is_count) for key in ("updates", "epoch"))
        check_lr = checks.positive if core.optimizer.makes_updates else checks.not_negative
        return SavedState(
            lr=check_lr(tree_codec.get(learned, "lr", float), "lr"),
            updates=updates,
            mu_product=checks.not_negative(
                tree_codec.get(learned, "mu_product", float), "mu_product"
            ),
            class_weights=_class_weights(learned, core) if balanced else None,
            weighs_rows=tree_codec.get(learned, "weighs_rows", bool),
            epoch=epoch,
            moments=_moments(learned, core),
            scaling=_scaling(learned, core),
            layers=self.net.arrays.layers(),
            names=self.net.feature_names_in,
            history=self.history,
        )


@dataclass
class SavedState:
    """The state of a trainer in a checkpoint, checked against the trainer."""

    lr: float
    updates: int
    mu_product: float
    class_weights: Array | None
    weighs_rows: bool
    epoch: int
    moments: list[list[arenas.Layer]]
    scaling: list[Array] | None
    layers: list[arenas.Layer]
    names: Names
    history: History

    def restore(self, core: TrainerCore) -> None:
        """Bring the trainer and its network to this state."""
        net, hyper = core.net.arrays, core.arrays.hyper
        net.set_layers(self.layers)
        core.net.keep_names(self.names or core.net.feature_names_in)
        for arena, layers in zip(core.arrays.moments, self.moments, strict=False):
            arenas.write_layers(net.plan, arena, layers)
        input_scaling.restore(core, self.scaling)
        core.lr = core.settled_lr = self.lr
        hyper[settings.UPDATES] = self.updates
        hyper[settings.OPTIMIZER_STATE] = self.mu_product
        if self.class_weights is not None:
            core.set_class_weights(self.class_weights)
        if self.weighs_rows:
            core.weigh_rows()
        core.epoch, core.history = self.epoch, self.history


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _class_weights(learned: dict[str, Any], core: TrainerCore) -> Array | None:
    expected = core.class_weights
    weights: Array | None = tree_codec.get(
        learned, "class_weights", lambda a: a is None or (_is_like(a, expected) and (a >= 0).all())
    )
    return weights


def _moments(learned: dict[str, Any], core: TrainerCore) -> list[list[arenas.Layer]]:
    """The moments and the average; ValueError unless their shapes are those of the trainer's."""
    spec, like = core.arrays.spec, core.net.arrays.layers()
    found = tree_codec.get(learned, "moments", list)
    count = spec.moments + spec.averages
    fits = len(found) == count and all(_are_like(layers, like) for layers in found)
    if not fits:
        raise ValueError(
            f"'moments' are not {count} times the shapes of the parameters, or have NaN"
        )
    return [[tuple(layer) for layer in layers] for layers in found]


def _scaling(learned: dict[str, Any], core: TrainerCore) -> list[Array] | None:
    """The learned scaling of the inputs; ValueError unless it has the trainer's shapes."""
    like = input_scaling.state(core)
    if like is None:  # files of 0.1.0 do not mention it
        return None
    found = tree_codec.get(learned, "input_scaling", list)
    if not _are_like([found], [tuple(like)]):
        raise ValueError("'input_scaling' has other shapes than the trainer's, or NaN")
    return found  # type: ignore[no-any-return]


def _are_like(layers: Any, like: list[arenas.Layer]) -> bool:
    return (
        isinstance(layers, list)
        and len(layers) == len(like)
        and all(
            isinstance(layer, list)
            and len(layer) == len(expected)
            and all(map(_is_like, layer, expected))
            and not any(np.isnan(part).any() for part in layer)
            for layer, expected in zip(layers, like, strict=True)
        )
    )


def _is_like(array: Any, expected: Array) -> bool:
    return (
        isinstance(array, np.ndarray)
        and array.shape == expected.shape
        and array.dtype == expected.dtype
    )


def read(
    path: str | os.PathLike[str], functions: Functions | None = None, verify: bool = True
) -> Checkpoint:
    """Read a checkpoint. ValueError if the file is none, OSError if it cannot be read."""
    packed, tensors = model_file.read(path, "checkpoint", verify)
    with naming(path):
        tree = tree_codec.unpack(packed, tensors)
        if tensors:
            raise ValueError(f"tensor {min(tensors)!r} is not used")
        network = tree_codec.get(tree, "network", dict)
        meta, arrays = (tree_codec.get(network, key, dict) for key in ("meta", "tensors"))
        fit = tree_codec.get(tree, "fit", lambda value: value is None or isinstance(value, dict))
        return Checkpoint(
            net=model_io.from_dict(meta, arrays, functions or {}),
            arguments=tree_codec.get(tree, "arguments", dict),
            learned=tree_codec.get(tree, "learned", dict),
            history=_history(tree_codec.get(tree, "history", dict)),
            fit=fit,
        )


def _history(described: dict[str, Any]) -> History:
    keys, columns = (
        tree_codec.get(described, "keys", list),
        tree_codec.get(described, "columns", dict),
    )
    if any(getattr(column, "ndim", 0) != 1 for column in columns.values()):
        raise ValueError("'history' is not lists of numbers")
    if sorted(map(str, keys)) != sorted(columns):
        raise ValueError(f"'history' has columns {sorted(columns)}, and keys {keys}")
    return History({key: columns[key].tolist() for key in keys})


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Re-raise ValueError and TypeError as a ValueError that begins with the file's path.

    Bad content of a file is no TypeError of the caller.
    """
    with model_file.naming(path):
        try:
            yield
        except TypeError as error:
            raise ValueError(str(error)) from error
        except RecursionError:
            raise ValueError("its meta data are nested too deeply") from None
