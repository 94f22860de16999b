"""``fastbp info``: what is in a file of fastbp, by what is written in it."""

import math
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..storage import model_file, safetensors_format
from ..storage.safetensors_format import Entry
from .inputs import NO_TENSOR
from .messages import number, pairs, show


def run(options: Namespace) -> int:
    """Describe the file, and compare its checksum with its content."""
    path = options.model
    # Nothing of the tensors stays in memory; the file's bytes are hashed as they go by.
    kinds = dict.fromkeys(model_file.KINDS, NO_TENSOR)
    kind, meta, _ = model_file.read_parts(path, kinds, verify=True)
    with Path(path).open("rb") as file:
        metadata, entries = safetensors_format.read_header(file)
    found: dict[str, Any] = {
        "file": path,
        "kind": kind,
        "bytes": Path(path).stat().st_size,
        "sha256": metadata["sha256"],
        **DESCRIBE[kind](meta),
        "tensors": len(entries),
        "numbers": sum(map(_size, entries)),
    }
    show({"command": "info", **found}, _lines(found), getattr(options, "json", False))
    return 0


def _size(entry: Entry) -> int:
    return math.prod(entry.shape)


def _of_network(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What ``model_io.to_dict`` wrote."""
    keys = ("sizes", "activations", "dtype", "layer_norm", "residual", "feature_names_in")
    return {key: meta[key] for key in keys if meta.get(key)}


def _of_checkpoint(meta: Mapping[str, Any]) -> dict[str, Any]:
    arguments, learned = _part(meta, "arguments"), _part(meta, "learned")
    return {
        **_of_network(_part(meta, "network", "meta")),
        "loss": arguments.get("loss"),
        "optimizer": arguments.get("optimizer"),
        "batch_size": arguments.get("batch_size"),
        "epochs": learned.get("epoch"),
        "updates": learned.get("updates"),
        "lr": learned.get("lr"),
    }


def _of_ensemble(meta: Mapping[str, Any]) -> dict[str, Any]:
    members = _part(meta, "members")
    return {"networks": len(members), **_of_network(_part(members, "0"))}


def _of_table(meta: Mapping[str, Any]) -> dict[str, Any]:
    state = _part(meta, "state")
    return {
        "estimator": meta.get("estimator"),
        **_of_ensemble(meta),
        "columns": _part(meta, "encoder", "schema").get("columns", []),
        "validation": _part(state, "validation_score"),
        "parameters": _part(state, "parameters"),
        "record": _part(state, "record"),
    }


DESCRIBE: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "model": _of_network,
    "checkpoint": _of_checkpoint,
    "ensemble": _of_ensemble,
    "table": _of_table,
}
"""What the content of each kind of file says."""


def _part(tree: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The object under these keys; an empty one where a file of another version has none."""
    for key in keys:
        found = tree.get(key)
        tree = found if isinstance(found, Mapping) else {}
    return tree


def _lines(found: Mapping[str, Any]) -> list[str]:
    """A line for each value; columns and the record come last, a line for each entry."""
    later = ("columns", "record")
    plain = {k: v for k, v in found.items() if k not in later and v not in ({}, None)}
    lines = pairs({key: _text(key, value) for key, value in plain.items()})
    if "columns" in found:
        lines += ["", "columns", *(f"  {_column(column)}" for column in found["columns"])]
    if found.get("record"):
        record = {key: _text(key, value) for key, value in _flat(found["record"]).items()}
        lines += ["", "record", *(f"  {line}" for line in pairs(record))]
    return lines


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested objects as one, with dots in the keys. What the command remembers is left out."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and key != "command":
            flat |= _flat(value, f"{before}{key}.")
        elif key != "command":
            flat[f"{before}{key}"] = value
    return flat


def _column(column: Mapping[str, Any]) -> str:
    """A column of a schema in one line."""
    missing = column.get("missing") or 0
    parts = [column.get("kind"), column.get("form"), column.get("why")]
    parts.append(f"{missing:,} missing" if missing else "")
    return f"{column.get('name')}: {', '.join(str(part) for part in parts if part)}"


def _text(key: str, value: Any) -> str:
    if key == "sha256":
        return f"{value}, which its content has"
    if isinstance(value, Mapping):
        told = {k: v for k, v in value.items() if v not in (None, [], {})}
        return ", ".join(f"{k} {_text(k, v)}" for k, v in told.items())
    if key == "seed":
        return str(value)
    if isinstance(value, list) and key == "sizes":
        return "-".join(map(str, value))
    if isinstance(value, list):
        between = "; " if any(isinstance(one, Mapping) for one in value) else ", "
        return between.join(_text("", one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else str(value)
