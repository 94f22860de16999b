"""The C code of ``Network.to_c``: values, derivatives, statuses, files of numbers, warnings."""

import ctypes
import platform
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.export import content, rounding, self_test
from fastbp.kernels import reference
from fastbp.kernels.base import codes
from support import exported
from support.compilers import (
    C99,
    FAST,
    SANITIZED,
    STRICT,
    build,
    call,
    each_c,
    needs_cpp,
    needs_gcc,
)
from support.exported import network

pytestmark = pytest.mark.process

ROWS = 9


def rows_of(net, count=ROWS, seed=3):
    """(X, v), X as the self-test has it."""
    rng, of_net = np.random.default_rng(seed), content.of_network(net)
    X = rng.standard_normal((count, net.sizes[0]))
    if of_net.inputs is not None:
        X = X / of_net.inputs[1] + of_net.inputs[0]
    return X.astype(net.dtype), rng.standard_normal((count, net.sizes[-1])).astype(net.dtype)


# Values and derivatives of networks of every kind


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """By compiler: all random networks in one shared library, made when it is asked for."""
    made = {}

    def library(compiler):
        if compiler not in made:
            made[compiler] = all_networks(compiler, tmp_path_factory.mktemp(compiler))
        return made[compiler]

    return library


def all_networks(compiler, folder, nets=None, options=FAST):
    nets = {f"net{i}": net for i, net in enumerate(nets or exported.random_networks())}
    for name, net in nets.items():
        net.to_c(folder / f"{name}.c", derivatives=True)
    (folder / "sizes.c").write_text(exported.size_source(nets))
    sources = [f"{name}.c" for name in (*nets, "sizes")]
    build(compiler, folder, "all.so", *C99, *options, "-shared", "-fPIC", *sources)
    library = exported.Library(folder / "all.so")
    headers = {name: (folder / f"{name}.h").read_text() for name in nets}
    return [library.of(name, net, headers[name]) for name, net in nets.items()]


def test_networks_by_chance_are_of_every_kind():
    nets = exported.random_networks()
    for dtype in ("float32", "float64"):
        of_dtype = [net for net in nets if net.dtype == dtype]
        assert {a for net in of_dtype for a in net.activations} >= set(codes.HIDDEN_ACTIVATIONS)
        assert {net.layer_norm for net in nets} == {net.residual for net in nets} == {True, False}
    assert any(net.output == "softmax" for net in nets)


@each_c
def test_predictions_agree_with_those_of_fastbp(libraries, compiler):
    """Within twice the error that rounding.py allows to each of both."""
    for one in libraries(compiler):
        X, v = rows_of(one.net)
        allowed = self_test.expected(content.of_network(one.net), X, v).of_p
        distance = np.abs(one.predict(X) - one.net.predict(X)).max(axis=1)
        assert (distance <= allowed).all(), one.net


@each_c
def test_derivatives_agree_with_the_formulas(libraries, compiler):
    for one in libraries(compiler):
        found = self_test.expected(content.of_network(one.net), *rows_of(one.net))
        gradient = one.input_gradient(found.X, found.v)
        assert (np.abs(gradient - found.gradient).max(axis=1) <= found.of_gradient).all(), one.net
        summed = np.einsum("ro,roi->ri", np.float64(found.v), one.jacobian(found.X))
        assert (np.abs(summed - found.gradient).max(axis=1) <= found.of_jacobian).all(), one.net


@each_c
def test_the_gradient_is_that_of_embed(libraries, compiler):
    """The formulas of rounding.py are no other than fastbp's: a float64 network, to 1e-12."""
    for one in (one for one in libraries(compiler) if one.net.dtype == "float64"):
        X, v = rows_of(one.net)
        loss = "cross_entropy" if one.net.output == "softmax" else "mse"
        if one.net.output == "softmax" and one.net.target_mean is not None:
            continue  # no loss of fastbp goes with it
        trainer = fastbp.Trainer(one.net, loss=loss, optimizer=fastbp.SGD(lr=0.1), batch_size=ROWS)
        out = np.empty_like(X)
        embed.input_gradient(trainer.compiled(), X, v, out)
        assert np.allclose(one.input_gradient(X, v), out, rtol=1e-9, atol=1e-11), one.net


