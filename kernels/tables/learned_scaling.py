"""A learned scaling of the inputs from Python: what lies behind the moments (layout.py).

The first layer's weights are diag(s) W (stages/input_scaling.py). First lies W (I, O), as lane
panels as in the parameters. Then lie s (I,) and its moments, then dLoss/ds lane by lane (I, lanes),
which is 0 between updates. I is padded to whole vectors, and the padding of s is not 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import width
from . import arenas
from .layout import INPUTS, OUTPUTS, WEIGHT_STRIDE, rounded


def length(plan: NDArray[np.int64], itemsize: int, moments: int) -> int:
    """Elements of all that. plan: of the parameters. moments: of the optimizer."""
    lanes = width.lanes(itemsize)
    return _weights(plan, lanes) + (1 + moments + lanes) * rounded(int(plan[1, INPUTS]), lanes)


def _weights(plan: NDArray[np.int64], lanes: int) -> int:
    """Elements of W."""
    return -(-int(plan[1, OUTPUTS]) // lanes) * int(plan[1, WEIGHT_STRIDE])


class LearnedScaling:
    """The state in place. Arguments are those of ``length``, with the memory of as many elements.

    numbers: s (I,) and its moments, views.
    """

    def __init__(self, plan: NDArray[np.int64], memory: NDArray[Any], moments: int) -> None:
        lanes = width.lanes(memory.itemsize)
        inputs, start = int(plan[1, INPUTS]), _weights(plan, lanes)
        end = start + (1 + moments) * rounded(inputs, lanes)
        self._row, self._memory = plan[1], memory
        self._numbers = memory[start:end].reshape(1 + moments, -1)
        self.numbers = list(self._numbers[:, :inputs])

    @property
    def scale(self) -> NDArray[Any]:
        """s (I,), a view."""
        return self.numbers[0]

    @property
    def weights(self) -> NDArray[Any]:
        """W (I, O), a fresh copy."""
        return arenas.read_weights(self._row, self._memory)

    @weights.setter
    def weights(self, values: NDArray[Any]) -> None:
        arenas.write_weights(self._row, self._memory, values)

    def begin(self) -> None:
        """Start anew: the first update takes W from the network."""
        self._memory.fill(0)
        self._numbers[0] = 1
