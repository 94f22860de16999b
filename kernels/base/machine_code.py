"""Machine code of LLVM modules, made and loaded by llvmlite alone."""

from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.registry import cpu_target


def compiled(module: Any) -> bytes:
    """The object file of a module, which is optimized in place."""
    machine = target_machine()
    options = llvm.create_pipeline_tuning_options(speed_level=int(numba.config.OPT))
    options.loop_vectorization = bool(numba.config.LOOP_VECTORIZE)
    options.slp_vectorization = bool(numba.config.SLP_VECTORIZE)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    object_file: bytes = machine.emit_object(module)
    return object_file


def target_machine() -> Any:
    """What LLVM generates code for: the processor that Numba would."""
    triple, processor, features = cpu_target.target_context.codegen().magic_tuple()
    target = llvm.Target.from_triple(triple)
    # On x86, LLVM's loader of object files needs fixed addresses, as Numba's does.
    reloc = "static" if target.name.startswith("x86") else "default"
    return target.create_target_machine(
        cpu=processor,
        features=features,
        opt=int(numba.config.OPT),
        reloc=reloc,
        codemodel="jitdefault",
        jit=True,
    )


@cache
def _engine() -> Any:
    """The owner of all C functions: it lives as long as the process."""
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())


def address(symbol: str, object_file: bytes) -> int:
    """Load an object file; the address of the function ``symbol`` in it."""
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(object_file))
    engine.finalize_object()
    return int(engine.get_function_address(symbol))
