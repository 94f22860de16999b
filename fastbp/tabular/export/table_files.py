"""``TableExport.to_c`` and ``to_fortran``: the writing of their files."""

import os
from typing import Any

from ...export import c_ensemble, c_files
from ...storage.atomic import in_a_folder
from . import c_design, c_table, c_test, fortran_table
from .c_design import NETWORKS, Table


def to_c(model: Any, path: str | os.PathLike[str]) -> None:
    """``TableExport.to_c``."""
    c_files.write(path, _files(_design(model, path, ".c")))


def to_fortran(model: Any, path: str | os.PathLike[str]) -> None:
    """``TableExport.to_fortran``."""
    of = _design(model, path, ".f90")
    c_files.write(path, _files(of) | {".f90": fortran_table.text(of).encode("ascii")})


def _design(model: Any, path: str | os.PathLike[str], ending: str) -> Table:
    name = c_files.checked_name(path, ending)
    in_a_folder(path)
    return c_design.design(name, model)


def _files(of: Table) -> dict[str, bytes]:
    """The content of the files of C by what follows the name."""
    texts = {".h": c_table.header(of), ".c": c_table.source(of), "_test.c": c_test.text(of)}
    networks = c_ensemble.files(of.members).items()
    return {ending: text.encode("ascii") for ending, text in texts.items()} | {
        f"{NETWORKS}{ending}": content for ending, content in networks
    }
