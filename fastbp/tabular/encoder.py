"""A table as the inputs of a network: an encoder whose state is JSON and arrays."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import pyarrow as pa

from ..common import checks, registry
from ..common.types import Array
from ..kernels.base.sizes import NONZERO_SHARE
from ..runtime.nonzeros import FEWEST_INPUTS
from ..storage import tree_codec
from . import categories, csr_parts
from .categories import OneHot, Pair
from .columns import Column
from .dates import Date
from .numbers import Number
from .scales import SCALES
from .schema import Schema

BLOCK, VALUES = 65_536, 2**22
"""Rows that are encoded at a time, and values, with many columns: what is kept besides the result
is a multiple of these."""

Part: TypeAlias = Number | Date | Pair | OneHot
PARTS: dict[str, type[Part]] = {"number": Number, "date": Date, "pair": Pair, "one_hot": OneHot}
PLACE = "encoder"
"""What the names of the tensors begin with."""


class Fitted(NamedTuple):
    """What ``fit`` has learned: the columns, and for each that is used its inputs."""

    schema: Schema
    parts: tuple[Part, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The first input of each part, and the number of all inputs."""
        return tuple(accumulate((part.width for part in self.parts), initial=0))

    @property
    def is_sparse(self) -> bool:
        """Whether a first layer that takes rows by their nonzeros pays."""
        inputs = self.starts[-1]
        stored = sum(1 if isinstance(part, OneHot) else part.width for part in self.parts)
        return inputs >= FEWEST_INPUTS and stored * NONZERO_SHARE <= inputs


