"""What torch computed, from tests/data/torch_record.npz (scripts/record_torch.py writes it)."""

import json
from pathlib import Path

import numpy as np

import fastbp.components.optimizers

with np.load(Path(__file__).parents[1] / "data" / "torch_record.npz") as archive:
    RECORD = dict(archive)

CASES = json.loads(str(RECORD["cases"]))
OPTIONS = {
    case: options | {"class_weight": {int(k): w for k, w in options["class_weight"].items()}}
    if "class_weight" in options
    else options
    for case, options in json.loads(str(RECORD["options"])).items()
}
BASES = json.loads(str(RECORD["bases"]))
NETWORK = json.loads(str(RECORD["network"]))
LAYERS = range(len(NETWORK["sizes"]) - 1)
STEPS = len(RECORD["X"])
RECORDED_STEPS = (1, 5, 20)

TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
"""Largest distance between two tensors, as a share of the norm of the recorded one."""


def optimizer(case):
    kind, arguments = CASES[case]
    return getattr(fastbp.components.optimizers, kind)(**arguments)


def initial(dtype):
    """(weights, biases) before the first step, fresh copies."""
    weights, biases = (
        [RECORD[f"{name}{layer}"].astype(dtype) for layer in LAYERS] for name in "Wb"
    )
    return weights, biases


def batch(step, dtype):
    """(X, labels) of a step, from 0."""
    return RECORD["X"][step].astype(dtype), RECORD["labels"][step]


def distance(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def assert_follows(case, dtype, step, weights, biases):
    """The parameters after ``step`` updates are torch's."""
    for layer in LAYERS:
        for name, values in (("W", weights), ("b", biases)):
            expected = RECORD[f"{case}/{dtype}/{step}/{name}{layer}"]
            far = distance(values[layer], expected)
            assert far <= TOLERANCE[dtype], f"{name}{layer} after step {step}: {far:.2g}"
