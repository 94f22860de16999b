"""A policy gradient by `step_from`: REINFORCE on a cart-pole, all of it in one ``@njit`` loop.

The loss is -mean over the steps of G ln p(action), where G is the discounted return of the step
minus the mean of the batch, divided by its deviation. The gradient by the outputs p of the softmax
is -G / (B p(action)) at the action that was taken and 0 elsewhere (Williams, 1992). An episode ends
when the pole or the cart is lost, or after 200 ticks; each tick is a reward of 1.
"""

import argparse
import math
from time import perf_counter

import numpy as np
from numba import njit

import fastbp
from fastbp import embed

TICKS = 200
"""Ticks of an episode, at most."""

BATCH = 2000
"""Ticks of an update, at most: whole episodes."""

DISCOUNT = 0.99


@njit
def push(s, right):
    """Move the state (x, x', angle, angle') by a tick of 20 ms; whether the pole still stands."""
    force = 10.0 if right else -10.0
    sin, cos = math.sin(s[2]), math.cos(s[2])
    pull = (force + 0.05 * s[3] * s[3] * sin) / 1.1
    turn = (9.8 * sin - cos * pull) / (0.5 * (4.0 / 3.0 - 0.1 * cos * cos / 1.1))
    s[0], s[1] = s[0] + 0.02 * s[1], s[1] + 0.02 * (pull - 0.05 * turn * cos / 1.1)
    s[2], s[3] = s[2] + 0.02 * s[3], s[3] + 0.02 * turn
    return abs(s[0]) < 2.4 and abs(s[2]) < 0.209


@njit
def play(model, rng, X, action, gain, start):
    """Play an episode into rows ``start`` .. of X, action and gain; return the row after it."""
    s, p, end = np.empty(4), np.empty(2, np.float32), start
    for j in range(4):
        s[j] = 0.1 * (rng.random() - 0.5)
    stands = True
    while stands and end < start + TICKS:
        for j in range(4):
            X[end, j] = s[j]
        embed.predict(model, X[end], p)
        action[end] = 1 if rng.random() < p[1] else 0
        stands = push(s, action[end] == 1)
        end += 1
    later = 0.0
    for i in range(end - 1, start - 1, -1):
        later = 1.0 + DISCOUNT * later
        gain[i] = later
    return end


@njit
def learn(model, updates, rng):
    """Return the mean return of the episodes before each update."""
    X, p = np.empty((BATCH, 4), np.float32), np.empty((BATCH, 2), np.float32)
    dloss_dp, action, gain = np.empty_like(p), np.empty(BATCH, np.int64), np.empty(BATCH)
    returns = np.empty(updates)
    for update in range(updates):
        rows, episodes = 0, 0
        while rows + TICKS <= BATCH:
            rows = play(model, rng, X, action, gain, rows)
            episodes += 1
        returns[update] = rows / episodes
        embed.predict(model, X[:rows], p[:rows])
        middle, spread = gain[:rows].mean(), gain[:rows].std() + 1e-8
        dloss_dp[:] = 0
        for i in range(rows):
            taken = action[i]
            dloss_dp[i, taken] = -(gain[i] - middle) / spread / (rows * p[i, taken])
        embed.step_from(model, X[:rows], dloss_dp[:rows])
    return returns


def new_trainer(seed=0):
    """Return the trainer of a new policy; its loss plays no part."""
    net = fastbp.Network([4, 32, 2], activation="tanh", output="softmax", seed=seed)
    optimizer = fastbp.Adam(lr=0.01)
    return fastbp.Trainer(net, loss="cross_entropy", optimizer=optimizer, batch_size=BATCH)


def draw(path, seeds=3, updates=100):
    """Draw the mean return by update."""
    import pictures

    ax = pictures.axes("REINFORCE: mean return of the episodes, at most 200", "update", "return")
    for seed in range(seeds):
        returns = learn(new_trainer(seed).compiled(), updates, np.random.default_rng(seed))
        ax.plot(returns, color=pictures.COLORS[seed], linewidth=1, label=f"seed {seed}")
    pictures.keep(ax, path)


def main():
    parser = argparse.ArgumentParser(description="A policy gradient on a cart-pole.")
    parser.add_argument("--picture", metavar="PATH", help="draw it, too, as a PNG file")
    picture = parser.parse_args().picture
    learn(new_trainer().compiled(), 1, np.random.default_rng(0))
    start = perf_counter()
    returns = learn(new_trainer().compiled(), 100, np.random.default_rng(0))
    seconds = perf_counter() - start
    for i in range(0, 100, 10):
        print(f"updates {i:3} to {i + 10:3}: mean return {returns[i : i + 10].mean():6.1f}")
    print(f"100 updates in {seconds:.2f} s")
    if picture:
        draw(picture)


if __name__ == "__main__":
    main()
