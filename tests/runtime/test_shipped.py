"""The modules that a wheel ships become the machine code of the sources, without a front end."""

import re

import pytest
from numba import types

from fastbp.kernels.base import front_end, jit, late_code, machine_code, shipped
from fastbp.kernels.entry import embed_server, run
from fastbp.kernels.primitives.shuffle import mix
from support import processes


def _stage(z):
    return types.int64(mix(types.uint64(z)))


SIGNATURE = types.int64(types.int64)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """With the module of ``_stage``, and no cache of machine code."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    monkeypatch.setattr(jit.cached_code, "load", lambda _symbol: None)
    monkeypatch.setattr(jit.cached_code, "save", lambda _symbol, _file: None)
    jit.ship(tmp_path, _stage, SIGNATURE)
    return tmp_path


@pytest.fixture
def compiled(monkeypatch):
    """Symbols that the front end compiles."""
    found = []
    monkeypatch.setattr(jit, "module_of", lambda symbol, *_: found.append(symbol))
    return found


@pytest.mark.usefixtures("folder")
def test_a_shipped_module_needs_no_front_end(compiled):
    assert jit.c_function(_stage, SIGNATURE) != 0
    assert compiled == []


@pytest.mark.parametrize("damage", [lambda file: file[:100], lambda _: b"", lambda file: file * 0])
def test_a_damaged_one_is_compiled(folder, damage):
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert shipped.load("fastbp_stage") is None


@pytest.mark.usefixtures("folder")
def test_one_of_other_sources_is_not_used(monkeypatch):
    assert shipped.load("fastbp_stage") is not None
    monkeypatch.setattr(shipped.code_stamp, "module_stamp", lambda: "another")
    assert shipped.load("fastbp_stage") is None


@pytest.mark.parametrize(
    "name", ["numba.__version__", "llvmlite.__version__", "numba.config.OPT", "width.BITS"]
)
def test_a_module_is_stamped_with(name, monkeypatch):
    before = shipped.code_stamp.module_stamp.__wrapped__()
    monkeypatch.setattr(f"fastbp.kernels.base.code_stamp.{name}", "another")
    assert shipped.code_stamp.module_stamp.__wrapped__() != before


# The modules of the kernels

SERVE = "fastbp_serve", embed_server._serve, embed_server._SIGNATURE


def test_the_machine_code_is_that_of_the_sources():
    def object_file(module):
        late_code.link_into(module)
        return machine_code.compiled(module)

    module = front_end.module_of(*SERVE)
    loaded = machine_code.llvm.parse_bitcode(module.as_bitcode())
    assert object_file(loaded) == object_file(module)


@pytest.mark.slow
@pytest.mark.parametrize("kind", run._CALLS)
def test_a_module_needs_nothing_of_a_process(kind):
    """Neither an address, nor a function of Python or Numba."""
    module = front_end.module_of("stages", run._CALLS[kind], run._SIGNATURE)
    assert not re.search(r"inttoptr \(", str(module))
    late_code.link_into(module)
    needed = {
        function.name
        for function in module.functions
        if function.is_declaration and not function.name.startswith("llvm.")
    }
    assert needed <= {"sqrt", "cos", "erf", "exp", "expm1", "log", "log1p", "tanh", "pow"}


PROCESSOR = """
import hashlib
from fastbp.kernels.base import code_stamp, front_end, width
from fastbp.kernels.entry import embed_server
module = front_end.module_of("serve", embed_server._serve, embed_server._SIGNATURE)
print(width.BITS, code_stamp.module_stamp(), hashlib.sha256(str(module).encode()).hexdigest())
"""


@pytest.mark.slow
@pytest.mark.process
def test_it_is_the_same_on_all_processors_of_a_width():
    settings = {"FASTBP_VECTOR_BITS": "128", "NUMBA_CPU_FEATURES": ""}
    one, other = (
        processes.run(PROCESSOR, NUMBA_CPU_NAME=name, **settings) for name in ("haswell", "generic")
    )
    assert one == other
