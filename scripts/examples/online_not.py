"""NOT of each of two inputs with Nielsen's 2-2-2 network, one random row per update.

Right: delta_l = (W_{l+1} delta_{l+1}) s'(z_l) down from delta_L = (a_L - y) s'(z_L), with the
weights that the forward pass used; `loss_and_gradients` is the book's `backprop`.

The 40000 updates are made twice, to the same weights: by a Python loop of `step`, and by one `fit`.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

import fastbp

INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TARGETS = 1 - INPUTS
SIZES = [2, 2, 2]


def new_network(seed: int = 0, dtype: str = "float32") -> tuple[fastbp.Network, fastbp.Trainer]:
    """Return a network whose weights and biases are standard normal, and its online trainer."""
    net = fastbp.Network(SIZES, activation="sigmoid", output="sigmoid", dtype=dtype)
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(W.shape) for W in net.weights]
    biases = [rng.standard_normal(b.shape) for b in net.biases]
    net.set_parameters(weights, biases)
    optimizer = fastbp.SGD(lr=0.2)
    return net, fastbp.Trainer(net, loss="squared_error", optimizer=optimizer, batch_size=1)


def random_rows(n: int = 40_000, seed: int = 0) -> np.ndarray:
    """Return which of the four rows each update sees."""
    return np.random.default_rng(seed).integers(len(INPUTS), size=n)


def train_by_steps(trainer: fastbp.Trainer, rows: np.ndarray) -> None:
    """Make one update per row, each a call from Python."""
    for row in rows:
        trainer.step(INPUTS[row : row + 1], TARGETS[row : row + 1])


def train_by_fit(trainer: fastbp.Trainer, rows: np.ndarray) -> None:
    """Make the same updates in one call: one epoch over the rows as they were drawn."""
    trainer.fit(INPUTS[rows], TARGETS[rows], epochs=1, shuffle=False, progress=False)


def chain_rule(
    weights: list[np.ndarray], biases: list[np.ndarray], x: np.ndarray, y: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (dW, db) layer by layer for one row x with target y, written out in NumPy."""
    activations = [x]
    for W, b in zip(weights, biases, strict=True):
        activations.append(1 / (1 + np.exp(-(activations[-1] @ W + b))))
    slopes = [a * (1 - a) for a in activations[1:]]
    delta = (activations[-1] - y) * slopes[-1]
    gradients = [(np.outer(activations[-2], delta), delta)]
    for layer in range(len(weights) - 2, -1, -1):
        delta = (weights[layer + 1] @ delta) * slopes[layer]
        gradients.insert(0, (np.outer(activations[layer], delta), delta))
    return gradients


def seconds(train: Callable[[fastbp.Trainer, np.ndarray], None], trainer: fastbp.Trainer) -> float:
    """Return the seconds of 40000 updates, without the compilation of the kernels."""
    train(new_network()[1], random_rows(1))
    start = perf_counter()
    train(trainer, random_rows())
    return perf_counter() - start


def main() -> None:
    print("The gradients of the last row before training, layer by layer:")
    for dW, db in new_network(dtype="float64")[1].loss_and_gradients(INPUTS[3:], TARGETS[3:])[1]:
        print("  dW", dW.round(6).tolist(), " db", db.round(6).tolist())
    net, trainer = new_network()
    print(f"40000 updates, a Python loop of step: {seconds(train_by_steps, trainer):.3f} s")
    net_of_fit, trainer_of_fit = new_network()
    print(f"40000 updates, one call of fit:       {seconds(train_by_fit, trainer_of_fit):.3f} s")
    same = np.array_equal(net.predict(INPUTS), net_of_fit.predict(INPUTS))
    print("The two networks are", "the same." if same else "different!")
    for x, p in zip(INPUTS, net_of_fit.predict(INPUTS), strict=True):
        print(f"  NOT {x[0]:.0f} {x[1]:.0f}  ->  {p[0]:.3f} {p[1]:.3f}")


if __name__ == "__main__":
    main()
