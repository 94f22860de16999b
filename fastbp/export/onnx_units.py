"""Means and scales, and the names of columns, in an ONNX file.

The graph has means and scales in its own dtype, and those of outputs as a factor and a shift. The
metadata have them as the network does, in float64, so that they come back to the bit.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ..common.types import Array
from ..data import scaling
from ..data.scaling import Scaling
from ..model.network import Network
from ..storage.safetensors_format import parse

COLUMNS, UNITS = "feature_names_in", "fastbp_scaling"
"""Keys of the metadata; JSON."""


def units_in_graph(
    scaled: Scaling, n_out: int, dtype: np.dtype[Any]
) -> dict[str, dict[str, Array]]:
    """The constants of the graph for "inputs" and "outputs", where these are scaled."""
    found = {}
    if scaled.inputs is not None:
        found["inputs"] = {"mean": scaled.inputs.mean, "scale": scaled.inputs.scale}
    if scaled.targets is not None:
        factor, shift = scaling.of_outputs(scaled, n_out)
        found["outputs"] = {"factor": factor, "shift": shift}
    return {
        place: {name: array.astype(dtype) for name, array in arrays.items()}
        for place, arrays in found.items()
    }


def set_units(
    net: Network, units: Mapping[str, Mapping[str, Array]], metadata: Mapping[str, str]
) -> None:
    """Let the network scale as a graph with these constants does.

    The metadata's means and scales are taken where they become the very constants of the graph.
    """
    if not any(units.values()):
        return
    with suppress(ValueError, TypeError):
        net.set_scaling(**parse(metadata.get(UNITS, "").encode("utf-8", "surrogatepass")))
        if _equal(units_in_graph(net.arrays.scaling, net.sizes[-1], net.dtype), units):
            return
    inputs, outputs = units.get("inputs", {}), units.get("outputs", {})
    with np.errstate(divide="ignore"):  # set_scaling refuses infinity
        scale = 1 / inputs["factor"] if "factor" in inputs else inputs.get("scale")
    net.set_scaling(
        input_mean=inputs.get("mean"),
        input_scale=scale,
        target_mean=outputs.get("shift"),
        target_scale=outputs.get("factor"),
    )


def keep_columns(net: Network, metadata: Mapping[str, str]) -> None:
    """Let the network have the names of columns, where the metadata have one for each."""
    names: Any = None
    with suppress(ValueError):
        names = parse(metadata.get(COLUMNS, "").encode("utf-8", "surrogatepass"))
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if are_names and len(names) == net.sizes[0]:
        net.keep_names(tuple(names))


def _equal(
    some: Mapping[str, Mapping[str, Array]], others: Mapping[str, Mapping[str, Array]]
) -> bool:
    return all(
        some.get(place, {}).keys() == arrays.keys()
        and all(np.array_equal(some[place][name], array) for name, array in arrays.items())
        for place, arrays in others.items()
    )
