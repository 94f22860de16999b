"""scikit-learn's own tests of its perceptrons, unchanged, on the estimators of fastbp.sklearn.

scripts/sklearn_tests                 # with the seeds 0 and 42
scripts/sklearn_tests -k warm_start   # other arguments go to pytest
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
SEEDS = (0, 42)
"""Of scikit-learn's fixture global_random_seed."""


def run(seed, arguments):
    """Run them from a folder without a configuration of pytest. Returns the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "pytest.ini"
        configuration.write_text("[pytest]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-c", configuration]
        command += ["-p", "sklearn_stand_in", "--pyargs", "sklearn.neural_network.tests.test_mlp"]
        command += arguments
        set_here = {"SKLEARN_TESTS_GLOBAL_RANDOM_SEED": str(seed), "PYTHONPATH": str(FOLDER)}
        return subprocess.run(
            command, cwd=folder, env=os.environ | set_here, check=False
        ).returncode


def main():
    return max(run(seed, sys.argv[1:]) for seed in SEEDS)


if __name__ == "__main__":
    sys.exit(main())