def one_unit(name, dtype):
    """a(z) for z of the only input."""
    net = fastbp.Network([1, 1], [], name, dtype=dtype, seed=0)
    net.set_parameters([[[1.0]]], [[0.0]])
    return net


@needs_gcc
def test_activations_are_as_close_as_the_bounds_take_them_for(tmp_path):
    """Values and slopes, beside the twins in float64, within FUNCTION units of roundoff."""
    nets = [one_unit(a, dtype) for a in codes.HIDDEN_ACTIVATIONS for dtype in CALLED]
    z = np.concatenate([np.linspace(-20, 20, 4001), np.linspace(-1, 1, 4001), [-110, -89, 95]])
    for one in all_networks("gcc", tmp_path, nets, ("-O1",)):
        u, code = np.finfo(one.net.dtype).eps / 2, codes.ACTIVATIONS[one.net.output].code
        X = z[:, None].astype(one.net.dtype)
        a = reference.activation(code, np.float64(X))
        slope = reference.derivative(code, np.float64(X), a)
        size = np.abs(X) if one.net.output == "gelu" else np.abs(a)
        allowed = rounding.FUNCTION * u * size + np.finfo(one.net.dtype).tiny
        assert (np.abs(one.predict(X) - a) <= allowed).all(), one.net
        found = one.input_gradient(X, np.ones_like(X))
        allowed = rounding.FUNCTION * u * rounding.slope_size(one.net.output, np.float64(X))
        assert (np.abs(found - slope) <= allowed).all(), one.net


@each_c
def test_nan_in_a_row_makes_its_results_nan(libraries, compiler):
    for one in libraries(compiler):
        X, v = rows_of(one.net)
        calls = [one.predict, lambda X, one=one, v=v: one.input_gradient(X, v), one.jacobian]
        before = [function(X) for function in calls]
        X[4, -1] = np.nan
        for function, without in zip(calls, before, strict=True):
            found = function(X)
            assert np.isnan(found[4]).all(), one.net
            assert np.array_equal(np.delete(found, 4, 0), np.delete(without, 4, 0)), one.net


@each_c
def test_a_row_has_the_same_bits_alone_and_in_other_threads(libraries, compiler):
    for one in libraries(compiler)[:3]:
        X, _ = rows_of(one.net, 500)
        together = one.predict(X)
        alone = np.concatenate([one.predict(x[None]) for x in X[:20]])
        assert np.array_equal(alone, together[:20])
        contexts = [one.new_context() for _ in range(4)]
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(one.predict, [X] * 4, contexts):
                assert np.array_equal(found, together)


@needs_gcc
def test_no_row_is_no_work(libraries):
    one = libraries("gcc")[0]
    assert one.call("predict", one.context, ctypes.c_size_t(0), None, None) == 0


NULL_POINTER, WRONG_CONTEXT, TOO_MANY_ROWS, OVERLAP = 1, 2, 3, 4


@needs_gcc
def test_what_cannot_be_right_is_refused_by_a_code(libraries):
    one = libraries("gcc")[0]
    X, _ = rows_of(one.net)
    memory = np.zeros(ROWS * (one.net.sizes[0] + one.net.sizes[-1]), one.net.dtype)
    memory[: X.size] = X.ravel()
    start = memory.ctypes.data
    after, rows = start + X.nbytes, ctypes.c_size_t(ROWS)

    def status(context, count, *places):
        return one.call("predict", context, count, *map(ctypes.c_void_p, places))

    untouched = memory.copy()
    empty = ctypes.create_string_buffer(one.size_of_context())
    assert status(None, rows, start, after) == NULL_POINTER
    assert status(one.context, rows, None, after) == NULL_POINTER
    assert status(one.context, rows, start, None) == NULL_POINTER
    assert status(empty, rows, start, after) == WRONG_CONTEXT
    assert status(one.context, ctypes.c_size_t(2**62), start, after) == TOO_MANY_ROWS
    assert status(one.context, rows, start, after - one.net.dtype.itemsize) == OVERLAP
    assert status(one.context, rows, start, start) == OVERLAP
    assert np.array_equal(memory, untouched)
    assert status(one.context, rows, start, after) == 0


