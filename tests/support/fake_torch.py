"""As much of torch as fastbp and the tests of fastbp/model/torch_modules.py use, on NumPy.

torch is too large to install for a few tests. Where it is there, they run with both, so that this
stays true.
"""

import math
import sys
from types import ModuleType

import numpy as np

erf = np.vectorize(math.erf, otypes=[np.float64])


class Dtype:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"


DTYPES = {name: Dtype(name) for name in ("float16", "float32", "float64")}


class Tensor:
    def __init__(self, array):
        self.array = np.asarray(array)

    @property
    def dtype(self):
        return DTYPES[self.array.dtype.name]

    @property
    def shape(self):
        return self.array.shape

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array

    def __len__(self):
        return len(self.array)

    def __getitem__(self, place):
        return Tensor(self.array[place])

    def __add__(self, other):
        return Tensor(self.array + other.array)

    def __sub__(self, other):
        return Tensor(self.array - other.array)

    def __mul__(self, other):
        return Tensor(self.array * other.array)

    def __rmul__(self, number):
        return Tensor(number * self.array)

    def __truediv__(self, other):
        return Tensor(self.array / other.array)


class Module:
    def __init__(self):
        self._modules, self._tensors = {}, {}

    def __setattr__(self, name, value):
        if isinstance(value, Tensor):
            self._tensors[name] = value
        super().__setattr__(name, value)

    register_buffer = __setattr__

    def __call__(self, x):
        return self.forward(x)

    def __repr__(self):
        return f"{type(self).__name__}()"

    def __getitem__(self, index):
        return list(self._modules.values())[index]

    def state_dict(self, prefix=""):
        found = {prefix + name: tensor for name, tensor in self._tensors.items()}
        for name, module in self._modules.items():
            found |= module.state_dict(f"{prefix}{name}.")
        return found

    def to(self, dtype):
        for name, tensor in list(self._tensors.items()):
            setattr(self, name, Tensor(tensor.array.astype(dtype.name)))
        for module in self._modules.values():
            module.to(dtype)
        return self

    def eval(self):
        return self


class Sequential(Module):
    def __init__(self, *modules):
        super().__init__()
        self._modules.update((str(i), module) for i, module in enumerate(modules))

    def forward(self, x):
        for module in self._modules.values():
            x = module(x)
        return x


class ModuleList(Sequential):
    def __init__(self, modules):
        super().__init__(*modules)

    def __len__(self):
        return len(self._modules)


class Linear(Module):
    def __init__(self, n_in, n_out, bias=True, device=None):
        super().__init__()
        assert device in (None, "meta")
        self.in_features, self.out_features = n_in, n_out
        shapes = (n_out, n_in), (n_out,)
        drawn = [Tensor(np.random.default_rng(n_in).normal(size=s).astype("f4")) for s in shapes]
        self.weight, self.bias = drawn[0], drawn[1] if bias else None

    def forward(self, x):
        product = x.array @ self.weight.array.T
        return Tensor(product if self.bias is None else product + self.bias.array)


class LayerNorm(Module):
    def __init__(self, n, eps=1e-5, elementwise_affine=True, bias=True, device=None):
        super().__init__()
        assert device in (None, "meta")
        self.normalized_shape, self.eps = (n,), eps
        self.weight = Tensor(np.ones(n, "f4")) if elementwise_affine else None
        self.bias = Tensor(np.zeros(n, "f4")) if elementwise_affine and bias else None

    def forward(self, x):
        z = x.array
        z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + self.eps)
        z = z if self.weight is None else z * self.weight.array
        return Tensor(z if self.bias is None else z + self.bias.array)


def elementwise(name, function, **arguments):
    """A module class of a function of arrays, with arguments that the function does not see."""

    def __init__(self, *positional, **given):
        Module.__init__(self)
        given |= dict(zip(arguments, positional, strict=False))
        vars(self).update(arguments | given)

    def forward(_self, x):
        return Tensor(function(x.array).astype(x.array.dtype))

    return type(name, (Module,), {"__init__": __init__, "forward": forward})


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


MODULES = [
    elementwise("Sigmoid", lambda z: 1 / (1 + np.exp(-z))),
    elementwise("Tanh", np.tanh),
    elementwise("ReLU", lambda z: np.maximum(z, 0)),
    elementwise("ReLU6", lambda z: np.clip(z, 0, 6)),
    elementwise("LeakyReLU", lambda z: np.where(z > 0, z, 0.01 * z), negative_slope=0.01),
    elementwise("ELU", lambda z: np.where(z > 0, z, np.expm1(z)), alpha=1.0),
    elementwise("Softplus", lambda z: np.logaddexp(z, 0), beta=1.0, threshold=20.0),
    elementwise("SiLU", lambda z: z / (1 + np.exp(-z))),
    elementwise("GELU", lambda z: z / 2 * (1 + erf(z / math.sqrt(2))), approximate="none"),
    elementwise(
        "SELU", lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543773 * np.expm1(z))
    ),
    elementwise("Mish", lambda z: z * np.tanh(np.logaddexp(z, 0))),
    elementwise("Softmax", softmax, dim=None),
    elementwise("LogSoftmax", lambda z: np.log(softmax(z)), dim=None),
    elementwise("Identity", np.copy),
    elementwise("Dropout", np.copy, p=0.5),
    elementwise("Flatten", lambda z: z.reshape(len(z), -1), start_dim=1, end_dim=-1),
    *(Module, Sequential, ModuleList, Linear, LayerNorm),
]


def install(monkeypatch):
    """Let ``import torch`` give this, and fastbp take it."""
    torch, nn = ModuleType("torch"), ModuleType("torch.nn")
    vars(nn).update(
        {module.__name__: module for module in MODULES}, Parameter=lambda t: Tensor(t.array)
    )
    vars(torch).update(DTYPES, nn=nn, from_numpy=Tensor)
    torch.log = lambda x: Tensor(np.log(x.array))
    torch.cat = lambda parts, dim: Tensor(np.concatenate([p.array for p in parts], axis=dim))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.nn", nn)
    return torch


def forget():
    """Let fastbp import torch anew, which may be another one than before."""
    for folder, name in (("fastbp.model", "torch_modules"), ("fastbp.export", "torch_file")):
        sys.modules.pop(f"{folder}.{name}", None)
        if folder in sys.modules:
            vars(sys.modules[folder]).pop(name, None)
