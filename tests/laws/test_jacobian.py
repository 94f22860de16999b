"""Jacobians equal central differences, torch's and their twin, with bits for any workers."""

from dataclasses import replace

import numpy as np
import pytest

import fastbp
from fastbp import embed
from fastbp.kernels.tables import arenas
from support.cases import DTYPES, HIDDEN, LAYER_KINDS, Case, each_dtype, each_hidden
from support.closeness import AMPLIFICATION, distance, tolerance
from support.features import softsign
from support.jacobians import ROUTES, SHAPES, differences, jacobian_by, twin, twin_jvp

OUTPUTS = (*HIDDEN, "softmax")
H = 2.0**-17
"""Errors of differences of order h^2 and eps / h are below 1e-9; see test_gradients.py."""

each_route = pytest.mark.parametrize("case", ROUTES.values(), ids=ROUTES)
each_shape = pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES)
each_kind = pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
ROWS = {"one": 1, "few": 3, "many": 13}
each_rows = pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)


def allowed(case, dtype, kind=None):
    """Two passes, whose errors multiply as those of gradients; layer norm divides by deviations."""
    return 8 * tolerance(case, dtype) * (AMPLIFICATION if kind else 1)


# Law 1


@pytest.mark.law1
@each_rows
@each_hidden
def test_every_activation_equals_central_differences(hidden, rows):
    for sizes in ((5, 9, 8, 3), (3, 9, 8, 5)):
        net, (X, _) = (case := Case(sizes, rows, hidden)).network(), case.batch()
        np.testing.assert_allclose(
            net.jacobian(X), differences(net.predict, X, H), rtol=0, atol=1e-8
        )


@pytest.mark.law1
@each_rows
@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_equals_central_differences(output, rows):
    for sizes in ((5, 9, 3), (3, 9, 5), (4, 6)):
        net, (X, _) = (case := Case(sizes, rows, "tanh", output)).network(), case.batch()
        np.testing.assert_allclose(
            net.jacobian(X), differences(net.predict, X, H), rtol=0, atol=1e-8
        )


@pytest.mark.law1
@each_kind
@each_shape
def test_every_kind_of_layer_equals_central_differences(case, kind):
    if kind and len(case.sizes) < 3:
        return
    wide = max(case.sizes)
    sizes = (case.sizes[0], wide, wide, case.sizes[-1]) if kind else case.sizes
    hidden = "tanh" if kind else case.hidden
    case = replace(case, sizes=sizes, hidden=hidden, rows=min(case.rows, 30), **kind)
    net, (X, _) = case.network(), case.batch()
    np.testing.assert_allclose(net.jacobian(X), differences(net.predict, X, H), rtol=0, atol=1e-7)


@pytest.mark.law1
@each_rows
def test_a_residual_first_layer_passes_its_inputs_on(rows):
    case = Case((6, 6, 6, 2), rows, "gelu", residual=True, layer_norm=True)
    for sizes in ((6, 6, 6, 2), (6, 6, 6, 9)):
        net, (X, _) = replace(case, sizes=sizes).network(), case.batch()
        np.testing.assert_allclose(
            net.jacobian(X), differences(net.predict, X, H), rtol=0, atol=1e-7
        )


@pytest.mark.law1
@each_rows
def test_a_custom_activation_is_differentiated(rows):
    for sizes, output in (((5, 9, 3), "identity"), ((3, 9, 5), softsign)):
        net = fastbp.Network(sizes, softsign, output, seed=3, dtype="float64")
        X = np.random.default_rng(1).normal(size=(rows, sizes[0]))
        np.testing.assert_allclose(
            net.jacobian(X), differences(net.predict, X, H), rtol=0, atol=1e-8
        )
        assert distance(net.jacobian(X), twin(net, X)) < 1e-13


def scaled(case, dtype="float64"):
    """A network that scales inputs and outputs, and rows in its units."""
    net, rng = case.network(dtype), np.random.default_rng(4)
    X = rng.normal(5, 1, (300, case.sizes[0])) * np.logspace(-2, 2, case.sizes[0])
    targets = None if case.output == "softmax" else rng.normal(3, 20, (300, case.sizes[-1]))
    net.standardize(X, targets)
    return net, X[: case.rows].astype(dtype)


