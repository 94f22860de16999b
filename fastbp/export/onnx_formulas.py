"""What a network computes, as formulas of ONNX operators.

The writer makes nodes of a formula, and the reader looks for it among nodes: what is written is
read by the same line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, TypeAlias

from ..kernels.base import codes
from ..kernels.stages.norm import EPS


@dataclass(frozen=True, eq=False)
class Value:
    """What a formula is applied to: an output of other nodes."""


@dataclass(frozen=True, eq=False)
class Named:
    """An array of the file, by what it is to the network."""

    name: str


@dataclass(frozen=True, eq=False)
class Op:
    """An operator and its inputs. One that a formula has twice is one node."""

    kind: str
    inputs: tuple["Formula", ...]
    attributes: Mapping[str, tuple[Any, ...]]
    """For each attribute the values that mean the same. The first is written. Files leave out those
    that have ONNX's default, which is one of them."""


Formula: TypeAlias = Value | Named | Op | float
"""A number stands for a constant of one element."""


def op(kind: str, *inputs: Formula, **attributes: Any) -> Op:
    """The operator ``kind`` of inputs. attributes: a value, or a tuple of those that will do."""
    values = {k: v if isinstance(v, tuple) else (v,) for k, v in attributes.items()}
    return Op(kind, inputs, values)


Z = Value()
UNITS = (-1, 1)
"""The axis of units, in values of shape (n, units)."""


def _gemm(*names: str, transposed: int) -> Op:
    inputs = map(Named, names)
    return op("Gemm", Z, *inputs, alpha=1.0, beta=1.0, transA=0, transB=transposed)


LINEAR = _gemm("weight", "bias", transposed=0)
LINEARS = (
    LINEAR,
    _gemm("weight.T", "bias", transposed=1),
    _gemm("weight", transposed=0),
    _gemm("weight.T", transposed=1),
    op("Add", op("MatMul", Z, Named("weight")), Named("bias")),
    op("MatMul", Z, Named("weight")),
)
"""z of a layer; weight is (inputs, units), weight.T the other way round."""


def _norm(*names: str, z: Formula = Z, epsilon: float = EPS) -> Op:
    inputs = map(Named, names)
    # stash_type 1 is float32, says the standard; runtimes compute in the type of z.
    return op("LayerNormalization", z, *inputs, axis=UNITS, epsilon=epsilon, stash_type=1)


_EXACT = 2.0**-16
"""An epsilon near fastbp's that an attribute can hold, which is float32: 1e-5 would be 3e-8 off."""

NORM = {
    "float32": _norm("gain", "shift"),
    "float64": _norm("gain", "shift", z=op("Mul", Z, sqrt(_EXACT / EPS)), epsilon=_EXACT),
}
"""LN of k z with epsilon k^2 e is LN of z with epsilon e. (onnxruntime would drop a factor that
float32 rounds to 1.)"""
NORMS = (*NORM.values(), _norm("gain"))

RESIDUAL = op("Add", Named("inputs"), Z)

INPUT_UNITS = op("Div", op("Sub", Z, Named("mean")), Named("scale"))
INPUTS_UNITS = (
    INPUT_UNITS,
    op("Mul", op("Sub", Z, Named("mean")), Named("factor")),
    op("Div", Z, Named("scale")),
)
"""Inputs in the units of the network."""

OUTPUT_UNITS = op("Add", op("Mul", Z, Named("factor")), Named("shift"))
"""Outputs in the user's units."""

BOTH_CLASSES = op("Concat", op("Sub", 1.0, Z), Z, axis=(1, -1))
"""The probabilities of two classes, of that of the second."""

# Activations


def _softplus() -> Op:
    """ln(1 + e^z), without overflow."""
    small = op("Exp", op("Neg", op("Abs", Z)))
    return op("Add", op("Max", Z, 0.0), op("Log", op("Add", small, 1.0)))


def _elu(alpha: float = 1.0) -> Op:
    below = op("Sub", op("Exp", op("Min", Z, 0.0)), 1.0)
    if alpha != 1.0:
        below = op("Mul", below, alpha)
    return op("Add", op("Max", Z, 0.0), below)


