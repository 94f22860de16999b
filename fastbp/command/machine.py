"""``fastbp bench``: how fast this machine trains, and what share of its peak that is."""

import time
from argparse import Namespace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from .. import Adam, Network, Trainer
from ..config import describe
from ..runtime import threads
from . import peak
from .messages import pairs, say, show, table

BATCHES = 32
"""A batch alone would be learned by heart, and Adam's moments become denormal."""
WINDOWS, SECONDS = 5, 0.15
"""Windows of a case, and the least seconds of each. The peak is measured between them."""


class Case(NamedTuple):
    """A network of relu layers, trained by Adam."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    is_classifier: bool

    @property
    def flops(self) -> int:
        """Operations of the products of an update.

        Forward, backward and gradient cost 2 B I O each; the first layer has no backward.
        """
        weights = sum(i * o for i, o in zip(self.sizes, self.sizes[1:], strict=False))
        return 6 * self.batch * weights - 2 * self.batch * self.sizes[0] * self.sizes[1]


CASES = (
    Case("small", (8, 64, 64, 1), 32, False),
    Case("medium", (784, 256, 128, 10), 128, True),
    Case("large", (784, 1024, 1024, 1024, 10), 256, True),
)


def run(options: Namespace) -> int:
    """Measure the cases, and show the table and the machine."""
    say("measuring: some seconds, on a machine that does nothing else")
    n = threads.maximum("auto")
    found = [_measured(case, n) for case in CASES]
    machine = describe()  # after that the threads have started
    head = ["case", "network", "batch", "µs an update", "GFLOP/s", "% of peak"]
    rows = [
        [
            one["case"],
            "-".join(map(str, one["sizes"])),
            str(one["batch"]),
            f"{one['microseconds']:,.1f}",
            f"{one['gflops']:,.1f}",
            f"{100 * one['share_of_peak']:.0f}",
        ]
        for one in found
    ]
    lines = [*table([head, *rows]), "", *pairs(machine)]
    content = {"command": "bench", "cases": found, "machine": machine}
    show(content, lines, getattr(options, "json", False))
    return 0


def _measured(case: Case, n_threads: int) -> dict[str, Any]:
    """The medians of some windows."""
    step = _steps(case)
    for _ in range(2 * BATCHES):  # compiled, and the number of threads found
        step()
    steps = max(1, round(SECONDS / _seconds(step, BATCHES) * BATCHES))
    peaks, windows = [], []
    for _ in range(WINDOWS):
        peaks.append(peak.measure(n_threads))
        windows.append(_seconds(step, steps) / steps)
    seconds, best = median(windows), median(peaks)
    gflops = case.flops / seconds / 1e9
    return {
        "case": case.name,
        "sizes": list(case.sizes),
        "batch": case.batch,
        "microseconds": seconds * 1e6,
        "gflops": gflops,
        "peak_gflops": best,
        "share_of_peak": gflops / best,
    }


def _steps(case: Case) -> Any:
    """A function that makes an update, each time with the next batch."""
    random, n_out = np.random.default_rng(0), case.sizes[-1]
    X = random.standard_normal((BATCHES, case.batch, case.sizes[0]), np.float32)
    y: Any = random.random((BATCHES, case.batch, n_out), np.float32)
    if case.is_classifier:
        y = random.integers(0, n_out, (BATCHES, case.batch))
    trainer = Trainer(
        Network(case.sizes, output="softmax" if case.is_classifier else "identity", seed=0),
        loss="cross_entropy" if case.is_classifier else "mse",
        optimizer=Adam(lr=1e-4),
        batch_size=case.batch,
        seed=0,
    )
    made = 0

    def step() -> None:
        nonlocal made
        trainer.step(X[made % BATCHES], y[made % BATCHES])
        made += 1

    return step


def _seconds(step: Any, count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - start
