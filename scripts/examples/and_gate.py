"""AND with a 2-4-1 network of sigmoids on the binary cross-entropy, and one step worked by hand.

Right: the cost is *minus* the mean log-likelihood, every unit has a bias gradient of its own, and
delta1 = (W2 delta2) a1 (1 - a1) takes the activations a1 and the W2 from before the update.
"""

from dataclasses import dataclass

import numpy as np

import fastbp

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TARGETS = np.array([[0], [0], [0], [1]])

# The worked example: two rows through a 2-2-1 network.
X = np.array([[1.0, 2.0], [2.0, 3.0]])
Y = np.array([0.0, 1.0])
WEIGHTS = [np.array([[0.3, 0.5], [0.4, 0.5]]), np.array([[2.0], [3.0]])]
BIASES = [np.array([0.5, 0.5]), np.array([0.5])]


def train(lr: float = 0.4, updates: int = 1000, seed: int = 0) -> np.ndarray:
    """Return the four outputs after so many full-batch updates.

    The texts sum the gradient over the four rows and take lr 0.1; fastbp takes the mean: lr 0.4.
    """
    net = fastbp.Network(
        [2, 4, 1], activation="sigmoid", output="sigmoid", init="uniform", seed=seed
    )
    trainer = fastbp.Trainer(net, loss="bce", optimizer=fastbp.SGD(lr=lr), batch_size=4)
    trainer.fit(INPUTS, TARGETS, epochs=updates, shuffle=False, progress=False)
    return net.predict(INPUTS)


@dataclass(frozen=True)
class WorkedExample:
    """Every number of one pass; the deltas are those of each row, not yet divided by the rows."""

    hidden: np.ndarray
    outputs: np.ndarray
    loss: float
    output_delta: np.ndarray
    hidden_delta: np.ndarray
    gradients: list[tuple[np.ndarray, np.ndarray]]


def worked_network() -> tuple[fastbp.Network, fastbp.Trainer]:
    """Return the 2-2-1 network of the worked example in float64, and a trainer of it."""
    net = fastbp.Network([2, 2, 1], activation="sigmoid", output="sigmoid", dtype="float64")
    net.set_parameters(WEIGHTS, BIASES)
    return net, fastbp.Trainer(net, loss="bce", optimizer=fastbp.SGD(lr=0.1))


def hidden_activations() -> np.ndarray:
    """Return what the hidden layer gives: a network that ends there has it as its output."""
    net = fastbp.Network([2, 2], output="sigmoid", dtype="float64")
    net.set_parameters(WEIGHTS[:1], BIASES[:1])
    return net.predict(X)


def worked_example() -> WorkedExample:
    """Run the worked example. The bias gradients of a single row are that row's deltas."""
    net, trainer = worked_network()
    loss, gradients = trainer.loss_and_gradients(X, Y)
    rows = [trainer.loss_and_gradients(X[i : i + 1], Y[i : i + 1])[1] for i in range(len(X))]
    return WorkedExample(
        hidden=hidden_activations(),
        outputs=net.predict(X),
        loss=loss,
        output_delta=np.array([row[1][1] for row in rows]),
        hidden_delta=np.array([row[0][1] for row in rows]),
        gradients=gradients,
    )


def main() -> None:
    print("AND after 1000 updates:", *(f"{p:.3f}" for p in train()[:, 0]))
    example = worked_example()
    np.set_printoptions(precision=8, suppress=True)
    print("\nThe worked example, one row per sample:")
    print("hidden activations\n", example.hidden, sep="")
    print("outputs           ", example.outputs[:, 0])
    print("loss              ", f"{example.loss:.16f}")
    print("output delta p - y", example.output_delta[:, 0])
    print("hidden delta\n", example.hidden_delta, sep="")
    for layer, (dw, db) in enumerate(example.gradients, start=1):
        print(f"dW{layer}\n{dw}\ndb{layer}\n{db}")


if __name__ == "__main__":
    main()
