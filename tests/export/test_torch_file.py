"""Files of torch: what torch.export.load reads without fastbp."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fastbp.export import c_ensemble, torch_file  # noqa: E402 - needs torch
from support import exported  # noqa: E402


def loaded(path, X):
    """What the module of a file makes of X, and of one row of it."""
    with warnings.catch_warnings(action="ignore"):
        module = torch.export.load(path).module()
    p, alone = (module(torch.from_numpy(x)).detach().numpy() for x in (X, X[:1]))
    assert alone.shape == p[:1].shape
    return p


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back(dtype, tmp_path):
    rng = np.random.default_rng(0)
    options = {"layer_norm": True, "residual": True, "dtype": dtype}
    net = exported.scaled(rng, exported.network(rng, [5, 8, 8, 3], "gelu", **options))
    X = rng.normal(size=(11, 5)).astype(dtype)
    with warnings.catch_warnings(action="ignore"):
        torch_file.save(net.to_torch(), 5, dtype, tmp_path / "model.pt2")
    p = loaded(tmp_path / "model.pt2", X)
    allowed = c_ensemble.expected(c_ensemble.members("net", [net]), X).error
    assert (np.abs(p - net.predict(X)) <= allowed).all()
    assert p.dtype == dtype


def test_models_of_tables_without_their_encoders(tmp_path):
    for package in ("pandas", "pyarrow", "sklearn"):
        pytest.importorskip(package)
    from fastbp.tabular.export import results
    from support import exported_tables

    for model in (exported_tables.classifier(), exported_tables.regressor(targets=2)):
        rows = exported_tables.rows_of(model, 40)
        X = exported_tables.encoded(model, rows)
        with warnings.catch_warnings(action="ignore"):
            torch_file.save(model.to_torch(), X.shape[1], "float32", tmp_path / "model.pt2")
        p = loaded(tmp_path / "model.pt2", X)
        table = exported_tables.table_of(model, rows)
        wanted = getattr(model, "predict_proba", model.predict)(table)
        members = c_ensemble.members("net", model.ensemble_.nets)
        assert p.dtype == wanted.dtype
        assert (np.abs(p - wanted) <= results.expected(model, members, X).error).all()


def test_what_fails_leaves_the_old_file_alone(tmp_path):
    net = exported.network(np.random.default_rng(0), [2, 2], [])
    with pytest.raises(FileNotFoundError, match="make it first"):
        torch_file.save(net.to_torch(), 2, "float32", tmp_path / "none" / "model.pt2")
