"""The Fortran module over a network's C code: arrays are (features, batch).

Private names have two underscores, and no name of a file has, so that none is another's.
"""

from . import c_header
from .c_ensemble import Members
from .design import Design

INTRINSICS = {"any", "shape", "size", "trim", "transfer", "iso_c_binding", "c_sizeof", "c_loc"}
INTRINSICS |= {"c_ptr"}
INTRINSICS |= {"c_null_ptr", "c_null_char", "c_char", "c_size_t", "c_int64_t", "c_int"}
INTRINSICS |= {"c_float", "c_double"}
"""Names of Fortran that the module uses, so that it cannot have them itself."""


def text(design: Design) -> str:
    """The .f90 file of a network."""
    return _module(design, _about(design), _types(design))


def text_of_mean(members: Members) -> str:
    """The .f90 file of the mean of networks."""
    context = f"{members.name}_context"
    types = f"""\
{contexts(members, context)}
    public :: {context}
"""
    return _module(members, _about_mean(members), types)


def _module(of: Design | Members, about: str, types: str) -> str:
    """types: the definitions of types, of which one is that of contexts."""
    return "".join(
        [
            _head(of, about, types),
            _interfaces(of),
            "contains\n",
            *_procedures(of),
            f"\nend module {of.name}\n",
        ]
    )


def _kind(of: Design | Members) -> str:
    return {"float": "c_float", "double": "c_double"}[of.real]


def _head(of: Design | Members, about: str, types: str) -> str:
    name, kind = of.name, _kind(of)
    names = ["init", "predict"] + ["load"] * of.in_file
    names += ["input_gradient", "jacobian"] * of.derivatives
    public = "".join(f"    public :: {name}_{each}\n" for each in names)
    return f"""\
{about}
module {name}
    use, intrinsic :: iso_c_binding
    implicit none
    private

    integer, parameter, public :: {name}_real = {kind}
    integer, parameter, public :: {name}_inputs = {of.inputs}
    integer, parameter, public :: {name}_outputs = {of.outputs}

    ! What the functions return; wrong_shape: an array has other extents than expected.
{statuses(name, of.in_file)}\
{types}
    integer(c_int64_t), parameter :: layout__ = {of.model}_c_int64_t
{public}"""


def statuses(name: str, in_file: bool) -> str:
    """The definitions of the codes."""
    codes = [*c_header.statuses(in_file), "WRONG_SHAPE"]
    return "".join(
        f"    integer(c_int), parameter, public :: {name}_{code.lower()} = {value}\n"
        for code, value in zip(codes, [*range(len(codes) - 1), -1], strict=True)
    )


def _types(design: Design) -> str:
    name, kind = design.name, _kind(design)
    pointer = "        type(c_ptr) :: weights = c_null_ptr\n" if design.in_file else ""
    arrays = c_header.arrays_of_context(design).items()
    fields = "".join(f"        real({kind}) :: {array}({count}) = 0\n" for array, count in arrays)
    weights = f"""
    type, bind(c), public :: {name}_weights
        private
        integer(c_int64_t) :: model = 0
        real({kind}) :: numbers({design.packed.length})
    end type
"""
    return f"""\
{weights if design.in_file else ""}
    ! Scratch memory of one thread.
    type, bind(c), public :: {name}_context
        private
        integer(c_int64_t) :: model = 0
{pointer}{fields}\
    end type
"""


def contexts(members: Members, name: str) -> str:
    """The types of the contexts of networks, and the type ``name`` of that of their mean."""
    kind, numbers = _kind(members), range(1, len(members.designs) + 1)
    parts = []
    for i, one in zip(numbers, members.designs, strict=True):
        arrays = c_header.arrays_of_context(one).items()
        fields = "".join(f"        real({kind}) :: {array}({count})\n" for array, count in arrays)
        parts.append(_context(f"member_{i}__", fields))
    fields = "".join(f"        type(member_{i}__) :: member_{i}\n" for i in numbers)
    outputs = f"        real({kind}) :: outputs({members.outputs})\n"
    return "".join([*parts, _context(name, fields + outputs)])


def _context(name: str, fields: str) -> str:
    return f"""
    type, bind(c) :: {name}
        private
        integer(c_int64_t) :: model = 0
{fields}\
    end type
"""


def _about_mean(members: Members) -> str:
    name, count = members.name, len(members.designs)
    return f"""\
! The mean of {count} multilayer perceptrons, over {name}.c. Written by fastbp.
!
!     type({name}_context) :: context
!     real({name}_real) :: X({members.inputs}, rows), out({members.outputs}, rows)
!     status = {name}_init(context)
!     status = {name}_predict(context, X, out)
!
! Each thread has a context of its own. X and out may also be one row, of rank 1. Compile {name}.c,
! {name}_1.c to {name}_{count}.c and this file, and link them with -lm."""


