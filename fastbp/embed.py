"""Predict and train from inside your own ``@njit`` code, millions of times.

``model = trainer.compiled()`` is a tuple of arrays that compiled code can take. The functions below
take it, both from Python and from ``@njit`` functions. They allocate nothing, start no threads, and
compile nothing for another network of the same dtype. The results equal those of the trainer bit
for bit: the model and the trainer share parameters, moments and counters.

In all functions X is (B, inputs), or (inputs,) for one row: a C-contiguous array of the network's
dtype, with B at most the trainer's ``batch_size``. Other arrays are C-contiguous and of that dtype,
too, and may be flat where B is 1 or their other length is 1. A wrong shape raises ValueError, in
compiled code, too (Numba turns an error within a ``prange`` into a SystemError). A wrong type
raises TypingError when the caller is compiled.

Where the network scales (``Network.standardize``), X, y, outputs, and the gradients by X and by
outputs are in the user's units. Losses are of scaled targets, like the trainer's, and so are the
gradients of ``gradients``. A model from before the network's first scaling raises ValueError.

Past the end of the trainer's schedule, where ``Trainer.step`` raises, ``step`` and ``step_from`` go
on with its last factor on the learning rate: 0 for ``Cosine``. ``trainer.updates`` counts them.

They take no derivatives of y: ``jacobian`` is an argument of the trainer's calls.

One thread at a time uses a model; only ``predict``, ``jacobian`` and ``jvp`` can be called from
many threads at once, such as those of a ``prange``. Models of several trainers are independent,
unless they share a network.

>>> from numba import njit
>>> net = fastbp.Network([1, 1], init="zeros")
>>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.25)).compiled()
>>> @njit
... def train(model, X, y, updates):
...     for _ in range(updates):
...         loss = fastbp.embed.step(model, X, y)
...     return loss
>>> X, y = np.ones((1, 1), np.float32), np.full((1, 1), 2, np.float32)
>>> train(model, X, y, 10)
0.0
"""

import re
from typing import Any

from numba.core.errors import TypingError

from .common.types import Array
from .kernels.entry import embed_calls, embed_derivatives
from .runtime import jacobians_handle
from .runtime.compiled_model import EnsembleModel, Model

LR = 0
"""Index in ``model.hyper`` of the learning rate of the next update; it can be set."""


def _call(operation: Any, model: Any, *arrays: Any, name: str = "model") -> Any:
    """Call from Python; a wrong type is told in one line, and not in Numba's page of them."""
    try:
        return operation(model, *arrays)
    except TypingError as error:
        if not isinstance(model, Model | EnsembleModel):
            said = (
                f"{name} is a {type(model).__name__}, expected what trainer.compiled() returns: "
                f"{name} = trainer.compiled()"
            )
        else:
            found = re.search(r"TypingError: (.*)|(Cannot determine Numba type of .*)", str(error))
            said = found[0].removeprefix("TypingError: ") if found else str(error)
        raise TypingError(said) from None


@embed_calls.PREDICT.here
def predict(model: Model | EnsembleModel, X: Array, out: Array, std: Array | None = None) -> None:
    """Fill out (B, outputs) with the outputs of the rows of X.

    Safe from many threads at once. All of out becomes NaN if X has NaN or Inf.

    Of an ensemble out (B, targets) becomes the mean, and std, which may be left out, the standard
    deviation: what ``Ensemble.predict`` returns.

    Raises:
        ValueError: X, out or std has another shape, or they share memory.
        TypingError: std is given, and the model is no ensemble's; an argument is of another type.

    >>> from numba import njit, prange
    >>> net = fastbp.Network([3, 8, 2], seed=0)
    >>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1)).compiled()
    >>> @njit(parallel=True)
    ... def predict_all(model, X, out):
    ...     for i in prange(len(X)):
    ...         fastbp.embed.predict(model, X[i], out[i])
    >>> X, out = np.ones((100, 3), np.float32), np.empty((100, 2), np.float32)
    >>> predict_all(model, X, out)
    >>> np.allclose(out, net.predict(X))
    True

    """
    _call(embed_calls.predict, model, X, out, std)


