"""The container of model files and checkpoints: fastbp/storage/."""

import errno
import hashlib
import json
import os
import stat
import time

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fastbp.storage import model_file

META = {
    "numbers": [0.1, 1e-310, -0.0, 2**70, 5e-324, 1.7976931348623157e308],
    "text": 'ü"\n\ud800',
    "nested": {"none": None, "true": True, "empty": []},
}
TENSORS = {
    "b": np.array([[1, np.nan, -np.inf], [-0.0, 1e-45, 3]], np.float32),
    "a": np.arange(3.0),
    "c": np.ones(3, np.float32),  # 12 bytes: what follows must be aligned nevertheless
    "whole": np.array([[-(2**63)], [2**63 - 1]]),
    "one": np.float64(7),
    "none": np.zeros((0, 5), np.float32),
}


@pytest.fixture
def path(tmp_path):
    """A checkpoint."""
    model_file.write(tmp_path / "file.safetensors", "checkpoint", META, TENSORS)
    return tmp_path / "file.safetensors"


def parts(path):
    """(header, what follows it)."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def put(path, header, data, length=None):
    """Write a file of a header, JSON or text."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    prefix = (len(text) if length is None else length).to_bytes(8, "little")
    path.write_bytes(prefix + text + data)


def refused(path, match, kind="checkpoint", **options):
    with pytest.raises(ValueError, match=match) as caught:
        model_file.read(path, kind, **options)
    assert str(path) in str(caught.value)


def bits(meta):
    """Of the same numbers alone: JSON's -0.0 differs from 0.0."""
    return json.dumps(meta, sort_keys=True)


# What is written


def test_what_is_written_comes_back_to_the_bit(path):
    meta, tensors = model_file.read(path, "checkpoint")
    assert bits(meta) == bits(META)
    assert tensors.keys() == TENSORS.keys()
    for name, array in tensors.items():
        assert (array.dtype, array.shape) == (TENSORS[name].dtype, TENSORS[name].shape)
        assert array.tobytes() == TENSORS[name].tobytes()
        assert array.flags.writeable
        assert array.flags.carray
        assert array.dtype.isnative


def test_any_order_strides_and_byte_order_are_the_same_numbers(tmp_path):
    array = np.arange(24.0).reshape(4, 6)
    twice = np.repeat(np.repeat(array, 2, axis=0), 3, axis=1)
    kinds = [array, np.asfortranarray(array), twice[::2, ::3], array.astype(">f8")]
    contents = set()
    for kind in kinds:
        model_file.write(tmp_path / "a", "model", {}, {"w": kind})
        contents.add((tmp_path / "a").read_bytes())
        assert np.array_equal(model_file.read(tmp_path / "a", "model")[1]["w"], array)
    assert len(contents) == 1


def test_other_readers_open_it(path):
    for name, array in safetensors.numpy.load_file(path).items():
        assert array.tobytes() == TENSORS[name].tobytes()
    with safetensors.safe_open(path, "np") as file:
        assert json.loads(file.metadata()["fastbp"]) == META


NAMES = st.text(min_size=1, max_size=9).filter(lambda name: name != "__metadata__")
ARRAYS = st.sampled_from(["<f4", "<f8", "<i8"]).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, ARRAYS, max_size=4))
def test_other_readers_open_whatever_is_written(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("any") / "file"
    model_file.write(path, "model", {}, tensors)
    found = safetensors.numpy.load_file(path)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in tensors.items()
    }


def test_a_header_above_the_limit_is_not_written(path, monkeypatch):
    """The limit of the format, and of its readers."""
    content = path.read_bytes()
    monkeypatch.setattr("fastbp.storage.safetensors_format.LIMIT", 1000)
    with pytest.raises(ValueError, match=r"a header of 1\d{3} bytes, and the format allows 1000"):
        model_file.write(path, "model", {"text": "x" * 1000}, {})
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_what_the_package_wrote_is_read(path):
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    arrays = {name: np.asarray(array) for name, array in TENSORS.items()}
    path.write_bytes(safetensors.numpy.save(arrays, metadata))
    assert bits(model_file.read(path, "checkpoint")[0]) == bits(META)


