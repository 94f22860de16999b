"""The parts of bench.scaling and of its model, with jobs that only pretend to, and few numbers."""

import time

import numpy as np
import pytest

from bench import network, ranks, scaling, scaling_model
from bench.cases import CASES
from bench.network import Link
from bench.scaling_model import Measured


class Pretender:
    """A job that answers at once, and writes down what it is told."""

    def __init__(self, log, name, seconds, losses=(1.0,)):
        self.log, self.name, self.seconds, self.losses = log, name, seconds, [losses]

    def window(self, rows, laps):
        self.log.append((self.name, rows, laps))
        return {"seconds": self.seconds, "idle": 0.0}


def test_sides_take_turns_and_windows_are_of_equal_length():
    log = []
    jobs = {"slow": Pretender(log, "slow", scaling.WINDOW), "fast": Pretender(log, "fast", 0.01)}
    found = scaling.windows(jobs, lambda name: 8 if name == "slow" else 16, 2)
    laps = round(scaling.WINDOW / 0.01)
    slow, fast = ("slow", 8, 1), ("fast", 16, laps)
    assert log[4:] == [slow, fast, fast, slow]
    assert found["slow"]["seconds"] == [scaling.WINDOW] * 2


def test_sides_that_train_differently_are_not_compared():
    jobs = {"one": Pretender([], "one", 1.0), "other": Pretender([], "other", 1.0, (1.1,))}
    with pytest.raises(SystemExit, match="not the same work"):
        scaling.check_losses(jobs)
    scaling.check_losses({"one": jobs["one"]})


def test_a_side_that_is_busy_out_of_its_turn_is_named(capsys):
    scaling.check_rest({"strong": {"one": {"idle": [0.5]}, "other": {"idle": [0.0]}}})
    told = capsys.readouterr().err
    assert "one: uses 50% of a core" in told
    assert "other" not in told


def test_weak_scaling_has_twice_the_rows_on_two_ranks():
    case = CASES["medium"]
    assert scaling.rows_of(scaling.WEAK, ranks.ORDERED, case) == 256
    assert scaling.rows_of(scaling.WEAK, ranks.ONE_THREAD, case) == 128
    assert scaling.rows_of(scaling.STRONG, ranks.ORDERED, case) == 128


def of_sides(names, **seconds):
    told = {"exchange": [1e-3], "sent": [1e6], "idle": [0.0]}
    return {name: {"seconds": [seconds.get(name, 4e-3)]} | told for name in names}


def test_tables_have_a_row_for_each_case_and_scaling():
    both = {kind: of_sides(names, ordered=2e-3) for kind, names in scaling.WHO.items()}
    kept = {"cases": {"medium": both}, "sums": {ranks.LIBRARY: 2e-3, "other": 1e-3}}
    tables = dict(scaling.sections(kept))
    _, strong, weak = tables[scaling.TITLE]
    assert strong == ["medium, strong", "4", "2", "4", "4", "2.00x", "1.00x", "2.00x"]
    assert weak[0] == "medium, weak"
    assert tables[scaling.EXCHANGE_TITLE][1] == [
        *("medium", "0.9", "1 (50%)", "1 (25%)", "1 (25%)", "1.0")
    ]
    assert tables[scaling.SUMS_TITLE][2] == ["other", "1.00", "0.50x"]


def test_sides_that_are_not_installed_are_left_out_of_the_tables():
    names = (ranks.TWO_THREADS, ranks.ONE_THREAD, ranks.ORDERED, ranks.FAST, ranks.MESSAGES)
    kept = {"cases": {"large": {kind: of_sides(names) for kind in scaling.WHO}}, "sums": {}}
    assert scaling.rows(kept)[1][-1] == "-"


# The network between threads


