"""What follows from the outputs of a network: classes, and derivatives by the inputs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..common.types import Array
from ..data.sources import IN_MEMORY
from ..data.tables import Table, as_input_parts, as_inputs
from ..runtime import threads
from ..runtime.arrays import Dataset, raise_status
from . import network_checks

if TYPE_CHECKING:
    from .network import Network


class NetworkPredictions:
    """The base of ``Network``: classes and Jacobians of rows."""

    def predict_classes(self, X: Any, threshold: float = 0.5) -> Array:
        """The classes of the rows of X, int64: what ``accuracy`` compares with y.

        Softmax outputs give (n,), the number of the largest one, the first of equal ones. Sigmoid
        outputs give 1 where p >= threshold, else 0: (n, n_out), or (n,) for one output.

        Raises:
            ValueError: the outputs are neither; a threshold other than 0.5 for softmax outputs, of
                which the largest wins; an output is NaN.
            ValueError, TypeError: as ``predict``; threshold is no number in (0, 1).

        >>> net = fastbp.Network([1, 1], output="sigmoid")
        >>> net.set_parameters(weights=[[[1.0]]], biases=[[0.0]])
        >>> net.predict_classes([[-1.0], [1.0], [2.0]])
        array([0, 1, 1])
        >>> net.predict_classes([[-1.0], [1.0], [2.0]], threshold=0.8)
        array([0, 0, 1])

        """
        net = cast("Network", self)
        limit = network_checks.as_threshold(threshold, net.output)
        return network_checks.as_classes(net.predict(X), net.output, limit)

    def jacobian(self, X: Any) -> Array:
        """The derivatives of the outputs by the inputs, (n, n_out, n_in), for the rows of X.

        ``jacobian(X)[r, k, i]`` is the derivative of ``predict(X)[r, k]`` by ``X[r, i]``, in the
        units of both: where the network scales (``standardize``), scales are part of it. It is of
        the network's dtype, and exact up to rounding: no differences are taken. At a kink of an
        activation it is the derivative of the left side, as in torch.

        Gradients of outputs go back through the layers, or tangents of inputs go forward,
        whichever takes fewer operations; all rows at once (Griewank and Walther, 2008, ch. 3). The
        bits do not depend on the number of threads; the last bits of a row may differ from those
        that it has among few rows. The first call compiles, or loads, code that only derivatives
        need. Safe from many threads at once.

        Args:
            X: rows as for ``predict``.

        Raises:
            ValueError, TypeError: as ``predict``.
            MemoryError: there is no memory for n * n_out * n_in numbers: take fewer rows at a time.

        >>> net = fastbp.Network([2, 1], dtype="float64")
        >>> net.set_parameters(weights=[[[2.0], [3.0]]], biases=[[1.0]])
        >>> net.jacobian([[1.0, 1.0], [5.0, 0.0]])
        array([[[2., 3.]],
        <BLANKLINE>
               [[2., 3.]]])

        """
        net = cast("Network", self)
        found = net.arrays.derivatives.fast_jacobian(X)
        return _differentiate(net, *_parts(net, X)) if found is None else found


def checked_outputs(net: "Network", X: Any, out: Array | None) -> Array:
    """``net.predict(X, out)`` by tables, where the fast path does not take them."""
    if type(X) in IN_MEMORY:
        x = as_inputs(X, net.sizes[0])
        return net.fill(x, network_checks.as_out(out, x, net.sizes[-1], net.dtype))
    whole, parts = _parts(net, X)
    out = network_checks.as_out(out, whole, net.sizes[-1], net.dtype)
    for x in parts:
        net.fill(x, out if len(x.array) == len(out) else out[x.first :][: len(x.array)])
    return out


def outputs_and_jacobian(net: "Network", X: Any, out: Array | None) -> tuple[Array, Array]:
    """``net.predict(X, out, jacobian=True)``."""
    whole, parts = _parts(net, X)
    out = network_checks.as_out(out, whole, net.sizes[-1], net.dtype)
    return out, _differentiate(net, whole, parts, np.asarray(out))


def _parts(net: "Network", X: Any) -> tuple[Table, Iterable[Table]]:
    return as_input_parts(X, net.sizes[0], "X", net.feature_names_in)


def _differentiate(
    net: "Network", whole: Table, parts: Iterable[Table], outputs: Array | None = None
) -> Array:
    """The Jacobians of checked rows; fills a checked array of outputs, too."""
    found = np.empty((len(whole.array), net.sizes[-1], net.sizes[0]), net.dtype)
    derivatives, limit = net.arrays.derivatives, threads.maximum("auto")
    for x in parts:
        data, rows = Dataset(x), slice(x.first, x.first + len(x.array))
        p = None if outputs is None else outputs[rows]
        raise_status(derivatives.run(limit, data, found[rows], p), data, derivatives.arrays)
    return found
