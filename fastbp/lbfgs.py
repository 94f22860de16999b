"""Full-batch L-BFGS (Liu and Nocedal, 1989): SciPy's L-BFGS-B without bounds.

It is for data sets and networks small enough for a loss over all rows at every iteration. SciPy is
an extra: pip install 'fastbp[lbfgs]'.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from . import checks
from .extras import need
from .kernels import codes
from .network import Network
from .specs import settle

Floats: TypeAlias = npt.NDArray[np.float64]
Array: TypeAlias = npt.NDArray[Any]
Gradients: TypeAlias = Callable[[], tuple[float, list[tuple[Array, ...]]]]
"""The loss over all rows at the network's parameters, and its gradient."""


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS with a line search that holds the strong Wolfe conditions (Moré and Thuente, 1994).

    ``fit`` makes up to ``epochs`` iterations, each on all rows, and ends before where there is no
    lower loss to be found; History has the loss after each. Its ``batch_size`` bounds memory, and
    changes nothing else. There is no ``step``.

    history: pairs of steps and changes of the gradient that stand for the Hessian, >= 1.
    tolerance: it stops where no entry of the gradient is larger, >= 0. max_line_search: evaluations
    of one line search, >= 1.
    """

    history: int = 10
    tolerance: float = 1e-5
    max_line_search: int = 20

    code: ClassVar[int] = codes.SGD  # of no consequence: the kernels make no update
    extended: ClassVar[bool] = False
    n_moments: ClassVar[int] = 0

    def hyper(self) -> Floats:
        """The hyperparameters as the kernels read them, (codes.N_HYPER,) float64; of no use."""
        return np.zeros(codes.N_HYPER)

    def __post_init__(self) -> None:
        settle(self, history=checks.count, max_line_search=checks.count)
        settle(self, tolerance=checks.not_negative)


class Outcome(NamedTuple):
    """losses: after each iteration made. reason: why there were no more.

    The reason is "iterations" (all were made), "tolerance" (the gradient is small enough) or "line
    search" (no lower loss was found along the last direction: in float32 the end of its precision).
    """

    losses: list[float]
    reason: str


def minimize(
    rule: LBFGS,
    net: Network,
    gradients: Gradients,
    iterations: int,
    callback: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Make up to ``iterations`` iterations on the network's parameters.

    gradients: must be the same function of the parameters at every call. callback: is called after
    each iteration with its number, from 1, and the loss, when the network has its parameters.
    Whatever ends this, the network is left with those of the last iteration that was finished.

    Raises:
        ModuleNotFoundError: SciPy is not installed.
        FloatingPointError, ValueError: of ``gradients`` at the first parameters. Later, a step to
            where the loss is not finite is made shorter.

    """
    optimize = need("scipy.optimize", "lbfgs", "fastbp.LBFGS")
    search = _Search(net, gradients, callback)
    try:
        optimize.minimize(
            search.evaluate,
            search.at.x,
            jac=True,
            method="L-BFGS-B",
            callback=search.accept,
            options={
                "maxcor": rule.history,
                "gtol": rule.tolerance,
                "ftol": 0.0,  # how small a change of the loss is too small depends on its scale
                "maxiter": iterations,
                "maxls": rule.max_line_search,
                "maxfun": (iterations + 1) * (2 * rule.max_line_search + 1),  # never reached
            },
        )
    finally:
        search.go_to(search.at.x)
    return Outcome(search.losses, search.reason(rule, iterations))


class _Point(NamedTuple):
    """Parameters as one vector, array by array of each layer, the loss there, and its gradient."""

    x: Floats
    loss: float
    gradient: Floats


class _Search:
    """The loss as SciPy asks for it, and the iterations made.

    at: the point of the last iteration that was finished. latest: that of the last evaluation.
    """

    def __init__(
        self, net: Network, gradients: Gradients, callback: Callable[[int, float], None] | None
    ) -> None:
        self.net, self.gradients, self.callback = net, gradients, callback
        start, self.shapes = _flat(net._layers()), [_shapes(layer) for layer in net._layers()]
        self.at = self.latest = _Point(start, math.nan, np.zeros_like(start))
        self.losses: list[float] = []

    def evaluate(self, x: Floats) -> tuple[float, Floats]:
        """Loss and gradient at x."""
        first = math.isnan(self.at.loss)
        try:
            self.latest = self._measure(x)
        except FloatingPointError:
            if first:
                raise
            self.latest = self._instead(x)
        if first:
            self.at = self.latest
        return self.latest.loss, self.latest.gradient

    def _measure(self, x: Floats) -> _Point:
        if np.abs(x).max() > np.finfo(self.net.dtype).max:
            raise FloatingPointError("parameters overflow the network's dtype")
        self.go_to(x)
        loss, layers = self.gradients()
        gradient = _flat(layers)
        if not np.isfinite(gradient).all():
            raise FloatingPointError("the gradient is not finite: scale the inputs")
        return _Point(x.copy(), loss, gradient)

    def _instead(self, x: Floats) -> _Point:
        """What stands for a loss that is not finite: the line search must see numbers.

        On the line from the last point to x a parabola has that point's loss and slope s < 0, and
        its minimum after a tenth of the way: f + s r - 5 s r^2 at r = 1.
        """
        slope = float(self.at.gradient @ (x - self.at.x))
        return _Point(x.copy(), self.at.loss - 4 * slope, -9 * self.at.gradient)

    def accept(self, _x: Floats) -> None:
        """SciPy's callback: an iteration ended where it evaluated last."""
        self.at = self.latest
        self.losses.append(self.at.loss)
        if self.callback is not None:
            self.callback(len(self.losses), self.at.loss)

    def go_to(self, x: Floats) -> None:
        """Give the network these parameters."""
        left, layers = x, []
        for shapes in self.shapes:
            *flat, left = np.split(left, np.cumsum([math.prod(shape) for shape in shapes]))
            pairs = zip(flat, shapes, strict=True)
            layers.append(tuple(part.reshape(shape) for part, shape in pairs))
        self.net._set_layers(layers)

    def reason(self, rule: LBFGS, iterations: int) -> str:
        """Why it ended; see ``Outcome``."""
        if np.abs(self.at.gradient).max() <= rule.tolerance:
            return "tolerance"
        return "iterations" if len(self.losses) == iterations else "line search"


def _shapes(layer: tuple[Array, ...]) -> list[tuple[int, ...]]:
    return [part.shape for part in layer]


def _flat(layers: Iterable[tuple[Array, ...]]) -> Floats:
    return np.concatenate([part.ravel() for layer in layers for part in layer]).astype(np.float64)
