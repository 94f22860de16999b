"""The ranks of a communicator, and how they meet, so that none waits for one that has left.

Whatever the ranks do together begins with a meeting, a small all-gather in which each says what it
is about to do. A call ends with one, and so does a callback's event: with END where it went well,
or with FAILED and the error, which then reaches the callers of all ranks. A rank that fails between
two meetings is at the end of its innermost call, while others may be deeper in theirs: the depth in
the message of FAILED says which of their calls this meeting has ended, and those have no other.
Nothing is computed together any more in a call that has ended: a rank that tries it while it leaves
by the error, in a finally say, would wait without end.
"""

import pickle
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from ..common.types import Ints
from .communicator import Communicator, check
from .interrupts import Interrupts

T = TypeVar("T")

(
    FAILED,  # the rank leaves a call by an error
    END,  # a call has ended
    EVENT,  # the callbacks have heard of an event
    UPDATE,  # the losses of a batch are known
    ROWS,  # the ranks tell the numbers of their rows
    INFERENCE,  # outputs, or losses, are known
    APPLY,  # a gradient was given
    VALUE,  # a number of rank 0 is everybody's
    OBJECT,  # what follows moves objects, or parameters
    SEARCH,  # rank 0 tells what comes next in a search
    MEMBERS,  # networks are trained, each by one rank
) = range(11)

DOING = {
    FAILED: "failed",
    END: "ended",
    EVENT: "told its callbacks of an event",
    UPDATE: "made an update",
    ROWS: "told its rows",
    INFERENCE: "predicted or evaluated",
    APPLY: "applied gradients",
    VALUE: "asked rank 0 for a number",
    OBJECT: "exchanged what all need",
    SEARCH: "searched by L-BFGS",
    MEMBERS: "trained networks of its own",
}

SHOWN = {
    UPDATE: ("rows", "epochs before", "from row", "updates before"),
    INFERENCE: ("rows", "columns", "updates before"),
}
"""What the numbers are that must be the same; those of other kinds say nothing to a reader."""

KIND, DEPTH, INTERRUPTED = range(3)
"""Elements of a message. Then four that must be the same on every rank, and nine of its own."""
SAME, OWN = slice(3, 7), slice(7, 16)
LENGTH = 16

NONE_SETTLED = 2**31

RAISED_ON = "It was raised on rank {}."