@needs_gcc
def test_init_refuses_a_context_of_another_header(libraries):
    one = libraries("gcc")[0]
    size = one.size_of_context()
    context = ctypes.create_string_buffer(b"\1" * size, size)

    def status(context, size, model):
        return one.call("init", context, ctypes.c_size_t(size), ctypes.c_uint64(model))

    assert status(None, size, one.model) == NULL_POINTER
    assert status(context, size - 4, one.model) == WRONG_CONTEXT
    assert status(context, size, one.model + 1) == WRONG_CONTEXT
    assert context.raw == b"\1" * size
    assert status(context, size, one.model) == 0


# The self-test, warnings and sanitizers


def some_networks():
    """By name: a few networks, and whether their numbers lie in a file."""
    rng = np.random.default_rng(1)
    kinds = {"layer_norm": True, "residual": True}
    rich = network(rng, [5, 33, 33, 7], ["gelu", "tanh"], "sigmoid", **kinds)
    double = network(rng, [33, 40, 40, 2], ["softplus", "mish"], dtype="float64", **kinds)
    plain = network(rng, [4, 8, 3], "selu", "softmax")
    return {
        "rich": (exported.scaled(rng, rich), False),
        "twice": (double, True),
        "few": (plain, True),
    }


@each_c
def test_the_self_test_passes_without_a_warning_under_sanitizers(tmp_path, compiler):
    for name, (net, in_file) in some_networks().items():
        net.to_c(tmp_path / f"{name}.c", True, "file" if in_file else "source")
        build(compiler, tmp_path, name, *C99, *SANITIZED, f"{name}.c", f"{name}_test.c")
        code, said = call(tmp_path, name)
        assert (code, "0 failures" in said) == (0, True), said


@each_c
@pytest.mark.parametrize("options", ["-O3 -ffp-contract=off", "-Ofast -march=native"])
def test_the_self_test_passes_without_fma_and_with_fast_math(tmp_path, compiler, options):
    net, _ = some_networks()["rich"]
    net.to_c(tmp_path / "net.c", derivatives=True)
    build(compiler, tmp_path, "test", *C99, *options.split(), "net.c", "net_test.c")
    assert call(tmp_path, "test")[0] == 0


@needs_gcc
@pytest.mark.parametrize("file", ["net.c", "net_test.c"])
def test_the_self_test_sees_another_number(tmp_path, file):
    net, _ = some_networks()["few"]
    net.to_c(tmp_path / "net.c")
    path, numbers = tmp_path / file, re.compile(r"(?<=\n    )-?0x[\d.a-f]+p[+-]\d+")
    found = list(numbers.finditer(path.read_text()))
    # In one file a bias, in the other the last bound, which becomes tiny.
    number, other = (found[1], "0x1.8p+1") if file == "net.c" else (found[-1], "0x1p-60")
    path.write_text(number.string[: number.start()] + other + number.string[number.end() :])
    build("gcc", tmp_path, "test", *C99, "net.c", "net_test.c")
    code, said = call(tmp_path, "test")
    assert code == 1
    assert "FAILED" in said


@needs_gcc
def test_files_of_different_networks_do_not_compile_together(tmp_path):
    network(np.random.default_rng(0), [3, 4, 2], "relu").to_c(tmp_path / "net.c")
    old = (tmp_path / "net.h").read_text()
    network(np.random.default_rng(0), [3, 5, 2], "relu").to_c(tmp_path / "net.c")
    (tmp_path / "net.h").write_text(old)
    with pytest.raises(AssertionError, match="of different networks: write them again"):
        build("gcc", tmp_path, "test", *C99, "net.c", "net_test.c")


