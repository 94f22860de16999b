"""XOR with a 2-4-1 network of sigmoids, by plain gradient descent on the mean squared error.

Right: the sigmoid's derivative is a (1 - a) of the activation a = s(z), never z (1 - z) of z.
"""

import numpy as np

import fastbp

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
TARGETS = np.array([[0], [1], [1], [0]])


def train(lr: float, epochs: int, seed: int = 0) -> tuple[np.ndarray, list[float]]:
    """Return the four outputs after full-batch training, and the loss before each update."""
    net = fastbp.Network(
        [2, 4, 1], activation="sigmoid", output="sigmoid", init="normal", seed=seed
    )
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=lr), batch_size=4)
    history = trainer.fit(INPUTS, TARGETS, epochs=epochs, shuffle=False, progress=False)
    return net.predict(INPUTS), history["loss"]


def learned(outputs: np.ndarray) -> bool:
    """Tell whether every output lies within 0.1 of its target."""
    return bool(np.all(np.abs(outputs - TARGETS) < 0.1))


def main() -> None:
    _, losses = train(lr=0.1, epochs=1000)
    print("Learning rate 0.1: the loss falls, slowly.")
    for epoch in range(0, 1000, 100):
        print(f"  epoch {epoch:4d}  loss {losses[epoch]:.6f}")
    print(f"  epoch {len(losses) - 1:4d}  loss {losses[-1]:.6f}")

    print("Learning rate 5.0, 5000 epochs, ten seeds:")
    runs = [train(lr=5.0, epochs=5000, seed=seed)[0] for seed in range(10)]
    for seed, outputs in enumerate(runs):
        print(f"  seed {seed}  outputs", *(f"{p:.3f}" for p in outputs[:, 0]))
    print(f"{sum(map(learned, runs))} of 10 lie within 0.1 of 0 1 1 0.")


if __name__ == "__main__":
    main()
