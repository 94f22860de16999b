"""A model of an update on 1 to 1,024 nodes, fed and tried here: ``python -m bench.scaling_model``.

A node is this machine. What an update takes on one is measured for two batches, which gives seconds
a row and seconds for the rest; so are adding and rounding. Messages take a latency, and a time for
each byte. The slowest node decides: it has the most vectors of rows, and steps scatter as measured
here. The model is tried on a network between threads whose messages are delayed (bench.network).
All is kept in the file of this processor in bench/results. It takes about three minutes.
"""

import argparse
import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import NamedTuple

import numpy as np

from bench import environment, machine, network, results, table
from bench.cases import CASES
from bench.network import SHORT, Link

NAMES = ("medium", "large", "xlarge")
NETWORKS = {
    "10 Gb/s": Link(latency=20e-6, byte=8 / 10e9, gap=2e-6),
    "100 Gb/s": Link(latency=3e-6, byte=8 / 100e9, gap=0.5e-6),
    "400 Gb/s": Link(latency=1.5e-6, byte=8 / 400e9, gap=0.3e-6),
}
"""Ethernet by sockets, and two networks whose cards read memory themselves: usual latencies."""

NODES = tuple(2**k for k in range(11))
WEAK, STRONG = "weak", "strong"
STRONG_ROWS = 16_384
"""Rows of an update in strong scaling. In weak scaling each node has the batch of the case."""

WAYS = ("ordered", "fast", "bfloat16")
MESSAGE = 88
"""Bytes of a meeting (fastbp.distributed.group)."""
OF_STEP = 2
"""Meetings of a call of step."""

TITLE = "Efficiency of nodes, predicted: the batch of the case on each"
TRIED = "The model tried: milliseconds of an update of ranks that are threads, messages delayed"
SHOWN = (4, 64, 1024)


class Measured(NamedTuple):
    """What a case takes on one node.

    row, rest: seconds of each row, and of what does not depend on rows. scatter: relative, of a
    step. add, round: seconds for each byte of a gradient to be added, and to be rounded and
    widened. lanes: rows of a vector.
    """

    row: float
    rest: float
    scatter: float
    add: float
    round: float
    lanes: int


# The model


def doubling(nodes, size, link):
    """Seconds to gather ``size`` bytes of each node."""
    total, step = 0.0, 1
    while step < nodes:
        total += link.latency + link.gap + link.byte * size * min(step, nodes - step)
        step *= 2
    return total


def ring(nodes, size, link):
    """Seconds to gather ``size`` bytes in all."""
    if size <= SHORT:
        return doubling(nodes, size / nodes, link)
    return (nodes - 1) * (link.latency + link.gap + link.byte * size / nodes)


def transfer(nodes, size, link, way):
    """Seconds in which messages add up a part of a gradient of so many bytes."""
    if nodes == 1:
        return 0.0
    if way == "fast":
        steps = math.log2(nodes)
        return 2 * (steps * (link.latency + link.gap) + link.byte * size * (1 - 1 / nodes))
    sent = size / 2 if way == "bfloat16" else size
    to_owners = link.latency + (nodes - 1) * (link.gap + link.byte * sent / nodes)
    return to_owners + ring(nodes, sent, link)


def computed(nodes, size, measured, way):
    """Seconds that a node adds, or rounds, for a part of a gradient."""
    if nodes == 1:
        return 0.0
    adding = measured.add * size * (1 - 1 / nodes)
    return adding + (measured.round * size * (1 + 1 / nodes) if way == "bfloat16" else 0.0)


