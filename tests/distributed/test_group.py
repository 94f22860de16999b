"""How ranks meet: what one refuses, all refuse, and none waits for one that has left."""

import signal

import numpy as np
import pytest

from fastbp.distributed.group import EVENT, UPDATE, Group
from fastbp.distributed.interrupts import Interrupts
from support.in_process import on_ranks

RANKS = 3


def texts(found):
    return [f"{type(error).__name__}: {error}" for error in found]


def test_an_error_of_one_rank_is_raised_on_all():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            if group.rank == 1:
                raise ValueError("y has label 10")
            group.meet(UPDATE)

    found = on_ranks(RANKS, run)
    assert texts(found) == ["ValueError: y has label 10"] * RANKS
    assert [getattr(error, "__notes__", []) for error in found] == [
        ["It was raised on rank 1."],
        [],
        ["It was raised on rank 1."],
    ]


class Strange(Exception):
    def __reduce__(self):
        raise TypeError("cannot be pickled")


def test_an_error_that_cannot_be_pickled_is_raised_as_another():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            if group.rank == 1:
                raise Strange("of a kind")

    found = texts(on_ranks(RANKS, run))
    assert found[1] == "Strange: of a kind"
    assert found[0] == found[2] == "RuntimeError: Strange: of a kind"


@pytest.mark.parametrize("place", ["before", "inside", "after"])
def test_ranks_may_be_at_different_depths_when_one_fails(place):
    """Afterwards they meet again as if nothing had happened."""

    def run(comm):
        group = Group(comm)
        try:
            with group.call("fit"), group.call("event"):
                if group.rank == 1 and place == "before":
                    raise OSError("full")
                with group.call("evaluate"):
                    if group.rank == 1 and place == "inside":
                        raise OSError("full")
                    group.meet(UPDATE)
                if group.rank == 1 and place == "after":
                    raise OSError("full")
                group.meet(EVENT)
        except OSError as error:
            return str(error), int(group.meet(UPDATE, (), (group.rank,))[:, 0].sum())

    assert on_ranks(RANKS, run) == [("full", 3)] * RANKS


def test_a_callback_may_catch_an_error_of_all():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            with group.call("event"):
                try:
                    with group.call("evaluate"):
                        if group.rank == 0:
                            raise ValueError("no rows")
                        group.meet(UPDATE)
                except ValueError:
                    pass
                group.meet(EVENT)
            group.meet(UPDATE)
        return "went on"

    assert on_ranks(RANKS, run) == ["went on"] * RANKS


def test_several_ranks_may_fail_at_once():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            if group.rank > 0:
                raise ValueError(f"rank {group.rank}")
            group.meet(UPDATE)

    assert texts(on_ranks(RANKS, run)) == [
        "ValueError: rank 1",
        "ValueError: rank 1",
        "ValueError: rank 2",
    ]


def test_other_calls_and_other_rows_are_told_apart():
    def rows(comm):
        group = Group(comm)
        with group.call("step"):
            group.meet(UPDATE, (64 + group.rank,))

    def calls(comm):
        group = Group(comm)
        with group.call("step" if group.rank else "fit"):
            group.meet(UPDATE if group.rank else EVENT)

    for run, expected in ((rows, "(65,) within step"), (calls, "rank 1 made an update")):
        found = on_ranks(2, run)
        assert {type(error) for error in found} == {RuntimeError}
        assert all(expected in str(error) for error in found)


def test_a_number_and_a_result_of_rank_0():
    def run(comm):
        group = Group(comm)
        value = group.first(0.1 + group.rank)
        return value, group.of_first(lambda: {"auc": value}), group.of_all(group.rank)

    assert on_ranks(RANKS, run) == [(0.1, {"auc": 0.1}, [0, 1, 2])] * RANKS


def test_an_error_in_what_rank_0_computes_is_everybodys():
    def run(comm):
        Group(comm).of_first(lambda: 1 // 0)

    assert {type(error) for error in on_ranks(RANKS, run)} == {ZeroDivisionError}


def test_interrupts_reach_all():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            group._interrupts.came = group.rank == 2
            group.meet(UPDATE)

    assert {type(error) for error in on_ranks(RANKS, run)} == {KeyboardInterrupt}


@pytest.mark.parametrize("comm", [3, np.zeros(2)])
def test_what_is_no_communicator_is_refused(comm):
    with pytest.raises(TypeError, match="expected an intracommunicator of mpi4py"):
        Group(comm)


class Between:
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_: True


def test_an_intercommunicator_is_refused():
    with pytest.raises(ValueError, match="Merge"):
        Group(Between())


def test_ctrl_c_that_comes_a_moment_later_is_the_same(monkeypatch):
    """It comes to all ranks, to some when a meeting has already ended the call."""
    interrupts = Interrupts()
    interrupts._handle(signal.SIGINT, None)
    assert interrupts.came
    interrupts.told()
    interrupts._handle(signal.SIGINT, None)
    assert not interrupts.came
    monkeypatch.setattr("fastbp.distributed.interrupts.SECONDS_OF_ONE", 0.0)
    interrupts._handle(signal.SIGINT, None)
    assert interrupts.came