CPP = """
#include "net.h"
#include <cstdio>
int main()
{
    static net_context context;
    float x[NET_INPUTS] = {1, 2, 3}, out[NET_OUTPUTS];
    int status = net_init(&context, sizeof context, NET_MODEL);
    if (status == NET_OK)
        status = net_predict(&context, 1, x, out);
    std::printf("%.9g %.9g", out[0], out[1]);
    return status;
}
"""


@needs_cpp
@needs_gcc
def test_a_program_of_cpp_calls_it(tmp_path):
    net = network(np.random.default_rng(0), [3, 4, 2], "relu")
    net.to_c(tmp_path / "net.c")
    (tmp_path / "main.cpp").write_text(CPP)
    build("gcc", tmp_path, "net.o", *C99, "-c", "net.c")
    build("g++", tmp_path, "main", *STRICT, "-std=c++11", "main.cpp", "net.o")
    code, said = call(tmp_path, "main")
    assert code == 0
    assert np.allclose(list(map(float, said.split())), net.predict([[1.0, 2, 3]])[0], rtol=1e-5)


CALLED = {"float32": set(), "float64": {"elu", "softplus", "gelu", "selu"}}
"""Activations that call libm, for one number at a time."""


@needs_gcc
@pytest.mark.skipif(platform.machine() != "x86_64", reason="names instructions of x86-64")
@pytest.mark.parametrize(("dtype", "options"), [("float32", []), ("float64", ["-mavx2"])])
def test_gcc_makes_vectors_of_every_activation(tmp_path, dtype, options):
    """In float32 of the 128 bits that any x86-64 has; SSE2 lacks what float64 needs."""
    names = [name for name in codes.HIDDEN_ACTIVATIONS if name != "identity"]
    net = fastbp.Network([9] * (len(names) + 2), names, dtype=dtype, seed=0)
    net.to_c(tmp_path / "net.c", derivatives=True)
    told = ("-std=c99", "-O3", *options, "-fopt-info-vec-optimized", "-c", "net.c")
    said = build("gcc", tmp_path, "net.o", *told)
    loops = {int(n) for n in re.findall(r"(?m)^net\.c:(\d+):\d+: optimized: loop vec", said)}
    assert functions_at(tmp_path / "net.c", loops) >= {
        f"{name}_{kind}" for name in set(names) - CALLED[dtype] for kind in ("units", "slopes")
    }


def functions_at(path, numbers):
    """The names of the functions that lines of a C file are in."""
    lines, found, name = path.read_text().splitlines(), set(), ""
    for number, line in enumerate(lines, 1):
        head = re.match(r"(?:static|NOINLINE|INLINE|int) .*?(\w+)\(", line)
        name = head[1] if head else name
        found |= {name} if number in numbers else set()
    return found


# Files of numbers


LOAD = """
#include "net.h"
#include <stdio.h>
#include <string.h>
static net_weights weights, other;
static net_context context;
int main(int argc, char **argv)
{
    float x[NET_INPUTS] = {1, 2, 3}, out[NET_OUTPUTS] = {0};
    int status = net_load(&weights, sizeof weights, argc > 1 ? argv[1] : "net.bin");
    if (net_load(NULL, sizeof weights, "net.bin") != NET_NULL_POINTER ||
        net_load(&other, sizeof other, NULL) != NET_NULL_POINTER ||
        net_load(&other, sizeof other - 4, "net.bin") != NET_WRONG_WEIGHTS ||
        net_init(&context, sizeof context, NET_MODEL, NULL) != NET_NULL_POINTER ||
        net_init(&context, sizeof context, NET_MODEL, &other) != NET_WRONG_WEIGHTS)
        return 99;
    if (status == NET_OK)
        status = net_init(&context, sizeof context, NET_MODEL, &weights);
    else if (net_init(&context, sizeof context, NET_MODEL, &weights) != NET_WRONG_WEIGHTS)
        return 98;
    if (status == NET_OK)
        status = net_predict(&context, 1, x, out);
    printf("%.9g %.9g", out[0], out[1]);
    return status;
}
"""
NO_FILE, WRONG_FILE, DAMAGED_FILE = 6, 7, 8


