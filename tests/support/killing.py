"""A training process that is killed at random moments, and resumed, until it comes to its end."""

import argparse
import json
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

import fastbp
from fastbp.schedules import Cosine, Warmup
from support import processes
from support.internals import core

EPOCHS, ROWS, BATCH = 40, 3000, 32
LONGEST = 1.0
"""Seconds that a process lives after its first checkpoint, at most: about as long as all takes."""


class Telling(fastbp.ModelCheckpoint):
    """Says after how many updates a file was written, once it is."""

    def _write(self, state):
        super()._write(state)
        print(state.steps, flush=True)


Telling.__name__ = "ModelCheckpoint"


def train(folder):
    """Train to the end, from the last checkpoint if there is one; what came of it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 20)).astype("float32")
    y = (X[:, 0] * X[:, 1] + rng.standard_normal(ROWS) > 0).astype("int64")
    net = fastbp.Network([20, 64, 32, 2], output="softmax", seed=0, layer_norm=True)
    trainer = fastbp.Trainer(
        net,
        loss="cross_entropy",
        optimizer=fastbp.AdamW(1e-4),
        batch_size=BATCH,
        seed=0,
        dropout=0.2,
        clip_norm=1.0,
        ema_decay=0.99,
        class_weight="balanced",
        schedule=Warmup(50, Cosine(EPOCHS * 100)),
    )
    path = folder / "run.safetensors"
    callbacks = [
        Telling(path, every_updates=17, keep=2),
        fastbp.EarlyStopping(patience=12),
        fastbp.ReduceLROnPlateau(patience=1),
        fastbp.CSVLogger(folder / "run.csv"),
    ]
    history = trainer.fit(
        X,
        y,
        epochs=EPOCHS,
        validation_fraction=0.2,
        callbacks=callbacks,
        resume=path if path.exists() else None,
    )
    return outcome(trainer, history)


def outcome(trainer, history):
    """All bits of the end, but times."""
    timeless = {key: history[key] for key in history if key != "samples_per_second"}
    arrays = (*trainer.net.weights, *trainer.net.biases, *core(trainer).arrays.moments[:3])
    return json.dumps([timeless, trainer.lr, [a.tobytes().hex() for a in arrays]])


def start(folder):
    train = f"print(killing.train(pathlib.Path({str(folder)!r})))"
    return processes.start(f"import pathlib; from support import killing; {train}")


def kill_until_done(folder, kills, seed, expected):
    """Kill and resume so often, then let it end. AssertionError where anything was lost."""
    rng, path = random.Random(seed), folder / "run.safetensors"
    for _ in range(kills):
        process = start(folder)
        lines = tell_and_die(process, rng.uniform(0, LONGEST))
        if process.returncode == 0:  # it was faster: begin anew
            assert lines[-1].strip() == expected
            for file in folder.iterdir():
                file.unlink()
            continue
        check_files(folder, path, lines)
    process = start(folder)
    assert processes.finish(process).splitlines()[-1] == expected


def tell_and_die(process, seconds):
    """What it said until it was killed, so many seconds after its first checkpoint."""
    lines = [process.stdout.readline()]
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    lines += process.communicate()[0].splitlines(keepends=True)
    return lines


def check_files(folder, path, lines):
    """Every file can be read, and the newest is no older than what was told last."""
    whole = [int(line) for line in lines if line.strip().isdecimal() and line.endswith("\n")]
    checkpoints = sorted(folder.glob("run*.safetensors"))
    for file in checkpoints:
        fastbp.Trainer.load(file)
    assert path in checkpoints
    position = fastbp.training.checkpoints.read(path).fit["position"]
    of_epoch = -(-(ROWS * 4 // 5) // BATCH)
    made = position["epochs"] * of_epoch + position["row"] // BATCH
    assert made >= max(whole, default=0), f"{made} updates in the file, {whole[-1]} were written"


def main(kills, seed=0):
    """Make so many kills; prints what came of it."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        expected = processes.finish(start(Path(one))).splitlines()[-1]
        kill_until_done(Path(other), kills, seed, expected)
    print(f"{kills} kills: the same bits, every file whole, nothing lost")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    main(asked.count, asked.seed)