_TWICE = op("Add", op("Erf", op("Div", Z, sqrt(2))), 1.0)
"""Twice the normal distribution function."""


TAIL_PLACE = 4.0
TAIL = (
    0.09973557010035887,
    0.0997355700997415,
    0.09350209705989318,
    0.08103514537760058,
    0.06350367362324676,
    0.04324154248513607,
    0.02344052300585786,
    0.006815395050787999,
    -0.0006120118166902719,
    -0.018868725467408677,
    0.041958266189176474,
    -0.14001834309522546,
    0.32390224889023783,
    -0.5708582320888888,
    0.7862355115532501,
    -0.8057664242156029,
    0.5914750661247906,
    -0.30162689235028334,
    0.10184862304649757,
    -0.020566547372017987,
    0.0018879437995419543,
)
"""Polynomial in v = 4 / (x + 4), x >= 0, for Q(x) exp(x^2 / 2) / v, where Q is the upper tail of
the normal distribution: interpolated at the 21 Chebyshev nodes of v in [0, 1] in 50 digits, after
Shepherd and Laframboise (1981). x Q(x) is within 1e-16 in float64."""


def _gelu_by_tail() -> Op:
    """max(z, 0) - |z| Q(|z|) by operators that runtimes have in float64."""
    x = op("Abs", Z)
    v = op("Div", TAIL_PLACE, op("Add", x, TAIL_PLACE))
    series: Formula = TAIL[-1]
    for coefficient in reversed(TAIL[:-1]):
        series = op("Add", op("Mul", v, series), coefficient)
    density = op("Exp", op("Mul", op("Mul", x, x), -0.5))
    tail = op("Mul", op("Mul", series, v), density)
    return op("Sub", op("Max", Z, 0.0), op("Mul", x, tail))


def _mish(softplus: Op) -> Op:
    return op("Mul", Z, op("Tanh", softplus))


_SOFTPLUS, _SOFTPLUS64 = op("Softplus", Z), _softplus()

ANY_DTYPE = {
    "sigmoid": op("Sigmoid", Z),
    "tanh": op("Tanh", Z),
    "relu": op("Relu", Z),
    "silu": op("Mul", Z, op("Sigmoid", Z)),
    "softmax": op("Softmax", Z, axis=UNITS),
}
FLOAT32 = ANY_DTYPE | {
    "leaky_relu": op("LeakyRelu", Z, alpha=codes.LEAKY_SLOPE),
    "elu": op("Elu", Z, alpha=1.0),
    "selu": op("Selu", Z, alpha=codes.SELU_ALPHA, gamma=codes.SELU_SCALE),
    "softplus": _SOFTPLUS,
    "gelu": op("Mul", op("Mul", Z, _TWICE), 0.5),  # onnxruntime fuses it
    "mish": _mish(_SOFTPLUS),
}
FLOAT64 = ANY_DTYPE | {
    "leaky_relu": op("Max", Z, op("Mul", Z, codes.LEAKY_SLOPE)),
    "elu": _elu(),
    "selu": op("Mul", _elu(codes.SELU_ALPHA), codes.SELU_SCALE),
    "softplus": _SOFTPLUS64,
    "gelu": _gelu_by_tail(),
    "mish": _mish(_SOFTPLUS64),
}
"""onnxruntime has no float64 of Erf, and from opset 20 on of none of the operators of activations
but those of ANY_DTYPE."""

FORMULAS = {"float32": FLOAT32, "float64": FLOAT64}
"""The formulas to write, by dtype and name; identity has none."""

READ_ONLY = (
    ("gelu", op("Mul", Z, op("Mul", _TWICE, 0.5))),
    ("softplus", op("Where", op("Greater", Z, 20.0), Z, op("Softplus", Z))),
    ("gelu", op("Gelu", Z, approximate="none")),
    ("mish", op("Mish", Z)),
    ("silu", op("Swish", Z, alpha=1.0)),
)
"""Two formulas of torch's, and operators that are not written: onnxruntime has no kernel for Swish,
makes Gelu of the formula by itself, and takes as long for Mish."""

ACTIVATIONS = (*FLOAT32.items(), *FLOAT64.items(), *READ_ONLY)
"""The formulas to read."""
