"""The file of an estimator: its networks, its encoder, and what else it predicts by.

The tensors of a file: ``members.0.layers.0.weight`` and so on, as of ``fastbp.Ensemble``; those of
the encoder, whose names begin with ``encoder``; arrays of the rest, with ``state``. What is no
tensor is JSON in the metadata. Reading runs nothing of a file, and imports nothing by a name in it.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..callbacks.history import History
from ..common import checks
from ..common.types import Array
from ..model import ensemble
from ..model.ensemble import Ensemble
from ..storage import model_file, tree_codec
from ..storage.tree_codec import get
from .base import BaseTabular
from .classifier import TabularClassifier
from .encoder import TableEncoder
from .regressor import TabularRegressor
from .residuals import Residuals
from .targets import Labels, Units

KIND = "table"

ESTIMATORS: Mapping[str, type[BaseTabular[Any]]] = {
    "TabularClassifier": TabularClassifier,
    "TabularRegressor": TabularRegressor,
}

ENCODER, STATE = "encoder", "state"


def write(model: BaseTabular[Any], path: str | os.PathLike[str]) -> None:
    """``BaseTabular.save``."""
    members, tensors = ensemble.to_dict(model.ensemble_)
    encoder, arrays = model.encoder_.to_dict()
    tensors |= arrays
    meta = {
        "estimator": type(model).__name__,
        "members": members,
        "encoder": encoder,
        "state": tree_codec.pack(_state(model), STATE, tensors),
    }
    model_file.write(path, KIND, meta, tensors)


def load(path: str | os.PathLike[str]) -> TabularClassifier | TabularRegressor:
    """The ``TabularClassifier`` or ``TabularRegressor`` of a file that ``save`` wrote.

    It predicts the same bits on the same machine. Loading runs no code from the file.

    Raises:
        ValueError: the file is none of these, or is damaged.
        OSError: it cannot be read.

    >>> from fastbp.tabular import TabularRegressor, load
    >>> x = np.linspace(0, 1, 80)
    >>> TabularRegressor(epochs=5, random_state=0).fit({"x": x}, x).save("model.safetensors")
    >>> load("model.safetensors")
    TabularRegressor(epochs=5, random_state=0)

    """
    meta, tensors = model_file.read(checks.path(path, "path"), KIND)
    with model_file.naming(path):
        kind = ESTIMATORS[get(meta, "estimator", _is_estimator)]
        nets = ensemble.from_dict(get(meta, "members", dict), tensors)
        encoder = TableEncoder.from_dict(get(meta, "encoder", dict), _taken(tensors))
        state = tree_codec.unpack(get(meta, "state", dict), tensors)
        if tensors:
            raise ValueError(f"tensor {min(tensors)!r:.80} is not used")
        model = kind(**_parameters_of(get(state, "parameters", dict), kind))
        model.encoder_, model.ensemble_ = encoder, Ensemble(nets)
        _restore(model, state)
        _check_sizes(model)
    return model


def _is_estimator(value: Any) -> bool:
    return isinstance(value, str) and value in ESTIMATORS


def _taken(tensors: dict[str, Array]) -> dict[str, Array]:
    """Take the encoder's tensors out of ``tensors``."""
    own = [name for name in tensors if name.startswith(ENCODER)]
    return {name: tensors.pop(name) for name in own}


def _state(model: BaseTabular[Any]) -> dict[str, Any]:
    """What a model has besides networks and encoder."""
    return {
        "parameters": _parameters(model),
        "targets": model.targets_.to_dict(),
        **_calibration(model),
        "histories": [{key: np.array(v) for key, v in one.items()} for one in model.histories_],
        "validation_score": model.validation_score_,
        "record": model.record_,
        "columns": model.feature_names_in_.tolist(),
    }


def _restore(model: BaseTabular[Any], state: Mapping[str, Any]) -> None:
    _restore_targets(model, state)
    model.histories_ = [_history(one) for one in get(state, "histories", list)]
    model.validation_score_ = get(state, "validation_score", dict)
    model.record_ = get(state, "record", dict)
    model.feature_names_in_ = np.array(get(state, "columns", _are_names), object)
    model.n_features_in_ = len(model.feature_names_in_)


def _history(saved: Any) -> History:
    if not isinstance(saved, dict) or not all(map(_is_column, saved.values())):
        raise ValueError(f"'histories' has {saved!r:.80}, expected columns of numbers")
    return History({key: column.tolist() for key, column in saved.items()})


def _is_column(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _calibration(model: Any) -> dict[str, Any]:
    if isinstance(model, TabularClassifier):
        return {"temperature": model.temperature_}
    return {"residuals": model.residuals_.to_dict()}


def _restore_targets(model: Any, state: Mapping[str, Any]) -> None:
    targets = get(state, "targets", dict)
    if isinstance(model, TabularClassifier):
        model.targets_ = Labels.from_dict(targets)
        model.temperature_ = checks.positive(get(state, "temperature", float), "temperature")
    else:
        model.targets_ = Units.from_dict(targets)
        model.residuals_ = Residuals.from_dict(get(state, "residuals", dict))


def _check_sizes(model: BaseTabular[Any]) -> None:
    net = model.ensemble_[0]
    wanted = model.encoder_.n_features, model.targets_.n_outputs
    if (net.sizes[0], net.sizes[-1]) != wanted:
        raise ValueError(
            f"its networks have {net.sizes[0]} inputs and {net.sizes[-1]} outputs, expected "
            f"{wanted[0]} and {wanted[1]}"
        )
    if isinstance(model, TabularRegressor):
        shape = model.residuals_.points.shape
        if (shape[0], shape[2]) != (len(model.ensemble_), wanted[1]):
            raise ValueError(f"its residuals have the shape {shape}, not that of its networks")


def _parameters(model: BaseTabular[Any]) -> dict[str, Any]:
    """The parameters as JSON. A dict becomes pairs, because JSON's keys are text.

    A random_state that is no integer is None; the record has the seed that was drawn from it.
    """
    found = {name: _plain(value) for name, value in model.get_params().items()}
    if not isinstance(found["random_state"], int):
        found["random_state"] = None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(k), _plain(v)] for k, v in value.items()]}
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return value
    return [_plain(one) for one in value]


def _parameters_of(saved: Mapping[str, Any], kind: type[BaseTabular[Any]]) -> dict[str, Any]:
    """What ``_parameters`` wrote; ValueError for another parameter."""
    strange = sorted(saved.keys() - kind().get_params().keys())
    if strange:
        raise ValueError(
            f"its {kind.__name__} has a parameter {strange[0]!r:.40}, which is unknown"
        )
    return {
        name: dict(get(value, "pairs", _are_pairs)) if isinstance(value, dict) else value
        for name, value in saved.items()
    }


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and not isinstance(pair[0], list | dict)
        for pair in value
    )
