"""The graph of an ONNX file, in which formulas are looked for. Nothing in it is run."""

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from ..common.types import Array
from ..storage.safetensors_format import short
from .onnx_formulas import Formula, Named, Op, Value
from .onnx_tensors import FLOATS, array_of

COMMUTATIVE = {"Add", "Mul", "Max", "Min"}
CONSTANTS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
"""Attributes of Constant, but for a tensor."""

Found: TypeAlias = dict[Formula, str]
"""The values that the parts of a formula are."""


@dataclass(frozen=True)
class Match:
    """Where a formula was found: the value that it is of, and the arrays by their names in it."""

    value: str
    arrays: dict[str, Array]


class Graph:
    """Nodes by what they make, and the arrays that there are.

    ValueError where a node takes what no node before it makes. So there are no cycles.
    """

    def __init__(self, model: ModelProto, folder: Path) -> None:
        graph, self._folder = model.graph, folder
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._arrays: dict[str, Array | None] = {}
        self._nodes: dict[str, NodeProto] = {}
        self._sources: dict[str, str] = {}
        self._functions = {(one.domain, one.name) for one in model.functions}
        self.inputs = [one for one in graph.input if one.name not in self._tensors]
        self.outputs = list(graph.output)
        self._narrowed: dict[str, NodeProto] = {}
        self.narrowing: list[NodeProto] = []
        """Casts to float32 that values which were asked for have come through."""
        known = {"", *self._tensors, *(one.name for one in self.inputs)}
        for node in graph.node:
            self._add(node, known)

    def _add(self, node: NodeProto, known: set[str]) -> None:
        missing = [name for name in node.input if name not in known]
        if missing:
            raise ValueError(
                f"{described(node)} takes {short(missing[0])}, which nothing before it makes"
            )
        made = [name for name in node.output if name]
        twice = [name for name in made if name in known]
        if twice:
            raise ValueError(f"{described(node)} makes {short(twice[0])}, which there is already")
        known |= set(made)
        self._nodes |= dict.fromkeys(made, node)
        if made[:1] == node.output[:1] and self._hands_on(node):
            self._hand_on(node, made[0])

    def _hand_on(self, node: NodeProto, value: str) -> None:
        of = input_of(node)
        self._sources[value] = self._sources.get(of, of)
        if attributes_of(node).get("to") == TensorProto.FLOAT:
            self._narrowed[value] = node
        elif of in self._narrowed:
            self._narrowed[value] = self._narrowed[of]

    def _hands_on(self, node: NodeProto) -> bool:
        """Whether the node changes nothing in rows of numbers."""
        kind, attributes = self.kind(node), attributes_of(node)
        if kind == "Dropout":  # its third input lets it drop
            drops = self.array(input_of(node, 2))
            return not input_of(node, 2) or (drops is not None and not drops.any())
        if kind == "Cast":
            return attributes.get("to") in tuple(FLOATS)
        return kind == "Identity" or (kind == "Flatten" and attributes.get("axis", 1) in (1, -1))

    def source(self, value: str) -> str:
        """The value that nodes have handed on as this one; itself, where none has."""
        if value in self._narrowed:
            self.narrowing.append(self._narrowed[value])
        return self._sources.get(value, value)

    def node(self, value: str) -> NodeProto | None:
        """The node whose first output is the source of a value."""
        node = self._nodes.get(self.source(value))
        return node if node and node.output[0] == self.source(value) else None

    def kind(self, node: NodeProto) -> str:
        """The operator, with its domain where that is not ONNX's own."""
        if (node.domain, node.op_type) in self._functions:
            return f"{node.domain}:{node.op_type}, a function of the file"
        return kind_of(node)

    def array(self, value: str) -> Array | None:
        """The array, where the value is a constant."""
        value = self.source(value)
        if value not in self._arrays:
            self._arrays[value] = self._tensor(value)
        return self._arrays[value]

    @property
    def n_bytes(self) -> int:
        """Bytes of the arrays that were asked for."""
        return sum(array.nbytes for array in self._arrays.values() if array is not None)

    def _tensor(self, value: str) -> Array | None:
        if value in self._tensors:
            return array_of(self._tensors[value], self._folder)
        node = self._nodes.get(value)
        if node is None:
            return None
        if self.kind(node) == "Constant":
            return self._constant(node)
        if self.kind(node) == "Transpose" and self.source(input_of(node)) in self._tensors:
            array = self.array(input_of(node))
            if array is not None and attributes_of(node).get("perm", [1, 0]) == [1, 0]:
                return array.T if array.ndim == 2 else None
        return None

    def _constant(self, node: NodeProto) -> Array | None:
        for name, value in attributes_of(node).items():
            if isinstance(value, TensorProto):
                return array_of(value, self._folder)
            if name in CONSTANTS and isinstance(value, int | float | list):
                return np.array(value, CONSTANTS[name])
        return None

    def find(self, formula: Formula, value: str) -> Match | None:
        """Where the value is what the formula makes of another one; None where it is not."""
        found = self._find(formula, value, {})
        if found is None:
            return None
        (of,) = (name for part, name in found.items() if isinstance(part, Value))
        names = {part.name: name for part, name in found.items() if isinstance(part, Named)}
        arrays = {key: self.array(name) for key, name in names.items()}
        return Match(of, {key: array for key, array in arrays.items() if array is not None})

    def _find(self, formula: Formula, value: str, found: Found) -> Found | None:
        """``found`` and the parts of ``formula``; None where these do not fit."""
        value = self.source(value)
        if formula in found:
            return found if found[formula] == value else None
        if isinstance(formula, Op):
            return self._find_operator(formula, value, found)
        if isinstance(formula, float):
            return found if self._is_number(value, formula) else None
        fits = isinstance(formula, Value) or self.array(value) is not None
        return found | {formula: value} if fits else None

    def _find_operator(self, formula: Op, value: str, found: Found) -> Found | None:
        node = self.node(value)
        if node is None or self.kind(node) != formula.kind or not _fit(node, formula):
            return None
        inputs = [name for name in node.input if name]
        if len(inputs) != len(formula.inputs):
            return None
        for order in permutations(inputs) if formula.kind in COMMUTATIVE else [inputs]:
            result: Found | None = found
            # Numbers first: they are the quickest to tell which order it is.
            pairs = zip(formula.inputs, order, strict=True)
            for part, name in sorted(pairs, key=lambda pair: not isinstance(pair[0], float)):
                result = None if result is None else self._find(part, name, result)
            if result is not None:
                return result | {formula: value}
        return None

    def _is_number(self, value: str, number: float) -> bool:
        array = self.array(value)
        if array is None or array.size != 1 or array.ndim > 2 or array.dtype.kind != "f":
            return False
        off = abs(float(array.item()) - number)
        return off <= 2 * float(np.finfo(array.dtype).eps) * abs(number)


