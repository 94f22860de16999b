"""What a wheel ships: the LLVM modules of all C functions (base/shipped.py)."""

from pathlib import Path

from . import c_calls, embed_server, run, sparse_run


def ship(folder: Path) -> None:
    """Write the modules into a folder, for the vector width of this process."""
    for part in (run, sparse_run, embed_server, c_calls):
        part.ship(folder)
