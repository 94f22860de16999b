"""Canaries: what fastbp uses of Numba and llvmlite beyond their documented interface is there.

Each test is named by the internal, and fails when that has gone or has other arguments. The cap of
numba in pyproject.toml may be raised when all pass with the new version. What kernels/base/ does
without the internals of its compiler and cache: test_fallback.py.
"""

import inspect
import pkgutil

import numba
import pytest
from numba import types
from numba.core.compiler import Compiler, DefaultPassBuilder, Flags
from numba.core.registry import cpu_target

from fastbp.kernels.base import code_stamp, inner_compiler

FUNCTIONS = {
    # kernel_cache.py
    "numba.core.caching.FunctionCache": "py_func",
    "numba.core.caching.FunctionCache.load_overload": "self sig target_context",
    "numba.core.caching.FunctionCache.save_overload": "self sig data",
    "numba.core.caching.FunctionCache.flush": "self",
    "numba.core.caching.CompileResultCacheImpl.reduce": "self cres",
    "numba.core.caching.CompileResultCacheImpl.rebuild": "self target_context payload",
    "numba.core.caching.CompileResultCacheImpl.check_cachable": "self cres",
    "numba.core.caching.CompileResultCacheImpl.get_filename_base": "self fullname abiflags",
    "numba.core.caching.IndexDataCacheFile": "cache_path filename_base source_stamp",
    # front_end.py
    "numba.core.cgutils.normalize_ir_text": "text",
    "numba.core.base.BaseContext.get_value_type": "self ty",
    "numba.core.callconv.CPUCallConv.call_function": "self builder callee resty argtys args attrs",
    "numba.core.callconv.CPUCallConv.get_function_type": "self restype argtypes",
    # inner_compiler.py
    "numba.core.compiler.Compiler": "typingctx targetctx library args return_type flags locals",
    "numba.core.compiler.Compiler.define_pipelines": "self",
    "numba.core.compiler.DefaultPassBuilder.define_nopython_pipeline": "state name",
    "numba.core.compiler_machinery.PassManager": "pipeline_name",
    "numba.core.compiler_machinery.PassManager.add_pass": "self pss description",
    "numba.core.compiler_machinery.PassManager.finalize": "self",
    "numba.core.codegen.JITCodeLibrary": "codegen name",
    "numba.core.codegen.JITCodeLibrary.finalize": "self",
    "numba.core.codegen.JITCodeLibrary.get_pointer_to_function": "self name",
    "numba.core.codegen.JITCodeLibrary._optimize_functions": "self ll_module",
    "numba.core.codegen.JITCodeLibrary._get_module_for_linking": "self",
    "numba.core.codegen.JITCodeLibrary._raise_if_finalized": "self",
    "numba.core.codegen.JITCodeLibrary._ensure_finalized": "self",
    "numba.core.codegen.JITCodeLibrary._finalize_dynamic_globals": "self",
    "numba.core.codegen.JITCPUCodegen.set_env": "self env_name env",
    "numba.core.codegen.JITCPUCodegen.magic_tuple": "self",
    # ir/, variants.py, embed_calls.py, and the intrinsics everywhere
    "numba.core.typing.context.Context.resolve_value_type": "self val",
    "numba.core.typing.context.Context.resolve_function_type": "self func args kws",
    "numba.core.typing.templates.AbstractTemplate": "context",
    "numba.core.typing.templates.infer_global": "val typ kwargs",
    "numba.core.typing.templates.signature": "return_type args kws",
    "numba.core.base.BaseContext.get_function": "self fn sig _firstcall",
    "numba.core.base.BaseContext.add_linking_libs": "self libs",
    "numba.core.base.BaseContext.cast": "self builder val fromty toty",
    "numba.core.base.BaseContext.get_dummy_value": "self",
    "numba.core.base.BaseContext.make_array": "self typ",
    "numba.core.base.BaseContext.make_tuple": "self builder typ values",
    "numba.core.callconv.CPUCallConv.return_user_exc": "self builder exc exc_args loc func_name",
    "numba.core.cgutils.alloca_once": "builder ty size name zfill",
    "numba.core.cgutils.alloca_once_value": "builder value name zfill",
    "numba.core.cgutils.get_or_insert_function": "module fnty name",
    "numba.core.cgutils.unpack_tuple": "builder tup count",
    "numba.core.datamodel.models.PrimitiveModel": "dmm fe_type be_type",
    "llvmlite.binding.create_pass_builder": "tm pto",
    "llvmlite.binding.create_pipeline_tuning_options": "speed_level",
    "llvmlite.binding.ModulePassManager.add_global_dead_code_eliminate_pass": "self",
    "llvmlite.binding.ModulePassManager.add_instruction_combine_pass": "self",
    "llvmlite.binding.ModulePassManager.add_simplify_cfg_pass": "self",
    "llvmlite.binding.ModulePassManager.add_sroa_pass": "self",
    "llvmlite.binding.ModuleRef.clone": "self",
    "llvmlite.binding.ModuleRef.link_in": "self other preserve",
    "llvmlite.binding.targets.Target.create_target_machine": (
        "self cpu features opt reloc codemodel printmc jit abiname"
    ),
}
"""Functions and classes, and the names of their parameters."""

