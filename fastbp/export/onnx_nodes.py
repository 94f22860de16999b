"""Nodes of ONNX, made of formulas."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..common.types import Array
from .onnx_formulas import Formula, Named, Op, Value


class _At(NamedTuple):
    """What a formula is applied to: see ``Nodes.add``."""

    value: str
    place: str
    names: Mapping[str, str]


class Nodes:
    """The nodes and constants of a graph that grows.

    dtype: of numbers in formulas. taken: names that no value may have, such as those of inputs.
    """

    def __init__(self, dtype: np.dtype[Any], taken: Iterable[str] = ()) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.dtype = dtype
        self._taken = set(taken)
        self._numbers: dict[tuple[str, float], str] = {}
        self._made: dict[tuple[Op, tuple[str, ...]], str] = {}

    def typed(self, dtype: Any) -> Self:
        """The same graph, to which formulas with numbers of another dtype are added."""
        other = copy.copy(self)
        other.dtype = np.dtype(dtype)
        return other

    def arrays(self, place: str, arrays: Mapping[str, Array]) -> dict[str, str]:
        """Add constants, called ``place.name``; returns these by their names."""
        return {name: self._constant(f"{place}.{name}", a) for name, a in arrays.items()}

    def add(
        self, formula: Formula, value: str, place: str, names: Mapping[str, str] | None = None
    ) -> str:
        """The name of what the formula makes of the value called ``value``.

        place: what the names of nodes begin with. names: what is ``Named`` in the formula.
        """
        return self._add(formula, _At(value, place, names or {}), {})

    def _add(self, formula: Formula, at: "_At", added: dict[Op, str]) -> str:
        if isinstance(formula, Value):
            return at.value
        if isinstance(formula, Named):
            return at.names[formula.name]
        if not isinstance(formula, Op):
            return self._number(formula)
        if formula not in added:
            added[formula] = self._node(
                formula, at.place, [self._add(one, at, added) for one in formula.inputs]
            )
        return added[formula]

    def _node(self, formula: Op, place: str, inputs: list[str]) -> str:
        key = formula, tuple(inputs)
        if key not in self._made:
            attributes = {name: values[0] for name, values in formula.attributes.items()}
            domain, _, kind = formula.kind.rpartition(":")
            name = self.free(f"{place}.{kind}_{len(self.nodes)}")
            node = helper.make_node(kind, inputs, [name], name, domain=domain or None, **attributes)
            self.nodes.append(node)
            self._made[key] = name
        return self._made[key]

    def _number(self, number: float) -> str:
        key = (self.dtype.name, number)
        if key not in self._numbers:
            array = np.array(number, self.dtype)
            self._numbers[key] = self._constant(f"number_{len(self._numbers)}", array)
        return self._numbers[key]

    def _constant(self, name: str, array: Array) -> str:
        name = self.free(name)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def free(self, name: str) -> str:
        """The name, with underscores behind it where there is one like it; it is taken then."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def rename(self, names: Mapping[str, str]) -> None:
        """Give values the names that ``names`` has for them."""
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
