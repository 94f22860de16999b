"""Encoded rows in files: the bits of those in memory, and nothing that stays behind."""

import os

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import pyarrow as pa

from fastbp.tabular import TabularClassifier, TabularRegressor, base, mapped_rows
from fastbp.tabular.encoder import TableEncoder
from fastbp.training.validation import _is_mapped

ROWS = 2000
QUICK = {"epochs": 4, "ensemble": 2, "random_state": 0}


def table(levels, n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, levels, n)
    x = rng.integers(-1, 2, n).astype(float)  # two inputs: many would not be sparse
    return pa.table({"x": x, "shop": [f"s{code}" for code in codes]})


def targets(rows):
    lengths = [len(shop) for shop in rows.column("shop").to_pylist()]
    return np.asarray(rows.column("x")) + np.array(lengths)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(base, "AT_ONCE", 64)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("levels", [3, 200], ids=["dense", "sparse"])
def test_rows_in_a_file_are_those_in_memory(levels, tmp_path):
    rows = table(levels)
    encoder = TableEncoder().fit(rows)
    whole, found = encoder.transform(rows), base._encoded(encoder, rows, tmp_path / "new")
    assert encoder.is_sparse == (levels == 200)
    if encoder.is_sparse:
        assert (whole != found).nnz == 0
        assert found.indices.dtype == np.int32
        assert _is_mapped(found.data)
        assert _is_mapped(found.indices)
        found = found.data
    else:
        assert np.array_equal(whole, found)
        assert _is_mapped(found)
    assert found.dtype == np.float32
    assert not found.flags.writeable


@pytest.mark.skipif(os.name == "nt", reason="files that are mapped stay")
@pytest.mark.parametrize("levels", [3, 200], ids=["dense", "sparse"])
def test_no_file_stays(levels, tmp_path):
    rows = table(levels)
    encoder = TableEncoder().fit(rows)
    base._encoded(encoder, rows, tmp_path)
    spoiled = rows.set_column(0, "x", pa.array(["?"] * ROWS))
    with pytest.raises(ValueError, match="row 0"):
        base._encoded(encoder, spoiled, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_values_at_all(tmp_path):
    from scipy import sparse

    empty = sparse.csr_array((5, 40), dtype=np.float32)
    found = mapped_rows.sparse([empty, empty], 40, tmp_path)
    assert (found.shape, found.nnz) == ((10, 40), 0)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("levels", [3, 200], ids=["dense", "sparse"])
@pytest.mark.parametrize("validates", [False, True])
@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_a_fit_from_files_has_the_bits_of_one_from_memory(kind, levels, validates, tmp_path):
    rows, new = table(levels), table(levels, 90, seed=1)
    y, weights = targets(rows), np.linspace(0.5, 2, ROWS)
    other = targets(new)
    if kind is TabularClassifier:
        y, other = np.where(y > 2, "high", "low"), np.where(other > 2, "high", "low")
    given = (new, other) if validates else None
    models = [
        kind(**QUICK).fit(rows, y, weights, validation_data=given, keep_in=folder)
        for folder in (None, tmp_path / "kept")
    ]
    outputs = [
        (m.predict_proba if kind is TabularClassifier else m.predict)(new).tobytes() for m in models
    ]
    assert outputs[0] == outputs[1]
    assert models[0].encoder_.is_sparse == (levels == 200)
    assert models[0].validation_score_ == models[1].validation_score_


def test_the_schema_is_told_before_the_training():
    told = []
    rows = table(3)
    TabularRegressor(**QUICK).fit(
        rows,
        targets(rows),
        on_schema=lambda schema: told.append([column.name for column in schema.used]),
        on_epoch=lambda _: told.append("epoch"),
    )
    assert told[:2] == [["x", "shop"], "epoch"]
