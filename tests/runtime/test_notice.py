"""A line on a terminal when kernels begin to compile."""

import io
import re
import sys

import pytest

from fastbp.kernels.base import jit, notice


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Closed(Terminal):
    def write(self, _):
        raise ValueError("closed")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(notice, "_said", [])


def test_a_terminal_gets_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    notice.compiling()
    notice.compiling()
    said = sys.stderr.getvalue()
    assert said.startswith("fastbp compiles its kernels")
    assert not re.search(r"\d", said)  # how long it takes, no one knows
    assert "fastbp.warmup()" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("stderr", [io.StringIO(), None, object(), Closed()])
def test_nothing_else_gets_one(monkeypatch, stderr):
    monkeypatch.setattr(sys, "stderr", stderr)
    notice.compiling()
    assert not isinstance(stderr, io.StringIO) or stderr.getvalue() == ""


def test_it_comes_before_a_compilation_and_not_before_a_load(monkeypatch):
    events = []
    monkeypatch.setattr(notice, "compiling", lambda: events.append("notice"))
    monkeypatch.setattr(jit, "module_of", lambda *_: events.append("module") or object())
    monkeypatch.setattr(jit.late_code, "link_into", lambda _: None)
    monkeypatch.setattr(jit.machine_code, "compiled", lambda _: b"")
    monkeypatch.setattr(jit.machine_code, "address", lambda *_: 7)
    monkeypatch.setattr(jit.cached_code, "save", lambda *_: None)
    monkeypatch.setattr(jit.shipped, "load", lambda _: None)
    monkeypatch.setattr(jit.cached_code, "load", lambda _: b"code")
    assert jit.c_function(Terminal.isatty, None) == 7
    assert events == []
    monkeypatch.setattr(jit.cached_code, "load", lambda _: None)
    jit.c_function(Terminal.isatty, None)
    assert events == ["notice", "module"]
    monkeypatch.setattr(jit.shipped, "load", lambda _: object())
    jit.c_function(Terminal.isatty, None)
    assert events[2:] == ["notice"]