@embed_calls.STEP.here
def step(model: Model, X: Array, y: Any) -> float:
    """Make one update on the rows of X, like ``Trainer.step``, and return the loss before it.

    The result is NaN, and nothing changes, if the loss is not finite or if X or y has a value that
    the trainer would refuse.

    Args:
        model: of a trainer.
        X: (B, inputs) or (inputs,).
        y: targets (B, outputs), or a number for one row and one output; for loss "cross_entropy"
            also integer labels, int64 (B,), or an integer for one row.

    Raises:
        ValueError: X or y has another shape, or y holds labels and the loss takes none.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.25)).compiled()
    >>> fastbp.embed.step(model, np.ones((1, 1), np.float32), 2.0)
    4.0

    """
    return _call(embed_calls.step, model, X, y)  # type: ignore[no-any-return]


@embed_calls.LOSS_AND_GRADIENTS.here
def gradients(model: Model, X: Array, y: Any, out: Array) -> float:
    """Fill out (n_parameters,) with the gradient of the mean loss over X, and return the loss.

    out has for each layer W (inputs, outputs), row by row, then b, then the gains and shifts of a
    normalized layer. Where ``step`` would return NaN, the result is NaN and out is unchanged.

    Raises:
        ValueError: X, y or out has another shape, or out shares memory with the others.

    >>> net = fastbp.Network([1, 1], init="zeros")
    >>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.25)).compiled()
    >>> out = np.empty(2, np.float32)
    >>> fastbp.embed.gradients(model, np.ones((1, 1), np.float32), 2.0, out)
    4.0
    >>> print(out)
    [-4. -4.]

    """
    return _call(embed_calls.gradients, model, X, y, out)  # type: ignore[no-any-return]


@embed_calls.VECTOR_JACOBIAN.here
def input_gradient(model: Model, X: Array, v: Array, out: Array) -> None:
    """Fill out (B, inputs) with vector-Jacobian products: out[r] = J(X[r])^T v[r].

    J (outputs, inputs) is the derivative of the outputs by the inputs, v is (B, outputs). If v is
    the gradient of a function of the outputs, out is its gradient by the inputs. All of out becomes
    NaN if X, v or the outputs are not finite.

    Raises:
        ValueError: X, v or out has another shape, or out shares memory with the others.

    >>> net = fastbp.Network([2, 1])
    >>> net.set_parameters([[[2.0], [3.0]]], [[0.0]])
    >>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1)).compiled()
    >>> X, v, out = np.ones((3, 2, 2), np.float32)
    >>> fastbp.embed.input_gradient(model, X, v[:, :1].copy(), out)
    >>> print(out)
    [[2. 3.]
     [2. 3.]]

    """
    _call(embed_calls.input_gradient, model, X, v, out)


@embed_derivatives.JACOBIAN.here
def jacobian(model: Model, X: Array, out: Array) -> None:
    """Fill out (B, outputs, inputs) with the derivatives of the outputs by the inputs of each row.

    out[r, k, i] is the derivative of output k of row r by its input i, in the user's units. One row
    may go without the first axis of out, one output without the second. Safe from many threads at
    once. All of out becomes NaN if X has NaN or Inf. The first function that is compiled with this
    call, or with ``jvp``, compiles or loads code that only derivatives need. ``Network.jacobian``
    has the same bits.

    Raises:
        ValueError: X or out has another shape, or they share memory.

    One step of Newton's method towards an x of which the outputs are 0:

    >>> from numba import njit
    >>> net = fastbp.Network([2, 2], dtype="float64", seed=0)
    >>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1)).compiled()
    >>> @njit
    ... def newton_step(model, x, p, J):
    ...     fastbp.embed.predict(model, x, p)
    ...     fastbp.embed.jacobian(model, x, J)
    ...     x -= np.linalg.solve(J, p)
    >>> x, p, J = np.ones(2), np.empty(2), np.empty((2, 2))
    >>> newton_step(model, x, p, J)
    >>> np.allclose(net.predict([x]), 0)
    True

    """
    jacobians_handle.begin()
    _call(embed_derivatives.jacobian, model, X, out)


