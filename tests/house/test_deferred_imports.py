"""Names of fastbp that bench/ and scripts/ import, also inside functions, exist."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path for folder in ("bench", "scripts") for path in (ROOT / folder).rglob("*.py"))


def missing(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "fastbp":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):  # a module, then
                    try:
                        importlib.import_module(f"{node.module}.{alias.name}")
                    except ModuleNotFoundError:
                        yield f"{node.module}.{alias.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_imported_from_fastbp_exist(path):
    assert not list(missing(path))


def test_a_missing_name_is_seen(tmp_path):
    path = tmp_path / "one.py"
    path.write_text("def late():\n    from fastbp.kernels.base import jit, none\n")
    assert list(missing(path)) == ["fastbp.kernels.base.none"]
