"""Networks from and to torch. Needs torch: the only file that does, imported late."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ..common.types import Array
from ..kernels.base import codes
from ..storage.safetensors_format import short
from .network import Network
from .read_layers import ReadLayer, network_of

ACTIVATIONS = {
    name: getattr(nn, facts.torch) for name, facts in codes.ACTIVATIONS.items() if facts.torch
}
NAMES = {module: name for name, module in ACTIVATIONS.items()}

ARGUMENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "leaky_relu": {"negative_slope": (0.01,)},
    "elu": {"alpha": (1.0,)},
    "softplus": {"beta": (1.0,), "threshold": (20.0,)},
    "gelu": {"approximate": ("none",)},
    "softmax": {"dim": (1, -1)},
}
"""The values of torch's arguments that fastbp's activations have."""

EPS = 1e-5
"""The constant of layer normalization that is added to the variance."""


class Standardize(nn.Module):  # type: ignore[misc]
    """Standardizes inputs: (x - mean) / scale."""

    def __init__(self, mean: Any, scale: Any) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x: Any) -> Any:
        """Inputs (n, n_in) in their own units to standardized ones."""
        return (x - self.mean) / self.scale


class Unstandardize(nn.Module):  # type: ignore[misc]
    """Brings outputs into the units of targets: p scale + mean.

    With twice as many outputs as targets, the second half are log-variances, which grow by 2 ln
    scale.
    """

    def __init__(self, mean: Any, scale: Any) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, p: Any) -> Any:
        """Standardized outputs (n, n_out) to the units of targets."""
        count = len(self.mean)
        numbers = p[:, :count] * self.scale + self.mean
        if count == p.shape[1]:
            return numbers
        return torch.cat((numbers, p[:, count:] + 2 * torch.log(self.scale)), dim=1)


class Residual(nn.Sequential):  # type: ignore[misc]
    """Adds its inputs to the outputs of its modules."""

    def forward(self, x: Any) -> Any:
        """Inputs (n, n_in) to outputs of the same shape."""
        return x + super().forward(x)


def to_torch(net: Network) -> Any:
    """``Network.to_torch``."""
    adds = [net.residual and one == other for one, other in pairwise(net.sizes[:-1])]
    modules: list[Any] = []
    if net.input_mean is not None:
        modules.append(Standardize(*_units(net, net.input_mean, net.input_scale)))
    for name, residual, parts in zip(
        net.activations, [*adds, False], net.arrays.layers(), strict=True
    ):
        layer = [*_linear_and_norm(*parts), *_activation(name)]
        modules.extend([Residual(*layer)] if residual else layer)
    if net.target_mean is not None:
        modules.append(Unstandardize(*_units(net, net.target_mean, net.target_scale)))
    return nn.Sequential(*modules)


def _units(net: Network, *arrays: Any) -> list[Any]:
    return [torch.from_numpy(array.astype(net.dtype)) for array in arrays]


def _linear_and_norm(W: Array, b: Array, *norm: Array) -> Iterator[Any]:
    n_in, n_out = W.shape
    # "meta" draws no initial weights: these would advance the user's random generator.
    yield _filled(nn.Linear(n_in, n_out, device="meta"), W.T.copy(), b)
    if norm:
        yield _filled(nn.LayerNorm(n_out, eps=EPS, device="meta"), *norm)


def _filled(module: Any, weight: Array, bias: Array) -> Any:
    module.weight = nn.Parameter(torch.from_numpy(weight))
    module.bias = nn.Parameter(torch.from_numpy(bias))
    return module


def _activation(name: str) -> list[Any]:
    if name == "identity":
        return []
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is your own: torch has no module for it")
    return [ACTIVATIONS[name](**{key: fits[0] for key, fits in ARGUMENTS.get(name, {}).items()})]


@dataclass
class Layer:
    """The modules of a layer read so far."""

    name: str
    """The name of its Linear, for messages."""
    linear: Any
    norm: Any = None
    activation: str | None = None
    residual: bool = False


def from_torch(module: Any) -> Network:
    """``fastbp.from_torch``."""
    if type(module) is not nn.Sequential:
        raise TypeError(f"module is a {type(module).__name__}, expected a torch.nn.Sequential")
    parts = list(_flat(module))
    units = _take(parts, 0, Standardize, "input") | _take(parts, -1, Unstandardize, "target")
    layers = _layers(parts)
    net = network_of([_read(layer) for layer in layers], _dtype(layers))
    if units:
        net.set_scaling(**units)
    return net


def _flat(module: Any, name: str = "module") -> Iterator[tuple[str, Any]]:
    """Names and modules, with nested Sequentials resolved, and without Dropout and Identity."""
    # named_children leaves a module out where it occurs again.
    for key, child in module._modules.items():  # noqa: SLF001
        place = f"{name}[{key}]"
        if type(child) is nn.Sequential:
            yield from _flat(child, place)
        elif type(child) not in (nn.Dropout, nn.Identity) and not _flattens_rows(child):
            yield place, child


def _flattens_rows(module: Any) -> bool:
    """Whether a module is a Flatten that does not change inputs (n, n_in)."""
    return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)


def _take(parts: list[tuple[str, Any]], place: int, kind: Any, name: str) -> dict[str, Array]:
    """Remove a scaling module from the beginning or end; returns ``set_scaling``'s arguments."""
    if not parts or type(parts[place][1]) is not kind:
        return {}
    _, units = parts.pop(place)
    return {f"{name}_mean": _array(units.mean), f"{name}_scale": _array(units.scale)}


