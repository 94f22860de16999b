"""The network a competent NumPy user writes: plain, vectorized, float32, updated in place.

fastbp is compared with it, so it is meant to be fast. It shares no code with fastbp.
"""

import numpy as np

MOMENTUM = 0.9
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class Baseline:
    """ReLU layers, then softmax with cross_entropy on integer labels, or identity with mse."""

    def __init__(self, weights, biases, loss, optimizer, lr, batch_size):
        """Start from float32 weights (n_in, n_out) and biases (n_out,), one pair a layer."""
        self.weights = [np.array(W, dtype=np.float32) for W in weights]
        self.biases = [np.array(b, dtype=np.float32) for b in biases]
        self.layers = list(zip(self.weights, self.biases, strict=True))
        self.output_delta = {"cross_entropy": cross_entropy_delta, "mse": mse_delta}[loss]
        self.update, n_moments = {"sgd": (sgd_update, 1), "adam": (adam_update, 2)}[optimizer]
        parameters = self.weights + self.biases
        self.gradients = [np.empty_like(w) for w in parameters]
        self.moments = [[np.zeros_like(w) for _ in range(n_moments)] for w in parameters]
        self.parts = list(zip(parameters, self.gradients, self.moments, strict=True))
        self.lr = lr
        self.batch_size = batch_size
        self.rng = np.random.default_rng(0)
        self.t = 0

    def forward(self, X):
        """The activations of every layer, X first; the last are the outputs before softmax."""
        outs = [X]
        for W, b in self.layers:
            a = outs[-1] @ W
            a += b
            if len(outs) < len(self.layers):
                np.maximum(a, 0, out=a)
            outs.append(a)
        return outs

    def predict(self, X):
        """(n, n_out): probabilities for cross_entropy, plain outputs for mse."""
        z = self.forward(X)[-1]
        return softmax(z)[0] if self.output_delta is cross_entropy_delta else z

    def step(self, X, y):
        """One update on these rows; returns the loss before it."""
        outs = self.forward(X)
        loss, delta = self.output_delta(outs[-1], y)
        n_layers = len(self.layers)
        for layer in reversed(range(n_layers)):
            np.matmul(outs[layer].T, delta, out=self.gradients[layer])
            np.add.reduce(delta, out=self.gradients[n_layers + layer])
            if layer:
                delta = delta @ self.weights[layer].T
                delta *= outs[layer] > 0
        self.t += 1
        for w, g, moments in self.parts:
            self.update(w, g, *moments, self.lr, self.t)
        return loss

    def fit(self, X, y, epochs, shuffle=True):
        """Train for some epochs; return the loss of each."""
        if len(X) <= self.batch_size:
            return [self.step(X, y) for _ in range(epochs)]
        return [self.epoch(X, y, shuffle) for _ in range(epochs)]

    def epoch(self, X, y, shuffle):
        """Every row once, in batches; returns the mean loss of the rows."""
        n = len(X)
        order = self.rng.permutation(n) if shuffle else np.arange(n)
        total = 0.0
        for start in range(0, n, self.batch_size):
            rows = order[start : start + self.batch_size]
            total += self.step(X[rows], y[rows]) * len(rows)
        return total / n


def sgd_update(w, g, m, lr, _t):
    """Momentum: m = MOMENTUM m + lr g, w = w - m. Overwrites g.

    While lr is constant these are torch's steps; its m is then this one divided by lr.
    """
    g *= lr
    m *= MOMENTUM
    m += g
    w -= m


def adam_update(w, g, m, v, lr, t):
    """Adam (Kingma and Ba 2015), the bias corrections folded into scalars. Overwrites g."""
    root = (1 - BETA2**t) ** 0.5
    m *= BETA1
    m += (1 - BETA1) * g
    v *= BETA2
    g *= g
    g *= 1 - BETA2
    v += g
    np.sqrt(v, out=g)
    g += EPS * root
    np.divide(m, g, out=g)
    g *= lr * root / (1 - BETA1**t)
    w -= g


def softmax(z):
    """Overwrite z (n, n_out) with its softmax; returns it, and log sum exp z of each row."""
    top = z.max(1, keepdims=True)
    z -= top
    np.exp(z, out=z)
    total = z.sum(1, keepdims=True)
    z /= total
    return z, (top + np.log(total)).ravel()


def cross_entropy_delta(z, y):
    """(mean over rows of -ln softmax(z)[label], its gradient by z). Overwrites z."""
    n = len(z)
    rows = np.arange(n)
    chosen = z[rows, y]
    p, log_total = softmax(z)
    p[rows, y] -= 1
    p /= n
    return float((log_total - chosen).mean()), p


def mse_delta(z, y):
    """(mean over rows and outputs of (z - y)^2, its gradient by z). Overwrites z."""
    z -= y
    loss = float(np.vdot(z, z)) / z.size
    z *= 2 / z.size
    return loss, z
