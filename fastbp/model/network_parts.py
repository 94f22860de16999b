"""Parts of a network, which are networks of their own, and the comparison of two networks."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..common import checks
from ..common.types import Array
from ..data import scaling
from ..data.scaling import Scaling
from ..kernels.tables import arenas
from ..runtime.locking import exclusive

if TYPE_CHECKING:
    from .network import Network


def layer_number(layer: Any, count: int) -> int:
    """``layer`` as the number of one of ``count`` layers, from 1. ValueError, TypeError."""
    number = checks.integer(layer, "layer", 1)
    if number > count:
        raise ValueError(
            f"layer is {number}, but the network has {count} layers, counted from 1: the last one "
            "gives what predict returns without layer"
        )
    return number


def first_layers(net: "Network", where: Any) -> "Network":
    """``net[:k]``."""
    k = _count(where, len(net.sizes) - 1)
    if not _can_be_last(net, k):
        what = "is normalized" if net.arrays.spec.normalized[k - 1] else "adds its inputs"
        raise ValueError(
            f"net[:{k}] would end with layer {k}, which {what}, as only hidden layers can: "
            f"net.predict(X, layer={k}) gives its activations"
        )
    return _part(net, k)


def activations_of(net: "Network", layer: int, X: Any, out: Array | None) -> Array:
    """``net.predict(X, out, layer)`` for a checked layer.

    The last layer of a network can neither be normalized nor add its inputs. Where the layer does,
    one of identity follows it, which changes no bit of its activations but the sign of a zero.
    """
    if layer == len(net.sizes) - 1:
        return net.predict(X, out)
    if _can_be_last(net, layer):
        return _part(net, layer).predict(X, out)
    units = net.sizes[layer]
    identity = np.eye(units, dtype=net.dtype), np.zeros(units, net.dtype)
    return _part(net, layer, identity).predict(X, out)


def _can_be_last(net: "Network", k: int) -> bool:
    spec = net.arrays.spec
    return not (spec.normalized[k - 1] or spec.adds_inputs[k - 1])


def _part(net: "Network", k: int, *further: arenas.Layer) -> "Network":
    """A network of the first k layers of ``net``, and of further ones of identity."""
    from .network import Network  # late: it imports this file

    spec = net.arrays.spec
    with exclusive(net.arrays.lock):
        found, scaled = net.arrays.layers(), net.arrays.scaling
    layers = [*found[:k], *further, *found[len(net.sizes) - 1 :]]
    names = zip(net.activations, net.custom_activations, strict=True)
    kinds = [function or name for name, function in names][:k] + ["identity"] * len(further)
    hidden = len(kinds) - 1
    part = Network.blank(
        [*net.sizes[: k + 1], *net.sizes[k : k + 1] * len(further)],
        kinds[:-1],
        kinds[-1],
        seed=net.seed,
        dtype=net.dtype,
        layer_norm=any(spec.normalized[:hidden]),
        residual=any(spec.adds_inputs[:hidden]),
        number_embedding=net.number_embedding,
    )
    part.arrays.write_layers(layers)
    kept = scaled if k == len(net.sizes) - 1 else Scaling(scaled.inputs)
    if kept.any:
        part.arrays.set_scaling(kept)
    part.keep_names(net.feature_names_in)
    return part


def _count(where: Any, count: int) -> int:
    """k of ``net[:k]``, of a network of ``count`` layers."""
    if not isinstance(where, slice):
        raise TypeError(
            f"net[{where!r}]: a network has no single layers; net[:k] is a network of its first k, "
            "and net.weights[i] are the weights of one"
        )
    if where.start not in (None, 0) or where.step not in (None, 1):
        raise ValueError(
            f"net[{where.start}:{where.stop}:{where.step}]: expected net[:k], the first k layers: "
            "others have no scaling of inputs and no names of columns"
        )
    if where.stop is None:
        return count
    k = checks.as_integer(where.stop)
    if k is None:
        raise TypeError(f"net[:{where.stop!r}]: expected an integer")
    k = k if k >= 0 else count + k
    if not 1 <= k <= count:
        raise ValueError(
            f"net[:{where.stop}]: the network has {count} layers, expected 1 to {count}"
        )
    return k


def allclose(net: "Network", other: Any, rtol: float, atol: float) -> bool:
    """``Network.allclose``."""
    if not hasattr(other, "arrays") or not hasattr(other, "custom_activations"):
        raise TypeError(f"other is {other!r}, of type {type(other).__name__}, expected a Network")
    rtol, atol = checks.not_negative(rtol, "rtol"), checks.not_negative(atol, "atol")
    if _kind(net) != _kind(other):
        return False
    pairs = zip(_numbers(net), _numbers(other), strict=True)
    return all(np.allclose(a, b, rtol=rtol, atol=atol) for a, b in pairs)


def _kind(net: "Network") -> tuple[Any, ...]:
    kinds = net.activations, net.custom_activations, net.layer_norm, net.residual
    shapes = [array.shape for layer in net.arrays.layers() for array in layer]
    return net.sizes, kinds, shapes, net.arrays.number_columns.tolist()


def _numbers(net: "Network") -> list[Array]:
    """All parameters, and what the scaling does to inputs and outputs, of equal shapes if equal."""
    with exclusive(net.arrays.lock):
        layers, scaled = net.arrays.layers(), net.arrays.scaling
    n_in = net.sizes[0]
    units = scaled.inputs or scaling.Units(np.zeros(n_in), np.ones(n_in))
    outputs = scaling.of_outputs(scaled, net.sizes[-1])
    return [*(array for layer in layers for array in layer), units.mean, units.scale, *outputs]
