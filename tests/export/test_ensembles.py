"""Ensembles as ONNX files, C code and modules of torch: the mean of their networks."""

import numpy as np
import pytest

import fastbp
from fastbp.export import c_ensemble
from support import exported
from support.cases import each_dtype
from support.compilers import (
    C99,
    FAST,
    SANITIZED,
    STRICT,
    build,
    call,
    each_c,
    needs_gcc,
    needs_gfortran,
)

ROWS = 20


def ensemble(dtype, members=3):
    """Networks of different kinds for the same inputs and outputs."""
    rng = np.random.default_rng(4)
    kinds = [([5, 9, 9, 3], "tanh"), ([5, 33, 3], "relu"), ([5, 3], [])]
    nets = [exported.network(rng, sizes, hidden, dtype=dtype) for sizes, hidden in kinds[:members]]
    exported.scaled(rng, nets[0])
    return fastbp.Ensemble(nets)


def inputs(dtype):
    return np.random.default_rng(5).normal(size=(ROWS, 5)).astype(dtype)


def allowed(found, X):
    members = c_ensemble.members("net", found.nets)
    return c_ensemble.expected(members, X).error


EXPORTS = {
    "ONNX": lambda found, path: found.to_onnx(path / "m.onnx"),
    "C": lambda found, path: found.to_c(path / "m.c"),
    "Fortran": lambda found, path: found.to_fortran(path / "m.f90"),
    "torch": lambda found, _: found.to_torch(),
}
each_form = pytest.mark.parametrize("form", EXPORTS)


@each_form
def test_deviations_that_would_be_left_out_are_refused(form, tmp_path, monkeypatch):
    """The mean of the networks' outputs is no deviation: it has the mean logarithm of variances."""
    monkeypatch.setattr("fastbp.model.network_export.need", lambda *_: None)
    nets = [fastbp.Network([2, 4], seed=seed) for seed in range(2)]
    with pytest.raises(ValueError, match=f"has likelihood 'gaussian', .* no form in {form} yet"):
        EXPORTS[form](fastbp.Ensemble(nets, likelihood="gaussian"), tmp_path)
    assert not list(tmp_path.iterdir())


@each_form
def test_networks_that_embed_numbers_are_refused(form, tmp_path, monkeypatch):
    monkeypatch.setattr("fastbp.model.network_export.need", lambda *_: None)
    made = fastbp.NumberEmbedding([0], 5, 3, 0.5)
    nets = [fastbp.Network([2, 4], seed=0), fastbp.Network([2, 4], number_embedding=made, seed=0)]
    with pytest.raises(ValueError, match=f"embeds numbers, which has no form in {form} yet"):
        EXPORTS[form](fastbp.Ensemble(nets), tmp_path)
    assert not list(tmp_path.iterdir())


# ONNX


@each_dtype
@pytest.mark.parametrize("members", [1, 3])
def test_the_onnx_file_gives_the_mean(members, dtype, tmp_path):
    pytest.importorskip("onnx")
    from support import onnx_models

    found, X = ensemble(dtype, members), inputs(dtype)
    found.nets[0].keep_names(("a", "b", "c", "d", "e"))
    found.to_onnx(tmp_path / "model.onnx")
    made = onnx_models.load(tmp_path / "model.onnx")
    p = [onnx_models.run(made, X)]
    runtime = pytest.importorskip("onnxruntime")
    p += runtime.InferenceSession(tmp_path / "model.onnx").run(["Y"], {"X": X})
    for one in p:
        assert one.dtype == dtype
        assert (np.abs(one - found.predict(X)) <= allowed(found, X)).all()
    assert '["a","b","c","d","e"]' in [one.value for one in made.metadata_props]


def test_the_onnx_file_of_several_is_not_read_as_one_network(tmp_path):
    pytest.importorskip("onnx")
    ensemble("float32").to_onnx(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="is no part of a perceptron"):
        fastbp.from_onnx(tmp_path / "model.onnx")


def test_what_onnx_cannot_hold_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    from fastbp.export import onnx_writer

    found = ensemble("float32")
    monkeypatch.setattr(onnx_writer, "LIMIT", 4 * found.n_parameters - 1)
    with pytest.raises(ValueError, match=r"the parameters take [\d,]+ bytes as float32"):
        found.to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


# C


SOURCES = ("net.c", "net_1.c", "net_2.c", "net_3.c")


@pytest.mark.process
@each_dtype
@each_c
def test_the_c_code_gives_the_mean(compiler, dtype, tmp_path):
    found, X = ensemble(dtype), inputs(dtype)
    found.to_c(tmp_path / "net.c")
    (tmp_path / "sizes.c").write_text(exported.size_source(["net"]))
    options = (*C99, *FAST, "-shared", "-fPIC")
    build(compiler, tmp_path, "all.so", *options, *SOURCES, "sizes.c")
    library = exported.Library(tmp_path / "all.so")
    one = library.of("net", found.nets[0], (tmp_path / "net.h").read_text())
    assert (np.abs(one.predict(X) - found.predict(X)) <= allowed(found, X)).all()
    assert np.array_equal(one.predict(X[3:4]), one.predict(X)[3:4])
    X[4, 1] = np.nan
    assert np.isnan(one.predict(X)[4]).all()


