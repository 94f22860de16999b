"""What may import what, and what no file may name."""

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
FOLDERS = ("fastbp", "kernels", "tests", "bench", "scripts")
INSTALLED = {"numpy", "numba", "llvmlite"}
"""All that the kernels may need at run time. (llvmlite comes with numba.)"""
SHOWING = {
    "callbacks/progress.py": {"tqdm"},
    "callbacks/plots.py": {"matplotlib"},
    "command/report_figures.py": {"matplotlib"},
    "callbacks/history.py": {"matplotlib"},  # for its types alone
    "training/lr_finder.py": {"matplotlib"},  # likewise
    "model/torch_modules.py": {"torch"},
    "export/onnx_graph.py": {"onnx"},
    "export/onnx_nodes.py": {"onnx"},
    "export/onnx_outputs.py": {"onnx"},
    "export/onnx_reader.py": {"onnx", "google"},  # protobuf's error; onnx needs protobuf
    "export/onnx_sides.py": {"onnx"},
    "export/onnx_tensors.py": {"onnx"},
    "export/onnx_writer.py": {"onnx"},
    "export/torch_file.py": {"torch"},
    "tabular/export/onnx_columns.py": {"onnx"},
    "tabular/export/onnx_table.py": {"onnx"},
    "tabular/export/torch_table.py": {"torch"},
}
"""What else a file of fastbp may need."""

STANDING = {
    "capi": set(),
    "sklearn": {"sklearn", "scipy"},
    "tabular": {"sklearn", "scipy", "pyarrow"},
    "command": {"sklearn", "pyarrow"},
}
"""Rooms that stand on the library, in order, and what they may need: no file imports from them, but
for those of the room and of later ones."""


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
    depth = len(path.relative_to(ROOT / "kernels").parts)
    assert max((dots for dots, _ in imports(path)), default=0) <= depth, "leads out of kernels/"


@pytest.mark.parametrize("path", python_files("fastbp"), ids=label)
def test_fastbp_imports_itself_and_its_dependencies(path):
    inside = path.relative_to(ROOT / "fastbp")
    more = SHOWING.get(inside.as_posix(), set()) | STANDING.get(inside.parts[0], set())
    assert top_levels(path) <= INSTALLED | more | sys.stdlib_module_names


ROOMS = {
    "fastbp": (
        *("common", "storage", "components", "data", "runtime", "distributed", "model"),
        *("callbacks", "training"),
        "export",
    ),
    "kernels": ("base", "ir", "tables", "primitives", "stages", "entry", "reference"),
}
"""From the bottom up: a file imports from its own room and from those before it."""

UPWARD = {
    ("fastbp/callbacks/base.py", "training"): "the type of FitState.trainer, for completion",
    ("fastbp/model/network_export.py", "export"): "methods that call it, imported when called",
}
"""What is allowed none the less, and why: three at most."""


def rooms_imported(path):
    """The rooms of its own folder that a file imports from, wherever in it, for types too.

    A module of the top level counts by its name.
    """
    folder = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1]
            module = (*base, *(node.module or "").split(".")) if node.module else base
            names = [module] if len(module) > 1 else [(*module, a.name) for a in node.names]
            yield from (name[1] for name in names)


def test_what_rooms_are_imported_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "fastbp" / "data" / "one.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from ..common.types import Array\nfrom .. import embed\nfrom .two import x\n"
        "from . import three\nif TYPE_CHECKING:\n    from ..model import network\n"
        "def late():\n    from ..training.core import y\n",
        encoding="utf-8",
    )
    found = set(rooms_imported(path))
    assert found == {"common", "embed", "data", "model", "training"}


def test_pages_show_the_rooms_in_their_order():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    design = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    for rooms in ROOMS.values():
        assert " < ".join(rooms) in readme
        assert " --> ".join(rooms) in design


@pytest.mark.parametrize("path", python_files("fastbp"), ids=label)
def test_the_library_knows_nothing_of_what_stands_on_it(path):
    room, standing = path.relative_to(ROOT / "fastbp").parts[0], list(STANDING)
    allowed = standing[: standing.index(room) + 1] if room in STANDING else []
    if room == "__main__.py":  # the command's way in
        allowed = ["command"]
    assert set(rooms_imported(path)) & set(STANDING) <= set(allowed)


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_downwards(folder):
    order, wrong = ROOMS[folder], set()
    for path in python_files(folder):
        room = path.relative_to(ROOT).parts[1]
        if room not in order:
            continue  # a module of the top level, and what stands on it, may import anything
        allowed = {*order[: order.index(room) + 1], "kernels", "__version__"}  # no module
        wrong |= {(label(path), other) for other in rooms_imported(path) if other not in allowed}
    assert wrong == {edge for edge in UPWARD if edge[0].startswith(folder)}
    assert len(UPWARD) <= 3


def test_methods_import_what_stands_above_when_they_are_called():
    """``import fastbp`` loads no room for other programs, nor the packages that it needs."""
    for file, room in UPWARD:
        body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        at_once = [node.module for node in body if isinstance(node, ast.ImportFrom)]
        assert room == "training" or not [name for name in at_once if room in name.split(".")]


def test_the_twins_share_no_code_with_the_kernels():
    """A mistake in a function that both use would hide from their comparison. Codes are none."""
    for path in python_files("kernels/reference"):
        for room in set(rooms_imported(path)) - {"base", "tables", "reference"}:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(room):
                    assert all(alias.name.isupper() for alias in node.names), label(path)


def test_every_room_says_what_it_is():
    for folder, order in ROOMS.items():
        found = {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
        assert found == {*order, *(STANDING if folder == "fastbp" else ())}
        for room in found:
            text = (ROOT / folder / room / "__init__.py").read_text(encoding="utf-8")
            about = ast.get_docstring(ast.parse(text))
            assert about is not None
            assert about.count("\n") <= 4
            assert "Uses " in about


def test_every_room_is_packaged():
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["setuptools"]["packages"]
    found = [
        ".".join(prefix + path.parent.relative_to(ROOT).parts)
        for folder, prefix in (("fastbp", ()), ("kernels", ("fastbp",)))
        for path in (ROOT / folder).rglob("__init__.py")
    ]
    assert sorted(packages) == sorted(found)


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


BINARY = {".pkl", ".safetensors", ".npz", ".npy", ".pyc", ".png", ".gz"}


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN)
def test_no_file_names(pattern):
    for path in filter(Path.is_file, project_files()):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not re.search(pattern, line), f"{label(path)}:{number}: {line.strip()}"


def test_no_file_of_tests_imports_another():
    """What two of them use lives in tests/support/; a program may import the file it is in."""
    paths = python_files("tests")
    modules = {path.stem for path in paths if path.stem.startswith("test_")}
    assert "test_layout" in modules
    for path in paths:
        programs = re.findall(r"\bimport (?:\w+, )*(test_\w+)", path.read_text(encoding="utf-8"))
        assert modules & (top_levels(path) | set(programs)) <= {path.stem}, label(path)
