"""The search of L-BFGS, by SciPy's L-BFGS-B."""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..common.optional import need
from ..common.types import Array, Floats
from ..components.lbfgs import LBFGS
from ..model.network import Network

Gradients: TypeAlias = Callable[[], tuple[float, list[tuple[Array, ...]]]]
"""Returns the loss over all rows at the network's parameters, and its gradient."""


EVALUATIONS = 1
"""SciPy's status where a limit was reached."""


class Outcome(NamedTuple):
    """losses: the loss after each iteration. reason: why the search ended. result: SciPy's.

    The reason is "iterations" (all were made), "tolerance" (the gradient is small enough),
    "loss" (the loss has hardly become lower), "evaluations" (there were as many as allowed) or
    "line search" (no lower loss was found along the last direction: in float32 the end of its
    precision).
    """

    losses: list[float]
    reason: str
    result: Any


def minimize(
    rule: LBFGS,
    net: Network,
    gradients: Gradients,
    iterations: int,
    callback: Callable[[int, float], None] | None = None,
) -> Outcome:
    """Change the network's parameters by up to ``iterations`` iterations.

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
        result = optimize.minimize(
            search.evaluate,
            search.at.x,
            jac=True,
            method="L-BFGS-B",
            callback=search.accept,
            options={
                "maxcor": rule.history,
                "gtol": rule.tolerance,
                "ftol": rule.loss_tolerance,
                "maxiter": iterations,
                "maxls": rule.max_line_search,
                "maxfun": rule.max_evaluations or _never_reached(rule, iterations),
            },
        )
    finally:
        search.go_to(search.at.x)
    return Outcome(search.losses, search.reason(rule, iterations, result), result)


def _never_reached(rule: LBFGS, iterations: int) -> int:
    """More evaluations than there can be."""
    return (iterations + 1) * (2 * rule.max_line_search + 1)


class _Point(NamedTuple):
    """Parameters as one vector, array by array of each layer, the loss there, and its gradient."""

    x: Floats
    loss: float
    gradient: Floats


class _Search:
    """The loss function for SciPy, and the iterations so far.

    at: the point of the last iteration that was finished. latest: that of the last evaluation.
    """

    def __init__(
        self, net: Network, gradients: Gradients, callback: Callable[[int, float], None] | None
    ) -> None:
        self.net, self.gradients, self.callback = net, gradients, callback
        layers = net.arrays.layers()
        start, self.shapes = _flat(layers), [_shapes(layer) for layer in layers]
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
        if not np.abs(x).max() <= np.finfo(self.net.dtype).max:  # NaN, too: a step may overflow
            raise FloatingPointError("parameters overflow the network's dtype")
        self.go_to(x)
        loss, layers = self.gradients()
        gradient = _flat(layers)
        if not np.isfinite(gradient).all():
            raise FloatingPointError("the gradient is not finite: scale the inputs")
        return _Point(x.copy(), loss, gradient)

    def _instead(self, x: Floats) -> _Point:
        """A finite replacement of a loss that is not finite, which the line search needs.

        On the line from the last point to x a parabola has that point's loss and slope s < 0, and
        its minimum after a tenth of the way: f + s r - 5 s r^2 at r = 1.
        """
        slope = float(self.at.gradient @ (x - self.at.x))
        return _Point(x.copy(), self.at.loss - 4 * slope, -9 * self.at.gradient)

    def accept(self, _x: Floats) -> None:
        """SciPy's callback after an iteration, which ends at the point evaluated last."""
        self.at = self.latest
        self.losses.append(self.at.loss)
        if self.callback is not None:
            self.callback(len(self.losses), self.at.loss)

    def go_to(self, x: Floats) -> None:
        """Set the network's parameters to x."""
        left, layers = x, []
        for shapes in self.shapes:
            *flat, left = np.split(left, np.cumsum([math.prod(shape) for shape in shapes]))
            pairs = zip(flat, shapes, strict=True)
            layers.append(tuple(part.reshape(shape) for part, shape in pairs))
        self.net.arrays.set_layers(layers)

    def reason(self, rule: LBFGS, iterations: int, result: Any) -> str:
        """Why the search ended; see ``Outcome``."""
        if np.abs(self.at.gradient).max() <= rule.tolerance:
            return "tolerance"
        if len(self.losses) == iterations:
            return "iterations"
        if result.status == EVALUATIONS:
            return "evaluations"
        return "loss" if rule.loss_tolerance and result.success else "line search"


def _shapes(layer: tuple[Array, ...]) -> list[tuple[int, ...]]:
    return [part.shape for part in layer]


def _flat(layers: Iterable[tuple[Array, ...]]) -> Floats:
    return np.concatenate([part.ravel() for layer in layers for part in layer]).astype(np.float64)
