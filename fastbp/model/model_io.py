"""A network as named tensors and JSON: the content of a model file.

The tensors of a file, in natural shapes and the network's dtype:

    layers.0.weight            (n_in, n_out), of each layer, from 0
    layers.0.bias              (n_out,)
    layers.0.gain, .shift      (n_out,), of hidden layers, where these are normalized
    number_embedding.frequencies, .phases, .weights, .biases    where numbers are embedded, of the
                               shapes of ``Network.embedding_parameters``
    input_mean, input_scale    (n_in,), float64, where inputs are scaled
    target_mean, target_scale  (n_targets,), float64, where targets are

``net.to_torch().state_dict()`` has the names and shapes that torch knows.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations, pairwise
from typing import Any, TypeAlias

import numpy as np

from ..common import checks, specs
from ..common.types import Array
from ..components.number_embedding import EmbeddingParameters, NumberEmbedding
from ..data import scaling
from ..kernels.base import caution
from ..storage import model_file, tree_codec
from ..storage.safetensors_format import short
from .network import Network
from .network_checks import DTYPES

Functions: TypeAlias = Mapping[str, Callable[..., Any]]
Shapes: TypeAlias = dict[str, tuple[int, ...]]

PARTS = ("weight", "bias", "gain", "shift")
UNITS = ("input_mean", "input_scale", "target_mean", "target_scale")
TENSORS_OF_NETWORK = {"model": "", "checkpoint": "network."}
"""The kinds of files that hold a network, and what the names of its tensors begin with."""
NAMES = "feature_names_in"
"""A further key of networks that have learned from named columns."""
KEYS = {"sizes", "activations", "dtype", "layer_norm", "residual", "seed"}
EMBEDDING = "number_embedding"
"""A further key, and what the names of the tensors begin with, of networks that embed numbers."""
EMBEDDINGS = {"NumberEmbedding": NumberEmbedding}


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """``Network.save``."""
    model_file.write(path, "model", to_dict(net), tensors(net))


def load(
    path: str | os.PathLike[str], verify: bool = True, functions: Functions | None = None
) -> Network:
    """Load the network that ``Network.save`` wrote; on the same machine it predicts the same bits.

    Of a checkpoint, which ``Trainer.save`` wrote, it loads the network alone, with a UserWarning.
    Loading runs no code from the file and imports nothing by a name in it: a file from someone else
    can be wrong, but cannot do harm.

    Args:
        path: the file.
        verify: compare the checksum of the content with the one in the file. Without it the content
            must still be a valid network.
        functions: your own activations, njit functions by the names that they had when the model
            was saved; further functions are ignored.

    Raises:
        ValueError: the file is neither a model nor a checkpoint, is damaged or of a newer format,
            or ``functions`` lacks a function.
        TypeError: an argument is not as above.
        OSError: the file cannot be read.

    >>> net = fastbp.Network([3, 8, 2], seed=0)
    >>> net.save("model.safetensors")
    >>> np.array_equal(fastbp.load("model.safetensors").weights[0], net.weights[0])
    True

    """
    return read(checks.path(path, "path"), verify, functions)


def read(path: str | os.PathLike[str], verify: bool, functions: Functions | None) -> Network:
    """``load``, for a caller that the user calls: a warning is about the user's line."""
    check_functions(functions)
    kind, meta, found = model_file.read_parts(path, TENSORS_OF_NETWORK, verify)
    with model_file.naming(path):
        if kind == "checkpoint":
            meta, found = _of_checkpoint(meta, found)
        net = from_dict(meta, found, functions)
    if kind == "checkpoint":
        caution.warn(
            f"{os.fspath(path)!r} is a checkpoint: this is its network, without the trainer, which "
            "fastbp.Trainer.load loads, too",
            stacklevel=3,
        )
    return net


def check_functions(functions: Any) -> None:
    """TypeError where ``functions`` is neither None nor a dict."""
    if functions is not None and not isinstance(functions, Mapping):
        raise TypeError(
            f"functions is a {type(functions).__name__}, expected a dict of functions by name"
        )


def _of_checkpoint(
    meta: dict[str, Any], tensors: dict[str, Array]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """What ``from_dict`` takes, out of a checkpoint (training/checkpoints.py)."""
    tree = tree_codec.unpack(tree_codec.get(meta, "network", dict), tensors)
    if tensors:
        raise ValueError(f"tensor {min(tensors)!r:.80} is not used")
    return tree_codec.get(tree, "meta", dict), tree_codec.get(tree, "tensors", _are_tensors)


def _are_tensors(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, np.ndarray) for one in value.values())


