"""Every activation, loss, optimizer, schedule and callback is known wherever it must be.

CONTRIBUTING.md has the recipes. A failure names the place that was forgotten.
"""

import ast
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp.callbacks import base
from fastbp.components import activations, losses, optimizers, schedules
from fastbp.export import c_math, onnx_formulas
from fastbp.kernels import reference
from fastbp.kernels.base import codes
from fastbp.kernels.primitives import elementwise
from fastbp.kernels.stages import extended_losses, update_rules
from fastbp.kernels.stages import losses as plain_losses
from support import cases, features, torch_record
from support.short_runs import RUNS

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
BITS = json.loads((DATA / "bits.json").read_text(encoding="ascii"))
GUIDE = (ROOT / "fastbp" / "README.md").read_text(encoding="utf-8")


DEFAULTS = {"identity", "mse", "poisson"}
"""What a kernel computes where no branch fits; they need no branch of their own."""


def forgotten(name, **places):
    """Fail unless each place, "what is missing: file", has it."""
    missing = [place for place, is_there in places.items() if not is_there]
    assert not missing, f"{name}: {missing}"


def compared(module, *functions):
    """The names in upper case that these functions of a kernel module mention: their branches."""
    tree = ast.parse(inspect.getsource(module))
    bodies = [node for node in tree.body if getattr(node, "name", None) in functions]
    assert len(bodies) == len(functions), f"{module.__name__} has not all of {functions}"
    names = [node for body in bodies for node in ast.walk(body)]
    found = {node.id for node in names if isinstance(node, ast.Name)}
    return found | {node.attr for node in names if isinstance(node, ast.Attribute)}


def in_guide(name):
    return re.search(rf"\b{name}\b", GUIDE) is not None


def recorded_bits(picked):
    """Whether a run that is picked has its bits recorded at every width."""
    runs = [name for name, run in RUNS.items() if picked(run)]
    return any(all(name in record for record in BITS.values()) for name in runs)


@pytest.mark.parametrize("name", codes.ACTIVATIONS)
def test_an_activation_is_known_everywhere(name):
    facts, code = codes.ACTIVATIONS[name], name.upper()
    branches = {f: compared(elementwise, f) for f in ("activation", "derivative")}
    if facts.output_only:  # couples units: in stages/losses.py, without a derivative of its own
        branches = dict.fromkeys(branches, compared(plain_losses, "delta_from_output"))
    z, bends = np.zeros((1, 1)), facts.smooth and not facts.output_only
    forgotten(
        f"activation {name!r}",
        **{
            f"its code {code} in kernels/base/codes.py": getattr(codes, code, None) == facts.code,
            "activation() in kernels/primitives/elementwise.py":
                name in DEFAULTS or code in branches["activation"],
            "derivative() in kernels/primitives/elementwise.py":
                name in DEFAULTS or code in branches["derivative"],
            "its twin in kernels/reference/activations.py":
                finds(reference.activation, facts.code, z),
            "the derivative in kernels/reference/activations.py":
                facts.output_only or finds(reference.derivative, facts.code, z, z),
            "second_derivative() in kernels/primitives/elementwise.py":
                not bends or name in DEFAULTS or code in compared(elementwise, "second_derivative"),
            "the second derivative in kernels/reference/activations.py":
                not bends or finds(reference.second_derivative, facts.code, z, z),
            "its torch value in tests/data/torch_record.npz: scripts/record_torch.py":
                facts.output_only or f"activations/{name}" in torch_record.RECORD,
            "a run with it in tests/support/short_runs.py, and scripts/record_bits.py":
                recorded_bits(lambda run: name in (*run.hidden, run.output)),
            "its C in fastbp/export/c_math.py":
                facts.output_only or name in c_math.ACTIVATIONS,
            "its formulas in fastbp/export/onnx_formulas.py":
                name in DEFAULTS or all(name in one for one in onnx_formulas.FORMULAS.values()),
            "the tables of fastbp/README.md": in_guide(name),
        },
    )  # fmt: skip
    assert activations.ACTIVATIONS[name].code == facts.code
    assert facts.output_only or name in cases.HIDDEN


def finds(function, *arguments):
    """Whether a twin's table has this code."""
    try:
        function(*arguments)
    except KeyError:
        return False
    return True


