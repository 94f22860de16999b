"""A surrogate of a reaction rate in an implicit integrator: Newton's method with its Jacobian.

A flame front (Zeldovich and Frank-Kamenetskii, 1938) in cells along a line: du/dt is the diffusion
of the temperature u plus a reaction rate s(u), which a network learns. Diffusion makes the equation
stiff: an explicit integrator must take steps below half the square of the cells' width. The
trapezoidal rule takes tenfold ones, and solves for the end of each by Newton's method, inside
``@njit``: the rate and its derivative in all cells come from ``embed.predict`` and
``embed.jacobian``.
"""

import argparse
from time import perf_counter

import numpy as np
from numba import njit

import fastbp
from fastbp import embed

BETA = 4.0
"""How steeply the rate grows with the temperature."""

CELLS, WIDTH = 300, 0.1
STEP = 0.05
EXPLICIT_STEP = WIDTH**2 / 2
"""Longer steps of an explicit Euler method oscillate and grow."""

TOLERANCE = 1e-10
"""Newton's method ends with a change below this."""


@njit
def rate(u):
    """Return the true reaction rate of a temperature, 0 to 1."""
    return BETA**2 / 2 * u * (1 - u) * np.exp(-BETA * (1 - u))


@njit
def rate_slope(u):
    """Return its derivative."""
    return BETA**2 / 2 * np.exp(-BETA * (1 - u)) * (1 - 2 * u + BETA * u * (1 - u))


@njit
def rates(model, u, exact, s, slope):
    """Fill s and slope (cells, 1) with the rates at u (cells, 1) and their derivatives."""
    if exact:
        for i in range(len(u)):
            s[i, 0], slope[i, 0] = rate(u[i, 0]), rate_slope(u[i, 0])
    else:
        embed.predict(model, u, s)
        embed.jacobian(model, u, slope)


@njit
def diffusion(u, i):
    """Return the second difference of u at a cell over its width squared; no flux at the ends."""
    left, right = u[max(i - 1, 0), 0], u[min(i + 1, len(u) - 1), 0]
    return (left - 2 * u[i, 0] + right) / WIDTH**2


@njit
def solve(diagonal, off, x):
    """Solve a tridiagonal system in place by elimination (Thomas); off: all elements beside."""
    for i in range(1, len(x)):
        factor = off / diagonal[i - 1]
        diagonal[i] -= factor * off
        x[i] -= factor * x[i - 1]
    x[-1] /= diagonal[-1]
    for i in range(len(x) - 2, -1, -1):
        x[i] = (x[i] - off * x[i + 1]) / diagonal[i]


@njit
def integrate(model, u, count, exact, changes):
    """Advance u (cells, 1) by ``count`` steps of the trapezoidal rule; return Newton's iterations.

    changes: filled with the largest changes of the iterations of the last step.
    """
    s, slope, begin, end = np.empty_like(u), np.empty_like(u), np.empty_like(u), np.empty(len(u))
    diagonal, off, iterations = np.empty(len(u)), -STEP / 2 / WIDTH**2, 0
    for _ in range(count):
        rates(model, u, exact, s, slope)
        for i in range(len(u)):
            begin[i, 0] = u[i, 0] + STEP / 2 * (diffusion(u, i) + s[i, 0])
        for k in range(len(changes)):
            if k > 0:
                rates(model, u, exact, s, slope)
            for i in range(len(u)):
                end[i] = begin[i, 0] - u[i, 0] + STEP / 2 * (diffusion(u, i) + s[i, 0])
                neighbors = 1 if i == 0 or i == len(u) - 1 else 2
                diagonal[i] = 1 - STEP / 2 * (slope[i, 0] - neighbors / WIDTH**2)
            solve(diagonal, off, end)
            u[:, 0] += end
            changes[k], iterations = np.abs(end).max(), iterations + 1
            if changes[k] < TOLERANCE:
                changes[k + 1 :] = 0
                break
    return iterations


def train(seed=0):
    """Return a surrogate, and the largest errors of rate and derivative."""
    X = np.linspace(-0.1, 1.1, 1000)[:, None]
    y = rate(X)
    net = fastbp.Network([1, 24, 24, 1], activation="tanh", seed=seed, dtype="float64")
    net.standardize(X, y)
    fastbp.Trainer(net, loss="mse", optimizer=fastbp.LBFGS()).fit(X, y, epochs=400, progress=False)
    inside = X[(X[:, 0] >= 0) & (X[:, 0] <= 1)]
    p, J = net.predict(inside, jacobian=True)
    errors = np.abs(p - rate(inside)).max(), np.abs(J[:, 0] - rate_slope(inside)).max()
    return net, errors


def compiled(net):
    """Return the model of a network for all cells at once; it makes no updates."""
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), batch_size=CELLS)
    return trainer.compiled()


def burnt_at_the_left():
    """Return the state (cells, 1) at time 0."""
    x = WIDTH * np.arange(CELLS)
    return (1 / (1 + np.exp(4 * (x - 5))))[:, None]


def front(u):
    """Return where the temperature falls below a half."""
    i = int(np.argmax(u[:, 0] < 0.5))
    return WIDTH * (i - 1 + (u[i - 1, 0] - 0.5) / (u[i - 1, 0] - u[i, 0]))


def burn(model, exact, times=(5, 10, 15, 20)):
    """Return (states at the times, iterations a step, changes of the last step's iterations)."""
    u, changes, states, iterations, steps = burnt_at_the_left(), np.zeros(20), [], 0, 0
    for begin, end in zip((0, *times[:-1]), times, strict=True):
        count = round((end - begin) / STEP)
        iterations += integrate(model, u, count, exact, changes)
        states.append(u.copy())
        steps += count
    return states, iterations / steps, changes[changes > 0]


def speed(states, duration=10):
    """Return the speed of the front between the second and the last of four states."""
    return (front(states[-1]) - front(states[1])) / duration


def draw(model, path):
    """Draw the temperature at four times, of the network and of the true rate."""
    import pictures

    ax = pictures.axes("A flame front at times 5, 10, 15 and 20", "place", "temperature")
    x = WIDTH * np.arange(CELLS)
    for exact, style in ((True, "-"), (False, "--")):
        label = "true reaction rate" if exact else "network"
        for u in burn(model, exact)[0]:
            color = pictures.COLORS[not exact]
            ax.plot(x, u[:, 0], style, color=color, linewidth=1.5, label=label)
            label = None
    pictures.keep(ax, path)


def main():
    parser = argparse.ArgumentParser(description="A flame front by an implicit integrator.")
    parser.add_argument("--picture", metavar="PATH", help="draw it, too, as a PNG file")
    picture = parser.parse_args().picture
    net, (of_rate, of_slope) = train()
    print(f"largest errors: {of_rate:.1e} of the rate, {of_slope:.1e} of its derivative")
    model = compiled(net)
    true, _, _ = burn(model, exact=True)
    found, iterations, changes = burn(model, exact=False)
    print(f"steps of {STEP}, {STEP / EXPLICIT_STEP:.0f} times what an explicit method may take")
    print(f"{iterations:.1f} Newton iterations a step; changes of the last step:", end=" ")
    print(" ".join(f"{change:.0e}" for change in changes))
    print(f"speed of the front: {speed(found):.4f}, with the true rate {speed(true):.4f}")
    start = perf_counter()
    burn(model, exact=False)
    print(f"{20 / STEP / (perf_counter() - start):,.0f} steps/s of {CELLS} cells")
    if picture:
        draw(model, picture)


if __name__ == "__main__":
    main()
