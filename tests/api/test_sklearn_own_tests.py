"""scikit-learn's own tests of its perceptrons pass on fastbp's."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

SCRIPT = Path(__file__).parents[2] / "scripts" / "sklearn_tests.py"


@pytest.mark.slow
@pytest.mark.process
def test_scikit_learns_own_tests_pass():
    command = [sys.executable, SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summaries = [line for line in done.stdout.splitlines() if " passed" in line]
    assert len(summaries) == 2
    for line in summaries:
        assert int(line.split()[0]) >= 58, line
        assert "1 deselected" in line


@pytest.mark.slow
@pytest.mark.process
def test_it_is_fastbps_estimators_that_they_test():
    program = "import sklearn_stand_in, sklearn.neural_network as nn; print(nn.MLPClassifier)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=SCRIPT.parent,
    )
    assert "fastbp.sklearn" in done.stdout
