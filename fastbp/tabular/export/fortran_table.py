"""The Fortran module over a model's C code: a row is a derived type, a table an array of it.

Private names have two underscores, as in fastbp/export/fortran_module.py.
"""

from ...export import fortran_module
from ..categories import OneHot, Pair
from .c_design import Table
from .fields import Field

LEAST_TEXT = 64
"""Letters of a category's variable; more where a level has more."""

MOST_CLASSES, MOST_LETTERS = 20, 60
"""What comments show of classes, and of a name."""

NAN_BITS = 0x7FF8000000000000


def text(of: Table) -> str:
    """The .f90 file."""
    return "".join([_head(of), _interfaces(of), "contains\n", _init(of), _row(of), _rows(of)]) + (
        f"\nend module {of.name}\n"
    )


def _head(of: Table) -> str:
    name = of.name
    statuses = fortran_module.statuses(name, in_file=False)
    return f"""\
{_about(of)}
module {name}
    use, intrinsic :: iso_c_binding
    implicit none
    private

    integer, parameter, public :: {name}_outputs = {of.outputs}

    ! A missing number or date.
    real(c_double), parameter, public :: {name}_missing = &
        transfer({NAN_BITS}_c_int64_t, 1.0_c_double)

    ! What the functions return; wrong_shape: an array has other extents than expected.
{statuses}
    ! A row of a table. Blank text is a missing category, and -1 a missing boolean.
    type, public :: {name}_row
{_fields(of)}\
    end type

    type, bind(c) :: row__
{_c_fields(of)}\
    end type
{_contexts(of)}
    integer(c_int64_t), parameter :: layout__ = {of.number}_c_int64_t
    public :: {name}_init, {name}_predict

    interface {name}_predict
        module procedure predict__row, predict__rows
    end interface
"""


def _about(of: Table) -> str:
    name, count = of.name, len(of.members.designs)
    classes = ""
    if of.is_classifier:
        labels = of.model.classes_[:MOST_CLASSES].tolist()
        lines = [
            f"!     out({i}) is the probability of {_shown(one)}" for i, one in enumerate(labels, 1)
        ]
        more = of.outputs - len(labels)
        lines += [f"!     and so on for {more} more classes, which {name}.h lists"] if more else []
        classes = "\n".join(["!", *lines, ""])
    return f"""\
! A model of tables, over {name}.c. Written by fastbp.
!
!     type({name}_context) :: context
!     type({name}_row) :: table(rows)
!     real(c_double) :: out({of.outputs}, rows)
!     status = {name}_init(context)
!     status = {name}_predict(context, table, out)
{classes}\
!
! Each thread has a context of its own. table and out may also be one row, out of rank 1. Compile
! {name}.c, {of.members.name}.c, {of.members.name}_1.c to {of.members.name}_{count}.c and this
! file, and link them with -lm."""


def _shown(value: object) -> str:
    return ascii(value)[:MOST_LETTERS]


def _fields(of: Table) -> str:
    types = {
        "number": ("real(c_double)", f"{of.name}_missing"),
        "date": ("real(c_double)", f"{of.name}_missing"),
        "boolean": ("integer(c_int)", "-1"),
    }
    lines = []
    for field, one in zip(of.fields, of.names, strict=True):
        column = field.column
        kind, initial = types.get(column.kind, (f"character({_letters(field)})", "''"))
        seconds = ", in seconds since 1970" if column.kind == "date" else ""
        lines.append(f"        ! {_shown(column.name)}: {column.kind}{seconds}\n")
        lines.append(f"        {kind} :: {one} = {initial}\n")
    return "".join(lines)


def _letters(field: Field) -> int:
    levels = field.part.levels if isinstance(field.part, Pair | OneHot) else ()
    return max([LEAST_TEXT, *(len(level.encode()) + 1 for level in levels)])


def _c_fields(of: Table) -> str:
    types = {"category": "type(c_ptr)", "boolean": "integer(c_int)"}
    return "".join(
        f"        {types.get(field.column.kind, 'real(c_double)')} :: {one}\n"
        for field, one in zip(of.fields, of.names, strict=True)
    )


def _contexts(of: Table) -> str:
    """The types of contexts: of the networks, and of the model."""
    return f"""\
{fortran_module.contexts(of.members, "net__")}
    ! Scratch memory of one thread.
    type, bind(c), public :: {of.name}_context
        private
        integer(c_int64_t) :: model = 0
        type(net__) :: net
        real(c_float) :: inputs({of.inputs})
        real(c_float) :: outputs({of.outputs})
    end type
"""


def _interfaces(of: Table) -> str:
    name = of.name
    return f"""
    interface
        integer(c_int) function init__c(context, size, model) bind(c, name='{name}_init')
            import
            type({name}_context), intent(out) :: context
            integer(c_size_t), value :: size
            integer(c_int64_t), value :: model
        end function
        integer(c_int) function predict__c(context, row, out) bind(c, name='{name}_predict_row')
            import
            type({name}_context), intent(inout) :: context
            type(row__), intent(in) :: row
            real(c_double), intent(out) :: out(*)
        end function
    end interface

"""


def _init(of: Table) -> str:
    return f"""
    ! Make a context ready.
    integer(c_int) function {of.name}_init(context) result(status)
        type({of.name}_context), intent(inout) :: context
        status = init__c(context, c_sizeof(context), layout__)
    end function
"""


def _row(of: Table) -> str:
    texts, copies = [], []
    for i, (field, one) in enumerate(zip(of.fields, of.names, strict=True)):
        if field.column.kind != "category":
            copies.append(f"        row_%{one} = row%{one}\n")
            continue
        count = _letters(field) + 1
        texts.append(f"        character(kind=c_char), target :: text_{i}({count})\n")
        copies.append(f"        text_{i} = transfer(row%{one}//c_null_char, text_{i})\n")
        copies.append(f"        row_%{one} = c_loc(text_{i})\n")
    return f"""
    integer(c_int) function predict__row(context, row, out) result(status)
        type({of.name}_context), intent(inout) :: context
        type({of.name}_row), intent(in) :: row
        real(c_double), intent(inout), contiguous :: out(:)
        type(row__) :: row_
{"".join(texts)}\
        status = {of.name}_wrong_shape
        if (size(out) /= {of.name}_outputs) return
{"".join(copies)}\
        status = predict__c(context, row_, out)
    end function
"""


def _rows(of: Table) -> str:
    return f"""
    integer(c_int) function predict__rows(context, table, out) result(status)
        type({of.name}_context), intent(inout) :: context
        type({of.name}_row), intent(in) :: table(:)
        real(c_double), intent(inout), contiguous :: out(:, :)
        integer :: i
        status = {of.name}_wrong_shape
        if (any(shape(out) /= [{of.name}_outputs, size(table)])) return
        status = {of.name}_ok
        do i = 1, size(table)
            status = predict__row(context, table(i), out(:, i))
            if (status /= {of.name}_ok) return
        end do
    end function
"""
