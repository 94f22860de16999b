"""How many processors other programs had (bench/elsewhere.py)."""

import pytest

from bench import elsewhere


@pytest.fixture
def clocks(monkeypatch):
    """Seconds of the wall, ticks wanted in the system, seconds of this process."""
    values = {"wall": 0.0, "wanted": 0.0, "own": 0.0}
    monkeypatch.setattr(elsewhere.os, "sysconf", lambda _: 100)
    monkeypatch.setattr(elsewhere.sharing, "ticks", lambda: (values["wanted"], 0))
    monkeypatch.setattr(elsewhere.time, "perf_counter", lambda: values["wall"])
    monkeypatch.setattr(elsewhere.time, "process_time", lambda: values["own"])
    return values


def test_others_had_what_this_process_had_not(clocks):
    watch = elsewhere.Watch()
    clocks.update(wall=10.0, wanted=1900.0, own=15.0)
    assert watch.processors() == pytest.approx(0.4)


def test_rounded_ticks_make_nothing_negative(clocks):
    watch = elsewhere.Watch()
    clocks.update(wall=1.0, wanted=199.0, own=2.0)
    assert watch.processors() == 0.0


def test_nobody_counts(monkeypatch):
    monkeypatch.setattr(elsewhere.sharing, "ticks", lambda: None)
    assert elsewhere.Watch().processors() == 0.0
