"""What rounding gradients to bfloat16 does to accuracy: ``python -m bench.wire``.

MNIST is trained by 784-256-128-10 on ranks that are threads of this process, by each reduction, and
in bfloat16 without what earlier roundings have left. Prints test accuracies and training losses,
and writes no file. It takes about four minutes on two CPUs.
"""

import argparse
import itertools
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from bench import network
from bench.scaling_model import NO_DELAY

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
import mnist_data

RANKS, BATCH, EPOCHS = 4, 256, 3
OPTIMIZERS = ("sgd", "adam")
WITHOUT = "bfloat16, nothing left over"
WAYS = ("ordered", "fast", "bfloat16", WITHOUT)


@contextmanager
def forgetting(does):
    """Where it ``does``, roundings keep nothing for later ones."""
    from fastbp.distributed.rounded import Rounding

    kept = Rounding.round

    def forget(self, values, out):
        self.left[:] = 0.0
        kept(self, values, out)

    if does:
        Rounding.round = forget
    try:
        yield
    finally:
        Rounding.round = kept


def train(data, way, optimizer, seed, comm):
    """(test accuracy, last training loss)."""
    import fastbp

    net = fastbp.Network([data.train_images.shape[1], 256, 128, 10], output="softmax", seed=seed)
    adam = fastbp.Adam() if optimizer == "adam" else fastbp.SGD(lr=0.05, momentum=0.9)
    trainer = fastbp.Trainer(
        net,
        loss="cross_entropy",
        optimizer=adam,
        batch_size=BATCH,
        threads=1,
        seed=seed,
        comm=comm,
        reduction=way.partition(",")[0],
    )
    scale = np.float32(1 / 255)
    history = trainer.fit(data.train_images * scale, data.train_labels, EPOCHS, progress=False)
    found = trainer.evaluate(data.test_images * scale, data.test_labels)
    return found["accuracy"], history["loss"][-1]


def line(optimizer, way, found):
    """Accuracies and losses of all seeds."""
    accuracies = ", ".join(f"{100 * accuracy:.2f}" for accuracy, _ in found)
    losses = ", ".join(f"{loss:.4f}" for _, loss in found)
    return f"{optimizer}, {way}: test accuracy {accuracies} %, training loss {losses}"


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.wire", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each (default: 3)")
    options = parser.parse_args(arguments)
    data = mnist_data.load()
    for optimizer, way in itertools.product(OPTIMIZERS, WAYS):
        with forgetting(way == WITHOUT):
            found = [
                network.run(RANKS, NO_DELAY, partial(train, data, way, optimizer, seed))[0]
                for seed in range(options.seeds)
            ]
        print(line(optimizer, way, found), flush=True)


if __name__ == "__main__":
    main()