@pytest.mark.law1
@each_rows
@pytest.mark.parametrize("output", ["identity", "softmax"])
def test_derivatives_are_in_raw_units(output, rows):
    for sizes in ((5, 9, 8, 3), (3, 9, 8, 5)):
        net, X = scaled(Case(sizes, rows, "tanh", output))
        found, h = net.jacobian(X), H * net.input_scale
        units = net.input_scale / (1 if net.target_scale is None else net.target_scale[:, None])
        expected = differences(net.predict, X, h)
        # a quotient of differences has the rounding of inputs of 5 deviations
        np.testing.assert_allclose(found * units, expected * units, rtol=0, atol=1e-7)


@each_rows
def test_softmax_may_have_targets_in_raw_units(rows):
    """No loss takes them so; the network predicts nevertheless."""
    for sizes in ((5, 9, 3), (3, 9, 12)):
        net = Case(sizes, rows, "tanh", "softmax").network()
        net.set_scaling(target_mean=np.zeros(sizes[-1]), target_scale=np.arange(1.0, sizes[-1] + 1))
        X = np.random.default_rng(1).normal(size=(rows, sizes[0]))
        np.testing.assert_allclose(
            net.jacobian(X), differences(net.predict, X, H), rtol=0, atol=1e-7
        )


def torch_jacobian(net, X):
    torch = pytest.importorskip("torch")
    module = net.to_torch()
    of_row = torch.func.jacrev(lambda x: module(x[None])[0])  # the modules take batches
    found = torch.func.vmap(of_row)(torch.from_numpy(X))
    return found.detach().numpy()


@each_dtype
@pytest.mark.parametrize("kind", [{}, {"layer_norm": True}, {"residual": True}], ids=str)
@pytest.mark.parametrize("output", ["identity", "softmax", "sigmoid"])
def test_it_is_torchs(output, kind, dtype):
    for sizes in ((5, 9, 9, 3), (3, 9, 9, 5)):
        case = Case(sizes, 13, "gelu", output, **kind)
        net, X = case.network(dtype), case.batch()[0].astype(dtype)
        assert distance(net.jacobian(X), torch_jacobian(net, X)) <= allowed(case, dtype, kind)


# Law 2


@pytest.mark.law2
@each_dtype
@each_route
def test_it_equals_its_twin(case, dtype):
    net, X = case.network(dtype), case.batch()[0].astype(dtype)
    found = net.jacobian(X)
    assert found.shape == (case.rows, case.sizes[-1], case.sizes[0])
    assert found.dtype == dtype
    assert distance(found, twin(net, X)) <= allowed(case, dtype)


@pytest.mark.law2
@each_dtype
@each_kind
@each_hidden
def test_every_activation_and_kind_of_layer_equals_its_twin(hidden, kind, dtype):
    for sizes in ((7, 19, 19, 3), (3, 19, 19, 7)):
        case = Case(sizes, 9, hidden, **kind)
        net, X = case.network(dtype), case.batch()[0].astype(dtype)
        assert distance(net.jacobian(X), twin(net, X)) <= allowed(case, dtype, kind)


@pytest.mark.law2
@each_dtype
@each_kind
@each_route
def test_products_with_vectors_equal_their_twin(case, kind, dtype):
    if kind and len(case.sizes) < 3:
        return
    if kind:  # layers of one width
        wide = max(case.sizes)
        sizes = case.sizes[0], wide, wide, case.sizes[-1]
        case = replace(case, sizes=sizes, hidden="gelu", **kind)
    trainer, X = case.trainer(dtype), case.batch()[0].astype(dtype)
    V = np.random.default_rng(7).normal(size=X.shape).astype(dtype)
    out = np.empty((case.rows, case.sizes[-1]), dtype)
    embed.jvp(trainer.compiled(), X, V, out)
    assert distance(out, twin_jvp(trainer.net, X, V)) <= allowed(case, dtype, kind)
    along = np.einsum("rki,ri->rk", trainer.net.jacobian(X).astype("f8"), V)
    assert distance(out, along) <= allowed(case, dtype, kind)


