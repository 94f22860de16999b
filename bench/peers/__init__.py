"""The sides of a race. Each has its library's best settings, and does the same work as the others.

A library is imported when its side is first made: the import takes seconds, and the library may be
missing.
"""

from importlib import import_module

SIDES = {
    "fastbp": ("fastbp", "FastBP"),
    "numpy": ("numpy", "NumPy"),
    "torch": ("torch", "Eager"),
    "torch.compile": ("torch", "Compiled"),
    "jax": ("jax", "Jax"),
    "scikit-learn": ("sklearn", "ScikitLearn"),
    "onnxruntime": ("onnxruntime", "OnnxRuntime"),
}
"""By name: module and class of each."""

PREDICT_ONLY = ("onnxruntime",)
TRAINING = [name for name in SIDES if name not in PREDICT_ONLY]

DISTRIBUTIONS = {"torch.compile": "torch", "onnxruntime": "onnx onnxruntime"}
"""The name of a library on the package index, where it differs from the side's."""


class MissingError(Exception):
    """A library that is not installed; the message says how to get it."""


def load(name):
    """The class of a side; MissingError if its library is not installed."""
    module, kind = SIDES[name]
    try:
        return getattr(import_module(f"bench.peers.{module}"), kind)
    except ModuleNotFoundError as error:
        package = DISTRIBUTIONS.get(name, name)
        raise MissingError(
            f"{name} is left out: {error.name} is not installed. Get it with: "
            f"python -m pip install {package}"
        ) from error
