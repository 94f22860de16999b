"""What a model needs of a file: its columns, and the types to read them by."""

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from . import arrow
from .errors import DataError, listed, unknown
from .reading import TableFile, open_table
from .remembered import Remembered, as_read

TABLE = "table"
"""The kind of the files of ``fastbp.tabular``."""
NO_TENSOR = "\0"
"""What the name of no tensor begins with."""


def load(path: str) -> Any:
    """The estimator of a file. DataError for another kind of file."""
    from .. import tabular
    from ..storage import model_file

    kind = kind_of(path)
    if kind != TABLE:
        raise DataError(
            f"{path} is of kind {kind!r}, expected a model that fastbp train or "
            f"fastbp.tabular wrote; {model_file.KINDS[kind]} loads it in Python"
        )
    return tabular.load(path)


def kind_of(path: str) -> str:
    """The kind of a file of fastbp, one of ``model_file.KINDS``, by its header."""
    from ..storage import model_file

    return model_file.read_parts(path, dict.fromkeys(model_file.KINDS, NO_TENSOR), verify=False)[0]


def open_for(model: Any, options: Namespace) -> TableFile:
    """The file of ``options.data``. DataError where a column is missing that the model needs."""
    file = open_table(options.data, options)
    remembered = Remembered.of(model)
    remembered.name_columns(file, options)
    missing = [name for name in needed(model) if name not in file.names]
    if missing:
        raise DataError(f"{file.source.name}: {_about(missing, file, remembered)}")
    return file


def needed(model: Any) -> list[str]:
    """The columns that a model predicts from."""
    return [column.name for column in model.encoder_.schema.columns if column.kind != "dropped"]


def identifiers(model: Any) -> list[str]:
    """The columns that training has left out because they identify rows."""
    from ..tabular.inference import IDENTIFIER

    return [column.name for column in model.encoder_.schema.columns if column.why == IDENTIFIER]


def types(model: Any, names: Iterable[str]) -> dict[str, Any]:
    """The types by which the inputs among the columns of a CSV file are read."""
    pa, remembered = arrow.module("pyarrow"), Remembered.of(model)
    kinds = {column.name: column.kind for column in model.encoder_.schema.columns}
    found = {}
    for name in names:
        known = remembered.type_of(name)
        if kinds.get(name) == "number":
            found[name] = pa.float64() if known is None else as_read(known)
        elif kinds.get(name) == "date" and known is not None:
            found[name] = as_read(known)
        else:
            found[name] = pa.string()
    return found


def _about(missing: list[str], file: TableFile, remembered: Remembered) -> str:
    if not remembered.has_header:
        return (
            f"it has {len(file.names)} columns, and lacks {listed(missing)}: the model was trained "
            "on a file without a header, so give --no-header if this one has none either"
        )
    if len(missing) == 1:
        about = unknown(missing[0], file.names, "column")
        return f"it lacks a column that the model needs: {about}"
    return f"it lacks columns that the model needs: {listed(missing)}; it has {listed(file.names)}"
