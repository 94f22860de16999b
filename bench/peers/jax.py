"""JAX: the step as one jitted function with donated buffers; many steps as a scan over it."""

import os
from functools import partial

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp

from bench.baseline import BETA1, BETA2, EPS, MOMENTUM
from bench.peers.side import Side


class Jax(Side):
    def build(self, weights, biases):
        parameters = [(jnp.array(W), jnp.array(b)) for W, b in zip(weights, biases, strict=True)]
        moments = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
        adam = self.optimizer == "adam"
        self.state = (parameters, *(moments if adam else moments[:1]), jnp.zeros(()))
        update = adam_update if adam else sgd_update
        self.make(partial(one_step, self.case.loss, update, self.lr))
        self.key = jax.random.key(0)

    def make(self, step):
        """The jitted functions, each (state, ...) -> (state, loss or losses)."""
        donating = partial(jax.jit, donate_argnums=0)
        self.jitted = donating(step)
        self.jitted_fit = donating(partial(repeat, step), static_argnums=3)
        self.jitted_epoch = donating(partial(shuffled, step), static_argnums=3)
        self.jitted_stream = donating(partial(one_by_one, step))
        self.jitted_outputs = jax.jit(partial(outputs, self.case.loss))
        self.jitted_rows = jax.jit(partial(row_by_row, self.case.loss))

    def own(self, array):
        return jnp.array(array)

    def run(self, function, *arguments):
        self.state, result = function(self.state, *arguments)
        jax.block_until_ready((self.state, result))
        return result

    def step(self, X, y):
        return self.run(self.jitted, X, y)

    def fit(self, X, y, epochs):
        return self.run(self.jitted_fit, X, y, epochs)

    def epoch(self, X, y):
        (self.state, self.key), loss = self.jitted_epoch(
            (self.state, self.key), X, y, self.case.batch
        )
        jax.block_until_ready((self.state, loss))
        return loss

    def stream(self, X, y):
        return self.run(self.jitted_stream, X[:, None], y[:, None])

    def predict_rows(self, X):
        return self.jitted_rows(self.state[0], X[:, None]).block_until_ready()

    def predict(self, X):
        return self.jitted_outputs(self.state[0], X).block_until_ready()


def forward(parameters, X):
    *hidden, (W, b) = parameters
    a = X
    for V, c in hidden:
        a = jnp.maximum(a @ V + c, 0)
    return a @ W + b


def outputs(loss, parameters, X):
    z = forward(parameters, X)
    return jax.nn.softmax(z) if loss == "cross_entropy" else z


def row_by_row(loss, parameters, X):
    return jax.lax.map(lambda row: outputs(loss, parameters, row), X)


def mean_loss(parameters, loss, X, y):
    z = forward(parameters, X)
    if loss == "mse":
        return jnp.mean((z - y) ** 2)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1))


def one_step(loss, update, lr, state, X, y):
    value, gradients = jax.value_and_grad(mean_loss)(state[0], loss, X, y)
    return update(state, gradients, lr), value


def sgd_update(state, gradients, lr):
    parameters, m, t = state
    m = jax.tree.map(lambda m, g: MOMENTUM * m + g, m, gradients)
    return jax.tree.map(lambda w, m: w - lr * m, parameters, m), m, t


def adam_update(state, gradients, lr):
    parameters, m, v, t = state
    t += 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)
    size, root = lr / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
    parameters = jax.tree.map(
        lambda w, m, v: w - size * m / (jnp.sqrt(v) / root + EPS), parameters, m, v
    )
    return parameters, m, v, t


def repeat(step, state, X, y, epochs):
    return jax.lax.scan(lambda s, _: step(s, X, y), state, length=epochs)


def one_by_one(step, state, X, y):
    return jax.lax.scan(lambda s, row: step(s, *row), state, (X, y))


def shuffled(step, state_and_key, X, y, batch):
    """Whole batches of rows in a random order."""
    state, key = state_and_key
    next_key, key = jax.random.split(key)
    order = jax.random.permutation(key, len(X)).reshape(-1, batch)
    state, losses = jax.lax.scan(lambda s, rows: step(s, X[rows], y[rows]), state, order)
    return (state, next_key), losses.mean()
