"""Record torch's training of a layer that scales the inputs, so that the tests need no torch.

    python scripts/record_torch_scaling.py

Needs torch. The network, its start and the batches are those of tests/data/torch_record.npz
(scripts/record_torch.py), after a layer x * s, whose s begins as 1. Writes
tests/data/torch_scaling.npz (tests/laws/test_learned_scaling.py reads it):

- torch_version; factor: of the learning rate of s
- cases: JSON, names of optimizers there
- {case}/{dtype}/s, W0, b0, W1, ...: the parameters after 20 updates
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DATA = Path(__file__).parents[1] / "tests" / "data"
RECORD = DATA / "torch_scaling.npz"

FACTOR = 6.0

CASES = (
    *("sgd", "sgd_all", "adam", "adam_all", "adamw_weight_decay", "rmsprop", "rmsprop_all"),
    *("adagrad_all", "nadam_all", "radam_all", "radam_decoupled"),
)


class Scaling(nn.Module):
    """Multiplies each input by a learned number."""

    def __init__(self, inputs):
        super().__init__()
        self.s = nn.Parameter(torch.ones(inputs))

    def forward(self, x):
        """x (B, inputs) times s."""
        return x * self.s


def build(start, sizes, dtype):
    """The network at its start: (scaling, linear layers, all of it)."""
    scaling, linears = Scaling(sizes[0]), []
    for layer in range(len(sizes) - 1):
        linears.append(nn.Linear(sizes[layer], sizes[layer + 1]))
        linears[-1].weight.data = torch.from_numpy(start[f"W{layer}"].T.copy())
        linears[-1].bias.data = torch.from_numpy(start[f"b{layer}"].copy())
    first, second, third = linears
    model = nn.Sequential(scaling, first, nn.ReLU(), second, nn.Tanh(), third)
    return scaling, linears, model.to(dtype)


def trained(start, optimizer, arguments, dtype):
    """What one case records, with names below {case}/{dtype}/."""
    sizes = json.loads(str(start["network"]))["sizes"]
    scaling, linears, model = build(start, sizes, dtype)
    rest = [p for linear in linears for p in linear.parameters()]
    lr = arguments["lr"]
    groups = [{"params": [scaling.s], "lr": FACTOR * lr}, {"params": rest, "lr": lr}]
    update = getattr(torch.optim, optimizer)(groups, foreach=False, **arguments)
    for X, labels in zip(start["X"], start["labels"], strict=True):
        loss = F.cross_entropy(model(torch.from_numpy(X).to(dtype)), torch.from_numpy(labels))
        update.zero_grad()
        loss.backward()
        update.step()
    record = {"s": scaling.s.detach().numpy().copy()}
    for layer, linear in enumerate(linears):
        record[f"W{layer}"] = linear.weight.detach().numpy().T.copy()
        record[f"b{layer}"] = linear.bias.detach().numpy().copy()
    return record


def main():
    torch.set_num_threads(1)
    with np.load(DATA / "torch_record.npz") as archive:
        start = dict(archive)
    known = json.loads(str(start["cases"]))
    record = {
        "torch_version": np.array(str(torch.__version__)),
        "factor": np.array(FACTOR),
        "cases": np.array(json.dumps(CASES)),
    }
    for case in CASES:
        for dtype in (torch.float32, torch.float64):
            prefix = f"{case}/{str(dtype).removeprefix('torch.')}/"
            values = trained(start, *known[case], dtype)
            record |= {prefix + name: value for name, value in values.items()}
    np.savez_compressed(RECORD, **record)
    print(f"{RECORD.name}: {len(record)} arrays, {RECORD.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
