"""Active learning: the next runs of a simulation are where an ensemble of networks disagrees.

A simulation has two parameters. Its result has a steep front on a circle, and is noisy in one half
of the plane. Five networks learn means and variances (`fastbp.BetaNLL`) of the runs made so far;
then twenty more runs are made, at random, where the predicted deviation is largest, or where its
epistemic part is, which tells how far the networks disagree. The whole deviation leads into the
noise, from which nothing is to be learned; the disagreement leads to the front.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

import fastbp
from fastbp.schedules import Cosine

MEMBERS, FIRST, EACH, ROUNDS = 5, 50, 20, 8
"""Networks; runs at the start; runs added in a round; rounds."""

EPOCHS, BATCH = 200, 16
CANDIDATES = 2000
WAYS = ("random", "whole deviation", "disagreement")


def truth(x):
    """Return the result (n, 1) without noise of parameters x (n, 2)."""
    radius = np.hypot(x[:, :1] - 0.3, x[:, 1:])
    return np.tanh(12 * (radius - 0.5)) + 0.5 * x[:, 1:]


def simulate(x, rng):
    """Return the results (n, 1) of runs, noisy where the first parameter is below -0.3."""
    noise = np.where(x[:, :1] < -0.3, 0.5, 0.02)
    return truth(x) + noise * rng.normal(size=(len(x), 1))


def learn(x, y, seed):
    """Return an ensemble that has learned the runs x (n, 2) with results y (n, 1)."""

    def member(number):
        net = fastbp.Network([2, 64, 64, 2], activation="relu", seed=100 * seed + number)
        net.standardize(x, y)
        updates = EPOCHS * -(-len(x) // BATCH)
        options = {"batch_size": BATCH, "schedule": Cosine(updates), "threads": 1, "seed": number}
        adam = fastbp.Adam(lr=0.01)
        trainer = fastbp.Trainer(net, loss=fastbp.BetaNLL(), optimizer=adam, **options)
        trainer.fit(x, y, EPOCHS, progress=False)
        return net

    with ThreadPoolExecutor(MEMBERS) as pool:
        nets = list(pool.map(member, range(MEMBERS)))
    return fastbp.Ensemble(nets, likelihood="gaussian")


def choose(ensemble, way, rng):
    """Return the parameters (EACH, 2) of the next runs.

    They are drawn by the square of the deviation, not the EACH largest, which lie side by side
    (Kirsch et al., Stochastic batch acquisition, TMLR 2023).
    """
    x = rng.uniform(-1, 1, (CANDIDATES, 2))
    found = ensemble.predict_uncertainty(x)
    scores = {
        "random": np.ones(CANDIDATES),
        "whole deviation": found.std[:, 0].astype(float) ** 2,
        "disagreement": found.epistemic[:, 0].astype(float) ** 2,
    }[way]
    return x[rng.choice(CANDIDATES, EACH, replace=False, p=scores / scores.sum())]


def run(way, seed=0, rounds=ROUNDS):
    """Return the parameters of all runs, and the errors of the mean, before each round and last."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (FIRST, 2))
    y, errors = simulate(x, rng), []
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 60)] * 2), axis=-1).reshape(-1, 2)
    for number in range(rounds + 1):
        ensemble = learn(x, y, seed)
        errors.append(np.sqrt(np.mean((ensemble.predict(grid) - truth(grid)) ** 2)))
        if number < rounds:
            more = choose(ensemble, way, rng)
            x, y = np.concatenate([x, more]), np.concatenate([y, simulate(more, rng)])
    return x, np.array(errors)


def draw(found, path):
    """Draw where the runs lie, and the errors. found: (x, errors (seeds, rounds + 1)) by way."""
    import pictures

    axes = pictures.figure(3)
    grid = np.linspace(-1, 1, 100)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    for ax, way in zip(axes, WAYS[1:], strict=False):
        x, _ = found[way]
        shape = len(grid), len(grid)
        ax.contourf(grid, grid, truth(points).reshape(shape), 3, cmap="Greys", alpha=0.4)
        ax.plot(*x.T, "o", color=pictures.COLORS[WAYS.index(way)], markersize=2)
        pictures.entitle(ax, f"Runs by {way}", "noise left of -0.3", "")
    for way, color in zip(WAYS, pictures.COLORS, strict=False):
        errors = found[way][1]
        runs = FIRST + EACH * np.arange(errors.shape[1])
        axes[2].plot(runs, errors.mean(axis=0), color=color, label=way)
    pictures.entitle(axes[2], "Error of the mean", "runs", "RMSE")
    axes[2].set_yscale("log")
    pictures.keep(axes[2], path)


def main():
    parser = argparse.ArgumentParser(description="Runs of a simulation where networks disagree.")
    parser.add_argument("--picture", metavar="PATH", help="draw it, too, as a PNG file")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions (default 2)")
    options = parser.parse_args()
    start, found = perf_counter(), {}
    for way in WAYS:
        each = [run(way, seed) for seed in range(options.seeds)]
        found[way] = each[0][0], np.array([errors for _, errors in each])
        means = found[way][1].mean(axis=0)
        shown = "  ".join(f"{means[i]:.3f}" for i in range(0, ROUNDS + 1, 2))
        print(f"{way:15}  error after {FIRST}, {FIRST + 2 * EACH}, ... runs: {shown}")
    print(
        f"{len(WAYS) * options.seeds * (ROUNDS + 1) * MEMBERS} networks in "
        f"{perf_counter() - start:.0f} s"
    )
    if options.picture:
        draw(found, options.picture)


if __name__ == "__main__":
    main()
