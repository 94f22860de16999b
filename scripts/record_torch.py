"""Record what torch computes, so that the tests need no torch: tests/data/torch_record.npz.

    python scripts/record_torch.py

Needs torch. Names in the archive (tests/support/torch_record.py reads them):

- torch_version
- cases: JSON, {case: [name of the optimizer, its arguments]}
- network: JSON, {"sizes", "activation": one name a hidden layer, "output", "loss"}
- W0, b0, W1, ...: the initial parameters, (n_in, n_out) and (n_out,); X (steps, rows, n_in) and
  labels (steps, rows): one batch a step. All are float32 numbers, stored as such; the float64 runs
  begin with the same numbers.
- {case}/{dtype}/loss (steps,): the loss before each update, and
  {case}/{dtype}/{step}/W0, ...: the parameters after 1, 5 and 20 updates
- activations/z, and activations/{name} and activations/{name}/slope at z; softmax/z, softmax/a
- options: JSON, {case: the options of its trainer}; bases: JSON, {case: that of its optimizer}
- losses/z, losses/y, losses/labels, losses/rows, losses/probabilities, losses/counts and losses/two
  (of half the outputs): the last layer before its activation and the targets of the losses;
  losses/small: z for those that take its exponential. losses/{loss}/{output} (value) and
  losses/{loss}/{output}/delta (its gradient with respect to z). cross_entropy has two outputs:
  softmax (targets: probabilities, the sums of whose rows are a little off 1) and
  softmax_labels.
"""

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fastbp.kernels.base import codes

RECORD = Path(__file__).parents[1] / "tests" / "data" / "torch_record.npz"

SIZES = [7, 13, 5, 3]
ROWS = 11
STEPS = 20
RECORDED_STEPS = (1, 5, 20)
SEED = 20

CASES = {
    "sgd": ["SGD", {"lr": 0.1}],
    "sgd_momentum": ["SGD", {"lr": 0.1, "momentum": 0.9}],
    "sgd_nesterov": ["SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}],
    "sgd_weight_decay": ["SGD", {"lr": 0.1, "weight_decay": 0.05}],
    "sgd_all": ["SGD", {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 0.05}],
    "adam": ["Adam", {"lr": 1e-3}],
    "adam_weight_decay": ["Adam", {"lr": 1e-3, "weight_decay": 0.05}],
    "adam_all": ["Adam", {"lr": 1e-3, "betas": [0.8, 0.99], "eps": 1e-4, "weight_decay": 0.05}],
    "adamw": ["AdamW", {"lr": 1e-3}],
    "adamw_weight_decay": ["AdamW", {"lr": 1e-3, "weight_decay": 0.5}],
    "rmsprop": ["RMSprop", {"lr": 1e-3}],
    "rmsprop_alpha": ["RMSprop", {"lr": 1e-3, "alpha": 0.9, "eps": 1e-4}],
    "rmsprop_all": ["RMSprop", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.05}],
    "adagrad": ["Adagrad", {"lr": 1e-2}],
    "adagrad_all": ["Adagrad", {"lr": 1e-2, "lr_decay": 0.1, "eps": 1e-4, "weight_decay": 0.05}],
    "nadam": ["NAdam", {"lr": 1e-3}],
    "nadam_all": [
        "NAdam",
        {
            "lr": 1e-3,
            "betas": [0.8, 0.99],
            "eps": 1e-4,
            "weight_decay": 0.05,
            "momentum_decay": 0.01,
        },
    ],
    "radam": ["RAdam", {"lr": 1e-3}],
    "radam_all": ["RAdam", {"lr": 1e-3, "betas": [0.8, 0.99], "eps": 1e-4, "weight_decay": 0.05}],
    "radam_decoupled": [
        "RAdam",
        {"lr": 1e-3, "betas": [0.8, 0.9], "weight_decay": 0.5, "decoupled_weight_decay": True},
    ],
}

OPTIONS = {
    "clip_norm": {"clip_norm": 0.2},
    "clip_value": {"clip_value": 0.02},
    "label_smoothing": {"label_smoothing": 0.2},
    "class_weight": {"class_weight": {"0": 0.5, "2": 3.0}},
    "lr_factors": {"lr_factors": [0.5, 0.0, 2.0]},
    "rates": {
        "lr_factors": [0.5, 1.0, 2.0],
        "bias_lr_factor": [0.25, 1.0, 4.0],
        "weight_decay_on": "weights",
        "weight_decay_factors": [2.0, 0.0, 0.5],
    },
}
"""Of the trainer."""

BASES = dict.fromkeys(OPTIONS, "sgd_momentum") | {"rates": "adamw_weight_decay"}
"""The case of the optimizer of each."""

