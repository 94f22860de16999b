"""The programs of the gallery and the page's example, on two ranks."""

import re
from pathlib import Path

import pytest

from support import mpi

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


def test_the_page_runs(tmp_path):
    text = (ROOT / "fastbp" / "distributed" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (line,) = mpi.printed(2, code, folder=tmp_path)
    assert line.count(",") == 4
    assert (tmp_path / "run.safetensors").exists()


def test_the_flame_on_the_surrogate_is_where_the_true_one_is():
    program = (ROOT / "scripts" / "examples" / "mpi_flame.py").read_text(encoding="utf-8")
    first, *others = reversed(mpi.printed(2, program))
    true, learned = map(float, re.findall(r"(\d+\.\d+)", first))
    assert abs(learned - true) < 0.05 * true
    most = [int(line.split()[6]) for line in others]
    assert len(most) == 2
    assert min(most) > 0, "the flame did not come to both ranks"


@pytest.mark.slow
def test_mnist_is_the_same_network_on_every_rank():
    program = "import sys\nsys.path.append('scripts/examples')\nimport mpi_mnist\nmpi_mnist.main()"
    found = "\n".join(mpi.printed(2, program))
    first, second = re.findall(r"rank: (\w+) (\w+)", found)[0]
    assert first == second
