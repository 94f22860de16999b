"""The Fortran module of ``Network.to_fortran``: arrays (features, batch)."""

import numpy as np
import pytest

from fastbp.export import content, self_test
from support import exported
from support.compilers import C99, SANITIZED, STRICT, build, call, needs_gcc, needs_gfortran
from support.exported import network

pytestmark = [pytest.mark.process, needs_gcc, needs_gfortran]

ROWS = 7

PROGRAM = """
program main
    use net
    use, intrinsic :: iso_fortran_env, only: error_unit
    implicit none
    integer, parameter :: rows = 7
    type(net_context) :: context, empty
    {weights}
    real(net_real) :: X(net_inputs, rows), v(net_outputs, rows), out(net_outputs, rows)
    real(net_real) :: gradient(net_inputs, rows), jacobian(net_inputs, net_outputs, rows)
    real(net_real) :: row(net_outputs), wide(2 * net_inputs, rows), few(net_outputs, rows - 1)
    integer :: file

    open(newunit=file, file='rows', access='stream', form='unformatted', status='old')
    read(file) X, v
    close(file)
    {load}
    call expect(net_predict(empty, X, out) == net_wrong_context, 'no init')
    call expect(net_init(context{more}) == net_ok, 'init')
    wide(1::2, :) = X
    call expect(net_predict(context, wide(1::2, :), out) == net_ok, 'strides')
    call expect(net_predict(context, X(:, 3), row) == net_ok, 'one row')
    call expect(all(row == out(:, 3)), 'the same bits')
    call expect(net_input_gradient(context, X, v, gradient) == net_ok, 'input_gradient')
    call expect(net_jacobian(context, X, jacobian) == net_ok, 'jacobian')
    call expect(net_predict(context, X, few) == net_wrong_shape, 'few rows')
    call expect(net_predict(context, X(2:, :), out) == net_wrong_shape, 'few inputs')
    call expect(net_predict(context, X(:, 1), row(2:)) == net_wrong_shape, 'few outputs')
    call expect(net_predict(context, X(:, 1:0), out(:, 1:0)) == net_ok, 'no rows')
    open(newunit=file, file='results', access='stream', form='unformatted', status='replace')
    write(file) out, gradient, jacobian
    close(file)
contains
    subroutine expect(holds, what)
        logical, intent(in) :: holds
        character(*), intent(in) :: what
        if (.not. holds) then
            write(error_unit, *) 'FAILED: ', what
            stop 1
        end if
    end subroutine
end program
"""


@pytest.mark.parametrize("weights", ["source", "file"])
def test_a_program_of_fortran_gets_what_fastbp_predicts(tmp_path, weights):
    rng, dtype = np.random.default_rng(2), {"source": "float32", "file": "float64"}[weights]
    net = exported.scaled(rng, network(rng, [3, 33, 33, 2], "tanh", residual=True, dtype=dtype))
    net.to_fortran(tmp_path / "net.f90", derivatives=True, weights=weights)
    X = (rng.standard_normal((ROWS, 3)) * net.input_scale + net.input_mean).astype(dtype)
    found = self_test.expected(
        content.of_network(net), X, rng.standard_normal((ROWS, 2)).astype(dtype)
    )
    (tmp_path / "rows").write_bytes(found.X.tobytes() + found.v.tobytes())
    run(tmp_path, weights)
    results = np.fromfile(tmp_path / "results", dtype)
    p, gradient, jacobian = np.split(results, [ROWS * 2, ROWS * 5])
    assert (np.abs(p.reshape(ROWS, 2) - net.predict(X)).max(axis=1) <= found.of_p).all()
    distance = np.abs(gradient.reshape(ROWS, 3) - found.gradient).max(axis=1)
    assert (distance <= found.of_gradient).all()
    summed = np.einsum("ro,roi->ri", np.float64(found.v), jacobian.reshape(ROWS, 2, 3))
    assert (np.abs(summed - found.gradient).max(axis=1) <= found.of_jacobian).all()


def run(folder, weights):
    in_file = weights == "file"
    program = PROGRAM.format(
        weights="type(net_weights), save, target :: weights" * in_file,
        load="call expect(net_load(weights, 'net.bin') == net_ok, 'load')" * in_file,
        more=", weights" * in_file,
    )
    (folder / "main.f90").write_text(program)
    build("gcc", folder, "net.o", *C99, *SANITIZED, "-c", "net.c")
    strict = (*STRICT, "-std=f2008", "-fcheck=all", *SANITIZED)
    build("gfortran", folder, "module.o", *strict, "-c", "net.f90")
    options = ("-fcheck=bounds,do,mem,pointer,recursion", "-std=f2008", *SANITIZED)
    build("gfortran", folder, "main", *options, "main.f90", "module.o", "net.o")
    code, said = call(folder, "main")
    assert code == 0, said