def _layers(parts: list[tuple[str, Any]]) -> list[Layer]:
    layers: list[Layer] = []
    for name, module in parts:
        if type(module) is nn.Linear:
            layers.append(Layer(name, module))
        elif type(module) is Residual:
            layers.append(_residual(name, module))
        else:
            _add(layers[-1] if layers else None, name, module)
    if not layers:
        raise ValueError("module has no Linear, expected at least one")
    return layers


def _residual(name: str, module: Any) -> Layer:
    layers = _layers(list(_flat(module, name)))
    if len(layers) != 1:
        raise ValueError(f"{name} adds its inputs after {len(layers)} Linear, expected one")
    layers[0].residual = True
    return layers[0]


def _add(layer: Layer | None, name: str, module: Any) -> None:
    """Add a module after a Linear: a LayerNorm, then an activation, at most one of each."""
    kind = type(module)
    if kind is not nn.LayerNorm and kind not in NAMES:
        raise _refusal(name, module, "which fastbp has not")
    if layer is None:
        raise _refusal(name, module, "expected a Linear before it")
    if layer.residual or layer.activation or (kind is nn.LayerNorm and layer.norm):
        raise _refusal(name, module, "where fastbp has a Linear, a LayerNorm and an activation")
    if kind is nn.LayerNorm:
        if (module.eps, *module.normalized_shape) != (EPS, layer.linear.out_features):
            raise _refusal(name, module, f"expected eps={EPS}, and the Linear's outputs as shape")
        layer.norm = module
    else:
        layer.activation = _name(name, module)


def _name(place: str, module: Any) -> str:
    """The activation's name in fastbp."""
    name = NAMES[type(module)]
    for argument, fits in ARGUMENTS.get(name, {}).items():
        if getattr(module, argument) not in fits:
            raise _refusal(place, module, f"expected {argument}={fits[0]!r}, as fastbp's {name}")
    return name


def _refusal(name: str, module: Any, why: str) -> ValueError:
    return ValueError(f"{name} is {short(module)}, {why}")


def _read(layer: Layer) -> ReadLayer:
    norm = layer.norm
    return ReadLayer(
        layer.name,
        _array(layer.linear.weight).T,
        _array_or_none(layer.linear.bias),
        None if norm is None else (_array_or_none(norm.weight), _array_or_none(norm.bias)),
        layer.activation or "identity",
        layer.residual,
    )


def _dtype(layers: list[Layer]) -> str:
    tensors = [(layer.name, layer.linear.weight.dtype) for layer in layers]
    first = str(tensors[0][1]).removeprefix("torch.")
    for name, dtype in tensors:
        if dtype not in (torch.float32, torch.float64) or dtype != tensors[0][1]:
            raise ValueError(
                f"{name} has weights of {dtype}, expected float32 or float64 everywhere: call "
                "module.float()"
            )
    return first


def _array(tensor: Any) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array


def _array_or_none(tensor: Any) -> Array | None:
    return None if tensor is None else _array(tensor)
