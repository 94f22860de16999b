"""Initial parameters by some rows of data: what enters each unit has variance 1 on them.

Layer by layer, weights are drawn from the standard normal distribution, and those of each unit are
divided by the standard deviation of their products over the rows (after Mishkin and Matas, 2016,
who divide those of a layer). A bias brings the 0 of its unit amid the rows: it is minus a convex
combination of the products of some of them (Steinwart, 2019, "he+"). RealMLP begins like this, with
five of them (Holzmueller, Grinsztajn and Steinwart, 2024).
"""

from typing import Any

import numpy as np

from ..common.types import Array, Floats
from ..data.names import Names
from ..data.tables import as_inputs, check_inputs
from ..kernels import reference
from ..kernels.tables import arenas
from .network_arrays import NetworkArrays

COMBINED = 5
"""Rows of the convex combination of a bias."""

CONSTANT = 1e-6
"""A standard deviation of products below this share of their size is that of their rounding, where
inputs are float32."""


def layers_for(
    arrays: NetworkArrays, X: Any, known: Names, seed: int, embedding: list[arenas.Layer]
) -> list[arenas.Layer]:
    """Parameters for ``Network.initialize_from``, float64.

    known: the names of columns. embedding: the new parameters of the embedding of numbers, if there
    is one. ValueError or TypeError for rows that are not as there.
    """
    rng, outs, spec = np.random.default_rng(seed), _inputs(arrays, X, known), arrays.spec
    layers: list[arenas.Layer] = []
    for parts in embedding:
        outs = reference.embed_numbers(outs, arrays.number_columns, *parts)
    of_layers = zip(
        spec.sizes[1:], arrays.activations, spec.normalized, spec.adds_inputs, strict=True
    )
    for n_out, activation, is_normalized, adds in of_layers:
        norm = (np.ones(n_out), np.zeros(n_out)) if is_normalized else None
        code = activation.function or activation.code
        # What comes from a unit of variance 1 is rounding where it is far below 1.
        weights, bias = _of_layer(outs, n_out, rng, least=CONSTANT if layers else 0.0)
        layers.append((weights, bias, *(norm or ())))
        with np.errstate(over="ignore", invalid="ignore"):
            _, (_, outs) = reference.forward([weights], [bias], [code], outs, None, [norm], [adds])
    return [*layers, *embedding]


def _inputs(arrays: NetworkArrays, X: Any, known: Names) -> Floats:
    """The rows of X as the first layer gets them, in float64."""
    table = as_inputs(X, arrays.spec.sizes[0], "X", known)
    rows = np.arange(len(table.array))
    if len(rows) < 2:
        raise ValueError("X has 1 row, which has no variance: expected two rows or more")
    check_inputs(table, rows, arrays.dtype)
    given: Array = table.array[rows]
    x: Floats = given.astype(arrays.dtype).astype(np.float64)
    units = arrays.scaling.inputs
    return x if units is None else (x - units.mean) / units.scale


def _of_layer(
    inputs: Floats, n_out: int, rng: np.random.Generator, least: float
) -> tuple[Floats, Floats]:
    """Weights (I, O) and biases (O,) for the inputs (rows, I) of a layer.

    Products of a unit that do not vary get size 1; those up to ``least`` stay as they are drawn.
    """
    weights = rng.standard_normal((inputs.shape[1], n_out))
    products = inputs @ weights
    size = np.sqrt(np.square(products).mean(axis=0))
    spread = products.std(axis=0)
    varies = spread > np.maximum(CONSTANT * size, least)
    spread = np.where(varies, spread, np.where(size > least, size, 1.0))
    rows = rng.integers(0, len(inputs), (COMBINED, n_out))
    shares = rng.dirichlet(np.ones(COMBINED), n_out).T
    picked = np.take_along_axis(products / spread, rows, axis=0)
    return weights / spread, -(shares * picked).sum(axis=0)