def test_the_checksum_is_the_one_described(path):
    header, data = parts(path)
    metadata = header.pop("__metadata__")
    digest = metadata.pop("sha256")
    names = sorted(header)
    table = [[name, header[name]["dtype"], header[name]["shape"]] for name in names]
    text = json.dumps([metadata, table], sort_keys=True, separators=(",", ":"))
    spans = [slice(*header[name]["data_offsets"]) for name in names]
    content = text.encode() + b"".join(data[span] for span in spans)
    assert digest == hashlib.sha256(content).hexdigest()


def test_tensors_are_aligned(path):
    header, data = parts(path)
    start = path.stat().st_size - len(data)
    assert start % 8 == 0
    sizes = {"F64": 8, "I64": 8, "F32": 4}
    for name in TENSORS:
        assert header[name]["data_offsets"][0] % sizes[header[name]["dtype"]] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_of_meta_are_finite(value, tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        model_file.write(tmp_path / "a", "model", {"x": value}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["f2", "i4", "?", "c16", "O", "U3", "M8[s]"])
def test_other_dtypes_are_not_written(dtype, tmp_path):
    with pytest.raises(TypeError, match="expected one of float32, float64, int64"):
        model_file.write(tmp_path / "a", "model", {}, {"a": np.zeros(2, dtype)})
    assert not list(tmp_path.iterdir())


# How it is written


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither these permissions nor umask")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o000])
def test_permissions_are_those_of_any_new_file(mask, tmp_path):
    before = os.umask(mask)
    try:
        model_file.write(tmp_path / "a", "model", {}, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_a_file_that_is_replaced_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    model_file.write(path, "model", {}, {})
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_it_is_on_the_disk_before_it_takes_the_place_of_another(path, monkeypatch):
    events, sync, replace = [], os.fsync, os.replace

    def synced(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else os.fstat(handle).st_size
        events.append(kind)
        sync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *a: (events.append("replace"), replace(*a)))
    model_file.write(path, "model", {}, {"a": np.zeros(1000)})
    folders = [] if os.name == "nt" else ["folder"]
    assert events == [path.stat().st_size, "replace", *folders]


def fail(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "place", ["os.fsync", "os.replace", "fastbp.storage.safetensors_format.as_bytes"]
)
@pytest.mark.parametrize("failure", [fail, interrupt])
def test_what_fails_leaves_the_old_file_alone(place, failure, path, monkeypatch):
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(place, failure)
        with pytest.raises((OSError, KeyboardInterrupt)) as caught:
            model_file.write(path, "model", {}, {"a": np.zeros(1000)})
    if failure is fail and place.startswith("os."):
        assert caught.value.__notes__ == [
            f"{str(path)!r} was to be written, and is as it was before"
        ]
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_file_system_that_synchronizes_no_folders_will_do(path, monkeypatch):
    sync = os.fsync

    def refuses_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuses_folders)
    model_file.write(path, "model", {}, {})
    assert model_file.read(path, "model") == ({}, {})


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_stays_a_link(path):
    link = path.with_name("link")
    link.symlink_to(path)
    model_file.write(link, "model", {"new": 1}, {})
    assert link.is_symlink()
    assert model_file.read(path, "model") == ({"new": 1}, {})


def test_there_must_be_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*: make it first"):
        model_file.write(tmp_path / "missing" / "a", "model", {}, {})
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        model_file.write(tmp_path, "model", {}, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_only_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a device or a pipe"):
        model_file.write(tmp_path / "pipe", "model", {}, {})
    assert (tmp_path / "pipe").is_fifo()


# What is refused


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95" + b"x" * 50, b"\0" * 40])
def test_files_of_other_formats_are_refused(content, path):
    path.write_bytes(content)
    refused(path, "too few|no safetensors file|no JSON")


def test_an_empty_file_says_so(path):
    path.write_bytes(b"")
    refused(path, "it has 0 bytes, too few")


def test_no_part_of_a_file_is_a_file(path):
    content = path.read_bytes()
    for end in range(len(content)):
        path.write_bytes(content[:end])
        refused(path, "cut off")
        refused(path, "cut off", verify=False)
    path.write_bytes(content + b"\0")
    refused(path, "cut off, or something was added")


def test_every_bit_counts(path):
    content = path.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        refused(path, None)


def test_a_file_of_another_kind_says_how_to_load_it(path):
    refused(path, r"'checkpoint', expected 'model': load it with fastbp\.Trainer\.load", "model")
    model_file.write(path, "model", {}, {})
    refused(path, r"'model', expected 'checkpoint': load it with fastbp\.load", "checkpoint")


def test_a_safetensors_file_of_others_is_refused(path):
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    refused(path, r"not one of fastbp's: .* Network\.set_parameters")


METADATA = {
    "version '2'": ({"version": "2"}, "version 2 .* install a newer fastbp"),
    "version '0'": ({"version": "0"}, "version '0'"),
    "version '1.0'": ({"version": "1.0"}, "expected '1'"),
    "version '²'": ({"version": "²"}, "expected '1'"),
    "version of many digits": ({"version": "9" * 5000}, "expected '1'"),
    "kind 'table'": ({"kind": "table"}, "of kind 'table', expected 'checkpoint'"),
    "another format": ({"format": "fastpb"}, "not one of fastbp's"),
    "no JSON": ({"fastbp": "{'a': 1}"}, "no JSON"),
    "no object": ({"fastbp": "[1]"}, "a list, expected an object"),
    "not even text": ({"fastbp": "\ud800"}, "no UTF-8"),
    "a name twice": ({"fastbp": '{"a": 1, "b": {"c": 1, "c": 2}}'}, "'c' twice"),
    "NaN": ({"fastbp": '{"a": NaN}'}, "number NaN"),
    "infinity": ({"fastbp": '{"a": -1e999}'}, "number -1e999"),
    "many digits": ({"fastbp": '{"a": 1' + 9999 * "0" + "}"}, "digits"),
    "depth": ({"fastbp": 100_000 * "[" + 100_000 * "]"}, "nested too deeply"),
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(("change", "match"), METADATA.values(), ids=METADATA)
def test_metadata_that_is_wrong_is_refused(change, match, verify, path):
    header, data = parts(path)
    header["__metadata__"] |= change
    put(path, header, data)
    refused(path, match, verify=verify)


@pytest.mark.parametrize("name", ["format", "kind", "version", "fastbp", "sha256"])
def test_no_part_of_the_metadata_may_be_missing(name, path):
    header, data = parts(path)
    del header["__metadata__"][name]
    put(path, header, data)
    refused(path, "pass verify=False to load it as it is" if name == "sha256" else None)


def test_without_verification_the_checksum_does_not_matter(path):
    header, data = parts(path)
    for change in ({"sha256": "0"}, {"more": "text"}):
        header["__metadata__"] |= change
        put(path, header, data)
        refused(path, "sha256 that it tells: .* pass verify=False")
        assert bits(model_file.read(path, "checkpoint", verify=False)[0]) == bits(META)
    with pytest.raises(TypeError, match="verify is 0"):
        model_file.read(path, "checkpoint", verify=0)


def of(**changes):
    """A header's entry of three float32, changed."""
    return {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]} | changes


ENTRIES = {
    "another dtype": (of(dtype="F16", shape=[6]), "dtype 'F16', expected one of F32, F64, I64"),
    "no dtype": (of(dtype=["F32"]), "dtype"),
    "another size": (of(dtype="F64"), "the header was damaged"),
    "a size that overflows": (of(shape=[2**62, 4, 3, 3]), "the header was damaged"),
    "a size of many digits": (of(shape=[10**4000]), "integers >= 0"),
    "a huge array": (of(shape=[2**50], data_offsets=[0, 2**52]), "its tensors take"),
    "negative": (of(shape=[-3]), "integers >= 0"),
    "both negative": (of(shape=[-1, -3]), "integers >= 0"),
    "a fraction": (of(shape=[3.0]), "integers >= 0"),
    "true": (of(shape=[True, 3]), "integers >= 0"),
    "no shape": (of(shape=None), "integers >= 0"),
    "a number": (of(shape=3), "integers >= 0"),
    "backwards": (of(data_offsets=[12, 0]), "the header was damaged"),
    "a hole before": (of(data_offsets=[4, 16]), "begins at byte 4"),
    "one place": (of(data_offsets=[12]), "two integers >= 0"),
    "something else": (of(more=1), "expected dtype, shape, data_offsets"),
    "null": (None, "is None, expected dtype"),
    "too many dimensions": (of(shape=[3] + [1] * 32), "integers >= 0"),
    "more than 64 bits": (of(shape=[2**63, 0], data_offsets=[0, 0]), "integers >= 0"),
}


@pytest.mark.parametrize(("entry", "match"), ENTRIES.values(), ids=ENTRIES)
def test_a_header_that_lies_is_refused(entry, match, path):
    model_file.write(path, "checkpoint", {}, {"a": np.zeros(3, np.float32)})
    header, data = parts(path)
    put(path, header | {"a": entry}, data)
    refused(path, match, verify=False)


def test_an_empty_array_that_numpy_cannot_count_is_refused(path):
    model_file.write(path, "checkpoint", {}, {})
    header, _ = parts(path)
    put(path, header | {"a": of(shape=[2**62, 2**62, 0], data_offsets=[0, 0])}, b"")
    refused(path, "which is no array", verify=False)


def test_tensors_do_not_share_bytes(path):
    model_file.write(path, "checkpoint", {}, {"a": np.zeros(3, np.float32)})
    header, data = parts(path)
    put(path, header | {"b": of()}, data)
    refused(path, "'b' begins at byte 0 after the header, expected 12", verify=False)


@pytest.mark.parametrize(
    ("header", "match"),
    [
        ("[]", "a list, expected an object"),
        ("", "no JSON"),
        ("{", "no JSON"),
        ('{"a": 1, "a": 1}', "'a' twice"),
        ('{"__metadata__": []}', "object of strings"),
        ('{"__metadata__": {"a": 1}}', "object of strings"),
        ("[" * 200_000, "nested too deeply"),
        ("\ufeff{}", "no JSON"),
    ],
)
def test_a_header_that_is_none_is_refused(header, match, path):
    put(path, header, b"")
    refused(path, match, verify=False)


MANY = 300_000
SLOW = {  # for who counts each name among all the others, or multiplies all sizes
    "one name of many twice": "{" + ",".join(f'"{i % (MANY - 1)}":0' for i in range(MANY)) + "}",
    "many huge sizes": json.dumps({"a": of(shape=[10**4000] * 2_000)}),
    "a long name": json.dumps({"a" * 10**6: of(dtype="F8")}),
}


@pytest.mark.parametrize("header", SLOW.values(), ids=SLOW)
def test_a_header_cannot_take_forever(header, path):
    put(path, header, b"")
    start = time.perf_counter()
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        model_file.read(path, "checkpoint")
    assert time.perf_counter() - start < 10
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("length", [0, 10**6, 2**31, 2**63, 2**64 - 1])
def test_a_length_that_lies_is_refused(length, path):
    header, data = parts(path)
    put(path, header, data, length)
    refused(path, "announce|no JSON", verify=False)


def test_the_system_says_what_it_cannot_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_file.read(tmp_path / "missing", "model")
    with pytest.raises(OSError, match=r"irectory|ermission"):
        model_file.read(tmp_path, "model")
