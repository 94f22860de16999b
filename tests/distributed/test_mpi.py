"""Real ranks: the bits of those that are threads, and no rank that waits for another's end."""

import json
import signal
import time
from functools import partial

import pytest

from support import mpi
from support.in_process import same_on_ranks
from support.rank_runs import VARIANTS, fingerprint

pytestmark = pytest.mark.process

FINGERPRINT = """
import sys
from mpi4py import MPI
from support.rank_runs import VARIANTS, fingerprint
sys.stdout.write(fingerprint(MPI.COMM_WORLD, **VARIANTS[sys.argv[1]]) + "\\n")
"""


@pytest.mark.parametrize(("variant", "ranks"), [("dropout", 2), ("clipped", 3), ("weights", 4)])
def test_the_bits_are_those_of_one_rank(variant, ranks):
    expected = same_on_ranks(1, partial(fingerprint, **VARIANTS[variant]))
    assert mpi.printed(ranks, FINGERPRINT, variant) == [expected] * ranks


SUBGROUPS = """
import sys
from mpi4py import MPI
from support.rank_runs import VARIANTS, fingerprint
world = MPI.COMM_WORLD
part = world.Split(world.rank % 2, world.rank)
name = ("dropout", "clipped")[world.rank % 2]
sys.stdout.write(f"{name} {fingerprint(part, **VARIANTS[name])}\\n")
"""


def test_trainers_on_parts_of_the_ranks():
    expected = {
        name: same_on_ranks(1, partial(fingerprint, **VARIANTS[name]))
        for name in ("dropout", "clipped")
    }
    found = mpi.printed(3, SUBGROUPS)
    assert found == sorted(f"{n} {expected[n]}" for n in ("dropout", "dropout", "clipped"))


FAST = """
import sys
from fastbp.distributed import node_memory
from mpi4py import MPI
from support.rank_runs import VARIANTS, fingerprint
node_memory.allocate = lambda *_: None
run = lambda: fingerprint(MPI.COMM_WORLD, reduction="fast", **VARIANTS["norm"])
sys.stdout.write(f"{run() == run()}\\n")
"""


def test_the_sums_of_the_library():
    assert mpi.printed(3, FAST) == ["True"] * 3


LOCAL = """
import sys
from mpi4py import MPI
from support.local_runs import fingerprint
sys.stdout.write(fingerprint(MPI.COMM_WORLD) + "\\n")
"""


def test_rows_of_their_own():
    from support import local_runs

    expected = same_on_ranks(3, local_runs.fingerprint)
    assert mpi.printed(3, LOCAL) == [expected] * 3


REFUSED = """
import sys
from mpi4py import MPI
from support.rank_runs import new_trainer
trainer, X, y, how = new_trainer(MPI.COMM_WORLD)
if MPI.COMM_WORLD.rank == 1:
    y = y[:5]
try:
    trainer.fit(X, y, **how)
except ValueError as error:
    assert "y has shape (5, 3)" in str(error), error
    trainer.step(X[:64], y[:64] if len(y) > 5 else X[:64, :3])
    sys.stdout.write("refused\\n")
"""


def test_what_one_rank_refuses_all_refuse():
    assert mpi.printed(3, REFUSED) == ["refused"] * 3


TRAIN = """
import json, os, pathlib, signal, sys
import fastbp
from mpi4py import MPI
from support.rank_runs import VARIANTS, digest, new_trainer
folder, kill_at = pathlib.Path(sys.argv[1]), int(sys.argv[2])
comm, path = MPI.COMM_WORLD, folder / "run.safetensors"
trainer, X, y, how = new_trainer(comm, **VARIANTS[sys.argv[4]])

def step(state):
    if comm.rank == 1 and state.steps == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    if state.steps == 2 and comm.rank == 0:
        (folder / "begun").touch()

callbacks = [fastbp.ModelCheckpoint(path, every_updates=1), fastbp.LambdaCallback(on_step_end=step)]
epochs, resume = int(sys.argv[3]), path if path.exists() else None
history = trainer.fit(X, y, epochs, callbacks=callbacks, resume=resume, **how)
line = json.dumps([history["loss"], digest(*trainer.net.weights)])
sys.stdout.write(f"{line}\\n")  # in one piece
"""


@pytest.mark.parametrize("kill_at", [1, 4])
def test_a_killed_rank_ends_the_job_and_training_is_resumed(tmp_path, kill_at):
    """The job ends by an error and not by the limit; the next goes on, on other ranks."""
    (tmp_path / "whole").mkdir()
    whole = mpi.printed(1, TRAIN, tmp_path / "whole", -1, 3, "dropout")
    code, out, err = mpi.finish(mpi.start(2, TRAIN, tmp_path, kill_at, 3, "dropout"))
    assert code != 0
    assert out + err
    assert mpi.printed(3, TRAIN, tmp_path, -1, 3, "dropout") == whole * 3
    assert len(json.loads(whole[0])[0]) == 3


def test_ctrl_c_ends_all_ranks(tmp_path):
    process = mpi.start(2, TRAIN, tmp_path, -1, 10**6, "clipped")
    begun = time.monotonic()
    while not (tmp_path / "begun").exists():
        assert time.monotonic() - begun < mpi.SECONDS
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, _, _ = mpi.finish(process)
    assert code != 0
