"""Workers on one processor move apart (kernels/entry/place_run.py)."""

import ctypes
import os
import sys
import threading

import numpy as np
import pytest

from fastbp.data.tables import address
from fastbp.kernels.entry import place_run
from fastbp.kernels.tables import place_table as P
from fastbp.runtime import places

CALL = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)


class System:
    """The C library's functions, as a test wants them: here, and who is allowed where."""

    def __init__(self, workers=3, allowed=0b1111, fails=False):
        self.here, self.thread, self.allowed, self.fails = 0, 0, allowed, fails
        self.asked, self.sets = 0, []
        pointer, size = ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, size, pointer)
        self.kept = (
            ctypes.CFUNCTYPE(ctypes.c_int32)(lambda: self.here),
            ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: self.thread),
            kind(self._get),
            kind(self._set),
        )
        functions = [ctypes.cast(function, ctypes.c_void_p).value for function in self.kept]
        self.table = P.make(functions, workers)

    def _get(self, _thread, size, processors):
        self.asked += 1
        for i in range(size // 8):
            processors[i] = 0
        processors[0] = self.allowed
        return -1 if self.fails else 0

    def _set(self, _thread, _size, processors):
        self.sets.append(processors[0])
        lowest = (processors[0] & -processors[0]).bit_length() - 1
        if not processors[0] >> self.here & 1:
            self.here = lowest
        return 0

    def stage(self, *here, workers=None):
        """Workers in turn, each on a processor and in a thread of its own; where they are then."""
        found = []
        for worker, self.here in enumerate(here):
            self.thread = 100 + worker
            CALL(place_run.code())(address(self.table), worker, workers or len(here), 0)
            found.append(self.here)
        return found


def test_a_worker_leaves_the_processor_of_another():
    system = System()
    assert system.stage(2, 2) == [2, 0]
    assert system.sets == [0b1011, 0b1111]  # moves, and may be anywhere again


def test_it_leaves_those_of_all_workers():
    system = System()
    assert system.stage(0, 1, 0) == [0, 1, 2]
    assert system.sets[0] == 0b1100


def test_it_stays_near_where_it_can():
    """Processors of one group of eight often share a cache."""
    near = System(allowed=0xFFFF)
    near.stage(9, 9)
    assert near.sets == [0xFD00, 0xFFFF]
    far = System(allowed=0x02FF)
    far.stage(9, 9)
    assert far.sets == [0x00FF, 0x02FF]
    last = System(allowed=1 << 63 | 1 << 56 | 1)
    last.stage(63, 63)
    assert last.sets[0] == 1 << 56


def test_workers_apart_stay():
    system = System()
    assert system.stage(3, 0, 1) == [3, 0, 1]
    assert system.asked == 0


def test_the_first_worker_stays():
    system = System()
    system.stage(0, 1)
    system.stage(1)
    assert system.asked == 0


def test_nobody_moves_where_no_processor_is_free():
    system = System(allowed=0b01)
    assert system.stage(0, 0) == [0, 0]
    assert system.sets == []
    for _ in range(3):
        system.stage(0, 0)
    assert system.asked == 1  # and it is not asked at each stage


def test_it_is_looked_at_again_later():
    system = System(allowed=0b01)
    system.stage(0, 0)
    system.table[P.FIRST + P.LINE + P.PAUSE] = 1
    system.allowed = 0b11
    assert system.stage(0, 0) == [0, 0]
    assert system.stage(0, 0) == [0, 1]


def test_nobody_moves_where_the_processors_are_not_known():
    system = System(fails=True)
    assert system.stage(0, 0) == [0, 0]
    system.stage(0, 0)
    assert (system.asked, system.sets) == (1, [])


def test_a_thread_with_two_workers_stays():
    system = System()
    system.stage(0)
    CALL(place_run.code())(address(system.table), 1, 2, 0)
    assert system.asked == 0


def test_more_workers_than_lines_are_left_alone():
    system = System(workers=3)  # there is memory beyond the lines that count
    system.table[P.WORKERS] = 2
    before = system.table.copy()
    system.stage(0, 0, 0)
    np.testing.assert_array_equal(system.table, before)


def test_processors_beyond_the_first_word():
    system = System(allowed=0b1)
    assert system.stage(70, 70) == [70, 0]
    assert system.sets[0] == 0b1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell no thread's processor")
def test_a_real_thread_moves_and_may_be_anywhere_again():
    """Some attempt shows it: on a busy machine the system may move the thread back at once."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) == 1:
        pytest.skip("a thread can move only where there are two processors")
    code, table = places.known()
    first, found = min(allowed), []

    def worker():
        lines = (ctypes.c_int64 * (P.FIRST + 2 * P.LINE)).from_address(table)
        for _ in range(50):
            os.sched_setaffinity(0, {first})
            os.sched_setaffinity(0, allowed)
            lines[P.FIRST + P.PROCESSOR] = first
            CALL(code)(table, 1, 2, 0)
            found.append((lines[P.FIRST + P.LINE + P.PROCESSOR], os.sched_getaffinity(0)))

    thread = threading.Thread(target=worker)
    thread.start()
    thread.join()
    assert any(processor != first for processor, _ in found)
    assert all(processors == allowed for _, processors in found)
