"""How ranks meet: what one refuses, all refuse, and none waits for one that has left."""

import signal
from contextlib import suppress

import numpy as np
import pytest

from fastbp.distributed.group import EVENT, INFERENCE, UPDATE, Group, group_of
from fastbp.distributed.interrupts import Interrupts
from support import in_process
from support.in_process import on_ranks

RANKS = 3


@pytest.fixture(autouse=True)
def _a_rank_does_not_wait_long(monkeypatch):
    monkeypatch.setattr(in_process, "SECONDS", 10)


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
        ["It was raised on rank 1."]
    ] * RANKS


def test_an_error_of_all_is_of_no_rank():
    def run(comm):
        with Group(comm).call("fit"):
            raise ValueError("y has label 10")

    assert not any(hasattr(error, "__notes__") for error in on_ranks(RANKS, run))


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

    for run, expected in ((rows, "(rows: 65) within step"), (calls, "rank 1 made an update")):
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


class Nothing:
    """As MPI.COMM_NULL."""

    def __getattr__(self, name):
        return lambda *_: None

    def __bool__(self):
        return False


def test_no_communicator_is_refused():
    with pytest.raises(ValueError, match=r"comm is MPI\.COMM_NULL, expected a communicator"):
        Group(Nothing())


class Between:
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *_: True


def test_an_intercommunicator_is_refused():
    with pytest.raises(ValueError, match="Merge"):
        Group(Between())


# Calls that have ended


def test_nothing_begins_in_a_call_that_has_ended():
    """Rank 1 has left; others, on their way out, would wait for it."""

    def run(comm):
        group = Group(comm)
        try:
            with group.call("fit"):
                if group.rank == 1:
                    raise OSError("full")
                try:
                    group.meet(UPDATE)
                finally:
                    with group.call("evaluate"):
                        group.meet(INFERENCE)
        except (OSError, RuntimeError) as error:
            return str(error), int(group.meet(UPDATE, (), (group.rank,))[:, 0].sum())

    ended = "fit has ended, by OSError: full: nothing more can be computed together in it"
    assert on_ranks(RANKS, run) == [(ended, 3), ("full", 3), (ended, 3)]


def test_nothing_goes_on_in_a_call_that_has_ended():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            if group.rank == 1:
                raise OSError("full")
            with suppress(OSError):
                group.meet(UPDATE)
            group.meet(EVENT)

    found = on_ranks(RANKS, run)
    assert [type(error) for error in found] == [RuntimeError, OSError, RuntimeError]


class Mute(Exception):
    def __str__(self):
        raise TypeError("no text")


def test_an_error_without_a_text_is_raised_on_all():
    def run(comm):
        group = Group(comm)
        with group.call("fit"):
            if group.rank == 1:
                raise Mute
            group.meet(UPDATE)

    assert [type(error) for error in on_ranks(RANKS, run)] == [Mute] * RANKS


def test_trainers_on_one_communicator_have_one_group():
    """Else a rank that fails in the call of one would be waited for in that of the other."""

    def run(comm):
        one, other = group_of(comm), group_of(comm)
        try:
            with one.call("fit"), one.call("event"):
                if one.rank == 1:
                    raise OSError("full")
                with other.call("step"):
                    other.meet(UPDATE)
        except OSError as error:
            return str(error), int(other.meet(UPDATE, (), (one.rank,))[:, 0].sum())

    assert on_ranks(RANKS, run) == [("full", 3)] * RANKS


# Ctrl-C


class Alone:
    """A communicator of one rank that counts what it exchanges."""

    handle = -1
    meetings = 0

    def __getattr__(self, name):
        return {"Get_rank": lambda: 0, "Get_size": lambda: 1}.get(name, lambda *_: None)

    def Is_inter(self):
        return False

    def Allgather(self, message, messages):
        messages[0] = message
        self.meetings += 1


def test_a_second_ctrl_c_waits_for_no_meeting():
    comm = Alone()
    group = Group(comm)

    def press_twice():
        with group.call("fit"):
            for _ in range(2):
                group._interrupts._handle(signal.SIGINT, None)

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert comm.meetings == 0
    with pytest.raises(RuntimeError, match="this rank has left the others, by KeyboardInterrupt"):
        group.meet(UPDATE)


def test_ctrl_c_is_kept_from_a_handler_of_the_programs_own():
    """What the handler does is done at once; its KeyboardInterrupt comes at the next meeting."""
    calls, group = [], Group(Alone())

    def handler(*_):
        calls.append("heard")
        raise KeyboardInterrupt

    def fit():
        with group.call("fit"):
            signal.raise_signal(signal.SIGINT)
            calls.append("went on")
            group.meet(UPDATE)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == ["heard", "went on"]


def test_ctrl_c_that_a_program_counts_ends_nothing():
    calls = []
    before = signal.signal(signal.SIGINT, lambda *_: calls.append("heard"))
    try:
        group = Group(Alone())
        with group.call("fit"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == ["heard"] * 2


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
