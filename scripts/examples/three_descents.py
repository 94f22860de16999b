"""XOR with a 2-3-1 network of sigmoids: full-batch, mini-batch and stochastic gradient descent.

Right: with the squared error the output delta is (p - y) p (1 - p); p - y alone is cross-entropy's.
The remedies for overfitting are in overfitting.py.
"""

import numpy as np

import fastbp

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TARGETS = np.array([[0], [1], [1], [0]])
BATCH_SIZES = {"full-batch": 4, "mini-batch": 2, "stochastic": 1}


def train(
    batch_size: int, seed: int = 0, weight_decay: float = 0.0
) -> tuple[fastbp.Network, fastbp.Trainer]:
    """Make 4000 updates; the batch size alone chooses the kind of gradient descent.

    The texts' learning rate of 0.1 gets there too, after some 30000 updates.
    """
    net = fastbp.Network([2, 3, 1], activation="sigmoid", output="sigmoid", seed=seed)
    optimizer = fastbp.SGD(lr=2.0, weight_decay=weight_decay)
    trainer = fastbp.Trainer(
        net, loss="squared_error", optimizer=optimizer, batch_size=batch_size, seed=seed
    )
    epochs = 4000 * batch_size // len(INPUTS)
    trainer.fit(INPUTS, TARGETS, epochs=epochs, progress=False)
    return net, trainer


def final_losses(runs: list[tuple[fastbp.Network, fastbp.Trainer]]) -> list[float]:
    """Return the loss over the four rows after each run."""
    return [trainer.evaluate(INPUTS, TARGETS)["loss"] for _, trainer in runs]


def size_of_weights(net: fastbp.Network) -> float:
    """Return the root of the sum of all squared weights."""
    return float(np.sqrt(sum(np.sum(W**2) for W in net.weights)))


def main() -> None:
    for kind, batch_size in BATCH_SIZES.items():
        runs = [train(batch_size, seed) for seed in range(10)]
        losses, outputs = final_losses(runs), runs[0][0].predict(INPUTS)[:, 0]
        reached = sum(loss < 0.02 for loss in losses)
        print(f"{kind}, batch_size={batch_size}: loss < 0.02 in {reached} of 10 seeds")
        print("  losses ", *(f"{loss:.4f}" for loss in losses))
        print("  predict", *(f"{p:.3f}" for p in outputs), "(seed 0)")
    print("L2 regularization is the optimizer's weight_decay; the size of the weights of seed 0:")
    for decay in (0.0, 1e-5, 1e-4):
        print(f"  weight_decay={decay:<6g} {size_of_weights(train(4, weight_decay=decay)[0]):.2f}")


if __name__ == "__main__":
    main()