class Group:
    """A communicator with the state of its meetings.

    comm: as the user gave it. rank, size: this rank, and the number of ranks. was_interrupted:
    whether a meeting has told of Ctrl-C.
    """

    def __init__(self, comm: Any) -> None:
        self.comm: Communicator = check(comm)
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self._message = np.zeros(LENGTH, np.int64)
        self._messages = np.zeros((self.size, LENGTH), np.int64)
        self._calls: list[str] = []
        self._settled = NONE_SETTLED  # from this depth on the calls that have begun have ended
        self._cause = ""  # the error by which they have
        self._interrupts = Interrupts()
        self.was_interrupted = False

    # Calls

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """What every rank does together. The error of one is raised on all."""
        self._check_goes_on()
        self._calls.append(name)
        depth, self._settled = len(self._calls), NONE_SETTLED
        try:
            with self._interrupts.kept() if depth == 1 else nullcontext():
                try:
                    yield
                    self.meet(END, (zlib.crc32(name.encode()),))
                except BaseException as error:
                    self._note(error)
                    if depth < self._settled:
                        self._announce(error, depth)
                    raise
        finally:
            self._calls.pop()
        if depth == 1:
            self._interrupts.take()

    def _note(self, error: BaseException) -> None:
        """Keep what ends calls. After a second Ctrl-C, which waits for nobody, none goes on."""
        self._cause = _text(error)
        if self._interrupts.again:
            self._settled = 0

    def _check_goes_on(self) -> None:
        """RuntimeError where the other ranks have left the call in which this one is."""
        if len(self._calls) < self._settled:
            return
        what = f"{self._calls[-1]} has ended" if self._calls else "this rank has left the others"
        raise RuntimeError(f"{what}, by {self._cause}: nothing more can be computed together in it")

    def _announce(self, error: BaseException, depth: int) -> None:
        """Tell the others of an error that ends the call at this depth."""
        packed = _packed(error)  # before they wait for it
        failed = self._failed(self._exchange(FAILED, depth))
        root = int(failed[0])
        self.comm.bcast(packed if root == self.rank else None, root)
        if len(failed) < self.size:
            error.add_note(RAISED_ON.format(self.rank))

    def _failed(self, messages: Ints) -> Ints:
        """The ranks that have failed; notes the depth to which that has ended the calls of all."""
        failed = np.flatnonzero(messages[:, KIND] == FAILED)
        if len(failed):
            self._settled = int(messages[failed, DEPTH].min())
        return failed

    # Meetings

    def meet(self, kind: int, same: Sequence[int] = (), own: Sequence[int] = ()) -> Ints:
        """Meet the other ranks. Returns what each has of its own, (size, 9).

        kind: what this rank is about to do. same: up to four numbers that must be the same on all
        ranks. own: up to nine others. RuntimeError where the ranks do not do the same; the error of
        a rank that has failed; KeyboardInterrupt where Ctrl-C has come to one.
        """
        self._check_goes_on()
        messages = self._exchange(kind, len(self._calls), same, own)
        failed = self._failed(messages)
        if len(failed):
            error = _unpacked(self.comm.bcast(None, int(failed[0])), int(failed[0]))
            self._note(error)
            raise error
        if messages[:, INTERRUPTED].any():
            self._settled = int(messages[:, DEPTH].min()) + 1
            self._interrupts.told()
            self.was_interrupted = True
            raise KeyboardInterrupt
        if (messages[:, KIND] != kind).any() or (messages[:, SAME] != messages[0, SAME]).any():
            self._settled = int(messages[:, DEPTH].min()) + 1
            raise RuntimeError(self._difference(kind, same))
        return messages[:, OWN].copy()

    def _exchange(
        self, kind: int, depth: int, same: Sequence[int] = (), own: Sequence[int] = ()
    ) -> Ints:
        message = self._message
        message[:] = 0
        message[: SAME.start] = kind, depth, self._interrupts.came
        message[SAME.start : SAME.start + len(same)] = same
        message[OWN.start : OWN.start + len(own)] = own
        self.comm.Allgather(message, self._messages)
        return self._messages

    def _difference(self, kind: int, same: Sequence[int]) -> str:
        """What the first rank that differs from rank 0 does, in words."""
        calls = " in ".join(reversed(self._calls)) or "no call"
        shown = zip(SHOWN.get(kind, ()), same, strict=False)
        numbers = ", ".join(f"{name}: {number}" for name, number in shown)
        told = self.comm.allgather(f"{DOING[kind]}{numbers and f' ({numbers})'} within {calls}")
        other = next((rank for rank, text in enumerate(told) if text != told[0]), 0)
        return (
            f"the ranks do not do the same: rank 0 {told[0]}, rank {other} {told[other]}. With "
            "comm every rank makes the same calls, in the same order, with as many rows"
        )

    # What is the same on all ranks

    def first(self, value: float) -> float:
        """The number that rank 0 gives."""
        bits = np.float64(value).view(np.int64)
        return float(self.meet(VALUE, own=(int(bits),))[0, 0].view(np.float64))

    def of_first(self, compute: Callable[[], T]) -> T:
        """What ``compute`` returns on rank 0; it is called there alone."""
        with self.call("a result of rank 0"):
            found = compute() if self.rank == 0 else None
            self.meet(OBJECT)
            result: T = self.comm.bcast(found, 0)
        return result

    def of_all(self, item: T) -> list[T]:
        """What every rank gives, in their order."""
        self.meet(OBJECT)
        return self.comm.allgather(item)

    def to_first(self, item: T) -> list[T] | None:
        """What every rank gives, in their order, on rank 0; None elsewhere."""
        self.meet(OBJECT)
        return self.comm.gather(item, 0)

    def check_same(self, described: dict[str, Any]) -> None:
        """ValueError for the first item that is not the same on every rank."""
        told = self.of_all(described)
        for rank, other in enumerate(told):
            for key in [*told[0], *other]:
                if told[0].get(key) != other.get(key):
                    raise ValueError(
                        f"{key} is {told[0].get(key)!r:.200} on rank 0 and "
                        f"{other.get(key)!r:.200} on rank {rank}: the ranks must have the same"
                    )


_GROUPS: WeakValueDictionary[int, Group] = WeakValueDictionary()


def group_of(comm: Any) -> Group:
    """The group of a communicator: one for all trainers on it, whose calls may be nested.

    A group of its own for each would know nothing of the calls in which another's are.
    """
    key = getattr(comm, "handle", id(comm))
    found = _GROUPS.get(key)
    if found is None or found.comm != comm:  # a handle is used again once its owner is freed
        found = _GROUPS[key] = Group(comm)
    return found


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # noqa: BLE001 - whatever an exception's own methods raise
        return type(error).__name__


def _packed(error: BaseException) -> tuple[str, bytes | None]:
    """What another rank raises in its place: its text, and itself where it can be pickled."""
    text = _text(error)
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)
    except Exception:  # noqa: BLE001 - as above
        return text, None
    return text, packed


def _unpacked(packed: tuple[str, bytes | None], rank: int) -> BaseException:
    text, content = packed
    error: BaseException = RuntimeError(text)
    with suppress(Exception):  # a class that this rank does not have
        error = error if content is None else pickle.loads(content)
    error.add_note(RAISED_ON.format(rank))
    return error
