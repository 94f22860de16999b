"""The line that fit prints for each epoch."""

import sys


def wanted(progress: bool | str) -> bool:
    """Whether to print: "auto" says yes on a terminal. ValueError for anything else."""
    if isinstance(progress, bool):
        return progress
    if progress == "auto":
        return sys.stdout is not None and sys.stdout.isatty()
    raise ValueError(f"progress is {progress!r}, expected True, False or 'auto'")


def line(epoch: int, epochs: int, values: dict[str, float]) -> str:
    """One epoch's numbers: ``epoch 3/10  loss 0.0912  val_accuracy 0.9801  ...``."""
    rate = values["samples_per_second"]
    shown = [f"{key} {value:.4f}" for key, value in values.items() if key != "samples_per_second"]
    return "  ".join([f"epoch {epoch}/{epochs}", *shown, f"{rate:,.0f} samples/s"])