def _about(design: Design) -> str:
    name = design.name
    layers = "\n".join(f"!     {layer.about}" for layer in design.content.layers)
    more = ", weights" if design.in_file else ""
    weights = f"!     type({name}_weights), save, target :: weights\n" * design.in_file
    load = f"!     status = {name}_load(weights, '{name}.bin')\n" * design.in_file
    jacobian = (
        f"!     status = {name}_jacobian(context, X, J)  ! J (inputs, outputs, rows)\n"
        f"!     status = {name}_input_gradient(context, X, v, G)  ! v as out, G as X\n"
    )
    return f"""\
! A multilayer perceptron, over {name}.c. Written by fastbp.
!
{layers}
!
{weights}!     type({name}_context) :: context
!     real({name}_real) :: X({design.inputs}, rows), out({design.outputs}, rows)
{load}!     status = {name}_init(context{more})
!     status = {name}_predict(context, X, out)
{jacobian if design.derivatives else ""}\
!
! Each thread has a context of its own. X and out may also be one row, of rank 1. Compile {name}.c
! and this file, and link them with -lm."""


class _Call:
    """A function of the C code that takes arrays."""

    def __init__(self, name: str, *arrays: tuple[str, bool, tuple[str, ...]]) -> None:
        self.name, self.arrays = name, arrays


_PREDICT = _Call("predict", ("X", False, ("inputs",)), ("out", True, ("outputs",)))
_GRADIENT = _Call(
    "input_gradient",
    ("X", False, ("inputs",)),
    ("v", False, ("outputs",)),
    ("out", True, ("inputs",)),
)
_JACOBIAN = _Call("jacobian", ("X", False, ("inputs",)), ("out", True, ("inputs", "outputs")))
"""Each array: its name, whether it is written, and its extents without that of the rows."""


def _calls(design: Design | Members) -> list[_Call]:
    return [_PREDICT] + [_GRADIENT, _JACOBIAN] * design.derivatives


def _interfaces(design: Design | Members) -> str:
    name = design.name
    generics = "".join(
        f"""
    interface {name}_{call.name}
        module procedure {call.name}__row, {call.name}__rows
    end interface
"""
        for call in _calls(design)
    )
    binds = "".join(_bind(design, call) for call in _calls(design))
    return f"{generics}\n    interface\n{_bind_init(design)}{binds}    end interface\n\n"


def _bind_init(design: Design | Members) -> str:
    name, more = design.name, ", weights" if design.in_file else ""
    load = f"""\
        integer(c_int) function load__c(weights, size, path) bind(c, name='{name}_load')
            import
            type({name}_weights), intent(out) :: weights
            integer(c_size_t), value :: size
            character(kind=c_char), intent(in) :: path(*)
        end function
"""
    pointer = "            type(c_ptr), value :: weights\n" if design.in_file else ""
    return f"""\
{load if design.in_file else ""}\
        integer(c_int) function init__c(context, size, model{more}) bind(c, name='{name}_init')
            import
            type({name}_context), intent(out) :: context
            integer(c_size_t), value :: size
            integer(c_int64_t), value :: model
{pointer}\
        end function
"""


def _bind(design: Design | Members, call: _Call) -> str:
    name, kind = design.name, _kind(design)
    arrays = "".join(
        f"            real({kind}), intent({'out' if written else 'in'}) :: {array}(*)\n"
        for array, written, _ in call.arrays
    )
    names = ", ".join(array for array, _, _ in call.arrays)
    return f"""\
        integer(c_int) function {call.name}__c(context, rows, {names}) &
            bind(c, name='{name}_{call.name}')
            import
            type({name}_context), intent(inout) :: context
            integer(c_size_t), value :: rows
{arrays}\
        end function
"""


def _procedures(design: Design | Members) -> list[str]:
    found = [_init(design)]
    for call in _calls(design):
        found += [_procedure(design, call, "row"), _procedure(design, call, "rows")]
    return found


def _init(design: Design | Members) -> str:
    name = design.name
    load = f"""
    ! Read the numbers of the network from a file.
    integer(c_int) function {name}_load(weights, path) result(status)
        type({name}_weights), intent(inout) :: weights
        character(*), intent(in) :: path
        status = load__c(weights, c_sizeof(weights), trim(path)//c_null_char)
    end function
"""
    weights = f"        type({name}_weights), intent(in), target :: weights\n"
    more, pointer = (", weights", ", c_loc(weights)") if design.in_file else ("", "")
    return f"""\
{load if design.in_file else ""}
    ! Make a context ready.
    integer(c_int) function {name}_init(context{more}) result(status)
        type({name}_context), intent(inout) :: context
{weights if design.in_file else ""}\
        status = init__c(context, c_sizeof(context), layout__{pointer})
    end function
"""


def _procedure(design: Design | Members, call: _Call, rows: str) -> str:
    """The function for arrays with rows in their last dimension, or for one row."""
    name, kind, many = design.name, _kind(design), rows == "rows"
    names = ", ".join(array for array, _, _ in call.arrays)
    count = "size(X, 2, c_size_t)" if many else "1_c_size_t"
    lines, wrong = [], []
    for array, written, extents in call.arrays:
        rank = len(extents) + many
        intent = "inout" if written else "in"
        colons = ", ".join(":" * rank)
        lines.append(f"        real({kind}), intent({intent}), contiguous :: {array}({colons})\n")
        shape = [f"{name}_{extent}" for extent in extents] + ["size(X, 2)"] * many
        wrong.append(f"any(shape({array}) /= [{', '.join(shape)}])")
    condition = " .or. &\n            ".join(wrong)
    return f"""
    integer(c_int) function {call.name}__{rows}(context, {names}) result(status)
        type({name}_context), intent(inout) :: context
{"".join(lines)}\
        status = {name}_wrong_shape
        if ({condition}) return
        status = {call.name}__c(context, {count}, {names})
    end function
"""
