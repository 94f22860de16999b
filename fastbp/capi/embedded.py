"""The Python side of fastbp.c: what a program of C or Fortran that embeds Python asks for.

Each task takes the address of a handle, or 0, and a text as C has it, and returns an address or 0.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..model import model_io
from ..model.network import Network
from ..training.trainer import Trainer
from .handle import ALL, Handle

_OPEN: dict[int, Handle] = {}
"""The handles that only C knows, by address."""


def answer(task: bytes, place: int, text: bytes) -> int | str:
    """What the task returns, or what was raised."""
    try:
        return TASKS[task](place, text)
    except BaseException as error:  # noqa: BLE001 - the program is told of any
        return f"{type(error).__name__}: {error}"
    finally:
        _flush()


def _flush() -> None:
    """Write what was printed: nothing ends Python, and nothing else would do it."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):
            stream.flush()


def _begin(_place: int, _text: bytes) -> int:
    return 0


def _load(_place: int, path: bytes) -> int:
    return _opened(model_io.load(os.fsdecode(path)))


def _load_trainer(_place: int, path: bytes) -> int:
    return _opened(Trainer.load(os.fsdecode(path)))


def _run(_place: int, code: bytes) -> int:
    names: dict[str, Any] = {"__name__": "__fastbp__"}
    exec(compile(code, "the code of fastbp_run", "exec"), names)
    owner = names.get("trainer")
    if not isinstance(owner, Trainer | Network):
        raise TypeError(
            "the code has to leave a fastbp.Trainer, or a fastbp.Network, in the variable "
            f"'trainer', which is {'a ' + type(owner).__name__ if owner else 'not there'}"
        )
    return _opened(owner)


def _opened(owner: Trainer | Network) -> int:
    handle = Handle(owner)
    _OPEN[handle.address] = handle
    return handle.address


def _save(place: int, path: bytes) -> int:
    ALL[place].owner.save(os.fsdecode(path))
    return 0


def _close(place: int, _text: bytes) -> int:
    handle = ALL[place]
    _OPEN.pop(place, None)
    handle.close()
    return 0


TASKS: dict[bytes, Callable[[int, bytes], int]] = {
    b"begin": _begin,
    b"load": _load,
    b"load_trainer": _load_trainer,
    b"run": _run,
    b"save": _save,
    b"close": _close,
}
