"""One row by the C code of ``Network.to_c`` beside fastbp's own and plain scalar C, interleaved.

``python -m bench.c_export`` compiles both C programs with the same options, calls each for row
after row of a small and a medium network, and prints medians of the ratios of neighboring windows.
fastbp's own side is ``embed.predict`` in an njit loop. The scalar C is what exporters of ONNX files
write: an array for each layer, a sum for each output, a call of libm for each tanh.
"""

import argparse
import ctypes
import itertools
import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from bench import environment, race, table

NETWORKS = {"small": (8, 64, 64, 1), "medium": (784, 256, 128, 10)}
ACTIVATIONS = ("relu", "tanh")
OPTIONS = "-O3 -march=native -ffp-contract=fast"
ROWS = 64
OWN, EXPORTED, SCALAR = "fastbp", "exported C", "scalar C"

LOOP = """
#include "model.h"
void call_rows(const float *X, float *out)
{
    static model_context context;
    int r;
    model_init(&context, sizeof context, MODEL_MODEL);
    for (r = 0; r < ROWS; r++)
        model_predict(&context, 1, X + r * MODEL_INPUTS, out + r * MODEL_OUTPUTS);
}
"""


def network(sizes, activation):
    import fastbp

    return fastbp.Network(sizes, activation, seed=0)


def scalar_source(net):
    """The network as exporters of ONNX files write it: W (outputs, inputs), a sum at a time."""
    from fastbp.export.c_numbers import array_text

    lines = ["#include <math.h>\n"]
    calls, before = [], "X + r * INPUTS"
    pairs = zip(net.weights, net.biases, net.activations, strict=True)
    for i, (W, b, activation) in enumerate(pairs):
        n_in, n_out = W.shape
        lines.append(array_text(f"static const float W{i}[{n_out}][{n_in}]", [("", W.T)]))
        lines.append(array_text(f"static const float b{i}[{n_out}]", [("", b)]))
        lines.append(f"static float a{i}[{n_out}];\n")
        value = {"relu": "sum > 0 ? sum : 0", "tanh": "tanhf(sum)", "identity": "sum"}[activation]
        lines.append(
            f"static void layer{i}(const float *x)\n{{\n    for (int o = 0; o < {n_out}; o++) {{\n"
            f"        float sum = 0;\n        for (int j = 0; j < {n_in}; j++)\n"
            f"            sum += x[j] * W{i}[o][j];\n        sum += b{i}[o];\n"
            f"        a{i}[o] = {value};\n    }}\n}}\n"
        )
        calls.append(f"        layer{i}({before});\n")
        before = f"a{i}"
    end = "        for (int j = 0; j < OUTPUTS; j++)\n"
    end += f"            out[r * OUTPUTS + j] = {before}[j];\n"
    head = "void call_rows(const float *X, float *out)\n{\n    for (int r = 0; r < ROWS; r++) {\n"
    return "".join([*lines, head, *calls, end, "    }\n}\n"])


def compiled(folder, name, sources, compiler, sizes):
    """The function call_rows of a shared library."""
    library = Path(folder) / f"{name}.so"
    counts = [f"-DROWS={ROWS}", f"-DINPUTS={sizes[0]}", f"-DOUTPUTS={sizes[-1]}"]
    options = [*shlex.split(OPTIONS), "-std=c99", "-w", "-shared", "-fPIC", *counts]
    command = [*shlex.split(compiler), *options, *sources, "-lm", "-o", library]
    subprocess.run(list(map(str, command)), check=True)
    return ctypes.CDLL(str(library)).call_rows


def own(net):
    """A function of (X, out) that predicts row after row."""
    import numba

    import fastbp

    model = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(lr=0.1), batch_size=1).compiled()

    @numba.njit
    def call_rows(model, X, out):
        for r in range(len(X)):
            fastbp.embed.predict(model, X[r], out[r])

    return lambda X, out: call_rows(model, X, out)


def sides(folder, net, compiler):
    """{name: function of (X, out)}."""
    folder = Path(folder)
    net.to_c(folder / "model.c")
    (folder / "loop.c").write_text(LOOP)
    (folder / "scalar.c").write_text(scalar_source(net))
    exported = [folder / "model.c", folder / "loop.c"]
    found = {EXPORTED: exported, SCALAR: [folder / "scalar.c"]}
    calls = {
        name: by_address(compiled(folder, name.partition(" ")[0], sources, compiler, net.sizes))
        for name, sources in found.items()
    }
    return {OWN: own(net), **calls}


def by_address(function):
    return lambda X, out: function(ctypes.c_void_p(X.ctypes.data), ctypes.c_void_p(out.ctypes.data))


def racers(folder, net, compiler):
    """One of each side; a lap is ROWS rows. All have shown that they compute the same."""
    import numpy as np

    X = np.random.default_rng(0).standard_normal((ROWS, net.sizes[0])).astype("float32")
    found = []
    for name, call in sides(folder, net, compiler).items():
        out = np.empty((ROWS, net.sizes[-1]), "float32")
        call(X, out)
        np.testing.assert_allclose(out, net.predict(X), rtol=1e-3, atol=1e-4)
        found.append(race.Racer(name, call, itertools.repeat((X, out))))
    return found


def measure(net, compiler, rounds):
    """{side: seconds a row in each window}."""
    with tempfile.TemporaryDirectory() as folder:
        found = racers(folder, net, compiler)
        seconds = race.windows(found, rounds)
    pairs = zip(found, seconds, strict=True)
    return {racer.name: [lap / ROWS for lap in laps] for racer, laps in pairs}


def ratio(seconds, one, other):
    return median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.c_export", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--compilers", nargs="+", default=["gcc"], help="(default: gcc)")
    options = parser.parse_args(arguments)
    environment.run_in(environment.fair(os.environ, 1), "bench.c_export")
    rows = [["one row", "compiler", "exported ns", "of fastbp's time", "scalar C over it"]]
    for name, compiler, activation in itertools.product(NETWORKS, options.compilers, ACTIVATIONS):
        seconds = measure(network(NETWORKS[name], activation), compiler, options.rounds)
        nanoseconds = f"{1e9 * median(seconds[EXPORTED]):.0f}"
        beside = f"{ratio(seconds, EXPORTED, OWN):.2f}x", f"{ratio(seconds, SCALAR, EXPORTED):.1f}x"
        rows.append([f"{name} {activation}", compiler, nanoseconds, *beside])
    print(table.plain(rows))


if __name__ == "__main__":
    main()
