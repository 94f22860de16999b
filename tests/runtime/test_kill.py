"""A process that is killed at any moment, and resumed, ends with the same bits."""

import pytest

from support import killing

pytestmark = pytest.mark.slow


@pytest.mark.process
@pytest.mark.skipif(not hasattr(killing.signal, "SIGKILL"), reason="only POSIX kills like this")
def test_killed_ten_times(capsys):
    killing.main(10)
    assert "the same bits" in capsys.readouterr().out
