"""Networks from and to torch (fastbp/model/torch_modules.py): with torch, and with its stand-in."""

import importlib
import importlib.util
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

import fastbp
from support import fake_torch
from support.cases import HIDDEN, LAYER_KINDS, Case, each_case, each_dtype
from support.features import square

SMALL = Case((5, 7, 7, 4), 9, ("silu", "tanh"), "softmax", "cross_entropy")
SCALINGS = {
    "none": {},
    "inputs": {"input_mean": np.arange(5) / 3, "input_scale": [0.1, 10, 3, 1 / 3, 255]},
    "targets": {"target_mean": [1, 2, 1 / 3, -4], "target_scale": [3, 2, 1, 0.5]},
    "half of the outputs": {"target_mean": [0.1, -0.2], "target_scale": [3, 100]},
}
ROUNDINGS = 20
"""How many roundings two sums of the same terms may be apart: of some tens of terms of one size."""

is_installed = importlib.util.find_spec("torch") is not None


@pytest.fixture(params=["stand-in", *(["torch"] if is_installed else [])])
def torch(request, monkeypatch):
    """torch, as fastbp imports it."""
    fake_torch.forget()
    if request.param == "torch":
        with warnings.catch_warnings(action="ignore"):
            yield importlib.import_module("torch")
    else:
        yield fake_torch.install(monkeypatch)
    fake_torch.forget()


def outputs(torch, module, X):
    return module.eval()(torch.from_numpy(X)).detach().numpy()


def inputs(n_in, dtype="float32"):
    return np.random.default_rng(3).normal(size=(11, n_in)).astype(dtype)


def assert_close(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    # of the largest: terms that cancel, and gelu's below 0, leave an error of theirs
    far = np.abs(actual - expected).max() / np.abs(expected).max()
    assert far <= ROUNDINGS * np.finfo(expected.dtype).eps


def refused(module, match, kind=ValueError):
    with pytest.raises(kind, match=match):
        fastbp.from_torch(module)


# To torch


@each_dtype
@each_case
def test_torch_predicts_the_same(case, dtype, torch):
    net = case.network(dtype)
    X = inputs(net.sizes[0], dtype)
    assert_close(outputs(torch, net.to_torch(), X), net.predict(X))


@pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
def test_with_norms_residuals_and_scaling(scaling, kind, torch):
    net = replace(SMALL, **kind, output="identity").network("float64")
    net.set_scaling(**scaling)
    X, module = inputs(5, "float64"), net.to_torch()
    assert_close(outputs(torch, module, X), net.predict(X))
    assert fastbp.from_torch(module).predict(X).tobytes() == net.predict(X).tobytes()


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("output", [*HIDDEN, "softmax"])
def test_what_went_to_torch_comes_back_to_the_bit(output):
    net = replace(SMALL, output=output).network("float32")
    other = fastbp.from_torch(net.to_torch())
    assert other.activations == net.activations
    assert other.predict(inputs(5)).tobytes() == net.predict(inputs(5)).tobytes()


@pytest.mark.usefixtures("torch")
def test_the_names_of_the_parameters():
    net = replace(SMALL, layer_norm=True, residual=True).network("float32")
    net.set_scaling(input_scale=2)
    state = net.to_torch().state_dict()
    assert list(state) == [
        *("0.mean", "0.scale"),
        *("1.weight", "1.bias", "2.weight", "2.bias"),
        *("4.0.weight", "4.0.bias", "4.1.weight", "4.1.bias"),
        *("5.weight", "5.bias"),
    ]
    assert np.array_equal(state["1.weight"].numpy(), net.weights[0].T)
    assert all(tensor.numpy().flags.carray for tensor in state.values())


@pytest.mark.usefixtures("torch")
def test_parameters_are_copies():
    net = SMALL.network("float32")
    module, before = net.to_torch(), net.predict(inputs(5))
    for tensor in module.state_dict().values():
        tensor.numpy()[:] = 0
    assert np.array_equal(net.predict(inputs(5)), before)


@pytest.mark.skipif(not is_installed, reason="compares the stand-in with torch")
def test_torchs_random_numbers_stay_as_they_are():
    import torch

    state = torch.get_rng_state()
    SMALL.network("float32").to_torch()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("torch")
def test_torch_has_no_module_for_an_own_activation():
    net = fastbp.Network([3, 4, 2], square, seed=0)
    with pytest.raises(ValueError, match="activation 'square' is your own"):
        net.to_torch()


# From torch


def test_a_sequential_with_all_that_is_left_out(torch):
    nn = torch.nn
    shared = nn.ReLU()  # the same module in two places
    module = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(5, 8), shared, nn.Dropout(0.5)),
        nn.Sequential(nn.Linear(8, 6, bias=False), nn.Identity(), shared),
        nn.Linear(6, 7),
        nn.Linear(7, 3),
        nn.Softmax(dim=1),
    )
    net = fastbp.from_torch(module)
    assert net.sizes == (5, 8, 6, 7, 3)
    assert net.activations == ("relu", "relu", "identity", "softmax")
    assert net.dtype == np.float32
    assert not net.biases[1].any()
    assert_close(net.predict(inputs(5)), outputs(torch, module, inputs(5)))


