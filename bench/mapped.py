"""Rate of training on memory-mapped data over that on data in memory, interleaved.

``python -m bench.mapped`` writes images of the size of MNIST's to a temporary folder, as float32
and as bytes (which ``net.set_scaling`` scales), and times epochs of shuffled fit on them: mapped
once and kept; mapped anew for each epoch, so that the system must find the pages again; and as
fit_batches of slices in order. It prints medians of the ratios of their rates to that of the same
data in memory. The ratio of two sides in memory is the noise. The page cache must hold the files,
235 MB.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median

from bench import environment, table
from bench.cases import CASES
from bench.race import Racer

ROWS = 60_000
MEMORY, AGAIN, KEPT, ANEW, SLICES = (
    "in memory",
    "in memory again",
    "mapped",
    "mapped anew",
    "slices",
)


def write(folder, kind):
    """Images and labels as .npy files; the path of the images."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (ROWS, CASES["medium"].sizes[0]), np.uint8)
    path = Path(folder) / f"{kind}.npy"
    np.save(path, images if kind == "bytes" else (images / np.float32(255)))
    return path


def trainer(kind, threads):
    import fastbp

    case = CASES["medium"]
    net = fastbp.Network(case.sizes, output="softmax", seed=0)
    if kind == "bytes":
        net.set_scaling(input_scale=255)
    return fastbp.Trainer(
        net,
        loss="cross_entropy",
        optimizer=fastbp.SGD(lr=1e-3, momentum=0.9),
        batch_size=case.batch,
        threads=threads,
        seed=0,
    )


def racers(path, kind, threads):
    import itertools

    import numpy as np

    labels = np.random.default_rng(1).integers(0, 10, ROWS)
    size = CASES["medium"].batch

    def side(name, data):
        fit = trainer(kind, threads).fit
        return Racer(name, lambda X: fit(X(), labels, progress=False), itertools.repeat((data,)))

    memory, kept = np.load(path), np.load(path, mmap_mode="r")
    yield side(MEMORY, lambda: memory)
    yield side(AGAIN, lambda: memory)
    yield side(KEPT, lambda: kept)
    yield side(ANEW, lambda: np.load(path, mmap_mode="r"))
    places = [slice(i, i + size) for i in range(0, ROWS, size)]
    stream = trainer(kind, threads).fit_batches
    parts = ((((kept[p], labels[p]) for p in places),) for _ in itertools.count())
    yield Racer(SLICES, lambda batches: stream(batches, progress=False), parts)


def measure(path, kind, threads, rounds):
    """{side: ratio of its rate to that in memory}, medians."""
    sides = list(racers(path, kind, threads))
    seconds = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            seconds[side.name].append(side.window())
        sides.reverse()
    memory = seconds.pop(MEMORY)
    return {
        name: median(a / b for a, b in zip(memory, own, strict=True))
        for name, own in seconds.items()
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.mapped", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=environment.available_cpus())
    options = parser.parse_args(arguments)
    environment.run_in(environment.fair(os.environ, options.threads), "bench.mapped")
    columns = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("float32", "bytes"):
            path = write(folder, kind)
            columns[kind] = measure(path, kind, options.threads, options.rounds)
    names = (AGAIN, KEPT, ANEW, SLICES)
    rows = [["rate beside in memory", *columns]]
    rows += [[name, *(f"{column[name]:.3f}x" for column in columns.values())] for name in names]
    print(table.plain(rows))


if __name__ == "__main__":
    main()
