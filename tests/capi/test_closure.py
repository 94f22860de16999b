"""The example of Fortran: a closure learned online."""

import numpy as np
import pytest

from support.c_calls import needs_libpython
from support.compilers import needs_gfortran
from support.examples import load

closure = load("closure")


@pytest.mark.process
@needs_gfortran
@needs_libpython
def test_a_closure_is_learned_while_the_simulation_runs(tmp_path):
    printed, learning, errors = closure.run(tmp_path, updates=1500)
    assert "updates of the network: 1500, each on 36 cells" in printed
    first, last = learning[0, 1], learning[-100:, 1].mean()
    assert last < 0.6 * first
    at_first = errors[errors[:, 0] <= 0.5]
    assert (at_first[-1, 3] < 0.7 * at_first[-1, 1:3]).all()  # better than the mean and than before
    assert np.isfinite(errors).all()
    pytest.importorskip("matplotlib")
    closure.draw(learning, errors, tmp_path / "closure.png")
    assert (tmp_path / "closure.png").stat().st_size > 5000


def test_without_gfortran_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(closure.shutil, "which", lambda _name: None)
    with pytest.raises(SystemExit, match="'apt install gfortran'"):
        closure.run(tmp_path)