@pytest.mark.process
@each_dtype
@each_c
def test_the_self_test_passes_without_a_warning_under_sanitizers(compiler, dtype, tmp_path):
    ensemble(dtype).to_c(tmp_path / "net.c")
    build(compiler, tmp_path, "test", *C99, *SANITIZED, *SOURCES, "net_test.c")
    code, said = call(tmp_path, "test")
    assert (code, "0 failures" in said) == (0, True), said


@pytest.mark.process
@needs_gcc
def test_the_self_test_sees_a_network_that_is_left_out(tmp_path):
    ensemble("float32").to_c(tmp_path / "net.c")
    path = tmp_path / "net.c"
    path.write_text(path.read_text().replace("out[j] += context->outputs[j];", "", 1))
    build("gcc", tmp_path, "test", "-std=c99", *SOURCES, "net_test.c")
    assert call(tmp_path, "test")[0] == 1


STATUSES = """
#include "net.h"
#include <stdio.h>
static net_context context, other;
int main(void)
{
    float x[2 * NET_INPUTS] = {0}, out[2 * NET_OUTPUTS] = {0};
    int failed = net_predict(&context, 1, x, out) != NET_WRONG_CONTEXT ||
        net_init(NULL, sizeof context, NET_MODEL) != NET_NULL_POINTER ||
        net_init(&context, sizeof context - 8, NET_MODEL) != NET_WRONG_CONTEXT ||
        net_init(&context, sizeof context, NET_MODEL + 1) != NET_WRONG_CONTEXT ||
        net_init(&context, sizeof context, NET_MODEL) != NET_OK;
    failed |= net_predict(NULL, 1, x, out) != NET_NULL_POINTER ||
        net_predict(&context, 1, NULL, out) != NET_NULL_POINTER ||
        net_predict(&context, 1, x, NULL) != NET_NULL_POINTER ||
        net_predict(&context, SIZE_MAX / 4, x, out) != NET_TOO_MANY_ROWS ||
        net_predict(&context, 1, x, x + NET_INPUTS - 1) != NET_OVERLAP ||
        net_predict(&other, 1, x, out) != NET_WRONG_CONTEXT ||
        net_predict(&context, 0, NULL, NULL) != NET_OK;
    return failed || net_predict(&context, 2, x, out) != NET_OK;
}
"""


@pytest.mark.process
@needs_gcc
def test_what_cannot_be_right_is_refused_by_a_code(tmp_path):
    ensemble("float32").to_c(tmp_path / "net.c")
    (tmp_path / "main.c").write_text(STATUSES)
    build("gcc", tmp_path, "main", *C99, *SANITIZED, *SOURCES, "main.c")
    assert call(tmp_path, "main")[0] == 0


def test_the_files_of_c(tmp_path):
    ensemble("float32").to_c(tmp_path / "net.c")
    headers = {name.replace(".c", ".h") for name in SOURCES}
    assert {path.name for path in tmp_path.iterdir()} == {*SOURCES, *headers, "net_test.c"}
    with pytest.raises(ValueError, match=r"expected a name that ends with '\.c'"):
        ensemble("float32").to_c(tmp_path / "net.cpp")


# Fortran


PROGRAM = """
program main
    use net
    implicit none
    integer, parameter :: rows = {rows}
    type(net_context) :: context
    real(net_real) :: X(net_inputs, rows), out(net_outputs, rows), row(net_outputs)
    integer :: file, status(3)

    open(newunit=file, file='rows', access='stream', form='unformatted', status='old')
    read(file) X
    close(file)
    status(1) = net_init(context)
    status(2) = net_predict(context, X, out)
    status(3) = net_predict(context, X(:, 3), row)
    if (any(status /= net_ok)) stop 1
    if (net_predict(context, X(2:, :), out) /= net_wrong_shape) stop 2
    if (any(row /= out(:, 3))) stop 3
    open(newunit=file, file='results', access='stream', form='unformatted', status='replace')
    write(file) out
    close(file)
end program
"""


@pytest.mark.process
@needs_gcc
@needs_gfortran
@each_dtype
def test_the_fortran_module_gives_the_mean(dtype, tmp_path):
    found, X = ensemble(dtype), inputs(dtype)
    found.to_fortran(tmp_path / "net.f90")
    (tmp_path / "rows").write_bytes(X.tobytes())
    (tmp_path / "main.f90").write_text(PROGRAM.format(rows=ROWS))
    build("gcc", tmp_path, "all.so", *C99, *SANITIZED, "-shared", "-fPIC", *SOURCES)
    strict = (*STRICT, "-std=f2008", "-fcheck=all", *SANITIZED)
    build("gfortran", tmp_path, "module.o", *strict, "-c", "net.f90")
    build("gfortran", tmp_path, "main", *SANITIZED, "main.f90", "module.o", "./all.so")
    code, said = call(tmp_path, "main")
    assert code == 0, said
    p = np.fromfile(tmp_path / "results", dtype).reshape(ROWS, 3)
    assert (np.abs(p - found.predict(X)) <= allowed(found, X)).all()


# torch


@each_dtype
def test_the_module_of_torch_gives_the_mean(dtype):
    torch = pytest.importorskip("torch")
    found, X = ensemble(dtype), inputs(dtype)
    p = found.to_torch().eval()(torch.from_numpy(X)).detach().numpy()
    assert p.dtype == dtype
    assert (np.abs(p - found.predict(X)) <= allowed(found, X)).all()