def to_dict(net: Network) -> dict[str, Any]:
    """The properties besides tensors, for JSON; ValueError for two functions of one name."""
    names = net.feature_names_in
    return {
        "sizes": list(net.sizes),
        "activations": _kinds(net),
        "dtype": net.dtype.name,
        "layer_norm": net.layer_norm,
        "residual": net.residual,
        "seed": net.seed,
        **({} if names is None else {NAMES: list(names)}),
        **(
            {} if net.number_embedding is None else {EMBEDDING: specs.to_dict(net.number_embedding)}
        ),
    }


def tensors(net: Network) -> dict[str, Array]:
    """Fresh copies of all parameters, and the scaling; ValueError for one that is not finite."""
    layers, count = net.arrays.layers(), len(net.sizes) - 1
    found = {
        f"layers.{i}.{part}": array
        for i, layer in enumerate(layers[:count])
        for part, array in zip(PARTS, layer, strict=False)
    }
    for embedding in layers[count:]:
        found |= dict(zip(_names_of_embedding(), embedding, strict=True))
    for name, array in found.items():
        _check_finite(array, name, "bring earlier parameters back by set_parameters first")
    units = {name: getattr(net, name) for name in UNITS}
    return found | {name: array for name, array in units.items() if array is not None}


def from_dict(
    meta: Mapping[str, Any], tensors: Mapping[str, Array], functions: Functions | None = None
) -> Network:
    """The network that ``to_dict`` and ``tensors`` describe; ValueError unless they are complete.

    Tensors are compared with the sizes before memory is allocated for these.
    """
    if meta.keys() - {NAMES, EMBEDDING} != KEYS:
        raise ValueError(f"its network has {short(sorted(meta))}, expected {sorted(KEYS)}")
    sizes, kinds = _sizes(meta["sizes"]), _activations(meta["activations"], functions or {})
    arguments = {key: meta[key] for key in ("seed", "dtype", "layer_norm", "residual")}
    _check_arguments(**arguments)
    names, embedding = _names(meta.get(NAMES), sizes[0]), _embedding(meta.get(EMBEDDING))
    shapes = _shapes(sizes, meta["layer_norm"], embedding)
    _check_tensors(tensors, sizes, meta["dtype"], shapes)
    net = Network.blank(sizes, kinds[:-1], kinds[-1], number_embedding=embedding, **arguments)
    net.arrays.write_layers(_layers(tensors, len(sizes) - 1))
    units = {name: tensors[name] for name in UNITS if name in tensors}
    if units:
        net.set_scaling(**units)
    net.keep_names(names)
    return net


def _layers(tensors: Mapping[str, Array], count: int) -> list[tuple[Array, ...]]:
    names = [[f"layers.{i}.{part}" for part in PARTS] for i in range(count)]
    names.append(_names_of_embedding())
    layers = [tuple(tensors[name] for name in layer if name in tensors) for layer in names]
    return [layer for layer in layers if layer]


def _names_of_embedding() -> list[str]:
    return [f"{EMBEDDING}.{part}" for part in EmbeddingParameters._fields]


def _embedding(value: Any) -> NumberEmbedding | None:
    if value is None:
        return None
    found: NumberEmbedding = specs.from_dict(value, EMBEDDINGS, f"its {EMBEDDING}")
    return found


def _sizes(value: Any) -> list[int]:
    if not isinstance(value, list) or not all(type(n) is int and n >= 1 for n in value):
        raise ValueError("its sizes are no list of integers >= 1")
    if len(value) < 2:
        raise ValueError(f"its sizes are {value}, expected at least inputs and outputs")
    return value


def _names(value: Any, count: int) -> tuple[str, ...] | None:
    if value is None:
        return None
    fits = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if not fits or len(value) != count:
        raise ValueError(f"its {NAMES} are no list of {count} names")
    return tuple(value)


def _kinds(net: Network) -> list[str | dict[str, str]]:
    """For each layer the activation's name, or {"own": name} for a function of the user."""
    check_names([function for function in net.custom_activations if function is not None])
    pairs = zip(net.activations, net.custom_activations, strict=True)
    return [specs.to_dict(function or name) for name, function in pairs]


def check_names(functions: Iterable[Callable[..., Any]]) -> None:
    """ValueError where two of the user's functions have the same name."""
    for one, other in combinations(functions, 2):
        if one is not other and one.__name__ == other.__name__:
            raise ValueError(
                f"two functions of your own are both called {one.__name__!r}, by which load tells "
                "them apart: rename one"
            )