@needs_gcc
def test_a_file_of_numbers_is_read_or_refused(tmp_path):
    rng = np.random.default_rng(0)
    net, later = (network(rng, [3, 40, 2], "relu") for _ in range(2))
    net.to_c(tmp_path / "net.c", weights="file")
    (tmp_path / "main.c").write_text(LOAD)
    build("gcc", tmp_path, "main", *C99, *SANITIZED, "main.c", "net.c")

    def outputs(file="net.bin"):
        code, said = call(tmp_path, "main", file)
        return list(map(float, said.split())) if code == 0 else code

    assert np.allclose(outputs(), net.predict([[1.0, 2, 3]])[0], rtol=1e-5)
    later.to_c(tmp_path / "later.c", weights="file")  # the same layers after more training
    assert np.allclose(outputs("later.bin"), later.predict([[1.0, 2, 3]])[0], rtol=1e-5)
    network(rng, [3, 41, 2], "relu").to_c(tmp_path / "wider.c", weights="file")
    assert outputs("wider.bin") == WRONG_FILE
    assert outputs("none.bin") == NO_FILE
    whole = (tmp_path / "net.bin").read_bytes()
    for at in (30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "bad.bin").write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert outputs("bad.bin") == DAMAGED_FILE
    for bad, code in ((whole[:-1], 8), (whole + b"\0", 8), (whole[:20], 7), (b"", 7)):
        (tmp_path / "bad.bin").write_bytes(bad)
        assert outputs("bad.bin") == code
    net64 = fastbp.Network([3, 40, 2], "relu", dtype="float64", seed=0)
    net64.to_c(tmp_path / "double.c", weights="file")
    assert outputs("double.bin") == WRONG_FILE


RELOAD = """
#include "net.h"
static net_weights weights;
static net_context context;
int main(void)
{
    float x[NET_INPUTS] = {1, 2, 3}, out[NET_OUTPUTS] = {77, 77};
    if (net_load(&weights, sizeof weights, "net.bin") != NET_OK ||
        net_init(&context, sizeof context, NET_MODEL, &weights) != NET_OK ||
        net_load(&weights, sizeof weights, "bad.bin") != NET_DAMAGED_FILE)
        return 99;
    if (net_predict(&context, 1, x, out) != NET_WRONG_WEIGHTS || out[0] != 77)
        return 98;
    if (net_load(&weights, sizeof weights, "net.bin") != NET_OK)
        return 97;
    return net_predict(&context, 1, x, out);
}
"""


@needs_gcc
def test_numbers_that_were_half_read_predict_nothing(tmp_path):
    """A program that reads a newer file while it runs meets one that is not whole."""
    network(np.random.default_rng(0), [3, 40, 2], "relu").to_c(tmp_path / "net.c", weights="file")
    whole = (tmp_path / "net.bin").read_bytes()
    (tmp_path / "bad.bin").write_bytes(whole[:-8])
    (tmp_path / "main.c").write_text(RELOAD)
    build("gcc", tmp_path, "main", *C99, *SANITIZED, "main.c", "net.c")
    assert call(tmp_path, "main")[0] == 0


def test_the_error_bound_is_no_wider_than_it_need_be():
    """fastbp itself comes within a factor of 100 of what rounding.py allows, and stays below."""
    for net in exported.random_networks():
        of_net, (X, _) = content.of_network(net), rows_of(net, 200)
        p, _ = rounding.forward(of_net, X)
        share = (np.abs(net.predict(X) - p.value) / (p.error + np.finfo(net.dtype).tiny)).max()
        assert 1e-2 < share < 1, net
