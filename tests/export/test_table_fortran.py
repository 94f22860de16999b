"""The Fortran module of models of tables."""

import numpy as np
import pytest

for package in ("pandas", "pyarrow", "sklearn"):
    pytest.importorskip(package)

from fastbp.export import c_ensemble  # noqa: E402 - packages may be missing
from fastbp.tabular.export import c_names, results  # noqa: E402
from support import exported_tables  # noqa: E402
from support.compilers import (  # noqa: E402
    C99,
    SANITIZED,
    STRICT,
    build,
    call,
    needs_gcc,
    needs_gfortran,
)

pytestmark = [pytest.mark.process, needs_gcc, needs_gfortran]

ROWS = 12
SOURCES = ("net.c", "net_net.c", "net_net_1.c", "net_net_2.c")

PROGRAM = """
program main
    use net
    use, intrinsic :: iso_c_binding
    use, intrinsic :: iso_fortran_env, only: error_unit
    implicit none
    integer, parameter :: rows = {rows}
    type(net_context) :: context, empty
    type(net_row) :: table(rows)
    real(c_double) :: out(net_outputs, rows), alone(net_outputs)
    integer :: file

{values}
    call expect(net_predict(empty, table, out) == net_wrong_context, 'no init')
    call expect(net_init(context) == net_ok, 'init')
    call expect(net_predict(context, table, out) == net_ok, 'predict')
    call expect(net_predict(context, table(3), alone) == net_ok, 'one row')
    call expect(all(alone == out(:, 3)), 'the same bits')
    call expect(net_predict(context, table(2:), out) == net_wrong_shape, 'few rows')
    call expect(net_predict(context, table(1), alone(2:)) == net_wrong_shape, 'few outputs')
    open(newunit=file, file='results', access='stream', form='unformatted', status='replace')
    write(file) out
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


def _assignments(model, rows):
    fields = exported_tables.fields_of(model)
    names = c_names.identifiers([field.column.name for field in fields])
    for r, row in enumerate(rows, 1):
        for field, name, value in zip(fields, names, row, strict=True):
            if value is not None:  # what is missing is by default
                yield f"    table({r})%{name} = {_constant(field, value)}\n"


def _constant(field, value):
    if field.column.kind == "boolean":
        return str(int(value))
    if field.column.kind == "category":
        return "'" + value.replace("'", "''") + "'"
    return f"{float(value)!r}_c_double" if "e" in repr(float(value)) else f"{float(value)!r}d0"


@pytest.mark.parametrize("make", [exported_tables.classifier, exported_tables.regressor])
def test_a_program_of_fortran_gets_what_fastbp_predicts(tmp_path, make):
    model = make("best")
    rows = exported_tables.rows_of(model, ROWS)
    model.to_fortran(tmp_path / "net.f90")
    values = "".join(_assignments(model, rows))
    (tmp_path / "main.f90").write_text(PROGRAM.format(rows=ROWS, values=values))
    build("gcc", tmp_path, "all.so", *C99, *SANITIZED, "-shared", "-fPIC", *SOURCES)
    strict = (*STRICT, "-std=f2008", "-fcheck=all", *SANITIZED)
    build("gfortran", tmp_path, "module.o", *strict, "-c", "net.f90")
    options = ("-fcheck=bounds,do,mem,pointer,recursion", "-std=f2008", *SANITIZED)
    build("gfortran", tmp_path, "main", *options, "main.f90", "module.o", "./all.so")
    code, said = call(tmp_path, "main")
    assert code == 0, said
    found = np.fromfile(tmp_path / "results").reshape(ROWS, -1)
    predict = getattr(model, "predict_proba", model.predict)
    p = predict(exported_tables.table_of(model, rows)).reshape(ROWS, -1)
    members = c_ensemble.members("net", model.ensemble_.nets)
    allowed = results.expected(model, members, exported_tables.encoded(model, rows)).error
    assert (np.abs(found - p) <= allowed).all()
