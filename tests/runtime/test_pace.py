"""The number of workers follows what pays, on machines that are made up: time is a function."""

import itertools

import pytest

from fastbp.runtime import pace, turns
from fastbp.runtime.pace import Pace, Regime


class Machine:
    """Runs work by a pace; ``slowness(workers)`` is the seconds of a unit of work now.

    A piece of work has ``unit`` units at least, as a step has, and takes ``piece`` seconds at most.
    Time goes by only here: ``idle`` seconds before each piece.
    """

    def __init__(self, most, slowness, unit=1.0, idle=0.0, piece=0.1):
        self.pace, self.most, self.slowness, self.unit = Pace(), most, slowness, unit
        self.seconds = self.done = 0.0
        self.idle, self.piece = idle, piece
        self.used = set()

    def run(self, seconds):
        """Work for some seconds; the work done per second of work."""
        self.used = set()
        spent = done = 0.0
        while spent < seconds:
            self.seconds += self.idle
            regime = self.pace.regime(self.most, self.seconds)
            workers, longest = regime.workers()
            self.used.add(workers)
            started, units = self.seconds, 0.0
            while units == 0 or self.seconds - started < min(longest, self.piece):
                self.seconds += self.slowness(workers) * self.unit
                units += self.unit
            self.pace.note(regime, workers, units, started, self.seconds)
            spent, done = spent + self.seconds - started, done + units
        self.done += done
        return done / spent

    def workers(self):
        """The number of workers of work that begins at once, but for a trial."""
        return self.pace.regime(self.most, self.seconds).number


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    monkeypatch.setattr(pace, "_recent", {})


def quiet(workers):
    return 1e-3 / workers


def busy(workers):
    """Another program has one of two processors; threads that wait spin."""
    return 1e-3 if workers == 1 else 4e-3


def one_of_sixteen_is_busy(workers):
    """Every worker has an equal part: with 16, one of them has half a processor."""
    return 1e-3 / workers if workers < 16 else 2e-3 / workers


def test_alone_all_workers_stay_and_trials_cost_little():
    machine = Machine(2, quiet)
    assert machine.run(10) > 0.99 / quiet(2)
    assert machine.run(10) > 0.995 / quiet(2)


def test_a_busy_processor_is_left_and_taken_again():
    machine = Machine(2, quiet)
    machine.run(5)
    machine.slowness = busy
    machine.run(1)
    assert machine.run(10) > 0.95 / busy(1)
    machine.slowness = quiet
    machine.run(5)
    assert machine.run(10) > 0.99 / quiet(2)


def test_a_trial_that_was_disturbed_is_soon_repeated():
    machine = Machine(2, quiet)
    machine.run(5)
    end = machine.seconds + 0.6
    machine.slowness = lambda workers: (
        0.1 if workers == 1 and machine.seconds < end else busy(workers)
    )
    machine.run(2)
    assert machine.workers() == 1


def test_a_process_that_starts_in_company_finds_out():
    machine = Machine(2, busy)
    machine.run(1)
    assert machine.run(10) > 0.95 / busy(1)


@pytest.mark.parametrize("piece", [1e-3, 4e-3, 0.1])
def test_a_short_fit_in_company_finds_out_at_once(piece):
    machine = Machine(2, busy, unit=0.1, piece=piece)
    machine.run(0.1)
    assert machine.workers() == 1


@pytest.mark.parametrize("piece", [1e-3, 4e-3, 0.1])
@pytest.mark.parametrize("gain", [1.25, 2])
@pytest.mark.parametrize("spins", [1.5, 4])
@pytest.mark.parametrize("end", [i / 100 for i in range(5, 21)])
def test_a_short_fit_that_begins_in_company_loses_little(end, spins, gain, piece):
    """Half a second, first beside another library's threads, which spin until ``end``.

    Two workers take ``spins`` times as long as one there, and do ``gain`` times as much alone.
    """

    def slowness(workers):
        if workers == 1:
            return 1e-3
        return 1e-3 * spins if machine.seconds < end else 1e-3 / gain

    machine = Machine(2, slowness, unit=0.1, piece=piece)
    best = max(500, 1e3 * (end / spins + (0.5 - end) * gain))
    assert 0.5 * machine.run(0.5) > 0.9 * best


def test_a_first_trial_that_is_close_decides_nothing():
    machine = Machine(2, lambda workers: 1e-4 if workers == 1 else 1.15e-4, piece=4e-3)
    machine.run(0.1)
    assert machine.workers() == 2
    machine.run(1)
    assert machine.workers() == 1


def test_threads_that_spin_for_a_moment_cost_little():
    """Another library has just ended its work, as a trainer begins."""
    machine = Machine(2, busy, unit=0.1, piece=4e-3)
    machine.run(0.1)
    machine.slowness = quiet
    machine.run(0.1)
    assert machine.workers() == 2


def test_fits_of_many_trainers_learn_from_one_another():
    machine = Machine(2, busy, unit=0.1, piece=4e-3)
    machine.run(0.1)
    for _ in range(5):
        machine.pace = Pace()
        assert machine.workers() == 1
        machine.run(0.02)
    machine.pace, machine.seconds = Pace(), machine.seconds + 2 * pace.RECENT_SECONDS
    assert machine.workers() == 2


def test_short_fits_of_many_trainers_make_no_trial_each():
    machine = Machine(2, quiet, unit=0.1, piece=4e-3)
    machine.run(0.1)
    for _ in range(5):
        machine.pace = Pace()
        machine.run(0.02)
        assert machine.used == {2}
    tried = 0
    for _ in range(40):
        machine.pace = Pace()
        machine.run(0.05)
        tried += len(machine.used) == 2
    assert 1 <= tried <= 10


