"""Columns that pyarrow does not filter or write: views, as polars writes them, and UUIDs."""

import pyarrow as pa


def plain(table: pa.Table) -> pa.Table:
    """The table with large_string in place of string_view, alike of bytes and in dictionaries.

    UUIDs become text.

    >>> import pyarrow as pa
    >>> from fastbp.tabular.views import plain
    >>> plain(pa.table({"town": pa.array(["Ulm"], pa.string_view())})).schema.types
    [DataType(large_string)]
    """
    for place, field in enumerate(table.schema):
        kind = _plain_type(field.type)
        if kind != field.type:
            chunks = [_plain(chunk, kind) for chunk in table.column(place).chunks]
            table = table.set_column(place, field.name, pa.chunked_array(chunks, kind))
    return table


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_string_view(kind) or isinstance(kind, pa.UuidType):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    return kind


def _plain(chunk: pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(chunk, pa.UuidArray):
        return pa.array([one and str(one) for one in chunk.to_pylist()], kind)
    if not pa.types.is_dictionary(kind):
        return chunk.cast(kind)
    words = chunk.dictionary.cast(kind.value_type)
    return pa.DictionaryArray.from_arrays(chunk.indices, words, ordered=kind.ordered)
