"""What a wheel ships: the LLVM modules of all C functions (base/shipped.py)."""

from pathlib import Path

from . import (
    c_calls,
    embed_server,
    embedding_run,
    ensemble_server,
    jacobian_run,
    jacobian_server,
    parts_run,
    place_run,
    run,
    sparse_run,
    tangent_run,
)

PARTS = (
    run,
    sparse_run,
    parts_run,
    place_run,
    embedding_run,
    tangent_run,
    jacobian_run,
    embed_server,
    jacobian_server,
    ensemble_server,
    c_calls,
)


def ship(folder: Path) -> None:
    """Write the modules into a folder, for the vector width of this process."""
    for part in PARTS:
        part.ship(folder)
