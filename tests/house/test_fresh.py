"""Programs that bench/ runs in processes of their own."""

import pytest

from bench import fresh, startup
from bench.startup import Program


@pytest.mark.process
def test_the_last_line_is_the_answer():
    assert fresh.answer("print('talk')\nprint('[1, 2.5]')") == [1, 2.5]


@pytest.mark.process
def test_a_program_finds_what_is_put_into_its_environment():
    assert fresh.answer("import os\nprint(os.environ['NUMBER'])", NUMBER="7") == 7


@pytest.mark.process
def test_a_failure_is_told_and_is_no_answer(capfd):
    assert fresh.answer("x = 1\nimport nothing_of_this_name") is None
    stderr = capfd.readouterr().err
    assert stderr.startswith("import nothing_of_this_name: failed: ModuleNotFoundError")


def test_a_program_that_fails_is_left_out_and_a_round_is_one_of_each():
    found = startup.measure({"able": Program("x = 1"), "unable": Program("1 / 0")}, 2)
    assert list(found) == ["able"]
    assert len(found["able"]) == 2
    assert all(0 <= seconds < 1 for seconds in found["able"])


def test_what_comes_before_is_not_timed():
    program = Program("assert time.perf_counter() - start < 0.2", "time.sleep(0.3)")
    assert program.seconds("") is not None


@pytest.mark.parametrize("cold", [False, True])
def test_only_a_cold_program_has_a_folder_of_kernels_of_its_own(tmp_path, cold):
    folder = repr(str(tmp_path))
    timed = f"import os\nassert (os.environ['NUMBA_CACHE_DIR'] == {folder}) is {not cold}"
    assert Program(timed, cold=cold).seconds(str(tmp_path)) is not None
