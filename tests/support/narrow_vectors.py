"""The core tests at another vector width, in a process of their own (test_widths.py)."""

import platform
from pathlib import Path

import pytest

from fastbp.kernels.base import front_end, late_code, machine_code, width
from fastbp.kernels.entry import run

FILES = (
    "test_gradients.py",
    "test_engines.py",
    "test_kernels.py",
    "test_gather.py",
    "test_nonzeros.py",
    "test_elementwise.py",
    "test_torch.py",
    "test_nan.py",
    "test_determinism.py",
    "test_bits.py",
    "test_memory.py",
    "test_embed.py",
    "test_embed_refusals.py",
    "test_embed_ensemble.py",
    "test_derivatives.py",
    "test_jacobian.py",
    "test_features.py",
    "test_norm_and_residual.py",
    "test_custom_activation.py",
    "test_feature_memory.py",
)
"""Laws 1 to 7 and 9, of derivatives and embedded ensembles, too."""

SAME_AT_EVERY_WIDTH = "numpy or stays_flat or the_cache or threading_layer"
"""Tests of the twins, and slow ones of the Python side."""

REGISTERS = {512: "zmm", 256: "ymm", 128: "xmm"}


def assembly():
    """Of the stages."""
    module = front_end.module_of("stages", run._CALLS[4, False], run._SIGNATURE)
    late_code.link_into(module)
    machine_code.compiled(module)
    return machine_code.target_machine().emit_assembly(module)


def check_registers(bits):
    """No wider ones than the processor may use, and those are used."""
    text = assembly()
    used = {register_bits: name in text for register_bits, name in REGISTERS.items()}
    assert used == {register_bits: register_bits <= bits for register_bits in REGISTERS}


def main(bits):
    """0 if all is well."""
    assert bits == width.BITS
    if platform.machine().lower() in ("x86_64", "amd64"):
        check_registers(min(bits, width._host_bits()))
    files = [str(path) for name in FILES for path in Path(__file__).parents[1].rglob(name)]
    return pytest.main(
        [*files, "-q", "-p", "no:cacheprovider", "-k", f"not ({SAME_AT_EVERY_WIDTH})"]
    )
