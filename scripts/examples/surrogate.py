"""A surrogate of the right-hand side of an ODE, called inside an ``@njit`` RK4 integrator.

The network learns (x, v) -> dv/dt of the Van der Pol oscillator from random states; then the
integrator runs on the surrogate, four calls of `predict` a time step, and its trajectory is
compared with the true one.
"""

import argparse
from time import perf_counter

import numpy as np
from numba import njit

import fastbp
from fastbp import embed

MU = 1.0
SCALE = np.array([2.5, 4.0], np.float32)
"""Largest |x| and |v| of the states it is trained on."""

UNIT = np.float32(10.0)
"""The network's output is dv/dt divided by this."""


@njit
def acceleration(x, v):
    """Return the true dv/dt."""
    return MU * (1 - x * x) * v - x


@njit
def surrogate(model, x, v, row, p):
    """Return dv/dt by the network; row (2,) and p (1,) are scratch."""
    row[0], row[1] = x / SCALE[0], v / SCALE[1]
    embed.predict(model, row, p)
    return UNIT * p[0]


@njit
def integrate(model, x, v, step, count, exact):
    """Return the states (count, 2) of RK4 from (x, v), on the true right-hand side or the net."""
    path, row, p = np.empty((count, 2)), np.empty(2, np.float32), np.empty(1, np.float32)
    weights, reach = (1.0, 2.0, 2.0, 1.0), (0.0, 0.5, 0.5, 1.0)
    for i in range(count):
        dx, dv, sum_x, sum_v = 0.0, 0.0, 0.0, 0.0
        for w, c in zip(weights, reach):  # noqa: B905 - Numba's zip has no strict
            at, speed = x + c * step * dx, v + c * step * dv
            dx = speed
            dv = acceleration(at, speed) if exact else surrogate(model, at, speed, row, p)
            sum_x, sum_v = sum_x + w * dx, sum_v + w * dv
        x, v = x + step * sum_x / 6, v + step * sum_v / 6
        path[i, 0], path[i, 1] = x, v
    return path


def train(seed=0):
    """Return the trainer of a surrogate, and its root mean square error relative to dv/dt's."""
    X = np.random.default_rng(seed).uniform(-1, 1, (20_000, 2)).astype(np.float32)
    y = (acceleration(SCALE[0] * X[:, :1], SCALE[1] * X[:, 1:]) / UNIT).astype(np.float32)
    net = fastbp.Network([2, 64, 64, 1], activation="gelu", seed=seed)
    optimizer = fastbp.Adam(lr=3e-3)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, batch_size=64, seed=seed)
    for part in range(5):
        trainer.lr = optimizer.lr / 3**part
        trainer.fit(X, y, epochs=16, progress=False)
    return trainer, np.sqrt(trainer.evaluate(X, y)["loss"]) / y.std()


def trajectory_error(model, count=1000, step=0.01):
    """Return the largest distance from the true trajectory over count steps, and its size."""
    true, found = (integrate(model, 1.0, 0.0, step, count, exact) for exact in (True, False))
    return np.abs(found - true).max(), np.abs(true).max()


def draw(model, path):
    """Draw the trajectories of the network and of the true equation."""
    import pictures

    ax = pictures.axes("Van der Pol oscillator by RK4, 1000 steps of 0.01", "x", "dx/dt")
    for exact, style in ((True, "-"), (False, "--")):
        states = integrate(model, 1.0, 0.0, 0.01, 1000, exact)
        label = "true right-hand side" if exact else "network"
        ax.plot(*states.T, style, color=pictures.COLORS[not exact], label=label)
    pictures.keep(ax, path)


def main():
    parser = argparse.ArgumentParser(description="A surrogate of an ODE inside an integrator.")
    parser.add_argument("--picture", metavar="PATH", help="draw it, too, as a PNG file")
    picture = parser.parse_args().picture
    trainer, error = train()
    print(f"relative error of the right-hand side: {error:.2e}")
    model = trainer.compiled()
    distance, size = trajectory_error(model)
    print(f"after 1000 steps of 0.01: at most {distance:.4f} off a trajectory of size {size:.2f}")
    start = perf_counter()
    integrate(model, 1.0, 0.0, 0.01, 100_000, False)
    print(f"{100_000 / (perf_counter() - start):,.0f} RK4 steps/s, four predictions each")
    if picture:
        draw(model, picture)


if __name__ == "__main__":
    main()