def all_calls(comm):
    """What each call of a communicator gives, as lists."""
    rank, size = comm.Get_rank(), comm.Get_size()
    found = {}
    two = np.zeros((size, 2))
    comm.Allgather(np.array([rank, rank + 0.5]), two)
    found["Allgather"] = two.tolist()
    counts = [3 + other for other in range(size)]
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    for scale in (1, 30_000):  # short and long
        flat = np.zeros(scale * sum(counts))
        spans = [scale * n for n in counts], [scale * n for n in starts]
        comm.Allgatherv(np.full(scale * counts[rank], float(rank)), [flat, spans])
        found[f"Allgatherv {scale}"] = [flat[n] for n in spans[1]] + [flat[-1], flat.sum()]
    sent, received = np.arange(2.0 * size) + 100 * rank, np.zeros(3 * size)
    some = [2 * (other != rank) for other in range(size)]
    every = [2 * other for other in range(size)]
    comm.Alltoallv([sent, (some, every)], [received, (some, [3 * o for o in range(size)])])
    found["Alltoallv"] = received.tolist()
    total = np.zeros(10)
    comm.Allreduce(np.arange(10.0) * (rank + 1), total)
    found["Allreduce"] = total.tolist()
    found["bcast"] = comm.bcast({"rank": rank}, size - 1)
    found["allgather"] = comm.allgather(f"of {rank}")
    buffer = np.array([float(rank)])
    comm.Bcast(buffer, 0)
    comm.Barrier()
    found["Bcast"] = buffer.tolist()
    return found


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_calls_of_the_network(size):
    for rank, found in enumerate(network.run(size, Link(0.0, 0.0), all_calls)):
        assert found["Allgather"] == [[other, other + 0.5] for other in range(size)]
        counts = [3 + other for other in range(size)]
        for scale in (1, 30_000):
            total = sum(scale * n * other for other, n in enumerate(counts))
            expected = [*range(size), size - 1, total]
            assert found[f"Allgatherv {scale}"] == expected
        for other in range(size):
            mine = [100 * other + 2 * rank, 100 * other + 2 * rank + 1, 0]
            assert found["Alltoallv"][3 * other : 3 * other + 3] == (
                mine if other != rank else [0] * 3
            )
        assert found["Allreduce"] == [n * size * (size + 1) / 2 for n in range(10)]
        assert found["bcast"] == {"rank": size - 1}
        assert found["allgather"] == [f"of {other}" for other in range(size)]
        assert found["Bcast"] == [0.0]


def test_messages_take_a_latency_and_a_time_for_each_byte():
    """Two messages of 8,000 bytes, one after the other: the second waits for the first."""
    link = Link(latency=0.02, byte=5e-6)

    def program(comm):
        begun = time.perf_counter()
        if comm.Get_rank() == 0:
            for _ in range(2):
                comm.send(1, None, 8000)
            return begun, None
        return [(comm.receive(0), time.perf_counter())[1] for _ in range(2)]

    (begun, _), (first, second) = network.run(2, link, program)
    assert first - begun >= 0.06
    assert second - begun >= 0.10


# The model

CASE = CASES["large"]
NUMBERS = Measured(row=1e-4, rest=1e-3, scatter=0.0, add=1e-10, round=1e-9, lanes=8)


def test_one_node_has_no_network():
    slow = Link(1.0, 1.0)
    assert scaling_model.predicted(CASE, NUMBERS, 1, 256, slow) == pytest.approx(1e-3 + 256e-4)


def test_the_node_with_the_most_vectors_decides():
    """33 vectors on 32 nodes: one has two."""
    numbers, link = NUMBERS._replace(rest=0.0, add=0.0), Link(0.0, 0.0)
    even, uneven = (scaling_model.predicted(CASE, numbers, 32, n, link) for n in (256, 257))
    assert uneven == pytest.approx(2 * even)


def test_scatter_and_messages_and_bytes_cost_time():
    link = Link(1e-5, 1e-9)
    usual = scaling_model.predicted(CASE, NUMBERS, 8, 2048, link)
    others = (
        (NUMBERS._replace(scatter=0.1), link),
        (NUMBERS, link._replace(latency=1e-3)),
        (NUMBERS, link._replace(byte=2e-9)),
        (NUMBERS, link._replace(gap=1e-3)),
    )
    for numbers, other in others:
        assert scaling_model.predicted(CASE, numbers, 8, 2048, other) > usual


def test_an_exchange_that_is_shorter_than_what_follows_costs_nothing_but_the_last():
    assert scaling_model.pipelined([1, 1, 2], 4.0, lambda size: 0.5 * size) == 4.0 + 1.0
    assert scaling_model.pipelined([4], 4.0, lambda size: 0.5 * size) == 4.0 + 2.0
    assert scaling_model.pipelined([1, 1], 2.0, lambda _: 5.0) == 1.0 + 10.0


def test_the_model_counts_the_messages_of_the_network():
    """Sums on a network that has latencies alone take the model's number of them."""
    from fastbp.distributed import cuts
    from fastbp.distributed.exchange import MessageExchange

    count, latency = 100_000, 0.02

    def program(comm):
        cut = cuts.shared(10**6, 8, 8, comm.Get_rank(), comm.Get_size())
        exchange = MessageExchange(comm, np.zeros(count, np.float32), [(0, count)], 1)
        begun = time.perf_counter()
        exchange.sum(cut)
        return begun, time.perf_counter()

    link = Link(latency, 0.0)
    for size in (2, 4):
        begun, ended = zip(*network.run(size, link, program), strict=True)
        expected = scaling_model.transfer(size, 4 * count, link, "ordered")
        assert max(ended) - min(begun) >= expected
        assert expected == pytest.approx(latency * size)