def test_layer_norm_with_and_without_parameters(torch):
    nn = torch.nn
    for options in ({}, {"elementwise_affine": False}, {"bias": False}):
        module = nn.Sequential(
            *(nn.Linear(5, 8), nn.LayerNorm(8, **options), nn.Dropout(0.1), nn.GELU()),
            *(nn.Linear(8, 6), nn.LayerNorm(6), nn.Linear(6, 2), nn.Sigmoid()),
        ).to(torch.float64)
        net = fastbp.from_torch(module)
        assert net.layer_norm
        assert net.dtype == np.float64
        X = inputs(5, "float64")
        assert_close(net.predict(X), outputs(torch, module, X))


@pytest.mark.usefixtures("torch")
def test_the_network_is_the_same_every_time():
    module = SMALL.network("float32").to_torch()
    assert fastbp.from_torch(module).seed == fastbp.from_torch(module).seed == 0


OTHERS = {
    "GELU": (lambda nn: nn.GELU(approximate="tanh"), "expected approximate='none'"),
    "ELU": (lambda nn: nn.ELU(alpha=0.5), r"expected alpha=1\.0"),
    "LeakyReLU": (lambda nn: nn.LeakyReLU(0.2), r"expected negative_slope=0\.01"),
    "Softplus": (lambda nn: nn.Softplus(beta=2), r"expected beta=1\.0"),
    "threshold": (lambda nn: nn.Softplus(threshold=10), r"expected threshold=20\.0"),
    "Softmax": (lambda nn: nn.Softmax(dim=0), "expected dim=1"),
    "LogSoftmax": (lambda nn: nn.LogSoftmax(dim=1), "fastbp has not"),
    "ReLU6": (lambda nn: nn.ReLU6(), "fastbp has not"),
    "Flatten": (lambda nn: nn.Flatten(0), "fastbp has not"),
    "LayerNorm": (lambda nn: nn.LayerNorm(4), "1 of 2 layers are normalized"),
    "eps": (lambda nn: nn.LayerNorm(4, eps=1e-3), "expected eps=1e-05"),
    "shape": (lambda nn: nn.LayerNorm(1), "expected eps=1e-05, and the Linear's outputs as shape"),
}


@pytest.mark.parametrize(("make", "match"), OTHERS.values(), ids=OTHERS)
def test_what_fastbp_has_not_is_refused(make, match, torch):
    nn = torch.nn
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 4), make(nn)))
    refused(module, match)
    if "layers" not in match:
        refused(module, r"module\[2\]\[1\] is ")


def test_what_stands_elsewhere_is_refused(torch):
    nn, Linear = torch.nn, torch.nn.Linear
    sequences = {
        "no Linear": [],
        "expected a Linear before it": [nn.ReLU(), Linear(2, 2)],
        "module.2. is ReLU.*, where fastbp has": [Linear(2, 2), nn.Tanh(), nn.ReLU()],
        "module.2. is LayerNorm": [Linear(2, 2), nn.Tanh(), nn.LayerNorm(2), Linear(2, 2)],
        "module.1. takes 2 inputs, after 3 outputs": [Linear(2, 3), Linear(2, 2)],
        "softmax": [Linear(2, 2), nn.Softmax(dim=1), Linear(2, 2)],
    }
    for match, modules in sequences.items():
        refused(nn.Sequential(*modules), match)
    for other in (Linear(2, 2), None, "net", fastbp.Network([2, 2])):
        refused(other, r"expected a torch\.nn\.Sequential", TypeError)


def test_a_subclass_may_do_something_else(torch):
    class Twice(torch.nn.Linear):
        def forward(self, x):
            return super().forward(super().forward(x))

    refused(torch.nn.Sequential(Twice(2, 2)), "fastbp has not")


def test_every_hidden_layer_that_can_adds_its_inputs_or_none(torch):
    nn = torch.nn
    module = (
        replace(SMALL, sizes=(5, 7, 7, 7, 4), hidden="tanh", residual=True)
        .network("float32")
        .to_torch()
    )
    assert fastbp.from_torch(module).residual
    plain = [nn.Linear(7, 7), nn.Tanh()]
    refused(nn.Sequential(*plain, module[2], nn.Linear(7, 4)), "1 layers add")
    refused(nn.Sequential(module[2]), "1 layers add")
    refused(nn.Sequential(module[2], nn.Tanh(), nn.Linear(7, 4)), "where fastbp has")
    linear = type(module[2])(nn.Linear(7, 7))
    refused(nn.Sequential(linear, nn.Tanh(), nn.Linear(7, 4)), "where fastbp has")
    refused(nn.Sequential(type(module[2])(*plain, *plain)), "after 2 Linear, expected one")


def test_other_precisions_are_refused(torch):
    nn = torch.nn
    half = nn.Sequential(nn.Linear(2, 2).to(torch.float16))
    refused(half, r"torch\.float16, expected float32 or float64 .*module\.float\(\)")
    refused(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).to(torch.float64)), "everywhere")


def test_parameters_that_are_not_finite_are_refused(torch):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    module[0].bias.detach().numpy()[1] = np.nan
    refused(module, r"biases\[0\] has nan")


def test_without_torch_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    net = SMALL.network()
    for call in (net.to_torch, lambda: fastbp.from_torch(net)):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[torch\]'"):
            call()
