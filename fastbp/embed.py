"""Predict and train from inside your own ``@njit`` code, millions of times.

``model = trainer.compiled()`` is a tuple of arrays that compiled code can take. The functions below
take it, from Python and from ``@njit`` functions alike. They allocate nothing, start no threads,
and compile nothing for another network of the same dtype. The results are those of the trainer, bit
for bit: training through the model and through the trainer is the same training.

In all of them X is (B, inputs), or (inputs,) for one row: a C-contiguous array of the network's
dtype, with B at most the trainer's ``batch_size``. Other arrays are C-contiguous and of that dtype,
too, and may be flat where B is 1 or their other length is 1. A wrong shape is a ValueError, in
compiled code, too (of one within a ``prange`` Numba makes a SystemError); a wrong type a
TypingError, where the call is compiled.

Where the network scales (``Network.standardize``), X, y, outputs, and the gradients by X and by
outputs are all in the user's units. Losses are of scaled targets, as the trainer's, and so are the
gradients of ``gradients``. A model from before the network's first scaling is refused: ValueError.

One model is for one thread at a time; ``predict`` alone can be called from many at once, such as
those of a ``prange``. Models of several trainers do not touch one another, unless they share a
network.
"""

from typing import Any

from .common.types import Array
from .kernels.entry import embed_calls
from .runtime.compiled_model import Model

LR = 0
"""Element of ``model.hyper`` that is the learning rate of the next update."""


@embed_calls.PREDICT.here
def predict(model: Model, X: Array, out: Array) -> None:
    """Fill out (B, outputs) with the outputs of the rows of X.

    Safe from many threads at once. NaN everywhere if X has NaN or Inf.

    >>> @njit(parallel=True)
    ... def many(model, X, out):
    ...     for i in prange(len(X)):
    ...         fastbp.embed.predict(model, X[i], out[i])

    Raises:
        ValueError: X or out has another shape, or they share memory.

    """
    embed_calls.predict(model, X, out)


@embed_calls.STEP.here
def step(model: Model, X: Array, y: Any) -> float:
    """One update on the rows of X, as ``Trainer.step``; the loss before it.

    NaN, and nothing has changed, if the loss is not finite or if X or y has a value that the
    trainer would refuse.

    Args:
        model: of a trainer.
        X: (B, inputs) or (inputs,).
        y: targets (B, outputs), a number for one row and one output; for loss "cross_entropy" also
            integer labels, int64 (B,), or an integer for one row.

    Raises:
        ValueError: X or y has another shape, or y is labels for another loss.

    """
    return embed_calls.step(model, X, y)  # type: ignore[no-any-return]


@embed_calls.LOSS_AND_GRADIENTS.here
def gradients(model: Model, X: Array, y: Any, out: Array) -> float:
    """Fill out (n_parameters,) with the gradient of the mean loss over X; the loss.

    out: W (inputs, outputs), row by row, then b, layer by layer; of a layer that is normalized then
    its gains and its shifts. NaN, and out is as it was, where ``step`` would return NaN.

    Raises:
        ValueError: X, y or out has another shape, or out shares memory with the others.

    """
    return embed_calls.gradients(model, X, y, out)  # type: ignore[no-any-return]


@embed_calls.VECTOR_JACOBIAN.here
def input_gradient(model: Model, X: Array, v: Array, out: Array) -> None:
    """Fill out (B, inputs) with vector-Jacobian products: out[r] = J(X[r])^T v[r].

    J (outputs, inputs) is the derivative of the outputs by the inputs, v (B, outputs). With v the
    gradient of a function of the outputs, out is its gradient by the inputs. NaN everywhere if X,
    v or the outputs are not finite.

    Raises:
        ValueError: X, v or out has another shape, or out shares memory with the others.

    """
    embed_calls.input_gradient(model, X, v, out)


@embed_calls.STEP_FROM.here
def step_from(model: Model, X: Array, dloss_dp: Array) -> bool:
    """One update by a loss of your own, given its gradient by the outputs p of X.

    dloss_dp: (B, outputs), dLoss/dp, after the output activation (softmax, too), of the outputs
    that ``predict`` gives: this update drops no units, whatever the trainer's dropout. It is taken
    as it is: for a mean over rows divide by B. Counts as an update of the trainer's optimizer,
    whose loss plays no part.

    For a policy with softmax outputs and returns G of the actions that were taken, REINFORCE is

    >>> dloss_dp[:] = 0
    >>> for r in range(B):
    ...     dloss_dp[r, action[r]] = -G[r] / (B * p[r, action[r]])
    >>> fastbp.embed.step_from(model, X, dloss_dp)

    Returns:
        Whether the update was made; False, and nothing has changed, if X, dloss_dp, the outputs or
        the sum of p dloss_dp over a row's outputs are not finite.

    Raises:
        ValueError: X or dloss_dp has another shape.

    """
    return embed_calls.step_from(model, X, dloss_dp)  # type: ignore[no-any-return]
