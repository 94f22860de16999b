"""The state of a trainer: its parts, pickles, checkpoints, and trainers that go on from it."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Self

from ..runtime import fast_path
from . import agreement, checkpoints
from .core import TrainerCore
from .membership import Member
from .trainer_queries import TrainerQueries

MADE_ANEW = ("_core", "_dtype", "_lock", "_fast_path")
"""The attributes of a trainer that ``_attach`` sets. Others are a subclass's or the user's."""


class TrainerState(TrainerQueries):
    """The base of ``Trainer``: what it is made of, and how that is saved and replaced."""

    def _attach(self, core: TrainerCore) -> None:
        self._core = core
        # step reads these: an attribute of an attribute would take longer.
        self._dtype, self._lock = core.net.dtype, core.lock
        self._fast_path: fast_path.Step | None = None
        core.call_on_change(self._forget_fast_path)

    def _forget_fast_path(self) -> None:
        self._fast_path = None

    def __getstate__(self) -> dict[str, Any]:
        own = {name: value for name, value in vars(self).items() if name not in MADE_ANEW}
        return own | self._core.state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        core, own = TrainerCore.of_state(state)
        vars(self).update(own)
        self._attach(core)

    def replace(self, **arguments: Any) -> Self:
        """A trainer of the same network that goes on from here, with some arguments changed.

        arguments: those of ``Trainer``, except for the network. Unless another is given, lr stays
        as it is now. Where the optimizer is of the same class, moments, the moving average, the
        learned scaling of the inputs, and the number of updates stay, too, which schedules count
        from: a finished run goes on with a longer schedule. Another optimizer begins anew. This
        trainer does not change; both train the same network.

        Raises:
            ValueError, TypeError: an argument is not as ``Trainer`` takes it.

        >>> from fastbp.schedules import Cosine
        >>> net, how = fastbp.Network([1, 1], init="zeros"), {"loss": "mse", "engine": "numpy"}
        >>> trainer = fastbp.Trainer(net, optimizer=fastbp.Adam(), schedule=Cosine(2), **how)
        >>> history = trainer.fit([[1.0]], [[2.0]], epochs=2)
        >>> longer = trainer.replace(schedule=Cosine(8))
        >>> len(longer.fit([[1.0]], [[2.0]], epochs=6)["loss"])
        6

        """
        from . import replacement

        made = object.__new__(type(self))
        vars(made).update((k, v) for k, v in vars(self).items() if k not in MADE_ANEW)
        made._attach(replacement.replaced(self._core, arguments))
        return made

    def reset_optimizer(self) -> None:
        """Forget the moments and the moving average, and count updates from 0, as schedules do.

        A learned scaling of the inputs starts anew from 1. Parameters, lr, and the order of the
        next epochs stay.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> adam, one = fastbp.Adam(), [[1.0]]
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=adam, engine="numpy")
        >>> losses = [trainer.step(one, one) for _ in range(3)]
        >>> trainer.reset_optimizer()

        """
        self._core.reset_optimizer()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint: this trainer and its network, with all that training continues from.

        It is a safetensors file: parameters in natural shapes, moments, counters, history, and
        within ``fit`` its progress and the states of its callbacks. It replaces an older file
        atomically, when it is on the disk. Where ranks train together, rank 0 writes it.

        Raises:
            RuntimeError: the trainer is training in another thread, or in this one, which a signal
                handler has interrupted.
            ValueError: a parameter is not finite.
            TypeError: a callback's state_dict has a value that cannot be written.
            OSError: the file cannot be written. An older file is unchanged.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> trainer.save("trainer.safetensors")

        """
        with self._core.exclusive():
            if self._core.is_first:
                checkpoints.write(self._core, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        threads: int | str = "auto",
        functions: Mapping[str, Callable[..., Any]] | None = None,
        verify: bool = True,
        comm: Any = None,
    ) -> Self:
        """Load the trainer that ``save`` wrote, with a new network (``trainer.net``).

        Args:
            path: the file. Loading runs no code from it.
            threads: the most threads to use, or "auto".
            functions: by name, your own functions that the trainer was made with.
            verify: compare the checksum of the content with the one in the file.
            comm: a communicator whose ranks all load the file, and go on together.

        Raises:
            ValueError: the file is not a checkpoint, is damaged, or needs a function.
            OSError: the file cannot be read.

        >>> net = fastbp.Network([1, 1], init="zeros")
        >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.SGD(0.25), engine="numpy")
        >>> trainer.save("trainer.safetensors")
        >>> fastbp.Trainer.load("trainer.safetensors").optimizer
        fastbp.SGD(lr=0.25)

        """
        rank = Member()
        rank.enter(comm)
        with rank.together("fastbp.Trainer.load"):
            return cls._loaded(path, threads, functions, verify, rank)

    @classmethod
    def _loaded(
        cls,
        path: str | os.PathLike[str],
        threads: int | str,
        functions: Mapping[str, Callable[..., Any]] | None,
        verify: bool,
        rank: Member,
    ) -> Self:
        checkpoint = checkpoints.read(path, functions, verify)
        with checkpoints.naming(path):
            arguments = checkpoint.trainer_arguments(functions or {})
            if rank.group is not None:
                arguments["comm"] = rank.group
            make: Callable[..., Self] = cls
            trainer = make(checkpoint.net, threads=threads, **arguments)
            core: TrainerCore = vars(trainer)["_core"]
            checkpoint.check(core).restore(core)
            agreement.check_alike(core, {})  # each rank has read the file itself
        return trainer