@each_dtype
@each_shape
def test_products_with_vectors_are_in_raw_units(case, dtype):
    net, X = scaled(case, dtype)
    optimizer = fastbp.SGD(lr=0.1)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=optimizer, batch_size=case.rows)
    V = (np.random.default_rng(7).normal(size=X.shape) * net.input_scale).astype(dtype)
    out = np.empty((case.rows, case.sizes[-1]), dtype)
    embed.jvp(trainer.compiled(), X, V, out)
    along = np.einsum("rki,ri->rk", net.jacobian(X).astype("f8"), V)
    assert distance(out, along) <= 8 * allowed(case, dtype)  # inputs of 5 deviations


# Law 4


@pytest.mark.law4
@each_dtype
@each_route
def test_the_bits_do_not_depend_on_the_workers(case, dtype):
    net, X = case.network(dtype), case.batch()[0]
    found = [jacobian_by(net, X, workers, with_outputs=True) for workers in (1, 2, 3, 4, 7, 40)]
    for p, J in found:
        np.testing.assert_array_equal(J, found[0][1])
        np.testing.assert_array_equal(p, found[0][0])
    np.testing.assert_array_equal(net.jacobian(X), found[0][1])


@pytest.mark.law4
@pytest.mark.parametrize("kind", LAYER_KINDS.values(), ids=LAYER_KINDS)
@each_dtype
def test_a_row_has_the_same_bits_among_any_rows_but_few(dtype, kind):
    for sizes, output in (((5, 18, 18, 3), "softmax"), ((3, 18, 18, 25), "gelu")):
        case = Case(sizes, 45, "silu", output, **kind)
        net, X = case.network(dtype), case.batch()[0]
        whole = net.jacobian(X)
        for count in (9, 16, 33):
            np.testing.assert_array_equal(net.jacobian(X[:count]), whole[:count])
        for count in (1, 2, 3):
            assert distance(net.jacobian(X[:count]), whole[:count]) <= allowed(case, dtype, kind)


@pytest.mark.law4
@each_dtype
def test_few_rows_have_these_bits_where_they_do_not_go_singly(dtype):
    """Layers couple units, the network is wide, or the directions are many."""
    norm = {"layer_norm": True, "residual": True}
    cases = (
        Case((5, 18, 18, 3), 45, "silu", "softmax", **norm),
        Case((5, 260, 260, 3), 45, "silu", "softmax"),
        Case((40, 18, 18, 35), 45, "silu"),
        Case((35, 18, 18, 40), 45, "silu"),
    )
    for case in cases:
        net, X = case.network(dtype), case.batch()[0]
        whole = net.jacobian(X)
        for count in (1, 2, 3):
            np.testing.assert_array_equal(net.jacobian(X[:count]), whole[:count])


@pytest.mark.law4
@each_dtype
def test_scaled_rows_have_the_same_bits_alone_and_among_others(dtype):
    for sizes in ((5, 260, 260, 3), (3, 260, 260, 25)):
        net, X = scaled(Case(sizes, 45, "silu"), dtype)
        whole = net.jacobian(X)
        for count in (1, 3, 9):
            np.testing.assert_array_equal(net.jacobian(X[:count]), whole[:count])


# Law 9


@pytest.mark.law9
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_nan_in_a_weight_reaches_the_derivatives(layer, dtype):
    for sizes in ((5, 9, 8, 3), (3, 9, 8, 5)):
        for rows in (1, 13):
            case = Case(sizes, rows, "relu")
            net, X = case.network(dtype), case.batch()[0]
            weights = net.weights[layer].copy()
            weights[1, 2] = np.nan
            start = net.arrays.plan[1 + layer]
            arenas.write_weights(start, net.arrays.parameters, weights)
            assert np.isnan(net.jacobian(X)).any(axis=(1, 2)).all()
