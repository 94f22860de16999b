"""A training on several ranks, one of which is killed at random moments, until it comes to its end.

Each job has a number of ranks of its own, and goes on from the last checkpoint of those before.
"""

import argparse
import random
import tempfile
from pathlib import Path

from support import mpi

LONGEST = 1.0
"""Seconds from the first update of a job until a rank is killed, at most: about what all take."""

MOST_RANKS = 3

TRAIN = """
import json, os, pathlib, signal, sys, threading
import fastbp
from mpi4py import MPI
from support.rank_runs import digest, new_trainer
from support.trainers import training_state

path, victim, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
options = {"dropout": 0.3, "ema_decay": 0.9, "clip_norm": 1.0, "batch_size": 20}
trainer, X, y, how = new_trainer(MPI.COMM_WORLD, **options)

class Dies(fastbp.Callback):
    underway = None

    def on_step_end(self, state):
        if trainer.rank == victim and not self.underway:
            kill = os.kill, (os.getpid(), signal.SIGKILL)
            self.underway = threading.Timer(seconds, *kill)
            self.underway.daemon = True
            self.underway.start()

checkpoint = fastbp.ModelCheckpoint(path, every_updates=5)
callbacks = [checkpoint, fastbp.EarlyStopping(patience=99), Dies()]
how |= {"validation_fraction": 0.2, "resume": path if path.exists() else None}
history = trainer.fit(X, y, 60, callbacks=callbacks, **how)
arrays, *rest = training_state(trainer)
line = json.dumps([history["loss"], history["val_loss"], digest(*map(bytearray, arrays)), rest])
sys.stdout.write(f"{line}\\n")  # in one piece
"""


def train(path, ranks, victim=-1, seconds=0.0):
    """What the ranks have printed, each a line; None where the job has ended by a kill."""
    code, out, err = mpi.finish(mpi.start(ranks, TRAIN, path, victim, seconds))
    if code != 0:
        assert victim >= 0, f"exit code {code}\n{out}\n{err}"
        assert "Traceback" not in err, err
        return None
    return out.splitlines()


def main(kills, seed=0):
    """Make so many kills, or jobs that were faster; returns how many were killed."""
    rng, killed = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder:
        (expected,) = train(Path(folder) / "whole.safetensors", 1)
        path = Path(folder) / "run.safetensors"
        for _ in range(kills):
            ranks = rng.randint(2, MOST_RANKS)
            found = train(path, ranks, rng.randrange(ranks), rng.uniform(0, LONGEST))
            if found is None:
                killed += 1
            else:  # it was faster: begin anew
                assert found == [expected] * ranks
                path.unlink()
        assert train(path, MOST_RANKS) == [expected] * MOST_RANKS
    print(f"{killed} of {kills} jobs killed: the same bits")
    return killed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    main(asked.count, asked.seed)
