"""Jacobians by fastbp, torch.func.jacrev under vmap and JAX's jitted jacrev, interleaved.

``python -m bench.jacobian`` prints the median time of a call, and the ratios of neighboring windows
to it. torch uses one thread or all, whichever is faster in a trial. "row by row" are 64 rows, each
by a call of ``embed.jacobian`` in an njit loop, and in JAX by a scan.
"""

import argparse
import itertools
import os
from statistics import median

from bench import environment, race, table

SMALL, LARGE = (8, 64, 64, 3), (100, 512, 512, 50)
CASES = ((SMALL, 1), (SMALL, 256), (LARGE, 256))
SCAN_ROWS = 64
FASTBP, TORCH, JAX = "fastbp", "torch", "jax"


def network(sizes):
    import fastbp

    return fastbp.Network(sizes, activation="tanh", seed=0)


def rows(sizes, count):
    import numpy as np

    return np.random.default_rng(0).standard_normal((count, sizes[0])).astype("float32")


def torch_side(net, X):
    """(call, setting of the threads) of torch."""
    import timeit

    import torch

    module = net.to_torch().requires_grad_(False)
    tensor, jacobian = torch.from_numpy(X), torch.func.vmap(torch.func.jacrev(module))

    def trial(threads):
        torch.set_num_threads(threads)
        jacobian(tensor)
        return min(timeit.repeat(lambda: jacobian(tensor), number=1, repeat=5))

    best = min({1, environment.available_cpus()}, key=trial)
    return lambda: jacobian(tensor).numpy(), lambda: torch.set_num_threads(best)


def jax_model(net):
    """(parameters, function of parameters and a row)."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax.numpy as jnp

    parameters = [
        (jnp.array(W), jnp.array(b)) for W, b in zip(net.weights, net.biases, strict=True)
    ]

    def outputs(parameters, x):
        *hidden, (W, b) = parameters
        for V, c in hidden:
            x = jnp.tanh(x @ V + c)
        return x @ W + b

    return parameters, outputs


def jax_side(net, X, scans=False):
    parameters, outputs = jax_model(net)
    import jax

    of_row = jax.jacrev(outputs, 1)
    many = jax.vmap(of_row, (None, 0))
    if scans:

        def many(parameters, X):
            return jax.lax.map(lambda x: of_row(parameters, x), X)

    jitted, array = jax.jit(many), jax.numpy.array(X)
    return lambda: jitted(parameters, array).block_until_ready()


def embedded(net, X):
    """One call for each row, in an njit loop."""
    import numba
    import numpy as np

    import fastbp

    model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), batch_size=1).compiled()
    out = np.empty((len(X), net.sizes[-1], net.sizes[0]), X.dtype)

    @numba.njit
    def derive_rows(model, X, out):
        for r in range(len(X)):
            fastbp.embed.jacobian(model, X[r], out[r])
        return out

    return lambda: derive_rows(model, X, out)


def racers(sides):
    """One of each side; all have shown that they compute the same.

    sides: {name: (call, what to set before)}.
    """
    import numpy as np

    expected, made = None, []
    for name, (call, enter) in sides.items():
        enter()
        found = np.asarray(call())
        expected = found if expected is None else expected
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
        made.append(race.Racer(name, call, itertools.repeat(()), enter))
    return made


def nothing():
    pass


def contests():
    """(sizes, title, sides) of each row of the table."""
    for sizes, count in CASES:
        net, X = network(sizes), rows(sizes, count)
        sides = {
            FASTBP: (lambda net=net, X=X: net.jacobian(X), nothing),
            TORCH: torch_side(net, X),
            JAX: (jax_side(net, X), nothing),
        }
        yield sizes, f"{'-'.join(map(str, sizes))}, {count} row{'s' * (count > 1)}", sides
    net, X = network(SMALL), rows(SMALL, SCAN_ROWS)
    sides = {FASTBP: (embedded(net, X), nothing), JAX: (jax_side(net, X, scans=True), nothing)}
    yield SMALL, f"{'-'.join(map(str, SMALL))}, {SCAN_ROWS} rows, row by row", sides


def line(title, seconds):
    """A row of the table."""
    ratios = {
        name: f"{median(a / b for a, b in zip(seconds[name], seconds[FASTBP], strict=True)):.2f}x"
        for name in seconds
    }
    microseconds = f"{1e6 * median(seconds[FASTBP]):.1f}"
    return [title, microseconds, ratios.get(TORCH, "-"), ratios[JAX]]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.jacobian", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of all sides in turns")
    options = parser.parse_args(arguments)
    environment.run_in(environment.fair(os.environ, environment.available_cpus()), "bench.jacobian")
    found = [["Jacobians", "fastbp µs", "torch jacrev over it", "JAX jacrev over it"]]
    for _, title, sides in contests():
        laps = race.windows(racers(sides), options.rounds)
        seconds = dict(zip(sides, laps, strict=True))
        found.append(line(title, seconds))
    print(table.plain(found))


if __name__ == "__main__":
    main()
