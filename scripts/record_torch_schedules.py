"""Record torch's learning-rate schedules, so that the tests need no torch.

    python scripts/record_torch_schedules.py

Needs torch. Writes tests/data/torch_schedules.npz (tests/unit/test_schedules.py reads it):

- torch_version
- cases: JSON, {case: [name of the schedule, its arguments]}; the argument "then" is such a pair
- {case}/factor and {case}/momentum (updates,): the learning rate of each update as a share of the
  optimizer's, and the momentum, which is 0.5 unless it is scheduled.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch.optim import lr_scheduler as torchs

RECORD = Path(__file__).parents[1] / "tests" / "data" / "torch_schedules.npz"

LR = 0.3
UPDATES = 60


def sequence(optimizer, updates, start_factor, then):
    rise = torchs.LinearLR(optimizer, start_factor=start_factor, total_iters=updates)
    return torchs.SequentialLR(optimizer, [rise, then(optimizer)], milestones=[updates])


CASES = {
    "step": (["StepDecay", {"every": 7, "gamma": 0.3}], lambda o: torchs.StepLR(o, 7, 0.3)),
    "exponential": (
        ["ExponentialDecay", {"gamma": 0.93}],
        lambda o: torchs.ExponentialLR(o, 0.93),
    ),
    "cosine": (["Cosine", {"updates": UPDATES}], lambda o: torchs.CosineAnnealingLR(o, UPDATES)),
    "cosine_end": (
        ["Cosine", {"updates": UPDATES, "end_factor": 0.1}],
        lambda o: torchs.CosineAnnealingLR(o, UPDATES, eta_min=0.1 * LR),
    ),
    "one_cycle": (["OneCycle", {"updates": UPDATES}], lambda o: torchs.OneCycleLR(o, LR, UPDATES)),
    "one_cycle_linear": (
        ["OneCycle", {"updates": UPDATES, "anneal_strategy": "linear"}],
        lambda o: torchs.OneCycleLR(o, LR, UPDATES, anneal_strategy="linear"),
    ),
    "one_cycle_all": (
        [
            "OneCycle",
            {
                "updates": 53,
                "pct_start": 0.41,
                "base_momentum": 0.7,
                "max_momentum": 0.99,
                "div_factor": 7.0,
                "final_div_factor": 11.0,
            },
        ],
        lambda o: torchs.OneCycleLR(
            o,
            LR,
            53,
            pct_start=0.41,
            base_momentum=0.7,
            max_momentum=0.99,
            div_factor=7.0,
            final_div_factor=11.0,
        ),
    ),
    "one_cycle_without_momentum": (
        ["OneCycle", {"updates": UPDATES, "cycle_momentum": False}],
        lambda o: torchs.OneCycleLR(o, LR, UPDATES, cycle_momentum=False),
    ),
    "warmup": (
        ["Warmup", {"updates": 9}],
        lambda o: torchs.LinearLR(o, total_iters=9),
    ),
    "warmup_cosine": (
        ["Warmup", {"updates": 9, "start_factor": 0.01, "then": ["Cosine", {"updates": 51}]}],
        lambda o: sequence(o, 9, 0.01, lambda o: torchs.CosineAnnealingLR(o, 51)),
    ),
    "warmup_step": (
        ["Warmup", {"updates": 4, "start_factor": 0.5, "then": ["StepDecay", {"every": 10}]}],
        lambda o: sequence(o, 4, 0.5, lambda o: torchs.StepLR(o, 10)),
    ),
}


def followed(schedule, updates):
    """(factors, momenta) of so many updates."""
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.SGD([parameter], lr=LR, momentum=0.5)
    scheduler, (group,) = schedule(optimizer), optimizer.param_groups
    factors, momenta = [], []
    for _ in range(updates):
        factors.append(group["lr"] / LR)
        momenta.append(group["momentum"])
        optimizer.step()
        if len(factors) < updates:
            scheduler.step()
    return np.array(factors), np.array(momenta)


def main():
    record = {
        "torch_version": np.array(str(torch.__version__)),
        "cases": np.array(json.dumps({case: spec for case, (spec, _) in CASES.items()})),
    }
    for case, (spec, schedule) in CASES.items():
        updates = spec[1].get("updates") if spec[0] == "OneCycle" else UPDATES
        record[f"{case}/factor"], record[f"{case}/momentum"] = followed(schedule, updates)
    np.savez_compressed(RECORD, **record)
    print(f"{RECORD.name}: {len(record)} arrays, {RECORD.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