@pytest.mark.parametrize("name", codes.LOSSES)
def test_a_loss_is_known_everywhere(name):
    facts, code = codes.LOSSES[name], name.upper()
    if facts.extended:
        places = "_value_and_derivative", "extended_loss_and_delta"
        module, branches = "extended_losses", compared(extended_losses, *places)
    else:
        module, branches = "losses", compared(plain_losses, "loss_and_delta")
    z = np.ones((1, 2))
    y = z[:, : 2 // facts.outputs_per_target]
    pairs = [f"losses/{name}/{output}" for output in facts.outputs]
    forgotten(
        f"loss {name!r}",
        **{
            f"its code {code} in kernels/base/codes.py": getattr(codes, code, None) == facts.code,
            f"its branch in kernels/stages/{module}.py": name in DEFAULTS or code in branches,
            "its twin in kernels/reference/losses.py":
                finds(reference.row_losses, facts.code, z, z, y),
            "its torch values in tests/data/torch_record.npz: scripts/record_torch.py":
                all(pair in torch_record.RECORD for pair in pairs),
            "a run with it in tests/support/short_runs.py, and scripts/record_bits.py":
                recorded_bits(lambda run: run.loss == name),
            "its formula below LOSSES in kernels/base/codes.py":
                f"\n- {name}:" in inspect.getsource(codes),
            "the tables of fastbp/README.md": in_guide(name),
        },
    )  # fmt: skip
    assert losses.LOSSES[name].code == facts.code
    assert {(name, output) for output in facts.outputs} <= set(cases.PAIRS)


def test_a_loss_with_a_parameter_has_a_specification():
    numbered = {kind.loss for kind in losses.NUMBERED.values()}
    assert numbered == {name for name, facts in codes.LOSSES.items() if facts.parameter}


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_an_optimizer_is_known_everywhere(name):
    kind, code = optimizers.OPTIMIZERS[name], name.upper()
    rules = ("update", "coefficients")
    if kind.extended:
        rules = ("update_extended", "extended_coefficients_of")
    branches = compared(update_rules, *rules)
    trained = {type(optimizer) for optimizer in (features.OPTIMIZERS | features.OTHERS).values()}
    hyper, arrays = np.full(codes.N_HYPER, 0.5), np.ones((4, 3))
    forgotten(
        f"optimizer {name}",
        **{
            f"its code {code} in kernels/stages/update_rules.py":
                getattr(update_rules, code, None) == kind.code,
            f"its branch in {' or '.join(rules)} of kernels/stages/update_rules.py":
                code in branches,
            "its twin in kernels/reference/updates.py":
                finds(reference.update, kind.code, hyper, 1, *arrays),
            "torch's steps in tests/data/torch_record.npz: CASES of scripts/record_torch.py":
                name in {spec[0] for spec in torch_record.CASES.values()},
            "a run with it in tests/support/short_runs.py, and scripts/record_bits.py":
                recorded_bits(lambda run: type(run.optimizer) is kind),
            "OTHERS in tests/support/features.py": kind in trained,
            "the tables of fastbp/README.md": in_guide(name),
            "a docstring with its rule": "w" in (kind.__doc__ or ""),
        },
    )  # fmt: skip
    assert getattr(fastbp, name) is kind


def test_every_optimizer_class_is_exported():
    defined = {
        name
        for name, kind in inspect.getmembers(optimizers, inspect.isclass)
        if issubclass(kind, optimizers.Optimizer) and kind is not optimizers.Optimizer
    }
    assert defined == set(optimizers.__all__), "__all__ of fastbp/components/optimizers.py"


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_a_schedule_is_known_everywhere(name):
    kind = schedules.SCHEDULES[name]
    needed = {"every": 5, "gamma": 0.5, "updates": 9, "factors": [0.5]}
    fields = inspect.signature(kind).parameters
    encoded = kind(**{key: value for key, value in needed.items() if key in fields}).encoded()
    with np.load(DATA / "torch_schedules.npz") as record:
        recorded = {spec[0] for spec in json.loads(str(record["cases"])).values()}
    without = {"Constant", "FlatCosine", "InverseScaling", "LogCosine", "Table"}  # torch has none
    forgotten(
        f"schedule {name}",
        **{
            "fastbp/schedules.py": name in fastbp.schedules.__all__,
            "its twin in kernels/reference/scheduling.py":
                finds(reference.scheduled, encoded, 0),
            "torch's values in tests/data/torch_schedules.npz: scripts/record_torch_schedules.py":
                name in recorded | without,
            "the schedules of fastbp/README.md": in_guide(name),
        },
    )  # fmt: skip


def test_every_schedule_class_is_in_the_table():
    defined = {
        name
        for name, kind in inspect.getmembers(schedules, inspect.isclass)
        if issubclass(kind, schedules.Schedule) and kind is not schedules.Schedule
    }
    assert defined == set(schedules.SCHEDULES), "SCHEDULES of fastbp/components/schedules.py"


CALLBACKS = [
    kind
    for kind in base.Callback.__subclasses__()
    if kind.__module__.startswith("fastbp.callbacks.") and kind.__name__ != "Bar"
]
"""All but the bar of ``progress=True``."""


@pytest.mark.parametrize("kind", CALLBACKS, ids=lambda kind: kind.__name__)
def test_a_callback_is_known_everywhere(kind):
    name = kind.__name__
    forgotten(
        f"callback {name}",
        **{
            "fastbp/__init__.py": name in fastbp.__all__,
            "the callbacks of fastbp/README.md": in_guide(name),
        },
    )
