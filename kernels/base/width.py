"""The vector width of the kernels: what Numba's code generator has, unless it is overridden.

``FASTBP_VECTOR_BITS`` (512, 256 or 128) overrides the choice; a width above the host's is legal
LLVM and is split by the code generator.
"""

import os

import llvmlite.binding as llvm
from numba.core.registry import cpu_target

WIDTHS = (512, 256, 128)

_PROBE = """
define void @probe(ptr %p) {
  %x = load <16 x float>, ptr %p
  %y = fadd <16 x float> %x, %x
  store <16 x float> %y, ptr %p
  ret void
}
"""


def _host_bits() -> int:
    """Ask the code generator itself: names and features of processors are a moving list."""
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    module = llvm.parse_assembly(_PROBE)
    assembly = machine.emit_assembly(module)
    return 512 if "zmm" in assembly else 256 if "ymm" in assembly else 128


def _chosen_bits() -> int:
    wanted = os.environ.get("FASTBP_VECTOR_BITS", "")
    if not wanted:
        return _host_bits()
    if wanted not in map(str, WIDTHS):
        raise ValueError(
            f"FASTBP_VECTOR_BITS is {wanted!r}: it must be one of {', '.join(map(str, WIDTHS))}"
        )
    return int(wanted)


BITS = _chosen_bits()


def lanes(itemsize: int) -> int:
    """Elements of ``itemsize`` bytes in one vector."""
    return BITS // (8 * itemsize)
