"""Pages of the project: examples run, links lead somewhere. Files named there or in code exist."""

import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp.components import activations, losses, optimizers

ROOT = Path(__file__).parents[2]
FOLDERS = ("fastbp", "kernels", "tests", "bench", "scripts")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
)
GUIDE, GALLERY = ROOT / "fastbp" / "README.md", ROOT / "scripts" / "examples" / "README.md"


def label(page):
    return page.relative_to(ROOT).as_posix()


@cache
def text_of(page):
    return page.read_text(encoding="utf-8")


def sections(page):
    """Python code by the heading that it stands below; "" before the first."""
    parts = re.split(r"^## (.+)$", text_of(page), flags=re.MULTILINE)
    titles, texts = ["", *parts[1::2]], parts[0::2]
    return {
        title: "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
        for title, text in zip(titles, texts, strict=True)
        if "```python" in text
    }


def run(page, *titles):
    """The names that the code of some sections leaves, run one after the other."""
    names, code = {}, sections(page)
    for title in titles:
        exec(compile(code[title], f"{label(page)}: {title}", "exec"), names)
    return names


def guide(title):
    return run(GUIDE, "", title)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Examples write into a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 200


def test_the_first_example_learns():
    names = run(ROOT / "README.md", "An example")
    assert len(names["history"]["loss"]) == 20
    assert names["history"]["val_accuracy"][-1] > 0.9


def test_the_page_from_scikit_learn_runs(folder):
    pytest.importorskip("sklearn")
    names = run(ROOT / "fastbp" / "sklearn" / "README.md", "", "What is new")
    assert names["model"].score(names["X"][800:], names["y"][800:]) > 0.9
    p = names["model"].predict_proba(names["X"][:3].astype("float32"))
    assert np.array_equal(names["p"][:, 0], p[:, 1])
    assert (folder / "model.safetensors").exists()


def test_the_page_of_tables_runs(folder):
    for package in ("sklearn", "pyarrow", "pandas"):
        pytest.importorskip(package)
    titles = ("An example", "Numbers, with their uncertainty", "Files")
    names = run(ROOT / "fastbp" / "tabular" / "README.md", *titles)
    table, model = names["table"][1500:], names["model"]
    assert model.score(table, names["bought"][1500:]) > 0.8
    assert np.array_equal(names["p"], names["same"].predict_proba(table))
    inside = (names["low"] <= names["price"][1500:]) & (names["price"][1500:] <= names["high"])
    assert 0.8 < inside.mean() < 1
    assert (folder / "buyers.safetensors").exists()


def test_the_page_of_tables_exports(folder):
    for package in ("sklearn", "pyarrow", "pandas", "onnx", "onnxruntime"):
        pytest.importorskip(package)
    names = run(ROOT / "fastbp" / "tabular" / "README.md", "An example", "For other programs")
    p = names["model"].predict_proba(names["rows"])
    assert np.abs(names["probabilities"] - p).max() < 1e-4
    assert (folder / "buyers_net_1.c").exists()


NEED = {"To and from ONNX": ("onnx", "onnxruntime")}
"""What else the code of a section needs, and may be missing."""


@pytest.mark.parametrize("title", [title for title in sections(GUIDE) if title])
def test_the_guide_runs(title):
    for package in NEED.get(title, ()):
        pytest.importorskip(package)
    guide(title)


def test_the_example_of_stopping_stops(folder):
    names = guide("Watch and stop")
    history, stopping = names["history"], names["stopping"]
    assert len(history["loss"]) == stopping.best_epoch + 5 < 100
    assert stopping.best == min(history["val_brier"])
    assert (folder / "history.csv").exists()


def test_the_loop_in_njit_code_learns():
    names = guide("Inside njit code")
    assert 0 < names["late"] < names["early"] / 10


def test_the_example_of_model_files_loads_what_it_saved(folder):
    names = guide("Save and load")
    assert np.array_equal(names["same"].predict(names["X"]), names["net"].predict(names["X"]))
    assert (folder / "model.safetensors").exists()


def test_the_example_of_onnx_predicts_the_same():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    names = guide("To and from ONNX")
    expected = names["net"].predict(names["X"])
    assert np.abs(names["p"] - expected).max() < 1e-5
    assert np.array_equal(names["same"].predict(names["X"]), expected)


def test_the_long_run_is_resumed():
    whole = guide("Long runs and resume")
    again = guide("Long runs and resume")  # from the file of the end
    assert again["history"] == whole["history"]
    weights = (names["trainer"].net.weights[0] for names in (whole, again))
    assert np.array_equal(*weights)


NAMES = {
    **dict.fromkeys(activations.ACTIVATIONS, "activation"),
    **dict.fromkeys(losses.LOSSES, "loss"),
    **dict.fromkeys(optimizers.OPTIMIZERS, "optimizer"),
    **dict.fromkeys(fastbp.schedules.SCHEDULES, "schedule"),
    **dict.fromkeys(fastbp.__all__, "name"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_has_every_name(name):
    assert re.search(rf"\b{name}\b", text_of(GUIDE)), f"fastbp/README.md: no {NAMES[name]} {name}"


def test_every_example_is_in_the_gallery():
    text = text_of(GALLERY)
    for script in sorted(GALLERY.parent.glob("*.py")):
        assert f"[{script.name}]({script.name})" in text, script.name
        assert f"scripts/examples/{script.name}" in text, script.name


def without_code(page):
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("](", "] ("), text)


def anchors(page):
    """The anchors that GitHub gives the headings of a page."""
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).strip().replace(" ", "-") for title in plain}


def links(page):
    """Targets of the relative links and images of a page."""
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(page))
    return [link for link in found if not re.match(r"\w+:", link)]


def broken(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_links_lead_somewhere(page):
    assert not list(broken(page))


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[1](page.md#a-b-c) [2](none.md) [3](#none) [4](https://x.org)\n")
    assert list(broken(page)) == ["none.md", "#none"]


PATH = re.compile(r"(?<![\w/.*<>-])((?:[\w.]+/)*[\w]+\.(?:py|json|npz|md|toml|sh|png))(?![\w*])")


def nowhere(path, text):
    """Files that a text names and that no folder has: from the folder of its file, or the root."""
    places = (path.parent, ROOT, *(ROOT / folder for folder in FOLDERS))
    for name in PATH.findall(text):
        if not any((place / name).exists() for place in places):
            yield name


def missing(page):
    """Files that a page names in code and that no folder has: from the page's, or from the root."""
    if page.name == "CHANGELOG.md":  # it names files of its time
        return
    words = re.findall(r"`([^`\n]+)`", text_of(page))
    blocks = re.findall(r"^```(?:sh|text|)\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    yield from nowhere(page, "\n".join([*words, *blocks]))


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_named_files_exist(page):
    assert not list(missing(page))


def test_a_missing_file_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("`bench/report.py` `stages/none.py`\n```\nnone.py\n```\n")
    assert list(missing(page)) == ["stages/none.py", "none.py"]


def prose(source):
    """Docstrings and comments of a Python file."""
    nodes = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join([*filter(lambda text: isinstance(text, str), texts), *comments])


SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=label)
def test_files_named_in_docstrings_and_comments_exist(path):
    named = nowhere(path, prose(text_of(path)))
    assert not [name for name in named if "/" in name]


def test_prose_has_docstrings_and_comments_alone():
    assert prose('"""a/b.py"""\nx = "c/d.py"  # e/f.py\n') == "a/b.py\n# e/f.py"
