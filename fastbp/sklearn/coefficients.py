"""``coefs_`` and ``intercepts_``: lists of arrays, which the user may change."""

from sys import getrefcount
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
    used again. The lists are compared for that as long as anybody has one, or an array of one.
    """

    _trained: Trainer
    _lists: Lists | None = None
    """What the user has been given, or has set."""
    _as_given: Lists | None = None
    """Copies of it, as the network has it; None where there is no network yet."""
    _shown: object = None
    """Another object whenever somebody gets, or sets, a list."""
    _settled: object = None
    """``_shown`` when the lists were last compared and nobody had a part of them any more."""

    @property
    def trainer_(self) -> Trainer:
        """The trainer, whose network has what has been changed."""
        if not self._has_network:
            raise AttributeError(f"{type(self).__name__} is not fitted: it has no trainer yet")
        self._push()
        return self._trained

    @property
    def net_(self) -> Network:
        """The network."""
        return self.trainer_.net

    @property
    def coefs_(self) -> list[Any]:
        """The weights, (n_in, n_out) for each layer."""
        return self._show(0)

    @coefs_.setter
    def coefs_(self, arrays: list[Any]) -> None:
        self._set_lists(arrays, self._pulled_or_empty()[1])

    @property
    def intercepts_(self) -> list[Any]:
        """The biases, (n_out,) for each layer."""
        return self._show(1)

    @intercepts_.setter
    def intercepts_(self, arrays: list[Any]) -> None:
        self._set_lists(self._pulled_or_empty()[0], arrays)

    @property
    def _has_network(self) -> bool:
        return "_trained" in vars(self)

    @property
    def _has_parameters(self) -> bool:
        """Whether there are ``coefs_``, which take a copy of all parameters to look at."""
        return self._has_network or self._lists is not None

    def _show(self, which: int) -> list[Any]:
        found = self._pulled()[which]
        self._shown = object()  # once this thread has the list: another may be in _push
        return found

    def _set_lists(self, weights: list[Any], biases: list[Any]) -> None:
        self._lists = weights, biases
        self._shown = object()

    def _pulled(self) -> Lists:
        """The lists, up to date."""
        if self._has_network:
            net = self.net_
            now = net.weights, net.biases
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
        lists, shown = self._lists, self._shown
        if lists is None or shown is self._settled:
            return
        is_alone = _is_alone(lists)  # before they are compared: nobody can change them after that
        if not _same(lists, self._as_given):
            net = self._trained.net
            net.set_parameters(*lists)
            self._as_given = net.weights, net.biases
        if is_alone:
            self._settled = shown

    def _forget_lists(self) -> None:
        """Leave the lists to whoever has them: the network has other parameters now."""
        self._lists = self._as_given = None


def _is_alone(lists: Lists) -> bool:
    """Whether nobody but an estimator has these lists, one of their arrays, or its memory."""
    own = all(type(a) is np.ndarray and a.base is None for each in lists for a in each)
    return own and _references(lists) == _FEWEST


def _references(lists: Lists) -> tuple[int, int]:
    """The most references to one of the lists, and to one of their arrays.

    Lists come first: a thread that takes an array out of its list meanwhile is seen with either.
    """
    of_lists = max(getrefcount(each) for each in lists)
    return of_lists, max((getrefcount(array) for each in lists for array in each), default=0)


_FEWEST = _references(([np.empty(0)], [np.empty(0)]))


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
