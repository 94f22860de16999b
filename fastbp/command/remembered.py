"""What a model remembers of the file that it was trained on, so that others are read alike."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from . import arrow
from .csv_file import CSVFile
from .reading import TableFile

KEY = "command"
"""Where it lies in the ``record_`` of the estimator."""


@dataclass(frozen=True)
class Remembered:
    """Of a model that was not trained by the command, it is empty.

    Attributes:
        targets: the columns that are predicted.
        columns: all columns, in the order of the file.
        types: Arrow's types of the columns, as text.
        has_header: whether the file had a line of names.

    """

    targets: Sequence[str] = ()
    columns: Sequence[str] = ()
    types: dict[str, str] = field(default_factory=dict)
    has_header: bool = True

    @classmethod
    def of(cls, model: Any) -> Self:
        """What this estimator remembers."""
        return cls(**model.record_.get(KEY, {}))

    def keep(self, model: Any) -> None:
        """Let the estimator remember it, also in its file."""
        model.record_[KEY] = asdict(self)

    def name_columns(self, file: TableFile, options: Any) -> None:
        """Give the columns of a file without a header the names of training.

        Such a file may lack the targets.
        """
        if not getattr(options, "no_header", False) or not isinstance(file, CSVFile):
            return
        inputs = [name for name in self.columns if name not in self.targets]
        for names in (self.columns, inputs):
            if len(names) == len(file.names):
                file.rename(names)
                return

    def type_of(self, name: str) -> Any:
        """Arrow's type of this column in training; None where it is not known."""
        try:
            return arrow.module("pyarrow").type_for_alias(self.types[name])
        except (KeyError, ValueError):
            return None


def as_read(kind: Any) -> Any:
    """The type by which a CSV column is read that had this type in training.

    Whole numbers may have become fractions. A column that was empty may have anything.
    """
    pa, types = arrow.module("pyarrow"), arrow.module("pyarrow.types")
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return pa.float64()
    if types.is_temporal(kind) and not types.is_duration(kind):
        return kind
    return pa.string()
