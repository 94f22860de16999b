"""The choice of how products read memory: measured, kept, overridden; never seen in bits."""

import json
import os

import pytest

from fastbp.kernels.base import cache_folder, cached_code, choices, code_stamp, kernel_cache
from fastbp.kernels.base.choices import CANDIDATES, DEFAULT, Choice, Walk
from fastbp.kernels.primitives import trial
from support import processes

EVERY = [
    Choice(down, across)
    for down, across in zip(CANDIDATES["down"], CANDIDATES["across"], strict=True)
]
"""Choices that have every candidate."""


def slower(slow):
    """A timer by which every candidate takes a second, and those of ``slow`` three."""
    return lambda direction, walk: 3.0 if (direction, walk) in slow else 1.0


@pytest.mark.parametrize("direction", Choice._fields)
def test_the_default_stays_where_all_are_alike(direction):
    assert getattr(trial.best(slower([]))[0], direction) == getattr(DEFAULT, direction)


@pytest.mark.parametrize("direction", Choice._fields)
@pytest.mark.parametrize("place", range(4))
def test_a_candidate_is_chosen_where_all_others_are_slow(direction, place):
    wanted = CANDIDATES[direction][place]
    slow = [(direction, walk) for walk in CANDIDATES[direction] if walk != wanted]
    chosen, measured = trial.best(slower(slow))
    assert getattr(chosen, direction) == wanted
    other = "across" if direction == "down" else "down"
    assert getattr(chosen, other) == getattr(DEFAULT, other)
    assert len(measured) == 8


def test_a_small_gain_is_no_reason():
    default = DEFAULT.down
    chosen, _ = trial.best(lambda _, walk: 1.0 if walk == default else 1 - trial.MARGIN / 2)
    assert chosen == DEFAULT


def test_noise_that_comes_and_goes_is_no_reason():
    """Every other call takes 5 times as long: the machine has something else to do."""
    calls = iter(range(10**6))
    fast = Walk(not DEFAULT.down.prefetches, DEFAULT.down.steps)

    def seconds(direction, walk):
        busy = 5.0 if next(calls) // 8 % 2 else 1.0
        return busy * (0.8 if (direction, walk) == ("down", fast) else 1.0)

    assert trial.best(seconds)[0] == Choice(fast, DEFAULT.across)


def test_a_candidate_that_is_slower_in_every_third_round_is_not_chosen():
    """Its median is a tenth below the default's."""
    fast, rounds = Walk(not DEFAULT.down.prefetches, DEFAULT.down.steps), iter(range(10**6))

    def seconds(direction, walk):
        if (direction, walk) != ("down", fast):
            return 1.0
        return 1.5 if next(rounds) % 3 == 0 else 0.9

    assert trial.best(seconds)[0] == DEFAULT


def test_a_candidate_that_is_slowed_down_is_not_chosen():
    """On this machine: the fastest candidate now calls its product four times."""
    seconds = trial.timer()
    first, _ = trial.best(seconds)

    def slowed(direction, walk):
        taken = seconds(direction, walk)
        if walk == getattr(first, direction):
            taken += sum(seconds(direction, walk) for _ in range(3))
        return taken

    second, _ = trial.best(slowed)
    assert second.down != first.down
    assert second.across != first.across


@pytest.mark.parametrize("choice", [DEFAULT, *EVERY], ids=str)
def test_a_choice_is_a_text(choice):
    assert choices.parse(str(choice)) == choice


@pytest.mark.parametrize(
    "text", ["fast", "plain:1024", "plain:0,plain:512", "plain:24,plain:512", "plain:1e3,plain:512"]
)
def test_another_text_is_refused(text):
    with pytest.raises(ValueError, match=f"FASTBP_TILE is '{text}': it must be 'default', or a "):
        choices.parse(text)


# What is kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of kernels, and a trial that counts its calls."""
    monkeypatch.delenv("FASTBP_TILE", raising=False)
    monkeypatch.setattr(code_stamp, "cache_folder", lambda: tmp_path / "kernels")
    calls = []
    monkeypatch.setattr(choices, "_trial", lambda: calls.append(0) or (EVERY[0], {"down": "1.0"}))
    found = choices._found.__wrapped__
    return tmp_path / "kernels", calls, found


def test_what_was_measured_is_kept(folder):
    place, calls, found = folder
    assert found() == found() == (EVERY[0], "measured on this machine: down 1.0")
    assert calls == [0]
    assert [path.name for path in place.iterdir()] == [choices.FILE]


DEEP = "[" * 10**5
"""More brackets than Python's recursion takes."""


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"choice": "fast"}', '{"choice": 1}', DEEP],
    ids=["empty", "object", "list", "name", "number", "deep"],
)
def test_a_damaged_file_is_measured_anew(folder, text):
    place, calls, found = folder
    place.mkdir()
    (place / choices.FILE).write_text(text, encoding="ascii")
    assert found()[0] == EVERY[0]
    assert calls == [0]
    assert json.loads((place / choices.FILE).read_text(encoding="ascii"))["choice"] == str(EVERY[0])


def refuse(_length):
    raise PermissionError


def test_a_folder_that_cannot_be_written_costs_a_trial(folder, monkeypatch):
    place, calls, found = folder
    place.mkdir()
    monkeypatch.setattr("secrets.token_hex", refuse)
    assert found() == (EVERY[0], "measured on this machine, and not kept")
    assert calls == [0]


@pytest.mark.parametrize(
    ("setting", "choice"), [("default", DEFAULT), (str(EVERY[1]), EVERY[1])], ids=str
)
def test_a_setting_measures_nothing(folder, monkeypatch, setting, choice):
    _, calls, found = folder
    monkeypatch.setenv("FASTBP_TILE", setting)
    assert found()[0] == choice
    assert calls == []


def test_without_a_folder_nothing_is_measured(folder, monkeypatch):
    _, calls, found = folder
    monkeypatch.setattr(cache_folder, "path_of", lambda _name: None)
    assert found()[0] == DEFAULT
    assert calls == []


def test_each_choice_has_cached_files_of_its_own(monkeypatch):
    names = set()
    for choice in EVERY:
        monkeypatch.setattr(choices, "current", lambda one=choice: one)
        names |= {kernel_cache._StampedImpl(slower).filename_base, cached_code._path("name")}
    assert len(names) == 2 * len(EVERY)


# Bits

PROGRAM = "from support import short_runs; print(short_runs.digests())"


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("choice", [*EVERY, Choice(Walk(False, 16), Walk(True, 16))], ids=str)
def test_no_choice_changes_a_bit(choice, tmp_path):
    from support.short_runs import digests

    settings = {"FASTBP_TILE": str(choice), "NUMBA_CACHE_DIR": str(tmp_path)}
    assert processes.run(PROGRAM, **settings) == f"{digests()}\n"


IMPORT = """
import time
import fastbp
from fastbp.kernels.base import choices
assert choices._found.cache_info().currsize == 0
fastbp.warmup()
assert choices._found.cache_info().currsize == 1
fastbp.show_config()
"""


@pytest.mark.slow
@pytest.mark.process
def test_warmup_measures_and_an_import_does_not(tmp_path):
    out = processes.run(IMPORT, NUMBA_CACHE_DIR=str(tmp_path), FASTBP_TILE=None)
    assert "measured on this machine: down plain:256" in out
    assert len(list(tmp_path.rglob(choices.FILE))) == 1
    assert not os.environ.get("FASTBP_TILE")
