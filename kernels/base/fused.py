"""Whether the code generator fuses a product and a sum, which rounds once and not twice."""

from functools import cache

import llvmlite.binding as llvm
from numba.core.registry import cpu_target

_PROBE = """
declare <4 x float> @llvm.fmuladd.v4f32(<4 x float>, <4 x float>, <4 x float>)

define <4 x float> @probe(<4 x float> %x) {
  %y = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %x, <4 x float> %x, <4 x float> %x)
  ret <4 x float> %y
}
"""

_FUSED = ("vfmadd", "vfmla", "fmla")
"""Instructions of x86-64 and of arm64."""


@cache
def is_fused() -> bool:
    """Ask the code generator itself, as width.py does."""
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    assembly = machine.emit_assembly(llvm.parse_assembly(_PROBE))
    return any(name in assembly for name in _FUSED)
