"""What both estimators do: read a table, train the members, predict."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..callbacks.base import FitState
from ..callbacks.history import History
from ..common.types import Array, Ints
from ..model.ensemble import Ensemble
from ..runtime import threads
from . import mapped_rows, records, rows
from .clock import Clock
from .encoder import TableEncoder
from .exports import TableExport
from .frames import as_table
from .holdouts import holdouts
from .kept import Kept, fingerprint
from .left_out import LeftOut
from .members import Data, Member, Team, Trained
from .parameters import Parameters
from .ranks import Ranks
from .recipe import Recipe, Task, recipe_of
from .rows import Rows
from .schema import Schema
from .targets import Labels, Units

AT_ONCE = 2**16
"""The rows that are encoded and predicted at a time."""

VALIDATION = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
"""The parts of validation_data in messages."""


Targets = TypeVar("Targets", Labels, Units)
"""What the targets of an estimator are in terms of networks."""


@dataclass(frozen=True)
class Progress:
    """Where a fit is: the argument of ``on_epoch``.

    Attributes:
        member: the number of the network that has just ended an epoch, from 0.
        members: how many networks are trained.
        epoch: the epochs that it has made.
        epochs: how many it is to make.
        values: the last entries of its History.

    """

    member: int
    members: int
    epoch: int
    epochs: int
    values: Mapping[str, float]


class BaseTabular(Parameters, TableExport, ABC, Generic[Targets]):
    """The base of ``TabularClassifier`` and ``TabularRegressor``, which describe its attributes.

    targets_: what the targets are in terms of networks.
    """

    preset: str
    encoder_: TableEncoder
    ensemble_: Ensemble
    histories_: list[History]
    validation_score_: dict[str, float]
    record_: dict[str, Any]
    n_features_in_: int
    feature_names_in_: Array
    targets_: Targets

    _goal: ClassVar[Mapping[str, Any]]

    @abstractmethod
    def _learn(self, y: Any, sample_weight: Any) -> tuple[Targets, Array, Array]:
        """(what the targets are, those of the rows that have one, whether each row has one)."""

    @abstractmethod
    def _calibrate(self, left_out: LeftOut) -> dict[str, float]:
        """Learn from rows that members did not train on; returns the scores there."""

    def _strata(self, targets: Array) -> Array | None:  # noqa: ARG002
        """The class of each row, of which each fold is to have its share; None for none."""
        return None

    def _weighed(self, found: Rows, targets: Targets) -> Rows:  # noqa: ARG002
        """The rows with the weights of their classes."""
        return found

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        on_epoch: Callable[[Progress], object] | None = None,
        on_schema: Callable[[Schema], object] | None = None,
        keep_in: str | os.PathLike[str] | None = None,
        comm: Any = None,
    ) -> Self:
        """Fit the ensemble to the rows of a table.

        Args:
            X: (n, columns), a DataFrame of pandas or polars, a table of pyarrow, a dict of columns,
                an array, or a list of rows.
            y: targets, (n,); of a regressor (n, targets), too. Rows whose target is missing are
                left out with a UserWarning.
            sample_weight: of each row, (n,), >= 0; None for 1.
            validation_data: (X, y) or (X, y, sample_weight) to choose the best epoch and to
                calibrate by, in place of folds of X: every member is then trained on all rows.
            on_epoch: called with a ``Progress`` after each epoch of each member, by one thread at a
                time. ``fastbp.StopTraining`` from it ends the training; the best weights stay.
            on_schema: called with the ``Schema``, which says what each column is, once the encoder
                has learned it.
            keep_in: a folder, made where it is missing, for a fit that is long or larger than
                memory. The rows as networks take them lie in a file there, which is mapped. Each
                network is kept there when it is done, and how far it is every ten seconds: a fit of
                the same data and parameters goes on from there, after this one was killed.
            comm: a communicator of mpi4py, such as MPI.COMM_WORLD, all ranks of which call fit with
                the same rows and parameters (fastbp/distributed/README.md). Each trains some of the
                networks, and all have the whole model, with the bits of one process. on_epoch hears
                of the networks of its rank; what stops one rank stops all.

        Returns:
            The estimator.

        Raises:
            ValueError, TypeError: a parameter or the data are not as they must be.
            FloatingPointError: all members have diverged.

        """
        clock, ranks = Clock(self.time_limit), Ranks.of(comm)
        with ranks.together("fit"):
            targets, found = self._read(X, y, sample_weight)
            recipe = recipe_of(self.preset, self._goal, len(found))
            recipe = recipe.given(self.ensemble, self.epochs)
            encoder = TableEncoder(numbers=recipe.numbers, drop=self.drop, kinds=self.kinds)
            encoder.fit(found.table)
            if on_schema is not None:
                on_schema(encoder.schema)
            folder = None if keep_in is None else Path(keep_in)
            data = self._data(found, encoder, targets, validation_data, folder)
            draw = check_random_state(self.random_state)
            seed = ranks.agreed(int(draw.randint(np.iinfo(np.int32).max)))
            team = self._team(recipe, encoder, targets, data, clock, on_epoch)
            team.ranks, team.threads = ranks, ranks.threads(team.threads)
            members = self._members(data, recipe.members, seed)
            if folder is not None or ranks.size > 1:
                about = fingerprint(recipe, data, members)
                ranks.check_same(about)
                team.kept = None if folder is None else Kept(folder, about)
            trained = team.train(members)
            self._keep(trained, encoder, targets, found)
            self.validation_score_ = self._calibrate(LeftOut.of(trained, data))
            self.record_ = records.of_fit(self, recipe, seed, trained, len(found), clock.seconds)
        return self

    def _team(
        self,
        recipe: Recipe,
        encoder: TableEncoder,
        targets: Targets,
        data: Data,
        clock: Clock,
        on_epoch: Callable[[Progress], object] | None,
    ) -> Team:
        """What trains the members."""
        square = rows.mean_square(data.X)
        task = Task(encoder.n_features, targets.n_outputs, square, len(data.y))
        n_threads = min(threads.maximum("auto"), self.n_threads or threads.NO_LIMIT)
        return Team(recipe, task, data, clock, n_threads, partial(self._tell, on_epoch))

    def _read(self, X: Any, y: Any, sample_weight: Any) -> tuple[Targets, Rows]:
        """(what the targets are, the rows to learn from)."""
        targets, encoded, known = self._learn(y, sample_weight)
        found = self._weighed(rows.read(X, sample_weight, encoded, known), targets)
        if len(found) < 2:
            raise ValueError(
                f"X has {len(found)} row that has a target and a weight above 0, expected at least "
                "2: one to train on and one to validate"
            )
        return targets, found

    def _data(
        self,
        found: Rows,
        encoder: TableEncoder,
        targets: Targets,
        given: Any,
        folder: Path | None,
    ) -> Data:
        """The rows as networks take them, in memory, or in files of the folder."""
        X = _encoded(encoder, found.table, folder)
        validation: tuple[Any, ...] | None = None
        if given is not None:
            held = self._validation_rows(given, targets)
            validation = _encoded(encoder, held.table, folder), held.targets
            validation += () if held.weights is None else (held.weights,)
        return Data(X, found.targets, found.weights, validation)

    def _validation_rows(self, given: Any, targets: Targets) -> Rows:
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise TypeError(
                f"validation_data is a {type(given).__name__}, expected a pair (X, y) or a triple "
                "(X, y, sample_weight)"
            )
        X, y, *weights = given
        encoded, known = targets.encode(y, VALIDATION[1])
        found = rows.read(X, weights[0] if weights else None, encoded, known, VALIDATION)
        return self._weighed(found, targets)

    def _members(self, data: Data, count: int, seed: int) -> list[Member]:
        held: Sequence[Ints] = [np.empty(0, np.int64)] * count
        if data.validation is None:
            held = holdouts(len(data.y), count, seed, self._strata(data.y))
        seeds = np.random.SeedSequence(seed).generate_state(count).tolist()
        return [Member(i, *one) for i, one in enumerate(zip(seeds, held, strict=True))]

    def _tell(
        self,
        on_epoch: Callable[[Progress], object] | None,
        member: Member,
        members: int,
        state: FitState,
    ) -> None:
        """Pass on what a member has just done, and print it if that is asked for."""
        now = Progress(member.number, members, state.epoch, state.epochs, state.values)
        if self.verbose > 1 or (self.verbose and now.epoch == now.epochs):
            values = ", ".join(f"{key} {value:.4g}" for key, value in now.values.items())
            print(f"member {now.member + 1}/{members}, epoch {now.epoch}/{now.epochs}: {values}")
        if on_epoch is not None:
            on_epoch(now)

    def _keep(
        self, trained: Sequence[Trained], encoder: TableEncoder, targets: Targets, found: Rows
    ) -> None:
        self.encoder_, self.targets_ = encoder, targets
        self.ensemble_ = Ensemble([one.net for one in trained])
        self.histories_ = [one.history for one in trained]
        self.feature_names_in_ = np.array(found.table.column_names, object)
        self.n_features_in_ = len(self.feature_names_in_)

    def _parts(self, X: Any) -> Iterator[Any]:
        """The rows of X as inputs of the networks, some at a time."""
        check_is_fitted(self)
        return _parts(self.encoder_, as_table(X))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file, by custom called ``....safetensors``; its folder exists.

        It has the networks, the encoder, what ``fit`` has learned and its record; no rows of the
        data, and nothing that loading could run. ``fastbp.tabular.load`` reads it, and ``load`` of
        the class. An older file is replaced atomically. OSError if it cannot be written.
        """
        from . import model_file

        check_is_fitted(self)
        model_file.write(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model of a file that ``save`` wrote; it predicts the same bits on the same machine.

        Raises:
            ValueError: the file is none of these, is damaged, or holds the other estimator.
            OSError: it cannot be read.

        """
        from . import model_file

        model = model_file.load(path)
        if not isinstance(model, cls):
            raise ValueError(  # noqa: TRY004 - the file is another, its path is a path
                f"{os.fspath(path)!r} holds a {type(model).__name__}: load it with "
                f"{type(model).__name__}.load, or fastbp.tabular.load"
            )
        return model

    def __sklearn_tags__(self) -> Any:
        """See ``BaseEstimator``."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _parts(encoder: TableEncoder, table: pa.Table) -> Iterator[Any]:
    """The rows of a table as inputs of networks, some at a time; one part of no rows."""
    for start in range(0, max(table.num_rows, 1), AT_ONCE):
        yield encoder.transform(table.slice(start, AT_ONCE), first=start)


def _encoded(encoder: TableEncoder, table: pa.Table, folder: Path | None) -> Any:
    """The rows of a table as inputs of networks, in memory, or in a file of the folder."""
    if folder is None:
        return encoder.transform(table)
    folder.mkdir(exist_ok=True)
    write = mapped_rows.sparse if encoder.is_sparse else mapped_rows.dense
    return write(_parts(encoder, table), encoder.n_features, folder)
