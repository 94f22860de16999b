"""``fastbp export``: a model as ONNX, C, Fortran or a module of torch."""

import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any

from . import inputs, writing
from .messages import say

SUFFIXES = {"onnx": ".onnx", "c": ".c", "fortran": ".f90", "torch": ".pt2"}


def run(options: Namespace) -> int:
    """Write the model of a file."""
    kind = inputs.kind_of(options.model)
    model = _load(options.model, kind)
    suffix = SUFFIXES[options.to]
    output = getattr(options, "output", None) or f"{Path(options.model).stem}{suffix}"
    writing.check_apart(output, "--output", options.model)
    if options.to == "onnx":
        model.to_onnx(output)
    elif options.to == "c":
        model.to_c(output)
    elif options.to == "fortran":
        model.to_fortran(output)
    else:
        _to_torch(model, kind, output)
    print(output)
    return 0


def _load(path: str, kind: str) -> Any:
    """The network, ensemble or estimator of a file."""
    from .. import Ensemble, load

    if kind == inputs.TABLE:
        return inputs.load(path)
    if kind == "ensemble":
        return Ensemble.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a checkpoint, that it is its network alone
        return load(path)


def _to_torch(model: Any, kind: str, output: str) -> None:
    """Write a module of torch; of a table without the encoder, which is said."""
    module = model.to_torch()  # says what is missing where torch is
    from ..export import torch_file

    nets = {inputs.TABLE: "ensemble_", "ensemble": "nets"}
    net = getattr(model, nets[kind])[0] if kind in nets else model
    torch_file.save(module, net.sizes[0], net.dtype.name, output)
    if kind == inputs.TABLE:
        say(
            f"{output} takes the {net.sizes[0]} inputs of the networks, float32, for torch has no "
            "text: model.encoder_.transform(table) makes them; --to onnx and --to c have the "
            "encoder, too"
        )
