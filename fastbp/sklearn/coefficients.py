"""``coefs_`` and ``intercepts_``: lists of arrays, which the user may change."""

from typing import Any, TypeAlias

import numpy as np

from ..common.types import Floats
from ..model.network import Network
from ..training.trainer import Trainer

Lists: TypeAlias = tuple[list[Any], list[Any]]


class Coefficients:
    """A base of the estimators: the network, and its parameters as scikit-learn shows them.

    The network is the state. Its parameters are copied into lists when somebody asks for them. What
    is then assigned to the lists, or into their arrays, goes back into the network before it is
    used again.
    """

    trainer_: Trainer
    _lists: Lists | None = None
    """What the user has been given, or has set."""
    _as_given: Lists | None = None
    """Copies of it, as the network has it; None where there is no network yet."""

    @property
    def net_(self) -> Network:
        """The network."""
        return self.trainer_.net

    @property
    def coefs_(self) -> list[Any]:
        """The weights, (n_in, n_out) for each layer."""
        return self._pulled()[0]

    @coefs_.setter
    def coefs_(self, arrays: list[Any]) -> None:
        self._lists = (arrays, self._pulled_or_empty()[1])

    @property
    def intercepts_(self) -> list[Any]:
        """The biases, (n_out,) for each layer."""
        return self._pulled()[1]

    @intercepts_.setter
    def intercepts_(self, arrays: list[Any]) -> None:
        self._lists = (self._pulled_or_empty()[0], arrays)

    @property
    def _has_network(self) -> bool:
        return "trainer_" in vars(self)

    @property
    def _has_parameters(self) -> bool:
        """Whether there are ``coefs_``, which take a copy of all parameters to look at."""
        return self._has_network or self._lists is not None

    def _pulled(self) -> Lists:
        """The lists, up to date."""
        if self._has_network:
            self._push()
            now = (self.net_.weights, self.net_.biases)
            if self._lists is None or not _same(now, self._as_given):
                self._as_given = now
                self._lists = ([w.copy() for w in now[0]], [b.copy() for b in now[1]])
        if self._lists is None:
            raise AttributeError(f"{type(self).__name__} is not fitted: it has no parameters yet")
        return self._lists

    def _pulled_or_empty(self) -> Lists:
        return self._pulled() if self._has_parameters else ([], [])

    def _push(self) -> None:
        """Let the network have what the user has changed."""
        if self._lists is not None and not _same(self._lists, self._as_given):
            self.net_.set_parameters(*self._lists)
            self._as_given = (self.net_.weights, self.net_.biases)

    def _forget_lists(self) -> None:
        """Leave the lists to whoever has them: the network has other parameters now."""
        self._lists = self._as_given = None


def _same(some: Lists, known: Lists | None) -> bool:
    """Whether a network that has ``known`` has ``some``, rounded to its dtype."""
    return known is not None and all(
        len(one) == len(other) and all(map(_is_rounded, one, other))
        for one, other in zip(some, known, strict=True)
    )


def _is_rounded(array: Any, known: Floats) -> bool:
    try:
        with np.errstate(over="ignore"):
            return np.array_equal(np.asarray(array).astype(known.dtype, copy=False), known)
    except (TypeError, ValueError):  # set_parameters says what is wrong
        return False
