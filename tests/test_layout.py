"""What may import what, and what no file may name."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("fastbp", "kernels", "tests", "bench", "scripts")
INSTALLED = {"numpy", "numba", "llvmlite"}
"""All that the kernels may need at run time. (llvmlite comes with numba.)"""
SHOWING = {
    "progress.py": {"tqdm"},
    "plots.py": {"matplotlib"},
    "history.py": {"matplotlib"},  # for its types alone
    "lr_finder.py": {"matplotlib"},  # likewise
    "files.py": {"safetensors"},
    "torch_modules.py": {"torch"},
}
"""What else a file of fastbp may need."""


def python_files(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path):
    """(number of dots, dotted name) of every import in a file, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.level, node.module
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, alias.name) for alias in node.names)


def top_levels(path):
    """The first names of a file's absolute imports."""
    return {name.partition(".")[0] for dots, name in imports(path) if dots == 0}


def label(path):
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_look_at():
    for folder in FOLDERS:
        assert python_files(folder), folder
    assert (0, "ast") in imports(Path(__file__))


@pytest.mark.parametrize("path", python_files("kernels"), ids=label)
def test_kernels_know_nothing_of_fastbp(path):
    assert top_levels(path) <= INSTALLED | sys.stdlib_module_names
    assert {dots for dots, _ in imports(path)} <= {0, 1}, "two dots lead out of kernels/"


@pytest.mark.parametrize("path", python_files("fastbp"), ids=label)
def test_fastbp_imports_itself_and_its_dependencies(path):
    needed = {"fastbp"} | INSTALLED | SHOWING.get(path.name, set())
    assert top_levels(path) <= needed | sys.stdlib_module_names
    assert {dots for dots, _ in imports(path)} <= {0, 1}


@pytest.mark.parametrize("path", python_files("bench", "scripts"), ids=label)
def test_nothing_imports_tests(path):
    of_tests = {"tests", "conftest"} | {p.stem for p in python_files("tests")}
    assert not top_levels(path) & of_tests


def test_kernels_is_no_name_of_its_own(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    with pytest.raises(ImportError, match=r"import fastbp\.kernels"):
        importlib.import_module("kernels")


FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~-])/(root|home|Users|mnt|tmp)/\w",
    "the host of a package registry": r"\b(pypi|pythonhosted|npmjs|anaconda|debian)\.(org|com|net)",
}


def project_files():
    """Every text file that belongs to the project."""
    for folder in (*FOLDERS, ".ci"):
        yield from (path for path in (ROOT / folder).rglob("*") if path.suffix not in BINARY)
    yield from (ROOT / name for name in ("pyproject.toml", "README.md", "CHANGELOG.md"))


BINARY = {".npz", ".npy", ".pyc", ".png", ".gz"}


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN)
def test_no_file_names(pattern):
    for path in filter(Path.is_file, project_files()):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not re.search(pattern, line), f"{label(path)}:{number}: {line.strip()}"
