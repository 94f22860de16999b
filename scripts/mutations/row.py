"""A row of the table."""

from typing import NamedTuple


class Break(NamedTuple):
    """One mistake: in ``file`` the text ``old`` becomes ``new``, and ``test`` must fail.

    reason: why no test notices, where that is accepted; else empty.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    reason: str = ""
