"""What a wheel ships: the LLVM modules of all C functions (base/shipped.py)."""

from pathlib import Path

from . import embed_server, embedding_run, run, sparse_run


def ship(folder: Path) -> None:
    """Write the modules into a folder, for the vector width of this process."""
    for part in (run, sparse_run, embedding_run, embed_server):
        part.ship(folder)