def predicted(case, measured, nodes, rows, link, way="ordered", overlaps=True):
    """Seconds of an update of so many rows on so many nodes."""
    vectors = -(-rows // measured.lanes)
    slowest = min(rows, -(-vectors // nodes) * measured.lanes)
    noise = 1 + measured.scatter * math.sqrt(2 * math.log(nodes))
    of_rows = noise * measured.row * slowest
    meetings = OF_STEP * doubling(nodes, MESSAGE, link) + ring(nodes, 8 * rows, link)
    of_gradient = of_rows * 2 * case.batch * case.weights / case.flops
    exchanged = pipelined(
        portions_of(case, overlaps),
        of_gradient,
        lambda size: transfer(nodes, size, link, way) + computed(nodes, size, measured, way),
    )
    return of_rows - of_gradient + exchanged + measured.rest + meetings


def portions_of(case, overlaps):
    """Bytes of the portions of layers whose gradients are exchanged one after the other."""
    from fastbp.distributed import overlap

    sizes = [n_in * n_out + n_out for n_in, n_out in case.layers]
    ends = list(itertools.accumulate(sizes))
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    found = overlap.portions(spans, overlap.LEAST if overlaps else None)
    return [4 * sum(last - first for first, last in portion.spans) for portion in found]


def pipelined(sizes, seconds, exchange):
    """Seconds until all portions are computed, in ``seconds``, and exchanged.

    One is exchanged while those after it are computed.
    """
    ready, done = 0.0, 0.0
    for size in sizes:
        ready += seconds * size / sum(sizes)
        done = max(done, ready) + exchange(size)
    return done


# What it is fed with

STEPS = 15


def trainer_of(case, comm, threads, reduction="ordered"):
    import fastbp

    net = fastbp.Network(list(case.sizes), activation="relu", output=case.output, seed=0)
    net.set_parameters(*case.parameters())
    adam = fastbp.Adam(lr=case.lr("adam"))
    return fastbp.Trainer(
        net,
        loss=case.loss,
        optimizer=adam,
        batch_size=case.batch,
        threads=threads,
        seed=0,
        comm=comm,
        reduction=reduction,
        parts=max(8, comm.Get_size()),
    )


def seconds_of_steps(trainer, X, y, steps):
    found = []
    for _ in range(steps):
        begun = time.perf_counter()
        trainer.step(X, y)
        found.append(time.perf_counter() - begun)
    return found


def measure(case):
    """``Measured`` of a case."""
    from fastbp.kernels.base import width

    X, y = case.rows(case.batch)
    trainer = trainer_of(case, network.Communicator(network.Wires(1, Link(0, 0)), 0), "auto")
    times = {case.batch // 2: [], case.batch: []}
    for _ in range(STEPS):
        for n in times:
            times[n] += seconds_of_steps(trainer, X[:n], y[:n], 2)[1:]
    (half, of_half), (whole, of_whole) = ((n, median(found)) for n, found in times.items())
    row = (of_whole - of_half) / (whole - half)
    # By the faster half, as of a normal distribution: other programs only make steps longer.
    scatter = (of_whole - np.quantile(times[case.batch], 0.25)) / 0.6745 / of_whole
    return Measured(
        row, max(0.0, of_whole - whole * row), scatter, *seconds_a_byte(), width.BITS // 32
    )


def seconds_a_byte(count=2_000_000):
    """Seconds for each byte of float32 to be added to another, and to be rounded and widened."""
    from fastbp.distributed import sums
    from fastbp.kernels.tables import arenas

    one, other = (arenas.allocate(count, np.dtype(np.float32)) for _ in range(2))
    sent = np.zeros(count, np.uint16)

    def round_and_widen():
        sums.round_with_rest(one, other, sent)
        sums.widen(sent, one)

    return [
        median(timed(do) for _ in range(STEPS)) / (4 * count)
        for do in (lambda: sums.add(one, other), round_and_widen)
    ]


def timed(do):
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


# How it is tried

NO_DELAY = Link(0.0, 0.0)
DELAYS = (Link(1e-3, 0.8e-9), Link(0.2e-3, 4e-9))
TRIALS = (
    *(("large", ranks, way, False) for ranks in (2, 4, 8) for way in ("ordered", "fast")),
    *(("large", ranks, "ordered", True) for ranks in (2, 4)),
    *(("medium", ranks, "ordered", False) for ranks in (2, 8)),
    ("large", 2, "bfloat16", False),
)
"""Case, ranks, reduction, and whether exchange and computation overlap."""
TRIED_STEPS = 9


@contextmanager
def on_several_nodes(overlaps):
    """Let the ranks of this process send messages, with overlap or without."""
    from fastbp.distributed import node_memory, overlap

    before = node_memory.on_one_node, overlap.LEAST
    node_memory.on_one_node = lambda _group: False
    if not overlaps:
        overlap.LEAST = None
    try:
        yield
    finally:
        node_memory.on_one_node, overlap.LEAST = before


def seconds_of_ranks(case, ranks, way, links):
    """The median seconds of a step of ranks that are threads, on networks that take turns."""
    batch = case.rows(case.batch)
    with ThreadPoolExecutor(ranks) as pool:

        def together(program, items):
            return list(pool.map(program, items))

        def begun(comm):
            trainer = trainer_of(case, comm, 1, way)
            trainer.step(*batch)
            return trainer

        def step(trainer):
            trainer.step(*batch)

        worlds = [network.Wires(ranks, link) for link in links]
        trainers = [
            together(begun, [network.Communicator(wires, rank) for rank in range(ranks)])
            for wires in worlds
        ]
        rounds = [
            [timed(partial(together, step, each)) for each in trainers] for _ in range(TRIED_STEPS)
        ]
    return [median(seconds) for seconds in zip(*rounds, strict=True)]


def tried(case, ranks, way, overlaps):
    """One entry for each network: what was measured, and what the model predicts.

    The computation of ranks that share these cores is that without delays.
    """
    with on_several_nodes(overlaps):
        alone, *found = seconds_of_ranks(case, ranks, way, (NO_DELAY, *DELAYS))
    return [
        {
            "link": link,
            "measured": seconds,
            "predicted": with_delays(case, ranks, way, overlaps, (alone, link)),
        }
        for link, seconds in zip(DELAYS, found, strict=True)
    ]


def with_delays(case, ranks, way, overlaps, found):
    """What the model makes of found = (seconds without delays, a network)."""
    alone, link = found
    plain = Measured(0.0, 0.0, 0.0, 0.0, 0.0, 1)
    as_one = plain._replace(row=alone / case.batch * ranks)
    return predicted(case, as_one, ranks, case.batch, link, way, overlaps)


# What is shown


def inputs(kept):
    return {name: Measured(**found) for name, found in kept["measured"].items()}


def efficiency(case, measured, nodes, link, way):
    """The share of an update's seconds on one node in those on many, each with the batch."""
    one, many = (predicted(case, measured, n, n * case.batch, link, way) for n in (1, nodes))
    return one / many


def rows(kept):
    """Efficiency of nodes in weak scaling: cases and ways down, networks and nodes across."""
    head = ["", *(f"{name}: {n}" for name in NETWORKS for n in SHOWN)]
    made = [head]
    for name, measured in inputs(kept).items():
        for way in WAYS:
            cells = [
                f"{efficiency(CASES[name], measured, n, link, way):.0%}"
                for link in NETWORKS.values()
                for n in SHOWN
            ]
            made.append([f"{name}, {way}", *cells])
    return made


def tried_rows(kept):
    made = [["", "latency ms", "Gb/s", "measured", "predicted", "ratio"]]
    for trial in kept["tried"]:
        latency, byte, _ = trial["link"]
        found, model = trial["measured"], trial["predicted"]
        overlap = ", overlap" if trial["overlaps"] else ""
        made.append(
            [
                f"{trial['case']}, {trial['ranks']} ranks, {trial['way']}{overlap}",
                f"{1e3 * latency:g}",
                f"{8e-9 / byte:g}",
                *(table.significant(1e3 * seconds) for seconds in (found, model)),
                f"{found / model:.2f}",
            ]
        )
    return made


def sections(kept):
    """(title, rows) of the tables of a processor."""
    yield TITLE, rows(kept)
    yield TRIED, tried_rows(kept)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.scaling_model", description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the tables, write no file")
    options = parser.parse_args(arguments)
    kept = {
        "kernels": machine.kernels(),
        "measured": {name: measure(CASES[name])._asdict() for name in NAMES},
        "tried": [
            {"case": name, "ranks": ranks, "way": way, "overlaps": overlaps} | entry
            for name, ranks, way, overlaps in TRIALS
            for entry in tried(CASES[name], ranks, way, overlaps)
        ],
    }
    for title, found in sections(kept):
        print(f"{title}\n{table.plain(found)}\n")
    if not options.print:
        results.note("scaling model", kept, environment.available_cpus())


if __name__ == "__main__":
    main()
