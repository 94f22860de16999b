"""A program of Fortran that embeds Python: arrays (features, rows)."""

import sys

import numpy as np
import pytest

import fastbp
from fastbp import capi, embed
from support.c_calls import needs_libpython
from support.compilers import C99, SANITIZED, STRICT, build, call, needs_gcc, needs_gfortran

pytestmark = [pytest.mark.process, needs_gcc, needs_gfortran, needs_libpython]

ROWS = 7
KINDS = {"float32": "c_float", "float64": "c_double"}

PROGRAM = """
program main
    use fastbp
    use, intrinsic :: iso_fortran_env, only: error_unit
    implicit none
    integer, parameter :: wp = {kind}, other = {other}, rows = 7
    type(fastbp_model), pointer :: model => null(), labels => null()
    real(wp) :: X(3, rows), y(2, rows), v(2, rows), out(2, rows), wide(6, rows), single(2)
    real(wp) :: gradient(3, rows), few(2, rows - 1), J(3, 2, rows), of_row(3, 2), turned(2, 3, rows)
    real(wp), allocatable :: flat(:), flat_row(:)
    real(other) :: X_other(3, rows) = 0, out_other(2, rows)
    real(c_double) :: losses(5), loss
    character(300) :: python
    integer :: file

    call get_command_argument(1, python)
    open(newunit=file, file='rows', access='stream', form='unformatted', status='old')
    read(file) X, y, v
    close(file)
    call expect(fastbp_load('none', model) == fastbp_not_started, 'not started')
    call expect(fastbp_start(python) == fastbp_ok, 'start')
    call expect(fastbp_load('none', model) == fastbp_python, 'no file')
    call expect(.not. associated(model), 'no model')
    call expect(index(fastbp_message(fastbp_python), 'FileNotFoundError') == 1, 'message')
    call expect(fastbp_message(fastbp_closed) == 'the model is closed: its trainer is gone', 'text')
    call expect(len(fastbp_message(fastbp_wrong_shape)) == 39, 'text of the shape')
    call expect(fastbp_predict(model, X, out) == fastbp_null_pointer, 'null')
    call expect(fastbp_load_trainer('trainer.safetensors', model) == fastbp_ok, 'load')
    call expect(model%inputs == 3 .and. model%outputs == 2 .and. model%most_rows == rows, 'fields')

    wide = 0
    wide(1::2, :) = X
    call expect(fastbp_predict(model, wide(1::2, :), out) == fastbp_ok, 'strides')
    call expect(fastbp_input_gradient(model, X, v, gradient) == fastbp_ok, 'input_gradient')
    call expect(fastbp_input_gradient(model, X(:, 1), v(:, 1), wide(1:3, 1)) == fastbp_ok, 'one')
    call expect(fastbp_jacobian(model, X, J) == fastbp_ok, 'jacobian')
    call expect(fastbp_jacobian(model, X(:, 1), of_row) == fastbp_ok, 'jacobian of one row')
    allocate(flat(model%parameters), flat_row(model%parameters))
    call expect(fastbp_gradients(model, X, y, flat, losses(1)) == fastbp_ok, 'gradients')
    call expect(fastbp_gradients(model, X(:, 1), y(:, 1), flat_row, loss) == fastbp_ok, 'one row')
    call expect(fastbp_step(model, X, y, losses(2)) == fastbp_ok, 'step')
    call expect(fastbp_step(model, X(:, 2), y(:, 2), losses(3)) == fastbp_ok, 'step of one row')
    call expect(fastbp_step_from(model, X, v) == fastbp_ok, 'step_from')
    call expect(fastbp_step_from(model, X(:, 2), v(:, 2)) == fastbp_ok, 'step_from of one row')
    call expect(fastbp_step(model, X, y, losses(4)) == fastbp_ok, 'last step')
    call expect(fastbp_predict(model, X, out) == fastbp_ok, 'predict')
    call expect(fastbp_predict(model, X(:, 3), single) == fastbp_ok, 'one row')

    call expect(fastbp_run(code(), labels) == fastbp_ok, 'run')
    call expect(fastbp_step(labels, X, [integer(c_int64_t) :: 0, 1, 0, 1, 0, 1, 1], losses(5)) &
        == fastbp_ok, 'labels')
    call expect(fastbp_step(labels, X(:, 1), 1_c_int64_t, loss) == fastbp_ok, 'one label')
    call expect(fastbp_gradients(labels, X, [integer(c_int64_t) :: 0, 1, 0, 1, 0, 1, 1], flat, &
        loss) == fastbp_ok, 'gradients of labels')
    call expect(fastbp_gradients(labels, X(:, 1), 1_c_int64_t, flat, loss) == fastbp_ok, 'of one')
    call expect(fastbp_step(labels, X(:, 1), 9_c_int64_t, loss) == fastbp_invalid_y, 'no label')
    call expect(loss /= loss, 'NaN')

    call expect(fastbp_predict(model, X, few) == fastbp_wrong_shape, 'few rows')
    call expect(fastbp_step(model, X, few, loss) == fastbp_wrong_shape, 'few rows of y')
    call expect(fastbp_step_from(model, X, few) == fastbp_wrong_shape, 'few rows of dloss_dp')
    call expect(fastbp_gradients(model, X, few, flat, loss) == fastbp_wrong_shape, 'gradients')
    call expect(fastbp_input_gradient(model, X, few, gradient) == fastbp_wrong_shape, 'v')
    call expect(fastbp_jacobian(model, X, J(:, :, 2:)) == fastbp_wrong_shape, 'rows of J')
    call expect(fastbp_jacobian(model, X, turned) == fastbp_wrong_out, 'J turned')
    call expect(fastbp_jacobian(model, X, J(:, 2:, :)) == fastbp_wrong_out, 'outputs of J')
    call expect(fastbp_jacobian(model, X(:, 1), turned(:, :, 1)) == fastbp_wrong_out, 'one turned')
    call expect(fastbp_predict(model, X(2:, :), out) == fastbp_wrong_x, 'few inputs')
    call expect(fastbp_predict(model, X(:, 1), single(2:)) == fastbp_wrong_out, 'few outputs')
    call expect(fastbp_gradients(model, X, y, flat(2:), loss) == fastbp_wrong_out, 'length')
    call expect(fastbp_predict(model, X(:, 1:0), out(:, 1:0)) /= fastbp_ok, 'no rows')
    call expect(fastbp_predict(model, X_other, out_other) == fastbp_wrong_type, 'other kind')

    call expect(fastbp_save(model, 'after.safetensors') == fastbp_ok, 'save')
    call expect(fastbp_close(model) == fastbp_ok, 'close')
    call expect(fastbp_predict(model, X, few(:, 1:rows - 1)) == fastbp_wrong_shape, 'shape first')
    call expect(fastbp_step(model, X, y, loss) == fastbp_closed, 'closed')
    call expect(fastbp_state(model) == fastbp_closed, 'state')
    open(newunit=file, file='results', access='stream', form='unformatted', status='replace')
    write(file) out, gradient, flat_row, J, of_row
    close(file)
    open(newunit=file, file='losses', access='stream', form='unformatted', status='replace')
    write(file) losses
    close(file)
    call expect(all(single == out(:, 3)) .or. rows > 1, 'a row')
contains
    function code() result(text)
        character(:), allocatable :: text
        text = "import fastbp" // new_line('a') // &
            "net = fastbp.Network([3, 9, 2], output='softmax', seed=1, dtype='{dtype}')" // &
            new_line('a') // "trainer = fastbp.Trainer(net, loss='cross_entropy', " // &
            "optimizer=fastbp.SGD(lr=0.1))"
    end function
    subroutine expect(holds, what)
        logical, intent(in) :: holds
        character(*), intent(in) :: what
        if (.not. holds) then
            write(error_unit, *) 'FAILED: ', what, '; ', fastbp_message(fastbp_python)
            stop 1
        end if
    end subroutine
end program
"""