ACTIVATIONS = {name: getattr(F, name, None) or (lambda z: z) for name in codes.HIDDEN_ACTIVATIONS}
"""Functions of torch.nn.functional have fastbp's names; identity is none of them."""


def initial(rng):
    """Start values and batches, all float32; the labels follow from X, so that there is a law."""
    start = {}
    for layer, (n_in, n_out) in enumerate(pairwise(SIZES)):
        start[f"W{layer}"] = rng.normal(0, n_in**-0.5, (n_in, n_out)).astype(np.float32)
        start[f"b{layer}"] = rng.normal(0, 0.5, n_out).astype(np.float32)
    start["X"] = rng.normal(0, 1, (STEPS, ROWS, SIZES[0])).astype(np.float32)
    start["labels"] = start["X"][:, :, : SIZES[-1]].argmax(axis=2)
    return start


def build(start, dtype):
    layers = [nn.Linear(n_in, n_out) for n_in, n_out in pairwise(SIZES)]
    for layer, linear in enumerate(layers):
        linear.weight.data = torch.from_numpy(start[f"W{layer}"].T.copy())
        linear.bias.data = torch.from_numpy(start[f"b{layer}"].copy())
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.Tanh(), layers[2]).to(dtype)


def parameters(model):
    linears = [module for module in model if isinstance(module, nn.Linear)]
    for layer, linear in enumerate(linears):
        yield f"W{layer}", linear.weight.detach().numpy().T.copy()
        yield f"b{layer}", linear.bias.detach().numpy().copy()


def rates(arguments, lr_factor, decay_factor):
    """Of a parameter group; arguments of the optimizer that are not given stay torch's."""
    factors = {"lr": lr_factor, "weight_decay": decay_factor}
    return {name: arguments[name] * factors[name] for name in factors if name in arguments}


def groups(model, options, arguments):
    """Weights and biases of each layer, with their rates; none of a layer that is frozen."""
    linears = [module for module in model if isinstance(module, nn.Linear)]
    ones, shared = [1.0] * len(linears), options.get("weight_decay_on", "all") == "all"
    names = ("lr_factors", "bias_lr_factor", "weight_decay_factors")
    each = (options.get(name, ones) for name in names)
    for linear, factor, of_bias, decay in zip(linears, *each, strict=True):
        if factor:
            yield {"params": [linear.weight]} | rates(arguments, factor, decay)
            yield {"params": [linear.bias]} | rates(arguments, factor * of_bias, decay * shared)
        else:
            linear.requires_grad_(False)


def mean_loss(options, dtype):
    """cross_entropy of logits and labels. torch divides by the sum of a batch's weights."""
    given = options.get("class_weight", {})
    weights = torch.tensor([given.get(str(i), 1.0) for i in range(SIZES[-1])], dtype=dtype)
    smoothing = options.get("label_smoothing", 0.0)
    return partial(F.cross_entropy, weight=weights, label_smoothing=smoothing)


def trajectory(start, optimizer, arguments, dtype, options):
    """What one case records, with names below {case}/{dtype}/."""
    model = build(start, dtype)
    parts = groups(model, options, arguments)
    update = getattr(torch.optim, optimizer)(parts, foreach=False, **arguments)
    losses, record, mean = [], {}, mean_loss(options, dtype)
    for step in range(STEPS):
        X = torch.from_numpy(start["X"][step]).to(dtype)
        loss = mean(model(X), torch.from_numpy(start["labels"][step]))
        update.zero_grad()
        loss.backward()
        if "clip_value" in options:
            nn.utils.clip_grad_value_(model.parameters(), options["clip_value"])
        if "clip_norm" in options:
            nn.utils.clip_grad_norm_(model.parameters(), options["clip_norm"])
        update.step()
        losses.append(loss.item())
        if step + 1 in RECORDED_STEPS:
            record |= {f"{step + 1}/{name}": value for name, value in parameters(model)}
    return record | {"loss": np.array(losses)}


def trajectories(rng):
    start = initial(rng)
    record = dict(start)
    with_options = {case: [*CASES[BASES[case]], asked] for case, asked in OPTIONS.items()}
    for case, (optimizer, arguments, *options) in (CASES | with_options).items():
        for dtype in (torch.float32, torch.float64):
            values = trajectory(start, optimizer, arguments, dtype, *(options or [{}]))
            prefix = f"{case}/{str(dtype).removeprefix('torch.')}/"
            record |= {prefix + name: value for name, value in values.items()}
    return record


