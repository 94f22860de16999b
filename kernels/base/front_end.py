"""From Python to LLVM modules, by Numba's front end."""

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

from . import fallback, late_code, machine_code
from .flags import INNER_FLAGS

INNER_OPTIONS: dict[str, Any] = dict(INNER_FLAGS)
"""How functions are compiled that only other kernels call."""

try:
    from . import inner_compiler

    INNER_OPTIONS["pipeline_class"] = inner_compiler.InnerCompiler
    is_special = inner_compiler.works
except fallback.MISSING as error:
    fallback.warn(fallback.SLOWER, error)

    def is_special() -> bool:
        """Whether there is a compiler of inner functions."""
        return False


def module_of(symbol: str, function: Callable[..., Any], signature: Any) -> Any:
    """The LLVM module of a C function and all that it calls, but late code.

    It is the same on all machines of a vector width, and not optimized. No exception leaves a
    kernel, and none has an array: the C function needs nothing of Python, nor of Numba.
    """
    dispatcher = numba.njit(**INNER_OPTIONS)(function)
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature.args]
    module = _c_function(symbol, compiled.fndesc)
    if is_special():
        module.link_in(inner_compiler.without_late_code(compiled.library))
    else:
        module.link_in(llvm.parse_assembly(compiled.library.get_llvm_str()))
    for variable in module.global_variables:
        if variable.linkage == llvm.Linkage.common:  # environments, which no kernel needs
            variable.linkage = llvm.Linkage.internal
    _simplify(module)
    return module


def _c_function(symbol: str, callee: Any) -> Any:
    """A module with a C function that calls a function of Numba's."""
    context = cpu_target.target_context
    convention = context.call_conv
    result, *arguments = map(context.get_value_type, (callee.restype, *callee.argtypes))
    module = ir.Module(symbol)
    function = ir.Function(module, ir.FunctionType(result, arguments), symbol)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    inner_type = convention.get_function_type(callee.restype, callee.argtypes)
    inner = cgutils.get_or_insert_function(module, inner_type, callee.llvm_func_name)
    _, value = convention.call_function(
        builder, inner, callee.restype, callee.argtypes, function.args
    )
    builder.ret(value)
    return llvm.parse_assembly(cgutils.normalize_ir_text(str(module)))


def _simplify(module: Any) -> None:
    """Remove what Numba emits for any function, such as addresses of this process."""
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    passes.add_global_dead_code_eliminate_pass()
    options = llvm.create_pipeline_tuning_options()
    passes.run(module, llvm.create_pass_builder(machine_code.target_machine(), options))


@cache
def late_library() -> Any:
    """The late code as a library of Numba's, for functions that Numba itself links with kernels."""
    if is_special():
        return inner_compiler.late_library()
    library = cpu_target.target_context.codegen().create_library("fastbp_late_code")
    library.add_llvm_module(late_code.module())
    library.finalize()
    return library
