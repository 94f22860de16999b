"""``Network.to_c`` and ``Network.to_fortran``: the names and the writing of their files."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..common import checks, registry
from ..model.network import Network
from ..storage.atomic import in_a_folder, replacing, target
from . import c_ensemble, c_header, c_numbers, c_source, content, fortran_module, self_test
from .design import Design, design

LONGEST_NAME = 40
"""Letters of a name, so that lines and names of Fortran keep to its limits, 132 and 63."""

STANDARD_HEADERS = {
    *("assert", "complex", "ctype", "errno", "fenv", "float", "inttypes", "iso646", "limits"),
    *("locale", "math", "setjmp", "signal", "stdarg", "stdbool", "stddef", "stdint", "stdio"),
    *("stdlib", "string", "tgmath", "time", "wchar", "wctype"),
}
"""The names of the headers of C99, which a file of the same name would hide."""

WEIGHTS = {"source": False, "file": True}


def to_c(net: Network, path: str | os.PathLike[str], derivatives: bool, weights: Any) -> None:
    """``Network.to_c``."""
    write(path, c_files(_design(net, path, ".c", derivatives, weights)))


def to_fortran(net: Network, path: str | os.PathLike[str], derivatives: bool, weights: Any) -> None:
    """``Network.to_fortran``."""
    of_net = _design(net, path, ".f90", derivatives, weights)
    write(path, c_files(of_net) | {".f90": fortran_module.text(of_net).encode("ascii")})


def mean_to_c(nets: Sequence[Network], path: str | os.PathLike[str]) -> None:
    """``Ensemble.to_c``."""
    name = checked_name(path, ".c")
    in_a_folder(path)
    of = c_ensemble.members(name, nets)
    write(path, c_ensemble.files(of) | c_ensemble.self_test_files(of))


def mean_to_fortran(nets: Sequence[Network], path: str | os.PathLike[str]) -> None:
    """``Ensemble.to_fortran``."""
    name = checked_name(path, ".f90")
    in_a_folder(path)
    of = c_ensemble.members(name, nets)
    module = fortran_module.text_of_mean(of).encode("ascii")
    write(path, c_ensemble.files(of) | c_ensemble.self_test_files(of) | {".f90": module})


def c_files(of_net: Design) -> dict[str, bytes]:
    """The content of the files of C by what follows the name."""
    texts = {
        ".h": c_header.text(of_net),
        ".c": c_source.text(of_net),
        "_test.c": self_test.text(of_net),
    }
    files = {ending: text.encode("ascii") for ending, text in texts.items()}
    return files | ({".bin": c_numbers.file_bytes(of_net)} if of_net.in_file else {})


def _design(net: Network, path: Any, ending: str, derivatives: Any, weights: Any) -> Design:
    name = checked_name(path, ending)
    derivatives = checks.flag(derivatives, "derivatives")
    in_file = registry.lookup(WEIGHTS, weights, "weights")
    in_a_folder(path)
    return design(name, content.of_network(net), derivatives, in_file)


def checked_name(path: Any, ending: str) -> str:
    """The name with which public names begin: that of the file. ValueError where it cannot."""
    place = Path(path)
    if place.suffix != ending:
        raise ValueError(
            f"path is {os.fspath(path)!r}, expected a name that ends with {ending!r}, such as "
            f"'surrogate{ending}'"
        )
    name = place.stem
    if not re.fullmatch("[A-Za-z](_?[A-Za-z0-9])*", name, re.ASCII) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"path names the file {name!r}, with which the names of its functions begin: expected "
            f"a letter, then letters, digits and single underscores between them, at most "
            f"{LONGEST_NAME}"
        )
    if ending == ".f90" and name.lower() in fortran_module.INTRINSICS:
        raise ValueError(
            f"path names the file {name!r}, and a module of that name would hide what Fortran "
            "calls so: choose another name"
        )
    if name.lower() in STANDARD_HEADERS:
        raise ValueError(
            f"path names the file {name!r}, and {name}.h would hide the header of C of that name: "
            "choose another name"
        )
    return name


def write(path: str | os.PathLike[str], files: dict[str, bytes]) -> None:
    """Write the files beside ``path``, each in one go; none where one of them cannot be a file."""
    stem = Path(path).with_suffix("")
    places = [target(stem.with_name(stem.name + ending)) for ending in files]
    for place, content_ in zip(places, files.values(), strict=True):
        with replacing(place) as file:
            file.write(content_)
