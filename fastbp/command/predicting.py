"""``fastbp predict``: the rows of a file, and what a model predicts for them."""

import time
from argparse import Namespace
from itertools import chain
from typing import Any

from . import arrow, inputs, predictions, reading, target, writing
from .errors import DataError
from .messages import count, say
from .reading import TableFile
from .remembered import Remembered


def run(options: Namespace) -> int:
    """Predict, and write as many rows as were read, in their order."""
    output = getattr(options, "output", writing.STDOUT)
    writing.format_of(output)  # before anything is read
    writing.check_apart(output, "--output", options.data, options.model)
    start = time.perf_counter()
    model = inputs.load(options.model)
    file = inputs.open_for(model, options)
    kept = _kept(model, file, options)
    rows = _write(model, file, kept, output)
    seconds = time.perf_counter() - start
    say(f"{file.source.name}: {file}, {count(rows, 'row')} predicted in {seconds:.1f} s")
    return 0


def _kept(model: Any, file: TableFile, options: Namespace) -> list[str]:
    """The columns to write besides the predictions."""
    asked = getattr(options, "keep", None)
    if asked is not None:
        for name in asked:
            reading.check_column(file, name, "--keep")
        return list(dict.fromkeys(asked))
    return [name for name in inputs.identifiers(model) if name in file.names]


def _write(model: Any, file: TableFile, kept: list[str], output: str) -> int:
    """Write the predictions, part by part; returns the number of rows."""
    pa = arrow.module("pyarrow")
    titles = predictions.names(model, Remembered.of(model).targets)
    for name in set(kept) & set(titles):
        raise DataError(
            f"{file.source.name}: the column {name!r} has the name of a column of predictions: "
            "rename it, or do not keep it"
        )
    wanted = list(dict.fromkeys([*inputs.needed(model), *kept]))
    types = inputs.types(model, wanted)
    # Text keeps what identifies a row as it is written: 007 stays 007.
    types |= {name: pa.string() for name in kept if name not in inputs.needed(model)}
    parts = reading.parts(file, wanted, types)
    first = next(parts, None)
    fields = [
        (name, types[name] if first is None else target.plain(first.column(name)).type)
        for name in kept
    ]
    schema = pa.schema([*fields, *zip(titles, predictions.types(model, titles), strict=True)])
    rows = 0
    with writing.writer(output, schema) as written:
        for part in chain(() if first is None else (first,), parts):
            with predictions.naming(file.source.name, rows):
                found = predictions.outputs(model, part)
            own = [target.plain(part.column(name)) for name in kept]
            arrays = [*own, *predictions.columns(model, found)]
            written.write_table(pa.Table.from_arrays(arrays, names=schema.names).cast(schema))
            rows += part.num_rows
    return rows