def gradient(function, z):
    """(value, its gradient with respect to z), as arrays; a value that is no scalar is summed."""
    z = torch.from_numpy(z).requires_grad_()
    value = function(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach().numpy(), slope.numpy()


def activation_values(rng):
    z = np.concatenate([[-100, -30, -15], np.linspace(-6, 6, 49), [15, 30, 100]])[:, None]
    record = {"activations/z": z}
    for name, function in ACTIVATIONS.items():
        record[f"activations/{name}"], record[f"activations/{name}/slope"] = gradient(function, z)
    rows = np.concatenate([rng.normal(0, 3, (6, 4)), [[1000, -1000, 0, 999.0], [0, 0, 0, 0]]])
    softmax = torch.softmax(torch.from_numpy(rows), dim=1).numpy()
    return record | {"softmax/z": rows, "softmax/a": softmax}


def squared_error(p, y):
    return 0.5 * ((p - y) ** 2).sum(dim=1).mean()


def quantile(p, y, q=0.5):
    return torch.maximum(q * (y - p), (q - 1) * (y - p)).mean()


def log_cosh(p, y):
    """Keras's LogCosh."""
    return (torch.logaddexp(p - y, y - p) - np.log(2)).mean()


def gaussian(z, y):
    mean, log_variance = z.chunk(2, dim=1)
    return F.gaussian_nll_loss(mean, y, log_variance.exp(), eps=1e-300)


def beta(z, y, beta=0.5):
    """The value of ``gaussian``, with the gradient of Seitzer et al.'s beta_nll_loss."""
    mean, log_variance = z.chunk(2, dim=1)
    variance = log_variance.exp()
    each = 0.5 * ((y - mean) ** 2 / variance + log_variance)
    weighted = (each * variance.detach() ** beta).mean()
    return weighted + (each.mean() - weighted).detach()


def loss_values(rng):
    z = np.concatenate([rng.normal(0, 2, (7, 4)), [[150, -150, 40, -40.0], [0, 0, 0, 0]]])
    n = len(z)
    rows = rng.dirichlet(np.ones(4), n) * rng.uniform(0.9995, 1.0005, (n, 1))
    record = {
        "losses/z": z,
        "losses/y": rng.normal(0, 1, (n, 4)),
        "losses/rows": np.concatenate([rng.random((n - 2, 4)), [[1, 0, 0, 1], [0, 1, 0.5, 0]]]),
        "losses/probabilities": rows,
        "losses/labels": rng.integers(0, 4, n),
        "losses/counts": rng.poisson(2.0, (n, 4)).astype(float),
        "losses/two": rng.normal(0, 1, (n, 2)),
    }
    record["losses/small"] = np.clip(z, -5, 5)
    y, rows_y, p, labels, counts, two = (
        torch.from_numpy(record[f"losses/{name}"])
        for name in ("y", "rows", "probabilities", "labels", "counts", "two")
    )
    pairs = {
        "bce/sigmoid": partial(F.binary_cross_entropy_with_logits, target=rows_y),
        "cross_entropy/softmax": partial(F.cross_entropy, target=p),
        "cross_entropy/softmax_labels": partial(F.cross_entropy, target=labels),
    }
    for name, activation in ACTIVATIONS.items():
        pairs[f"mse/{name}"] = lambda z, a=activation: F.mse_loss(a(z), y)
        pairs[f"squared_error/{name}"] = lambda z, a=activation: squared_error(a(z), y)
        pairs[f"mae/{name}"] = lambda z, a=activation: F.l1_loss(a(z), y)
        pairs[f"huber/{name}"] = lambda z, a=activation: F.huber_loss(a(z), y)
        pairs[f"log_cosh/{name}"] = lambda z, a=activation: log_cosh(a(z), y)
        pairs[f"quantile/{name}"] = lambda z, a=activation: quantile(a(z), y)
    small = {
        "poisson/identity": partial(F.poisson_nll_loss, target=counts),
        "poisson/softplus": lambda z: F.poisson_nll_loss(F.softplus(z), counts, log_input=False),
        "gaussian_nll/identity": partial(gaussian, y=two),
        "beta_nll/identity": partial(beta, y=two),
    }
    for pair, function in (pairs | small).items():
        at = record["losses/small"] if pair in small else z
        record[f"losses/{pair}"], record[f"losses/{pair}/delta"] = gradient(function, at)
    return record


def main():
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    network = {
        "sizes": SIZES,
        "activation": ["relu", "tanh"],
        "output": "softmax",
        "loss": "cross_entropy",
    }
    record = trajectories(rng) | activation_values(rng) | loss_values(rng)
    record["torch_version"] = np.array(str(torch.__version__))
    record["cases"] = np.array(json.dumps(CASES))
    record["options"] = np.array(json.dumps(OPTIONS))
    record["bases"] = np.array(json.dumps(BASES))
    record["network"] = np.array(json.dumps(network))
    RECORD.parent.mkdir(exist_ok=True)
    np.savez_compressed(RECORD, **record)
    print(f"{RECORD.name}: {len(record)} arrays, {RECORD.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