class TableEncoder:
    """The columns of a table as float32 inputs of a network.

    A row's inputs depend on that row and on what ``fit`` has seen: not on other rows of the table,
    on their order, or on how pyarrow has cut it. Inputs are in the order of the columns.

    Numbers follow ``numbers``. An infinite number counts as the largest or least finite one of
    training, a missing one as the median; where training had missing ones, an input says so.
    Categories and bool have an input for each level, or one that is -1 or 1 for two levels. A level
    in fewer than 3 rows (2 below 200 rows, 1 below 100), and beyond the ``max_one_hot`` most
    frequent, shares an input with all such levels, and with levels that training has not seen;
    where there are none such, an unknown level has zeros in all inputs of its column. Dates are the
    year with its fraction, encoded like a number, and sine and cosine of the time of year, the
    weekday and the time of day, where these vary.

    Args:
        numbers: "robust": median and quartiles, softly clipped. "piecewise": piecewise-linear
            encoding, up to 48 inputs. See ``fastbp.tabular.scales``.
        max_one_hot: the most levels of a column that have an input of their own.
        drop: names of columns to leave out.
        kinds: by the name of a column "number", "boolean", "category" or "date", where its kind
            should not be found out. Such a column is no identifier.

    Raises:
        ValueError, TypeError: an argument is not as above.

    >>> from fastbp.tabular.encoder import TableEncoder
    >>> from fastbp.tabular.frames import as_table
    >>> towns = ["Ulm", "Bonn", "Ulm", "Bonn", "Ulm"]
    >>> table = as_table({"age": [20, 30, 40, 50, None], "town": towns})
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.feature_names_out
    ('age', 'age is missing', 'town=Ulm')
    >>> encoder.transform(as_table({"age": [35, None], "town": ["Bonn", "Kiel"]}))
    array([[ 0.,  0., -1.],
           [ 0.,  1.,  0.]], dtype=float32)

    """

    def __init__(
        self,
        *,
        numbers: str = "robust",
        max_one_hot: int = 4096,
        drop: Iterable[str] = (),
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        registry.lookup(SCALES, numbers, "numbers")
        self._numbers = numbers
        self._max_one_hot = checks.count(max_one_hot, "max_one_hot")
        self._drop = drop if isinstance(drop, str) else tuple(drop)
        self._kinds = kinds if kinds is None else dict(kinds)
        self._fitted: Fitted | None = None

    def fit(self, table: pa.Table) -> Self:
        """Learn the columns, their scales and levels from a table.

        Args:
            table: of at least one row; see ``fastbp.tabular.frames.as_table``.

        Raises:
            ValueError: no column is left to learn from; a column is not as ``kinds`` says.
            TypeError: a column has several values in a row.

        """
        schema = Schema.infer(table, drop=self._drop, kinds=self._kinds)
        parts = [self._part(column, table.column(column.name)) for column in schema.used]
        self._fitted = Fitted(schema, tuple(parts))
        return self

    def _part(self, column: Column, data: pa.ChunkedArray) -> Part:
        values = _as_read(column, column.read(data))
        if column.kind == "number":
            return Number.fit(values, self._numbers)
        if column.kind == "date":
            return Date.fit(values, self._numbers)
        return categories.fit(values, self._max_one_hot)

    @property
    def _known(self) -> Fitted:
        if self._fitted is None:
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("this TableEncoder has learned nothing yet: call fit(table) first")
        return self._fitted

    @property
    def schema(self) -> Schema:
        """The columns of the table that was learned from."""
        return self._known.schema

    @property
    def parts(self) -> tuple[Part, ...]:
        """The inputs of each column of ``schema.used``, in their order."""
        return self._known.parts

    @property
    def n_features(self) -> int:
        """The number of inputs."""
        return self._known.starts[-1]

    @property
    def is_sparse(self) -> bool:
        """Whether ``transform`` gives a sparse matrix: where at most one input in 16 is not 0."""
        return self._known.is_sparse

    @property
    def feature_names_out(self) -> tuple[str, ...]:
        """The names of the inputs."""
        used, parts = self.schema.used, self._known.parts
        pairs = zip(used, parts, strict=True)
        return tuple(name for column, part in pairs for name in part.names(column.name))

    def transform(self, table: pa.Table, first: int = 0) -> Any:
        """The inputs of the rows of a table.

        Args:
            table: has the columns that were learned, in any order; see ``Schema.check``.
            first: the number of its first row in errors.

        Returns:
            float32 (rows, n_features): a C-contiguous array; where ``is_sparse``, a
            ``scipy.sparse.csr_array``.

        Raises:
            ValueError: a column is missing, or has a value that cannot be read as learned.

        """
        fitted = self._known
        if fitted.is_sparse:
            blocks = (_stored(fitted, block) for block in _blocks(fitted, table, first))
            return csr_parts.stacked(blocks, fitted.starts[-1])
        out = np.zeros((table.num_rows, fitted.starts[-1]), np.float32)
        row = 0
        for block in _blocks(fitted, table, first):
            rows = slice(row, row + len(block[0]))
            for part, start, values in zip(fitted.parts, fitted.starts, block, strict=False):
                part.fill(values, out[rows, start : start + part.width])
            row = rows.stop
        return out

    def to_dict(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """(meta, tensors): all of it as JSON, and float64 arrays whose names begin with "encoder".

        >>> from fastbp.tabular.encoder import TableEncoder
        >>> from fastbp.tabular.frames import as_table
        >>> meta, tensors = TableEncoder().fit(as_table(np.eye(3))).to_dict()
        >>> TableEncoder.from_dict(meta, tensors).feature_names_out
        ('x0', 'x1', 'x2')

        """
        known = self._known
        names = {kind: name for name, kind in PARTS.items()}
        parts = [{"kind": names[type(part)], **part.state()} for part in known.parts]
        settings = {"numbers": self._numbers, "max_one_hot": self._max_one_hot}
        asked = {"drop": list(self._drop), "kinds": self._kinds}
        tree = {**settings, **asked, "schema": known.schema.to_dict(), "parts": parts}
        tensors: dict[str, Array] = {}
        return tree_codec.pack(tree, PLACE, tensors), tensors

    @classmethod
    def from_dict(cls, meta: dict[str, Any], tensors: Mapping[str, Array]) -> Self:
        """The encoder that ``to_dict`` gave; it transforms to the same bits.

        meta and tensors may be those of a file of a stranger. ValueError where they are not what
        ``to_dict`` gives. Other tensors are ignored.
        """
        tree = tree_codec.unpack(meta, dict(tensors))
        get = tree_codec.get
        kinds = get(tree, "kinds", lambda value: value is None or type(value) is dict)
        encoder = cls(
            numbers=get(tree, "numbers", str),
            max_one_hot=get(tree, "max_one_hot", int),
            drop=get(tree, "drop", list),
            kinds=kinds,
        )
        schema = Schema.from_dict(get(tree, "schema", dict))
        states = get(tree, "parts", list)
        if len(states) != len(schema.used):
            raise ValueError(f"{len(schema.used)} columns have {len(states)} parts")
        parts = map(_part_of, schema.used, states)
        encoder._fitted = Fitted(schema, tuple(parts))
        return encoder


OF_KIND: dict[str, tuple[str, ...]] = {
    "number": ("number",),
    "date": ("date",),
    "boolean": ("pair", "one_hot"),
    "category": ("pair", "one_hot"),
}
"""The names of the parts that a column of each kind may have."""


def _part_of(column: Column, state: Any) -> Part:
    name = tree_codec.get(state, "kind", lambda value: value in OF_KIND[column.kind])
    return PARTS[name].of(state)


def _as_read(column: Column, array: pa.Array) -> Any:
    """What a part takes: an array of numbers or dates, or texts as of ``values.text``."""
    if column.kind == "boolean":
        return array.cast(pa.large_string()).dictionary_encode()
    if column.kind == "category":
        return array
    return np.asarray(array.to_numpy(zero_copy_only=False))


def _blocks(fitted: Fitted, table: pa.Table, first: int) -> Iterator[list[Any]]:
    """What the parts take, of some rows after others; of no rows where there are none.

    first: the number of the first row in errors.
    """
    used = fitted.schema.used
    rows = min(BLOCK, max(1, VALUES // len(used)))
    for start in range(0, max(table.num_rows, 1), rows):
        checked = fitted.schema.check(table.slice(start, rows), first=first + start)
        arrays = [column.combine_chunks() for column in checked.columns]
        yield [_as_read(column, array) for column, array in zip(used, arrays, strict=True)]


def _stored(fitted: Fitted, block: list[Any]) -> csr_parts.Stored:
    """The values of some rows and the inputs that they are for, zeros among them."""
    rows, pieces = len(block[0]), []
    for part, start, values in zip(fitted.parts, fitted.starts, block, strict=False):
        if isinstance(part, OneHot):
            places = part.inputs(values)[:, None]
            is_one = places != categories.NO_INPUT
            pieces.append((np.where(is_one, 1, 0).astype(np.float32), start + places))
        else:
            filled = np.zeros((rows, part.width), np.float32)
            part.fill(values, filled)
            own = np.arange(start, start + part.width)
            pieces.append((filled, np.broadcast_to(own, filled.shape)))
    inputs, columns = zip(*pieces, strict=True)
    return csr_parts.Stored(np.concatenate(inputs, axis=1), np.concatenate(columns, axis=1))