def _activations(value: Any, functions: Functions) -> list[Any]:
    """The arguments of ``Network`` for the result of ``_kinds``."""
    if not isinstance(value, list) or not value:
        raise ValueError("its activations are no list of names")
    own = {name for name in map(_own_name, value) if name is not None}
    missing = sorted(own - functions.keys())
    if missing:
        raise ValueError(
            f"it has activations of its author's own: pass functions={{{missing[0]!r:.80}: ...}}, "
            f"the njit functions with which it was made; missing are {short(missing)}"
        )
    return [functions[kind["own"]] if isinstance(kind, dict) else kind for kind in value]


def _own_name(kind: Any) -> str | None:
    """The name of the user's function; None where the activation is fastbp's."""
    if isinstance(kind, str):
        return None
    own = specs.own_name(kind)
    if own is not None:
        return own
    raise ValueError(f"it has the activation {short(kind)}, which is no name")


def _check_arguments(seed: Any, dtype: Any, layer_norm: Any, residual: Any) -> None:
    if type(seed) is not int:
        raise ValueError(f"its seed is {seed!r:.40}, expected an integer")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"its dtype is {dtype!r:.40}, expected one of {', '.join(DTYPES)}")
    if type(layer_norm) is not bool or type(residual) is not bool:
        raise ValueError("its layer_norm and residual are not both true or false")


def _check_tensors(
    tensors: Mapping[str, Array], sizes: list[int], dtype: str, parameters: Shapes
) -> None:
    """ValueError unless the tensors are exactly those of such a network. parameters: its shapes."""
    units = _shapes_of_units(tensors, sizes)
    expected = parameters | units
    if tensors.keys() != expected.keys():
        name = min(tensors.keys() ^ expected.keys())
        what = "a tensor it cannot have" if name in tensors else "no tensor"
        raise ValueError(f"it has {what} {short(name)}, for a network of sizes {short(sizes)}")
    for name, shape in expected.items():
        wanted = "float64" if name in units else dtype
        came = tensors[name]
        if came.shape != shape or came.dtype != wanted:
            raise ValueError(
                f"tensor {name!r} has shape {came.shape} and dtype {came.dtype}, expected {shape} "
                f"and {wanted}, for a network of sizes {short(sizes)}"
            )
        _check_finite(came, name, "get a file from before that happened")


def _shapes(sizes: list[int], layer_norm: bool, embedding: NumberEmbedding | None) -> Shapes:
    shapes, widths = Shapes(), list(sizes)
    if embedding is not None:
        k, H, E = len(embedding.places(sizes[0])), embedding.frequencies, embedding.width - 1
        of_parts = (k, H), (k, H), (k, H, E), (k, E)
        shapes |= dict(zip(_names_of_embedding(), of_parts, strict=True))
        widths[0] += k * E
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        normalized = layer_norm and i < len(sizes) - 2
        of_units = PARTS[1:] if normalized else PARTS[1:2]
        shapes[f"layers.{i}.weight"] = (n_in, n_out)
        shapes |= {f"layers.{i}.{part}": (n_out,) for part in of_units}
    return shapes


def _shapes_of_units(tensors: Mapping[str, Array], sizes: list[int]) -> Shapes:
    """The shapes of means and scales, which come in pairs or not at all."""
    shapes: Shapes = {}
    for names, counts in (
        (UNITS[:2], (sizes[0],)),
        (UNITS[2:], scaling.target_counts(sizes[-1])),
    ):
        found = [tensors[name].shape for name in names if name in tensors]
        if found:
            fits = found[0] in [(count,) for count in counts]
            shapes |= dict.fromkeys(names, found[0] if fits else counts[:1])
    return shapes


ELEMENTS_AT_ONCE = 2**20
"""The number of elements whose values are checked at a time: a network may fill half of memory."""


def _check_finite(array: Array, name: str, remedy: str) -> None:
    flat = array.reshape(-1)
    for start in range(0, array.size, ELEMENTS_AT_ONCE):
        finite = np.isfinite(flat[start : start + ELEMENTS_AT_ONCE])
        if not finite.all():
            first = start + int(finite.argmin())
            place = tuple(int(i) for i in np.unravel_index(first, array.shape))
            raise ValueError(
                f"{name} has {array[place]} at {place}, expected finite numbers: {remedy}"
            )
