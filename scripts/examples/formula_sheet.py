"""The formula sheet: sigmoid, tanh, ReLU; mean squared error and cross-entropy; the chain rule.

Right: dW = A^T delta and delta_l = (W_{l+1} delta_{l+1}) f'(z_l), all taken before any weight
changes; only then does "updated from the last layer to the first" mean gradient descent.

Iris serves both losses: cross-entropy tells the three species apart; mean squared error predicts
the width of a petal, scaled to [0, 1], from the other three measurements.
"""

from itertools import product
from pathlib import Path

import numpy as np

import fastbp

HIDDEN = ("sigmoid", "tanh", "relu")
PAIRS = (
    ("softmax", "cross_entropy"),
    ("identity", "mse"),
    ("sigmoid", "mse"),
    ("tanh", "mse"),
    ("relu", "mse"),
)
"""Which output activation goes with which loss."""


def iris() -> tuple[np.ndarray, np.ndarray]:
    """Return the measurements (150, 4) in cm and the species (150,), 0 to 2.

    Fisher (1936), "The use of multiple measurements in taxonomic problems".
    """
    file = Path(__file__).with_name("iris.csv")
    table = np.loadtxt(file, delimiter=",", skiprows=1, dtype=str)
    return table[:, :4].astype(float), np.unique(table[:, 4], return_inverse=True)[1]


def problem(loss: str) -> tuple[np.ndarray, np.ndarray]:
    """Return X, each column of mean 0 and deviation 1, and the y that suits the loss."""
    measured, species = iris()
    X = (measured - measured.mean(axis=0)) / measured.std(axis=0)
    if loss == "cross_entropy":
        return X, species
    if loss == "bce":
        return X, np.eye(3)[species]
    width = measured[:, 3:]
    return X[:, :3], (width - width.min()) / (width.max() - width.min())


def new_network(
    hidden: str, output: str, loss: str, seed: int = 0, dtype: str = "float32"
) -> fastbp.Network:
    """Return a network with one hidden layer of 16 units."""
    n_in, n_out = (3, 1) if loss in ("mse", "squared_error") else (4, 3)
    net = fastbp.Network(
        [n_in, 16, n_out],
        activation=hidden,
        output=output,
        init="glorot_uniform",
        seed=seed,
        dtype=dtype,
    )
    # Above zero at first: a ReLU output that is negative on every row has no gradient at all.
    net.set_parameters(net.weights, [np.zeros(16), np.ones(n_out)])
    return net


def new_trainer(net: fastbp.Network, loss: str) -> fastbp.Trainer:
    """Return a trainer that makes plain gradient descent on ten rows at a time."""
    return fastbp.Trainer(net, loss=loss, optimizer=fastbp.SGD(lr=0.1), batch_size=10)


def learn(hidden: str, output: str, loss: str, seed: int = 0) -> float:
    """Train 100 epochs and return the score: share of entries right, or of variance explained."""
    X, y = problem(loss)
    trainer = new_trainer(new_network(hidden, output, loss, seed), loss)
    trainer.fit(X, y, epochs=100, progress=False)
    if loss in ("cross_entropy", "bce"):
        return trainer.evaluate(X, y)["accuracy"]
    return 1 - float(np.mean((trainer.predict(X) - y) ** 2) / np.var(y))


def finite_differences(
    net: fastbp.Network, trainer: fastbp.Trainer, X: np.ndarray, y: np.ndarray, h: float = 1e-5
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the central differences of the loss, laid out as loss_and_gradients has them.

    The network keeps its parameters. float64 networks only: float32 has no digits to spare.
    """
    start = net.weights, net.biases
    weights, biases = ([a.copy() for a in arrays] for arrays in start)
    gradients = [(np.zeros_like(W), np.zeros_like(b)) for W, b in zip(weights, biases, strict=True)]

    def loss_at(array: np.ndarray, at: tuple[int, ...], value: float) -> float:
        array[at] = value
        net.set_parameters(weights, biases)
        return trainer.loss_and_gradients(X, y)[0]

    for layer, pair in enumerate(zip(weights, biases, strict=True)):
        for array, gradient in zip(pair, gradients[layer], strict=True):
            for at, value in np.ndenumerate(array.copy()):
                rise = loss_at(array, at, value + h) - loss_at(array, at, value - h)
                gradient[at] = rise / (2 * h)
                array[at] = value
    net.set_parameters(*start)
    return gradients


def gradient_error(hidden: str, output: str, loss: str) -> float:
    """Return the largest difference of backpropagation from central differences, in float64."""
    X, y = (rows[::10] for rows in problem(loss))
    net = new_network(hidden, output, loss, dtype="float64")
    trainer = new_trainer(net, loss)
    exact = trainer.loss_and_gradients(X, y)[1]
    numerical = finite_differences(net, trainer, X, y)
    return max(
        float(np.abs(a - b).max())
        for pair in zip(exact, numerical, strict=True)
        for a, b in zip(*pair, strict=True)
    )


def main() -> None:
    print("hidden   output    loss           score   gradient error")
    for hidden, (output, loss) in product(HIDDEN, PAIRS):
        score, error = learn(hidden, output, loss), gradient_error(hidden, output, loss)
        print(f"{hidden:8} {output:9} {loss:14} {score:6.1%}  {error:.1e}")
    print("score: share of rows right (cross_entropy), share of variance explained (mse)")


if __name__ == "__main__":
    main()
