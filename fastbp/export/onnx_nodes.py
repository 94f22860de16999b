"""Nodes of ONNX, made of formulas."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..common.types import Array
from .onnx_formulas import Formula, Named, Op, Value


class Nodes:
    """The nodes and constants of a graph that grows. dtype: of numbers in formulas."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._dtype = dtype
        self._numbers: dict[float, str] = {}
        self._made: dict[tuple[Op, str], str] = {}

    def arrays(self, place: str, arrays: Mapping[str, Array]) -> dict[str, str]:
        """Add constants, called ``place.name``; returns these by their names."""
        return {name: self._constant(f"{place}.{name}", a) for name, a in arrays.items()}

    def add(
        self, formula: Formula, value: str, place: str, names: Mapping[str, str] | None = None
    ) -> str:
        """The name of what the formula makes of the value called ``value``.

        place: what the names of nodes begin with. names: what is ``Named`` in the formula.
        """
        if isinstance(formula, Value):
            return value
        if isinstance(formula, Named):
            return (names or {})[formula.name]
        if not isinstance(formula, Op):
            return self._number(formula)
        if (formula, value) not in self._made:
            inputs = [self.add(one, value, place, names) for one in formula.inputs]
            attributes = {name: values[0] for name, values in formula.attributes.items()}
            name = f"{place}.{formula.kind}_{len(self.nodes)}"
            self.nodes.append(helper.make_node(formula.kind, inputs, [name], name, **attributes))
            self._made[formula, value] = name
        return self._made[formula, value]

    def _number(self, number: float) -> str:
        if number not in self._numbers:
            array = np.array(number, self._dtype)
            self._numbers[number] = self._constant(f"number_{len(self._numbers)}", array)
        return self._numbers[number]

    def _constant(self, name: str, array: Array) -> str:
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def rename(self, names: Mapping[str, str]) -> None:
        """Give values the names that ``names`` has for them."""
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