@pytest.mark.parametrize("dtype", KINDS)
def test_a_program_of_fortran_trains_to_the_bit(tmp_path, dtype, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    net = fastbp.Network([3, 9, 2], "tanh", seed=0, dtype=dtype)
    adam = fastbp.Adam(lr=0.01)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, batch_size=ROWS, seed=0)
    trainer.save(tmp_path / "trainer.safetensors")
    rng = np.random.default_rng(0)
    X, y, v = (rng.normal(size=(ROWS, n)).astype(dtype) for n in (3, 2, 2))
    (tmp_path / "rows").write_bytes(X.tobytes() + y.tobytes() + v.tobytes())
    run(tmp_path, dtype)

    model, gradient = trainer.compiled(), np.empty((ROWS, 3), dtype)
    flat, of_row = np.empty((2, net.n_parameters), dtype)
    p, J, of_one = (np.empty(shape, dtype) for shape in ((ROWS, 2), (ROWS, 2, 3), (2, 3)))
    embed.input_gradient(model, X, v, gradient)
    embed.jacobian(model, X, J)
    embed.jacobian(model, X[0], of_one)
    losses = [embed.gradients(model, X, y, flat)]
    embed.gradients(model, X[0], y[0], of_row)
    losses += [embed.step(model, X, y), embed.step(model, X[1], y[1])]
    assert embed.step_from(model, X, v)
    assert embed.step_from(model, X[1], v[1])
    losses.append(embed.step(model, X, y))
    embed.predict(model, X, p)
    other = fastbp.Network([3, 9, 2], output="softmax", seed=1, dtype=dtype)
    sgd = fastbp.SGD(lr=0.1)
    classes = fastbp.Trainer(other, loss="cross_entropy", optimizer=sgd)
    losses.append(classes.step(X, np.array([0, 1, 0, 1, 0, 1, 1])))
    expected = b"".join(array.tobytes() for array in (p, gradient, of_row, J, of_one))
    assert (tmp_path / "results").read_bytes() == expected
    assert np.array_equal(np.fromfile(tmp_path / "losses"), losses)
    after = fastbp.Trainer.load(tmp_path / "after.safetensors")
    assert after.net.allclose(net, rtol=0, atol=0)
    assert after.updates == 5


def run(folder, dtype):
    (other,) = set(KINDS.values()) - {KINDS[dtype]}
    text = PROGRAM.format(kind=KINDS[dtype], other=other, dtype=dtype)
    (folder / "main.f90").write_text(text)
    include, module, source, *python = capi.flags("fortran")
    strict = (*STRICT, "-std=f2008", "-fcheck=all", *SANITIZED)
    build("gcc", folder, "fastbp.o", *C99, *SANITIZED, include, *python[:2], "-c", source)
    build("gfortran", folder, "module.o", *strict, include, "-c", module)
    options = ("-std=f2008", "-fcheck=bounds,do,mem,pointer,recursion", *SANITIZED)
    trap = "-ffpe-trap=invalid,zero,overflow"
    objects = ("main.f90", "module.o", "fastbp.o")
    build("gfortran", folder, "main", *options, trap, *objects, *python)
    code, said = call(folder, "main", sys.executable)
    assert code == 0, said
