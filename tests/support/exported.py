"""Networks of all kinds to export, and their C code as functions of arrays."""

import ctypes
from itertools import cycle

import numpy as np

import fastbp
from fastbp.kernels.base import codes

RNG_SEED = 5


def network(rng, sizes, activation, output="identity", **options):
    """A network whose biases, gains and shifts are random, too."""
    net = fastbp.Network(sizes, activation, output, seed=int(rng.integers(1000)), **options)
    biases = [rng.normal(0, 0.5, n) for n in sizes[1:]]
    norms = [[rng.uniform(0.5, 1.5, len(g)) for g in net.gains] for _ in range(2)]
    net.set_parameters(net.weights, biases, *(norms if net.layer_norm else ()))
    return net


def scaled(rng, net):
    """The network with a scaling of inputs and targets."""
    n_in, n_out = net.sizes[0], net.sizes[-1]
    net.set_scaling(
        input_mean=rng.normal(0, 5, n_in),
        input_scale=rng.uniform(0.5, 5, n_in),
        target_mean=rng.normal(0, 5, n_out),
        target_scale=rng.uniform(0.5, 5, n_out),
    )
    return net


def random_networks(count=12):
    """Networks by chance, with every activation in both dtypes, and products of every shape.

    Widths are those at which packing.py changes its mind, and others.
    """
    rng, widths = np.random.default_rng(RNG_SEED), [1, 3, 8, 9, 31, 32, 33, 40, 41, 64, 70]
    hidden, found = cycle(codes.HIDDEN_ACTIVATIONS), []
    outputs = cycle(["identity", "softmax", "sigmoid", "tanh"])
    for i in range(count):
        depth = int(rng.integers(2, 5))
        sizes = [int(n) for n in rng.choice(widths, depth + 2)]
        if i % 3 == 0:
            sizes[1:-1] = [sizes[1]] * depth  # some can be residual
        options = {"layer_norm": i % 4 == 1 and sizes[1] > 1, "residual": i % 3 == 0}
        dtype = ("float32", "float64")[i % 2]
        kinds = [next(hidden) for _ in range(depth)]
        net = network(rng, sizes, kinds, next(outputs), dtype=dtype, **options)
        found.append(scaled(rng, net) if i % 3 != 1 else net)
    return found


class Library:
    """The functions of exported networks in a shared library, as functions of arrays."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))

    def of(self, name, net, header):
        return Exported(self.library, name, net, model_number(header, name))


def model_number(header, name):
    """The number in a header that init must be told."""
    (line,) = [x for x in header.splitlines() if x.startswith(f"#define {name.upper()}_MODEL")]
    return int(line.split()[-1].removesuffix("u"), 16)


class Exported:
    """One network. Its context has room to spare, so that wrong sizes do no harm."""

    def __init__(self, library, name, net, model):
        self.library, self.name, self.net, self.model = library, name, net, model
        self.context = self.new_context()

    def size_of_context(self):
        return self.library[f"size_of_{self.name}"]()

    def new_context(self):
        size = self.library[f"size_of_{self.name}"]()
        context = ctypes.create_string_buffer(size)
        assert self.call("init", context, ctypes.c_size_t(size), ctypes.c_uint64(self.model)) == 0
        return context

    def call(self, function, *arguments):
        return self.library[f"{self.name}_{function}"](*arguments)

    def on_rows(self, function, *arrays, shape, context=None):
        """The result of a function of rows: X, maybe v, and an array to fill."""
        out = np.full((len(arrays[0]), *shape), 77, self.net.dtype)
        pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (*arrays, out)]
        rows = ctypes.c_size_t(len(arrays[0]))
        status = self.call(function, context or self.context, rows, *pointers)
        assert status == 0, f"{function} of {self.name}: {status}"
        return out

    def predict(self, X, context=None):
        return self.on_rows("predict", X, shape=self.net.sizes[-1:], context=context)

    def input_gradient(self, X, v):
        return self.on_rows("input_gradient", X, v, shape=self.net.sizes[:1])

    def jacobian(self, X):
        return self.on_rows("jacobian", X, shape=(self.net.sizes[-1], self.net.sizes[0]))


def size_source(names):
    """C code that tells the sizes of the contexts."""
    includes = "".join(f'#include "{name}.h"\nint size_of_{name}(void);\n' for name in names)
    return includes + "".join(
        f"int size_of_{name}(void)\n{{\n    return (int)sizeof({name}_context);\n}}\n"
        for name in names
    )
