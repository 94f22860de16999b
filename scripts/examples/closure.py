"""A closure term learned by a Fortran program while it runs, in one command.

It compiles closure.f90 with gfortran, runs it on this Python's fastbp, prints its errors before and
after learning, and draws pictures/closure.png (where matplotlib is installed). closure.f90 has the
time loop, the two-scale model of Lorenz (1996), and all calls of fastbp.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastbp import capi

HERE = Path(__file__).parent
UPDATES = 5000


def compile_into(folder):
    """Compile closure.f90, and return the program's path."""
    if shutil.which("gfortran") is None:
        sys.exit(
            "closure.py: gfortran is not installed, and the example is in Fortran: install it, on "
            "Debian and Ubuntu by 'apt install gfortran', on macOS by 'brew install gcc'"
        )
    program = Path(folder) / "closure"
    source = str(HERE / "closure.f90")
    command = ["gfortran", "-O2", f"-J{folder}", *capi.flags("fortran"), source, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"closure.py: gfortran failed:\n{done.stderr}")
    return program


def run(folder, updates=UPDATES):
    """Run it; what it printed, learning (updates, 2), and errors (lead times, 4).

    learning: the number of an update, and the relative error of the closure before it. errors: lead
    time, and errors of forecasts with the mean closure, with the network before and after learning.
    """
    command = [str(compile_into(folder)), sys.executable, str(updates)]
    passive = os.environ | {"OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        command, cwd=folder, env=passive, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"closure.py: the program ended with code {done.returncode}:\n{done.stdout}")
    tables = (np.loadtxt(Path(folder) / f"{name}.txt") for name in ("learning", "errors"))
    return done.stdout, *tables


def draw(learning, errors, path):
    """Write the picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    means = learning[: len(learning) // 50 * 50, 1].reshape(-1, 50).mean(axis=1)
    left.plot(np.arange(len(means)) * 50 + 25, means, color="#4878a8", linewidth=1)
    left.set(xlabel="update, each on 36 cells", ylabel="relative error", ylim=(0, 1))
    left.set_title("The closure while the simulation runs", loc="left", fontsize=10)
    labels = "mean closure", "network before learning", "network after learning"
    for column, (label, color) in enumerate(
        zip(labels, ("#888888", "#c0392b", "#4878a8"), strict=True)
    ):
        right.plot(errors[:, 0], errors[:, column + 1], color=color, linewidth=1, label=label)
    right.set(xlabel="time", ylabel="relative error")
    right.set_title("Coarse forecasts", loc="left", fontsize=10)
    right.legend(frameon=False, fontsize=8)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def main():
    with tempfile.TemporaryDirectory() as folder:
        printed, learning, errors = run(folder)
    print(printed, end="")
    try:
        path = HERE / "pictures" / "closure.png"
        draw(learning, errors, path)
        print(f"picture: {path.relative_to(HERE)}")
    except ImportError:
        print("no picture: matplotlib is not installed")


if __name__ == "__main__":
    main()