def kind_of(node: NodeProto) -> str:
    """The operator, with its domain where that is not ONNX's own."""
    domain = "" if node.domain == "ai.onnx" else f"{node.domain}:"
    return f"{domain}{node.op_type}" if domain != ":" else str(node.op_type)


def input_of(node: NodeProto, place: int = 0) -> str:
    """The name of an input; "" where the node has none there."""
    return node.input[place] if place < len(node.input) else ""


def attributes_of(node: NodeProto) -> dict[str, Any]:
    """The attributes that the node has by itself."""
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _fit(node: NodeProto, formula: Op) -> bool:
    """Whether the attributes of a node mean what those of the formula do."""
    return all(
        any(_equal(value, one) for one in formula.attributes.get(name, ()))
        for name, value in attributes_of(node).items()
    )


def _equal(value: Any, expected: Any) -> bool:
    if isinstance(value, bytes):
        return bool(value == str(expected).encode())
    if isinstance(value, float) and isinstance(expected, float):
        return bool(np.float32(value) == np.float32(expected))
    return type(value) is type(expected) and bool(value == expected)


def described(node: NodeProto) -> str:
    """The node, for a message."""
    name = node.name or (node.output[0] if node.output else "")
    numbers = [(k, v) for k, v in attributes_of(node).items() if isinstance(v, int | float)]
    parts = [kind_of(node), *(f"{key}={value:.6g}" for key, value in numbers)]
    return f"node {short(name)} ({', '.join(parts):.80})"
