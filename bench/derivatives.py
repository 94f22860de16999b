"""Training on values and derivatives beside jenn: ``python -m bench.derivatives``.

jenn (Berguin, 2024) trains the same networks on Jacobians in NumPy. Functions of its examples, and
the right-hand side of a double pendulum, are learned from the same rows: the same layers of tanh,
the same objective of standardized values and derivatives, Adam with the same betas. jenn has its
default rate and, as by default, full batches; fastbp a rate that falls as a cosine. It makes as
many updates, and also fewer passes over the rows, by mini-batches where there are many: then jenn
does so, too.
Sides take turns, each in one thread. Prints medians over seeds: the time of a training, errors of
values and of derivatives on unseen rows as shares of their standard deviations, and how much faster
fastbp is.
The last side is fastbp without derivatives.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench import environment, table

MODULE = "bench.derivatives"
SEEDS, UPDATES, UNSEEN = 5, 1000, 2000
BETAS = (0.9, 0.99)
SHARE, BATCH = 0.3, 128
JENN, FASTBP, VALUES = "jenn", "fastbp", "fastbp, values alone"
SHORT = f"fastbp, {SHARE:.0%} of the passes, batches of {BATCH}"
JENN_SHORT = SHORT.replace(FASTBP, JENN)
RATES = {FASTBP: 0.05, SHORT: 0.05, VALUES: 0.02}


def sinusoid(x):
    return x * np.sin(x)


def rosenbrock(x):
    a, b = x.T
    return ((1 - a) ** 2 + 100 * (b - a**2) ** 2)[:, None]


def rastrigin(x):
    return (10 + x**2 - 10 * np.cos(2 * np.pi * x)).sum(axis=1, keepdims=True)


def pendulum(x):
    """Angular accelerations of a double pendulum of unit masses and lengths."""
    a, b, p, q = x.T
    d, g = a - b, 9.81
    below = 3 - np.cos(2 * d)
    first = -3 * g * np.sin(a) - g * np.sin(a - 2 * b)
    first = first - 2 * np.sin(d) * (q**2 + p**2 * np.cos(d))
    second = 2 * np.sin(d) * (2 * p**2 + 2 * g * np.cos(a) + q**2 * np.cos(d))
    return np.stack([first, second], axis=1) / below[:, None]


@dataclass(frozen=True)
class Problem:
    """A function on a box, and the network that learns it from so many rows."""

    function: Callable
    low: tuple[float, ...]
    high: tuple[float, ...]
    rows: int
    hidden: tuple[int, ...]

    def data(self, count, seed):
        """(X, y, J): rows of a Latin hypercube, derivatives by complex steps."""
        rng, n = np.random.default_rng(seed), len(self.low)
        cells = np.stack([rng.permutation(count) for _ in range(n)], axis=1)
        unit = (cells + rng.random((count, n))) / count
        X = np.array(self.low) + unit * (np.array(self.high) - self.low)
        steps = [self.function(X + 1e-30j * axis).imag / 1e-30 for axis in np.eye(n)]
        return X, self.function(X), np.stack(steps, axis=2)

    @property
    def sizes(self):
        outputs = self.function(np.zeros((1, len(self.low)))).shape[1]
        return [len(self.low), *self.hidden, outputs]


PROBLEMS = {
    "sinusoid": Problem(sinusoid, (-np.pi,), (np.pi,), 8, (12,)),
    "rosenbrock": Problem(rosenbrock, (-2, -2), (2, 2), 64, (24, 24)),
    "rastrigin": Problem(rastrigin, (-1, -1), (1.5, 1.5), 128, (32, 32)),
    "pendulum": Problem(pendulum, (-3, -3, -2, -2), (3, 3, 2, 2), 512, (64, 64)),
}


@dataclass(frozen=True)
class Result:
    """Seconds of a training; errors of values and of derivatives, as shares of their deviations."""

    seconds: float
    values: float
    derivatives: float


def passes_of(side, rows, updates):
    """(passes over the rows, rows of a batch) in place of ``updates`` by all rows."""
    if side in (SHORT, JENN_SHORT):
        return max(1, int(updates * SHARE)), min(BATCH, rows)
    return updates, rows


def by_jenn(problem, data, unseen, seed, updates, side=JENN):
    try:
        from jenn import NeuralNet
    except ImportError as error:
        raise SystemExit("bench.derivatives needs jenn: pip install jenn") from error

    X, y, J = data
    net = NeuralNet(problem.sizes, "tanh", "linear")
    passes, batch = passes_of(side, len(X), updates)
    whole = batch == len(X)
    started = time.perf_counter()
    net.fit(
        X.T,
        y.T,
        np.moveaxis(J, 0, -1),
        is_normalize=True,
        beta1=BETAS[0],
        beta2=BETAS[1],
        batch_size=batch,
        epochs=1 if whole else passes,
        max_iter=passes if whole else 1,
        random_state=seed,
    )
    seconds = time.perf_counter() - started
    p, dp = net(unseen[0].T)
    return measured(seconds, p.T, np.moveaxis(dp, -1, 0), unseen)


def by_fastbp(problem, data, unseen, seed, updates, side=FASTBP):
    import fastbp

    X, y, J = data
    passes, batch = passes_of(side, len(X), updates)
    started = time.perf_counter()
    net = fastbp.Network(problem.sizes, "tanh", seed=seed)
    net.standardize(X, y)
    trainer = fastbp.Trainer(
        net,
        loss="mse",
        optimizer=fastbp.Adam(lr=RATES[side], betas=BETAS),
        batch_size=batch,
        schedule=fastbp.schedules.Cosine(passes * -(-len(X) // batch)),
        seed=seed,
        threads=1,
    )
    known = {"jacobian": J, "jacobian_weight": len(X[0])} if side != VALUES else {}
    trainer.fit(X, y, epochs=passes, shuffle=batch < len(X), progress=False, **known)
    seconds = time.perf_counter() - started
    return measured(seconds, net.predict(unseen[0]), slopes(net, unseen[0]), unseen)


def slopes(net, X):
    """The Jacobian by central differences in double precision."""
    import fastbp

    wide = fastbp.Network(net.sizes, "tanh", dtype="float64", seed=0)
    wide.set_parameters(net.weights, net.biases)
    wide.set_scaling(
        input_mean=net.input_mean,
        input_scale=net.input_scale,
        target_mean=net.target_mean,
        target_scale=net.target_scale,
    )
    steps = 1e-5 * np.diag(np.ptp(X, axis=0))
    differences = [(wide.predict(X + s) - wide.predict(X - s)) / (2 * s.sum()) for s in steps]
    return np.stack(differences, axis=2)


def measured(seconds, p, dp, unseen):
    _, y, J = unseen
    errors = [
        float(np.sqrt(((one - other) ** 2 / other.var(axis=0)).mean()))
        for one, other in ((p, y), (dp, J))
    ]
    return Result(seconds, *errors)


def side_of(name):
    by = by_jenn if name in (JENN, JENN_SHORT) else by_fastbp
    return lambda *arguments: by(*arguments, side=name)


def race(problem, sides, seeds, updates):
    """{side: [Result, ...]}, one for each seed, by turns."""
    found = {side: [] for side in sides}
    for seed in range(seeds):
        data = problem.data(problem.rows, seed)
        unseen = problem.data(UNSEEN, 1000 + seed)
        for side in sides:
            found[side].append(side_of(side)(problem, data, unseen, seed, updates))
    return found


def rows_of(name, found):
    """The lines of a problem in the table."""
    peers = found.get(JENN)
    for side, results in found.items():
        ratios = [one.seconds / r.seconds for one, r in zip(peers or [], results, strict=False)]
        yield [
            name,
            side,
            f"{1000 * median(r.seconds for r in results):.1f}",
            f"{median(r.values for r in results):.4f}",
            f"{median(r.derivatives for r in results):.4f}",
            f"{median(ratios):.1f}" if ratios else "-",
        ]


HEADER = ["problem", "side", "ms", "error of y", "error of dy/dx", "times as fast as jenn"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--without-jenn", action="store_true", help="where it is not installed")
    options = parser.parse_args()
    sides = [FASTBP, SHORT, VALUES]
    sides = sides if options.without_jenn else [JENN, JENN_SHORT, *sides]
    environment.run_in(environment.fair(os.environ, 1), MODULE)
    for side in sides:  # compiled, and loaded
        problem = PROBLEMS["sinusoid"]
        data = problem.data(8, 0)
        side_of(side)(problem, data, data, 0, 2)
    lines = [HEADER]
    for name in options.problems:
        print(name, end=" ", flush=True)
        lines += rows_of(name, race(PROBLEMS[name], sides, options.seeds, options.updates))
    print()
    print(table.plain(lines, left=2))


if __name__ == "__main__":
    main()
