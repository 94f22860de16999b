"""A network that overfits, and three remedies: L2 regularization, dropout, early stopping.

Noisy XOR: is the product of the two inputs negative? A tenth of the answers are wrong. A network
with far more weights than rows learns the wrong answers by heart: its loss keeps falling, and its
validation loss rises.

Right: the L2 penalty is on weights and not on biases; dropout scales the remaining units by 1 / (1
- rate), and is off in evaluation; early stopping brings back the weights of the best
epoch, and not those of the last.
"""

from collections.abc import Iterator

import numpy as np

import fastbp

ROWS, WRONG = 100, 0.1
EPOCHS = 400

REMEDIES = {
    "nothing": {},
    "L2 regularization": {"l2": 0.005},
    "dropout": {"dropout": 0.6},
    "early stopping": {},
}
"""Options of the trainer for each remedy. Early stopping is a callback of fit instead."""


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (n, 2), uniform in [-1, 1), and answers (n,), a share WRONG of them flipped."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, (X[:, 0] * X[:, 1] < 0) ^ (rng.random(n) < WRONG)


def train(remedy: str, seed: int = 0) -> tuple[fastbp.History, float]:
    """Return the history, and the validation loss of the weights that training ended with."""
    net = fastbp.Network([2, 64, 64, 1], activation="relu", output="sigmoid", seed=seed)
    trainer = fastbp.Trainer(
        net,
        loss="bce",
        optimizer=fastbp.Adam(lr=1e-2),
        batch_size=25,
        seed=seed,
        **REMEDIES[remedy],
    )
    validation = rows(1000, seed=1000 + seed)
    stopping = [fastbp.EarlyStopping("val_loss", patience=20)] if remedy == "early stopping" else []
    history = trainer.fit(
        *rows(ROWS, seed),
        epochs=EPOCHS,
        validation_data=validation,
        callbacks=stopping,
        progress=False,
    )
    return history, trainer.evaluate(*validation)["loss"]


def lines(seeds: range) -> Iterator[str]:
    """Yield a line for each remedy: means over the seeds."""
    for remedy in REMEDIES:
        runs = [train(remedy, seed) for seed in seeds]
        epochs = np.mean([len(history["loss"]) for history, _ in runs])
        best = np.mean([min(history["val_loss"]) for history, _ in runs])
        end = np.mean([loss for _, loss in runs])
        yield f"{remedy:18}  {epochs:5.0f} epochs  val_loss: best {best:.3f}  end {end:.3f}"


def main() -> None:
    print(f"{ROWS} rows, {WRONG:.0%} of the answers wrong; means of five seeds")
    for line in lines(range(5)):
        print(line)


if __name__ == "__main__":
    main()
