"""How many processors other programs had meanwhile: a time beside them says little."""

import os
import time

from bench import sharing

MOST = 0.1
"""Processors. Where others had more, on the mean, a time does not count."""


def _now():
    """(seconds, seconds of CPU time wanted in this system, of this process); None where unknown."""
    ticks = sharing.ticks()
    if ticks is None:
        return None
    return time.perf_counter(), ticks[0] / os.sysconf("SC_CLK_TCK"), time.process_time()


class Watch:
    """Begins when it is made."""

    def __init__(self):
        self._began = _now()

    def processors(self):
        """The mean number that others had since then, stolen ones too; 0 where nobody counts."""
        now = _now()
        if self._began is None or now is None:
            return 0.0
        seconds, wanted, own = (b - a for a, b in zip(self._began, now, strict=True))
        return max(0.0, (wanted - own) / seconds)
