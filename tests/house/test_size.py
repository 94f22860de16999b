"""Limits of source files, functions and numbers of parameters; columns have comments."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for room in ("fastbp", "kernels") for path in (ROOT / room).rglob("*.py"))
FILE_LINES, FUNCTION_LINES, PARAMETERS, KERNEL_PARAMETERS = 450, 50, 7, 9
COMPILED = {"kernel", "inlined", "intrinsic", "entry", "parallel_entry"}
"""Decorators of functions that Numba compiles, or whose arguments are a kernel's."""

MANY_PARAMETERS = {
    "fastbp/model/network.py:Network.__init__": "public",
    "fastbp/training/trainer.py:Trainer.__init__": "public",
    "fastbp/training/trainer.py:Trainer.fit": "public",
    "fastbp/training/trainer_queries.py:TrainerQueries.evaluate": "public",
    "fastbp/tabular/base.py:BaseTabular.fit": "public",
    "kernels/entry/embedding_run.py:_embed_float32": "the addresses of arenas and tables of a call",
    "kernels/entry/embedding_run.py:_embed_float64": "likewise",
    "kernels/entry/c_calls.py:_serve_c": "the arguments of a call from C",
    "kernels/primitives/gemm.py:_micro_kernel.tile": "three operands with strides, and prefetches",
    "kernels/primitives/gemm.py:tile_across": "three operands with strides, and prefetches",
    "kernels/primitives/gemm.py:multiply_down": "three operands with strides, as BLAS's gemm has",
    "kernels/primitives/gemm.py:multiply_across_times": "likewise, and what C is multiplied by",
    "kernels/primitives/gemv.py:_RowsTile.build": "the arguments of a micro-kernel",
    "kernels/primitives/gemv.py:multiply_rows_back": "three operands with strides, and a range",
    "kernels/primitives/tile.py:Tile.build": "the arguments of a micro-kernel",
    "kernels/reference/losses.py:output_delta": "the arguments of its kernel",
    "kernels/reference/network.py:backward": "likewise",
    "kernels/reference/network.py:errors": "likewise",
}
"""Functions with more parameters than allowed, and why."""


def functions(path, text):
    """(dotted name with the file, node) of every function of a source."""

    def inside(node, prefix):
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            name = f"{prefix}{child.name}" if named else prefix
            if named and not isinstance(child, ast.ClassDef):
                yield f"{path}:{name}", child
            yield from inside(child, f"{name}." if named else prefix)

    return inside(ast.parse(text), "")


def lines(function):
    """Lines of a function without its docstring."""
    whole = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return whole
    return whole - (function.body[0].end_lineno - function.body[0].lineno + 1)


def n_parameters(function):
    a = function.args
    names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"], ["typingctx"]))


def most_parameters(function):
    marks = {d.id for d in function.decorator_list if isinstance(d, ast.Name)}
    return KERNEL_PARAMETERS if marks & COMPILED else PARAMETERS


def sources():
    for path in SOURCES:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_files_are_short():
    long = {path for path, text in sources() if text.count("\n") > FILE_LINES}
    assert not long


def test_functions_are_short():
    found = [each for path, text in sources() for each in functions(path, text)]
    assert len(found) > 1000
    assert not {name for name, function in found if lines(function) > FUNCTION_LINES}


def test_functions_have_few_parameters():
    found = {
        name
        for path, text in sources()
        for name, function in functions(path, text)
        if n_parameters(function) > most_parameters(function)
    }
    assert found == set(MANY_PARAMETERS)


def columns_without_comment(text):
    """Names of ``A, B = range(2)`` that nothing describes.

    Over several lines each name has a comment on its line. On one line all names share a comment
    above them or a docstring below.
    """
    rows = text.splitlines()
    body = ast.parse(text).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not (isinstance(node, ast.Assign) and "range(" in ast.unparse(node.value)):
            continue
        if node.lineno == node.end_lineno:
            documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found = [] if documented or rows[node.lineno - 2].startswith("#") else [node]
        else:
            found = [each for each in node.targets[0].elts if "  # " not in rows[each.lineno - 1]]
        yield from (name.id for each in found for name in ast.walk(each) if hasattr(name, "id"))


TABLES = (
    *("tables/job_table", "tables/settings", "tables/layout"),
    *("entry/embed_server", "entry/jacobian_server"),
)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_has_a_comment(name):
    text = (ROOT / "kernels" / f"{name}.py").read_text(encoding="utf-8")
    assert not list(columns_without_comment(text))


def test_a_column_without_a_comment_is_seen():
    text = "(\n    A,  # one\n    B,\n) = range(2)\n\nC, D = range(2)\n"
    assert {"B", "C", "D"} <= set(columns_without_comment(text)) <= {"B", "C", "D", "range"}
