"""``fastbp export``: a network as ONNX, C or Fortran."""

import warnings
from argparse import Namespace
from pathlib import Path

from . import inputs
from .errors import DataError

SUFFIXES = {"onnx": ".onnx", "c": ".c", "fortran": ".f90"}


def run(options: Namespace) -> int:
    """Write the network of a model file or of a checkpoint."""
    from .. import load

    kind = inputs.kind_of(options.model)
    if kind not in ("model", "checkpoint"):
        raise DataError(
            f"{options.model} is of kind {kind!r}, of which no other program has a form yet: "
            "export takes the file of one network, which Network.save or Trainer.save wrote"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a checkpoint, that it is its network alone
        net = load(options.model)
    suffix = SUFFIXES[options.to]
    output = getattr(options, "output", None) or f"{Path(options.model).stem}{suffix}"
    if options.to == "onnx":
        net.to_onnx(output)
    elif options.to == "c":
        net.to_c(output)
    else:
        net.to_fortran(output)
    print(output)
    return 0
