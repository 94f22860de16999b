"""Modules of torch that average networks, and the files of modules. Needs torch."""

import io
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..storage import atomic


class Mean(nn.Module):  # type: ignore[misc]
    """The mean of the outputs of several modules."""

    def __init__(self, members: Sequence[Any]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Any) -> Any:
        """Inputs (n, n_in) to outputs (n, n_out)."""
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


class Calibrated(nn.Module):  # type: ignore[misc]
    """Probabilities at a temperature: p^(1/t) in place of p, in float64.

    smallest: what smaller ones count as.
    """

    def __init__(self, temperature: float, smallest: float) -> None:
        super().__init__()
        self.temperature, self.smallest = temperature, smallest

    def forward(self, p: Any) -> Any:
        """Probabilities (n, classes) to such ones."""
        logs = torch.log(torch.clamp(p.double(), min=self.smallest))
        return torch.softmax(logs / self.temperature, dim=1)


class Restored(nn.Module):  # type: ignore[misc]
    """Outputs in the units of targets and within their range, in float64.

    mean, scale, low, high: tensors (n_out,).
    """

    def __init__(self, mean: Any, scale: Any, low: Any, high: Any) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, p: Any) -> Any:
        """Outputs (n, n_out) to such ones."""
        values = p.double() * self.scale + self.mean
        return torch.minimum(torch.maximum(values, self.low), self.high)


def save(module: Any, n_in: int, dtype: str, path: str | os.PathLike[str]) -> None:
    """Write a module as torch.export.save does, for any number of rows (n, n_in).

    torch.export.load reads it where fastbp is not. OSError if it cannot be written.
    """
    atomic.in_a_folder(path)
    example = torch.zeros(3, n_in, dtype=getattr(torch, dtype))
    rows = torch.export.Dim("rows", min=1)
    program = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: rows},))
    content = io.BytesIO()
    torch.export.save(program, content)
    with atomic.replacing(path) as file:
        file.write(content.getvalue())
