"""Every public name has an example in its docstring, which runs as it stands.

An example may use ``fastbp`` and ``np``, as the docstring of the package says. Those of
fastbp.schedules may use what the example of that module defines.
"""

import doctest
import importlib.util
import inspect

import numpy as np
import pytest

import fastbp
from fastbp import capi, embed, schedules
from fastbp.training.lr_finder import LRCurve
from support import fake_torch

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
INTERNAL_NAMES = ("blank", "fast_fill", "fast_outputs", "fill", "keep_names")
INTERNAL = {f"fastbp.Network.{name}" for name in INTERNAL_NAMES}
"""Methods that other modules of fastbp call, and users do not; their docstrings say so."""

FINDER = doctest.DocTestFinder(recurse=False)


def public_names():
    """The object of every public name that can have a docstring."""
    modules = {"fastbp": fastbp, "fastbp.math": fastbp.math, "fastbp.schedules": schedules}
    modules["fastbp.calibration"] = fastbp.calibration
    modules["fastbp.capi"] = capi
    for prefix, module in modules.items():
        yield from ((f"{prefix}.{name}", vars(module)[name]) for name in module.__all__)
    yield "fastbp", fastbp
    yield "fastbp.math", fastbp.math
    yield "fastbp.calibration", fastbp.calibration
    for owner in (embed, fastbp.Network, fastbp.Ensemble, fastbp.Trainer, fastbp.History, LRCurve):
        yield from functions_of(owner)


def functions_of(owner):
    """The public functions of a module or a class that are fastbp's, those of its bases too."""
    prefix = "fastbp.embed" if owner is embed else f"fastbp.{owner.__name__}"
    for name in dir(owner):
        function = inspect.unwrap(getattr(owner, name)) if name[0] != "_" else None
        function = getattr(function, "__func__", function)  # of a class method
        is_ours = inspect.isfunction(function) and function.__module__.startswith("fastbp.")
        if is_ours and f"{prefix}.{name}" not in INTERNAL:
            yield f"{prefix}.{name}", function


NAMES = {name: value for name, value in public_names() if not isinstance(value, dict)}


def examples_of(name, names):
    """The examples of an object, as one test that knows these names."""
    (test,) = FINDER.find(NAMES[name], name, module=False, globs=names)
    return test


def run(test):
    """Run examples in a folder of their own, and report what fails."""
    report = []
    failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(
        test, out=report.append, clear_globs=False
    )
    assert failed == 0, "".join(report)
    return tried


@pytest.fixture
def names(monkeypatch, tmp_path):
    """What an example knows."""
    monkeypatch.chdir(tmp_path)
    return {"fastbp": fastbp, "np": np}


@pytest.fixture
def torch(monkeypatch):
    """torch, or its stand-in."""
    if importlib.util.find_spec("torch") is None:
        fake_torch.forget()
        fake_torch.install(monkeypatch)
    yield
    fake_torch.forget()


NEED = {"fastbp.Network.to_onnx": "onnx", "fastbp.from_onnx": "onnx"}
"""Names whose examples need a package that may be missing, and has no stand-in."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("torch")
def test_the_example(name, names):
    if name in NEED:
        pytest.importorskip(NEED[name])
    if name.startswith("fastbp.schedules."):
        module = examples_of("fastbp.schedules", names)
        run(module)
        names |= module.globs
    assert run(examples_of(name, names)) > 0, f"{name} has no example"


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_is_a_sentence(name):
    first = inspect.getdoc(NAMES[name]).partition("\n")[0]
    assert first.endswith((".", ":")), first


def test_the_names():
    expected = {"fastbp.Adam", "fastbp.embed.step", "fastbp.schedules.Cosine", "fastbp.load"}
    expected |= {"fastbp.Network.predict", "fastbp.Trainer.load", "fastbp.Trainer.evaluate"}
    assert set(NAMES) >= expected
    assert len(NAMES) > 60


def test_an_example_that_fails_is_reported(names):
    def wrong():
        """Wrong.

        >>> fastbp.SGD(lr=0.5)
        fastbp.SGD(lr=0.25)
        """

    (test,) = FINDER.find(wrong, "wrong", module=False, globs=names)
    with pytest.raises(AssertionError, match=r"Expected:\n +fastbp\.SGD\(lr=0\.25\)"):
        run(test)