def test_a_short_fit_finds_out_that_company_has_come_since_another():
    machine = Machine(2, quiet, unit=0.1, piece=4e-3)
    machine.run(0.1)
    machine.pace, machine.slowness = Pace(), busy
    machine.run(0.15)
    assert machine.workers() == 1


def test_one_busy_processor_of_sixteen_costs_one():
    machine = Machine(16, one_of_sixteen_is_busy)
    machine.run(5)
    assert machine.run(20) > 0.95 / one_of_sixteen_is_busy(15)


def test_from_one_of_sixteen_it_comes_back():
    machine = Machine(16, lambda workers: 1e-3 if workers == 1 else 5e-3)
    machine.run(20)
    assert machine.workers() == 1
    machine.slowness = quiet
    machine.run(60)
    assert machine.run(20) > 0.95 / quiet(16)


def test_small_work_that_a_second_worker_slows_down_is_left_to_one():
    machine = Machine(2, lambda workers: 1e-4 if workers == 1 else 1.1e-4)
    machine.run(2)
    assert machine.run(10) > 0.99 / 1e-4


def test_a_trial_of_long_steps_is_rare():
    """A step takes half a second, so that one turn is a step."""
    machine = Machine(2, quiet, unit=1000)
    assert machine.run(300) > 0.9 / quiet(2)


def test_what_a_change_of_workers_costs_at_first_does_not_count():
    """At first threads wake, and weights move between caches. From one worker it comes back."""
    machine, since = Machine(2, busy), [0, 0.0]
    machine.run(5)
    assert machine.workers() == 1

    def slowness(workers):
        if since[0] != workers:
            since[:] = workers, machine.seconds
        cold = workers == 2 and machine.seconds - since[1] < 0.48 * turns.TURN_SECONDS
        return quiet(workers) * (20 if cold else 1)

    machine.slowness, machine.unit = slowness, 0.1
    machine.run(5)
    assert machine.run(30) > 0.97 / quiet(2)


def test_work_after_breaks_does_not_count_for_work_without():
    """Its data have left the caches, and threads of others may still spin."""
    machine = Machine(2, quiet)
    machine.run(1)
    machine.idle, machine.slowness = 2 * pace.IDLE_SECONDS, busy
    machine.run(3)
    assert machine.workers() == 2
    assert machine.pace.regime(2, machine.seconds).cost == pytest.approx(quiet(2))


def test_work_that_always_comes_after_a_break_learns_what_pays():
    machine = Machine(2, busy, unit=0.1, idle=2 * pace.IDLE_SECONDS)
    machine.run(1)
    assert machine.run(10) > 0.95 / busy(1)


@pytest.mark.parametrize("every", [2, 4])
def test_work_of_two_sizes_learns_what_pays_for_each(every):
    """Every second or fourth piece is worth 8 workers, the others 16."""
    machine = Machine(16, busy)
    pieces = itertools.cycle([8] + [16] * (every - 1))

    def rate(until):
        began, done = machine.seconds, machine.done
        while machine.seconds < until:
            machine.most = next(pieces)
            machine.run(1e-3)
        return (machine.done - done) / (machine.seconds - began)

    rate(30)
    assert rate(60) > 0.9 / busy(1)


@pytest.mark.parametrize("cost", [0.02, 0.3])
@pytest.mark.parametrize("spins", [1.5, 4])
def test_long_steps_leave_a_busy_processor_and_take_it_again(cost, spins):
    """One worker takes ``cost`` seconds for a step, two in company ``spins`` times as long."""
    machine = Machine(2, lambda workers: cost / workers)
    machine.run(20)
    machine.slowness = lambda workers: cost if workers == 1 else cost * spins
    machine.run(40 * cost * spins)
    assert machine.run(200 * cost) > 0.9 / cost
    machine.slowness = lambda workers: cost / workers
    machine.run(max(3, 120 * cost))
    assert machine.workers() == 2


def test_fewer_workers_that_were_faster_once_are_tried_again():
    """Another program takes a processor for a tenth of every second."""
    machine = Machine(2, quiet)
    machine.slowness = lambda workers: (
        busy(workers) if machine.seconds % 1 < 0.1 else quiet(workers)
    )
    machine.run(5)
    assert machine.run(60) > 0.8 / quiet(2)


def test_noise_changes_nothing():
    calls = iter(range(10**7))
    machine = Machine(2, lambda workers: quiet(workers) * (1 + next(calls) % 3))
    machine.run(30)
    assert machine.workers() == 2


def test_a_limit_is_followed_at_once():
    machine = Machine(4, quiet)
    machine.run(3)
    machine.most = 2
    assert machine.run(0.1) > 0
    assert max(machine.used) <= 2
    machine.most = 4
    machine.run(0.01)
    assert max(machine.used) == 4


def test_one_worker_is_never_a_question():
    machine = Machine(1, quiet)
    machine.run(5)
    assert machine.used == {1}


@pytest.mark.parametrize("work", [0, -1.0])
def test_nothing_done_says_nothing(work):
    one = Regime(2, 2)
    for _ in range(10):
        one.note(2, work, 1.0)
    assert one.cost == 0


def test_what_other_numbers_of_workers_did_does_not_count():
    one = Regime(4, 4)
    for _ in range(pace.WARM_UP + 1):
        one.note(2, 1.0, 100.0)
    assert one.cost == 0