@embed_derivatives.JVP.here
def jvp(model: Model, X: Array, v: Array, out: Array) -> None:
    """Fill out (B, outputs) with Jacobian-vector products: out[r] = J(X[r]) v[r].

    J (outputs, inputs) is the derivative of the outputs by the inputs, v is (B, inputs): out is the
    derivative of the outputs along v, in the user's units. It takes as long as two predictions,
    whatever the number of inputs. Safe from many threads at once. All of out becomes NaN if X or v
    has NaN or Inf.

    Raises:
        ValueError: X, v or out has another shape, or out shares memory with the others.

    >>> net = fastbp.Network([2, 1])
    >>> net.set_parameters([[[2.0], [3.0]]], [[0.0]])
    >>> model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1)).compiled()
    >>> X, v = np.ones(2, np.float32), np.array([1, 0], np.float32)
    >>> out = np.empty(1, np.float32)
    >>> fastbp.embed.jvp(model, X, v, out)
    >>> print(out)
    [2.]

    """
    jacobians_handle.begin()
    _call(embed_derivatives.jvp, model, X, v, out)


@embed_calls.STEP_FROM.here
def step_from(model: Model, X: Array, dloss_dp: Array) -> bool:
    """Make one update by your own loss, given its gradient by the outputs p of X.

    dloss_dp (B, outputs) is dLoss/dp after the output activation, softmax included. p is the result
    of ``predict``: this update drops no units, whatever the trainer's dropout. The gradient is not
    divided by B. It counts as an update of the trainer's optimizer; the trainer's loss has no
    influence.

    Returns:
        Whether the update was made; False, and nothing has changed, if X, dloss_dp, the outputs or
        the sum of p dloss_dp over a row's outputs are not finite.

    Raises:
        ValueError: X or dloss_dp has another shape.

    REINFORCE (Williams, 1992) for a policy with softmax outputs and returns G of actions:

    >>> net = fastbp.Network([1, 2], output="softmax", init="zeros")
    >>> sgd = fastbp.SGD(lr=1.0)
    >>> model = fastbp.Trainer(net, loss="cross_entropy", optimizer=sgd).compiled()
    >>> X, p, action, G = np.ones((1, 1), np.float32), np.empty((1, 2), np.float32), [0], [1.0]
    >>> fastbp.embed.predict(model, X, p)
    >>> dloss_dp = np.zeros_like(p)
    >>> for r in range(len(X)):
    ...     dloss_dp[r, action[r]] = -G[r] / (len(X) * p[r, action[r]])
    >>> fastbp.embed.step_from(model, X, dloss_dp)
    True
    >>> print(net.predict(X).round(2))
    [[0.88 0.12]]

    """
    return _call(embed_calls.step_from, model, X, dloss_dp)  # type: ignore[no-any-return]


@embed_calls.COPY.here
def copy(a: Model, b: Model, tau: float = 1.0) -> None:
    """Move the parameters of b's network towards those of a's: b = (1 - tau) b + tau a.

    With tau 1 they become equal to the bit. Nothing else is copied: b keeps its moments, its number
    of updates and its learning rate. It is how a target network follows (Lillicrap et al., 2016).
    Activations and residual are not compared: networks that differ in them take parameters, too.

    Raises:
        ValueError: the networks have other sizes, another layer_norm or another scaling; tau is not
            in [0, 1]. Nothing has changed.
        TypingError: the networks have other dtypes; an argument is of another type.

    >>> nets = [fastbp.Network([3, 8, 2], seed=seed) for seed in (0, 1)]
    >>> optimizer = fastbp.SGD(lr=0.1)
    >>> a, b = (fastbp.Trainer(net, loss="mse", optimizer=optimizer).compiled() for net in nets)
    >>> fastbp.embed.copy(a, b, tau=0.01)
    >>> fastbp.embed.copy(a, b)
    >>> nets[1].allclose(nets[0], rtol=0, atol=0)
    True

    """
    _call(embed_calls.copy, a, b, tau, name="a")