NAMES = (
    "numba.core.compiler_lock.global_compiler_lock",
    "numba.core.errors.TypingError",
    "numba.core.event.install_recorder",
    "numba.core.registry.CPUDispatcher",
    "numba.core.types.StarArgTuple",
    "numba.core.types.BaseNamedTuple",
    "numba.core.types.BaseTuple.from_types",
    "numba.core.typing.typeof.Purpose.constant",
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_has_its_parameters(name):
    found = inspect.signature(pkgutil.resolve_name(name)).parameters.values()
    expected = FUNCTIONS[name].split()
    needed = [p.name for p in found if p.name in expected or p.default is p.empty]
    assert needed == expected, f"{name} has changed"


@pytest.mark.parametrize("name", NAMES)
def test_is_there(name):
    assert pkgutil.resolve_name(name) is not None, f"{name} has gone"


@numba.njit
def _twice(x):
    return 2 * x


COMPILED = {
    "Dispatcher._cache": lambda: _twice._cache.load_overload,
    "Dispatcher.py_func": lambda: _twice.py_func,
    "Dispatcher.overloads.fndesc": lambda: overload().fndesc.llvm_func_name,
    "Dispatcher.overloads.library": lambda: overload().library.get_llvm_str,
    "CodeLibrary._codegen": lambda: library()._codegen,
    "CodeLibrary.codegen": lambda: library().codegen.set_env,
    "CodeLibrary._finalized": lambda: library()._finalized,
    "CPUCodeLibrary._linking_libraries": lambda: library()._linking_libraries,
    "BaseContext.call_conv": lambda: cpu_target.target_context.call_conv,
    "numba.core.base._wrap_impl.libs": lambda: implementation().libs,
}
"""Attributes that only an object has."""


def library():
    return cpu_target.target_context.codegen().create_library("canary")


def overload():
    """What a compiled function keeps of a signature."""
    _twice.compile((types.int64,))
    return _twice.overloads[(types.int64,)]


def implementation():
    """What ``context.get_function`` returns for a compiled function."""
    _twice.compile((types.int64,))
    context = cpu_target.typing_context
    kind = context.resolve_value_type(_twice)
    sig = context.resolve_function_type(kind, (types.int64,), {})
    return cpu_target.target_context.get_function(kind, sig)


@pytest.mark.parametrize("name", COMPILED)
def test_is_an_attribute(name):
    try:
        COMPILED[name]()
    except AttributeError as error:
        pytest.fail(f"{name} has gone: {error}")


def compiler():
    return Compiler(
        *(cpu_target.typing_context, cpu_target.target_context),
        library=None,
        args=(),
        return_type=None,
        flags=Flags(),
        locals={},
    )


def test_compiler_state_has_a_library():
    assert compiler().state.library is None, "Compiler.state.library has changed"


@pytest.mark.parametrize("name", sorted(inner_compiler.UNUSED_PASSES))
def test_is_a_pass(name):
    passes = DefaultPassBuilder.define_nopython_pipeline(compiler().state).passes
    assert name in {each[0].name() for each in passes}, f"the pass {name} has gone"


@pytest.mark.parametrize("name", ["NUMBA_NUM_THREADS", "THREADING_LAYER", *code_stamp.SETTINGS])
def test_is_a_setting(name):
    assert hasattr(numba.config, name), f"numba.config.{name} has gone"
