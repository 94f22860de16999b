"""What killed processes leave unfinished is removed by the next save, and nothing else is."""

import os
import sys
import threading

import pytest

import fastbp
from fastbp.storage import atomic, unfinished
from support import processes

pytestmark = pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")

WRITE = """
import time
from fastbp.storage import atomic
with atomic.replacing({!r}) as file:
    file.write(b"half of it")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def writer(path):
    """A process in the middle of writing a file."""
    process = processes.start(WRITE.format(str(path)))
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.kill()
    process.communicate()


def others(path):
    return [p for p in path.parent.iterdir() if p != path]


def save(path):
    fastbp.Network([2, 1], seed=0).save(path)


@pytest.mark.process
def test_what_a_killed_process_left_is_gone_after_the_next_save(tmp_path):
    path = tmp_path / "model.safetensors"
    kill(writer(path))
    (left,) = others(path)
    assert unfinished.NAME.fullmatch(left.name)
    save(path)
    assert others(path) == []


@pytest.mark.process
def test_what_another_process_writes_stays(tmp_path):
    path = tmp_path / "model.safetensors"
    process = writer(path)
    try:
        (left,) = others(path)
        save(path)
        assert others(path) == [left]
    finally:
        kill(process)


def test_what_another_thread_writes_stays(tmp_path):
    path = tmp_path / "model.safetensors"
    with atomic.replacing(path) as file:
        file.write(b"first")
        thread = threading.Thread(target=save, args=(path,))
        thread.start()
        thread.join()
        assert len(others(path)) == 1
    assert path.read_bytes() == b"first"
    assert others(path) == []


def test_what_is_complete_is_no_orphan_before_it_has_its_name(tmp_path, monkeypatch):
    """Another thread may save a file in the folder just then."""
    path, replace = tmp_path / "model.safetensors", os.replace

    def replaced(*arguments):
        unfinished.remove_orphans(tmp_path)
        replace(*arguments)

    monkeypatch.setattr(os, "replace", replaced)
    save(path)
    assert path.exists()
    assert others(path) == []


def test_nothing_else_is_removed(tmp_path):
    path = tmp_path / "model.safetensors"
    names = [".fastbp-0.tmp", f".fastbp-{'0' * 16}.tmp.bak", f"a.fastbp-{'0' * 16}.tmp", "x.tmp"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / f".fastbp-{'1' * 16}.tmp").mkdir()
    (tmp_path / f".fastbp-{'2' * 16}.tmp").symlink_to(tmp_path / names[0])
    before = sorted(others(path))
    save(path)
    assert sorted(others(path)) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_of_that_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / f".fastbp-{'0' * 16}.tmp")
    save(tmp_path / "model.safetensors")


def test_where_nothing_can_be_locked_nothing_is_removed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no locks here")

    left = tmp_path / f".fastbp-{'0' * 16}.tmp"
    left.touch()
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        save(tmp_path / "model.safetensors")
        assert left.exists()
    save(tmp_path / "model.safetensors")
    assert not left.exists()


def test_a_file_that_was_taken_for_an_orphan_before_it_was_locked_is_made_anew(
    tmp_path, monkeypatch
):
    flock, taken = sys.modules["fcntl"].flock, []

    def late(descriptor, how):
        if not taken:
            taken.extend(tmp_path.glob(".fastbp-*"))
            taken[0].unlink()
        flock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", late)
    path = tmp_path / "model.safetensors"
    save(path)
    assert len(taken) == 1
    assert fastbp.load(path).sizes == (2, 1)
    assert others(path) == []
