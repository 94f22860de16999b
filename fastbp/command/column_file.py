"""Tables in Parquet and Feather files, some rows at a time."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from . import arrow, stored
from .errors import DataError, check_names
from .sources import Source
from .stored import ROWS


class ColumnFile:
    """A table in a file that knows the types of its columns.

    Attributes:
        source: where its bytes come from.
        names: of its columns.

    """

    def __init__(self, source: Source, kind: str) -> None:
        self.source, self._kind = source, kind
        try:
            self._file = self._opened()
        except (ValueError, OSError) as error:
            raise DataError(
                f"{source.name} is a damaged {kind} file, or was cut off: {error}"
            ) from error
        self._schema = self._file.schema_arrow if kind == "Parquet" else self._file.schema
        self.names = tuple(self._schema.names)
        check_names(self.names, source.name)

    def __str__(self) -> str:
        return self._kind

    def table(
        self,
        given: Mapping[str, Any],  # noqa: ARG002
        folder: Path,
        seed: int,
    ) -> tuple[Any, int]:
        """(the rows as a table in a file of the folder, some of many; how many there are)."""
        from ..tabular import views

        n, nothing = self._n_rows(), views.plain(self._schema.empty_table())
        taken = stored.chosen(self.batches(self.names, {}), n, seed)
        return stored.table_of(chain([nothing], taken), folder), n

    def _n_rows(self) -> int:
        with _Damaged(self.source, self._kind):
            if self._kind == "Parquet":
                return int(self._file.metadata.num_rows)
            numbers = range(self._file.num_record_batches)
            return sum(self._file.get_batch(number).num_rows for number in numbers)

    def batches(
        self,
        columns: Sequence[str],
        types: Mapping[str, Any],  # noqa: ARG002
    ) -> Iterator[Any]:
        """These columns, some rows at a time, as pyarrow Tables."""
        from ..tabular import views

        pa = arrow.module("pyarrow")
        with _Damaged(self.source, self._kind):
            for batch in self._parts(columns):
                table = pa.Table.from_batches([batch], batch.schema).select(list(columns))
                yield views.plain(table)

    def _parts(self, columns: Sequence[str]) -> Iterator[Any]:
        if self._kind == "Parquet":
            yield from self._file.iter_batches(ROWS, columns=list(columns))
        else:
            yield from map(self._file.get_batch, range(self._file.num_record_batches))

    def _opened(self) -> Any:
        path = self.source.path
        if path is None or self.source.is_compressed:  # both kinds end with what begins them
            with self.source.open() as file:
                data: Any = arrow.module("pyarrow").BufferReader(file.read())
        else:
            data = arrow.module("pyarrow").memory_map(path)
        if self._kind == "Parquet":
            return arrow.module("pyarrow.parquet").ParquetFile(data)
        return arrow.module("pyarrow.ipc").open_file(data)


class _Damaged:
    """A context that turns pyarrow's errors into a DataError."""

    def __init__(self, source: Source, kind: str) -> None:
        self._source, self._kind = source, kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        if error is not None and type(error).__module__.startswith("pyarrow"):
            raise DataError(
                f"{self._source.name} is a damaged {self._kind} file: {error}"
            ) from error
