"""MNIST on several ranks: each computes a part of every batch, and all have the same network.

    mpiexec -n 2 .venv/bin/python scripts/examples/mpi_mnist.py

Every bit of the network is the same on 1 to 8 ranks. Given the name of a file, a run that was
killed goes on where it was, on any number of ranks.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

import fastbp

sys.path.append(str(Path(__file__).parents[1]))
import mnist_data

EPOCHS = 3


def read(comm):
    """Return the data set; rank 0 fetches it, where it is not there."""
    if comm.rank == 0:
        mnist_data.load()
    comm.Barrier()
    return mnist_data.load()


def train(comm, X, y, checkpoint=None):
    """Train 784-256-128-10; return the network and the History."""
    net = fastbp.Network([X.shape[1], 256, 128, 10], "relu", "softmax", seed=0)
    adam = fastbp.Adam()
    trainer = fastbp.Trainer(
        net, loss="cross_entropy", optimizer=adam, batch_size=256, seed=0, comm=comm
    )
    callbacks, resume = [], None
    if checkpoint is not None:
        callbacks = [fastbp.ModelCheckpoint(checkpoint)]
        resume = checkpoint if Path(checkpoint).exists() else None
    history = trainer.fit(
        X, y, EPOCHS, validation_fraction=1 / 6, callbacks=callbacks, resume=resume
    )
    return net, history


def digest(net):
    """Return the first digits of a hash of all parameters."""
    parts = [part.tobytes() for part in (*net.weights, *net.biases)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def main():
    comm = MPI.COMM_WORLD
    data = read(comm)
    X = data.train_images / np.float32(255)
    net, history = train(comm, X, data.train_labels, *sys.argv[1:2])
    digests = comm.gather(digest(net))
    if comm.rank == 0:
        accuracy, rate = history["val_accuracy"][-1], history["samples_per_second"][-1]
        print(f"{data.name} on {comm.size} ranks, {rate:,.0f} samples/s")
        print(f"validation accuracy {accuracy:.4f}")
        print(f"the network of each rank: {' '.join(digests)}")


if __name__ == "__main__":
    main()
