"""The encoder of tables: its promises on whole tables."""

import datetime as dt
import doctest
import importlib
import json
import pickle
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")
pytest.importorskip("scipy")

import pyarrow as pa
from scipy import sparse

from fastbp.storage import model_file
from fastbp.tabular import encoder as encoders
from fastbp.tabular import scales
from fastbp.tabular.encoder import TableEncoder
from fastbp.tabular.frames import as_table

MODULES = ("columns", "dates", "encoder", "frames", "schema")
NUMBERS = ("robust", "piecewise")
each_way = pytest.mark.parametrize("numbers", NUMBERS)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples(module):
    found = importlib.import_module(f"fastbp.tabular.{module}")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(found, extraglobs={"np": np}, optionflags=flags)
    assert result.attempted > 0
    assert result.failed == 0


def table_of(rows, seed=0, levels=30):
    """A table with every kind of column, each with missing values."""
    random = np.random.default_rng(seed)
    missing = random.random((5, rows)) < 0.1
    start = np.datetime64("2020-01-01", "s")
    return as_table(
        {
            "age": np.ma.masked_array(random.integers(0, 90, rows), missing[0]),
            "wage": np.where(missing[1], np.nan, np.exp(random.normal(size=rows))),
            "ill": np.ma.masked_array(random.random(rows) < 0.3, missing[2]),
            "town": np.where(missing[3], "", [f"t{i}" for i in random.integers(0, levels, rows)]),
            "when": np.where(missing[4], None, start + random.integers(0, 10**8, rows)).astype(
                "M8[s]"
            ),
            "sex": np.where(random.random(rows) < 0.5, "f", "m"),
            "id": np.arange(rows),
        }
    )


def fitted(table, **options):
    return TableEncoder(**options).fit(table)


def dense(inputs):
    return inputs.toarray() if sparse.issparse(inputs) else inputs


def same(one, other):
    assert sparse.issparse(one) == sparse.issparse(other)
    assert dense(one).tobytes() == dense(other).tobytes()


@each_way
def test_the_inputs_are_float32_with_a_name_each(numbers):
    table = table_of(1000)
    encoder = fitted(table, numbers=numbers)
    inputs = encoder.transform(table)
    assert inputs.dtype == np.float32
    assert inputs.flags.c_contiguous
    assert inputs.shape == (1000, encoder.n_features)
    assert len(set(encoder.feature_names_out)) == encoder.n_features
    assert np.isfinite(inputs).all()
    assert {column.kind for column in encoder.schema.columns} == {
        *("number", "boolean", "category", "date", "dropped"),
    }


@each_way
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
def test_the_rows_around_a_row_play_no_part(numbers, is_sparse, monkeypatch):
    levels = 900 if is_sparse else 30
    table = table_of(1000, levels=levels)
    monkeypatch.setattr(encoders, "NONZERO_SHARE", 2)
    monkeypatch.setattr(scales, "N_BINS", 2)
    encoder = TableEncoder(numbers=numbers).fit(pa.concat_tables([table] * 3))
    whole = encoder.transform(table)
    assert encoder.is_sparse == sparse.issparse(whole) == is_sparse
    cut = pa.concat_tables([table.slice(0, 1), table.slice(1, 698), table.slice(699)])
    same(encoder.transform(cut), whole)
    order = np.random.default_rng(2).permutation(1000)
    assert (dense(encoder.transform(table.take(order))) == dense(whole)[order]).all()
    for first, rows in ((0, 1), (1, 77), (500, 499)):
        part = dense(encoder.transform(table.slice(first, rows)))
        assert part.tobytes() == dense(whole)[first : first + rows].tobytes()
    monkeypatch.setattr(encoders, "BLOCK", 7)
    same(encoder.transform(table), whole)


def test_a_fit_does_not_depend_on_the_chunks_of_a_table():
    table = table_of(1000)
    cut = pa.concat_tables([table.slice(i, 100) for i in range(0, 1000, 100)])
    for numbers in NUMBERS:
        same(
            fitted(cut, numbers=numbers).transform(table),
            fitted(table, numbers=numbers).transform(table),
        )


def test_sparse_inputs_are_the_dense_ones(monkeypatch):
    table = table_of(5000, levels=1000)
    encoder = fitted(table)
    found = encoder.transform(table)
    assert isinstance(found, sparse.csr_array)
    assert found.dtype == np.float32
    assert found.has_canonical_format
    assert (found.data != 0).all()
    monkeypatch.setattr(encoders, "FEWEST_INPUTS", 10**9)
    assert not encoder.is_sparse
    assert (found.toarray() == encoder.transform(table)).all()


@pytest.mark.parametrize("levels", [30, 1000], ids=["dense", "sparse"])
def test_no_rows_and_one_row(levels):
    table = table_of(5000, levels=levels)
    encoder = fitted(table)
    assert encoder.is_sparse == (levels == 1000)
    assert encoder.transform(table.slice(0, 0)).shape == (0, encoder.n_features)
    assert dense(encoder.transform(table.slice(5, 1))).shape == (1, encoder.n_features)


@each_way
def test_an_encoder_is_json_and_arrays(numbers, tmp_path):
    table = table_of(1000, levels=300)
    options = {"drop": ["sex"], "kinds": {"age": "category"}, "max_one_hot": 20}
    encoder = fitted(table, numbers=numbers, **options)
    meta, tensors = encoder.to_dict()
    model_file.write(
        tmp_path / "file", "model", {"encoder": meta}, {**tensors, "other": np.ones(3)}
    )
    read, arrays = model_file.read(tmp_path / "file", "model")
    back = TableEncoder.from_dict(read["encoder"], arrays)
    same(back.transform(table), encoder.transform(table))
    assert back.feature_names_out == encoder.feature_names_out
    assert back.schema == encoder.schema
    assert back.to_dict()[0] == meta
    assert "other" in arrays
    same(back.fit(table).transform(table), encoder.transform(table))
    same(pickle.loads(pickle.dumps(encoder)).transform(table), encoder.transform(table))


STRANGE = [
    (["parts"], [], "6 columns have 0 parts"),
    (["parts", 0, "kind"], "pair", "'kind' is 'pair'"),
    (["parts", 0, "median"], "0", "'median' is '0'"),
    (["parts", 0, "median"], 1e9, "'median' is 1000000000.0, which does not lie in"),
    (["parts", 0, "scale"], "cubic", "'scale' is 'cubic'"),
    (["parts", 0, "scale"], [], r"'scale' is \[\]"),
    (["parts", 0, "of"], {}, "'edges' is missing"),
    (["parts", 0, "of", "edges"], {"$tensor": "nothing"}, "'nothing' is used and not there"),
    (["parts", 0, "of", "edges"], [0.0, 1.0], r"'edges' is \[0.0, 1.0\]"),
    (["parts", 2, "levels"], ["a"], "'levels' has 1 levels, expected 2"),
    (["parts", 3, "levels"], ["a", "a"], "expected strings that differ"),
    (["parts", 4, "cycles"], ["century"], r"'cycles' is \['century'\]"),
    (["numbers"], "cubic", "numbers is 'cubic'"),
    (["kinds"], [], r"'kinds' is \[\]"),
    (["schema"], {}, "'columns' is missing"),
]


@pytest.mark.parametrize(("way", "value", "text"), STRANGE)
def test_an_encoder_of_a_stranger_is_looked_at(way, value, text):
    encoder = fitted(table_of(200), numbers="piecewise")
    meta, tensors = encoder.to_dict()
    changed = meta = json.loads(json.dumps(meta))
    for key in way[:-1]:
        changed = changed[key]
    changed[way[-1]] = value
    with pytest.raises(ValueError, match=text):
        TableEncoder.from_dict(meta, tensors)


@pytest.mark.parametrize("edges", [[0.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan], [[0.0, 1.0]]])
def test_edges_of_a_stranger_ascend(edges):
    meta, tensors = fitted(table_of(200), numbers="piecewise").to_dict()
    name = meta["parts"][0]["of"]["edges"]["$tensor"]
    with pytest.raises(ValueError, match="edges"):
        TableEncoder.from_dict(meta, {**tensors, name: np.array(edges)})


def test_bad_values_are_named_with_their_rows(monkeypatch):
    monkeypatch.setattr(encoders, "BLOCK", 100)
    table = table_of(1000)
    encoder = fitted(table)
    ages = [str(i) for i in range(700)] + ["old"] * 300
    new = table.set_column(0, "age", pa.array(ages))
    with pytest.raises(
        ValueError, match="X has 'old' in column 'age' at row 700, expected numbers"
    ):
        encoder.transform(new)


def test_nothing_is_changed_by_a_fit_that_fails():
    table = table_of(200).set_column(3, "town", pa.array([str(i % 7) for i in range(200)]))
    encoder = TableEncoder(kinds={"town": "number"})
    names = encoder.fit(table).feature_names_out
    wrong = table.set_column(3, "town", pa.array(["x"] * 200))
    with pytest.raises(ValueError, match="'x' in column 'town' at row 0"):
        encoder.fit(wrong)
    assert encoder.feature_names_out == names


def test_an_encoder_that_has_learned_nothing_says_so():
    with pytest.raises(ValueError, match=r"call fit\(table\) first"):
        TableEncoder().transform(table_of(10))


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"numbers": "robst"}, ValueError, "numbers is 'robst'.* did you mean 'robust'"),
        ({"max_one_hot": 2.5}, TypeError, "max_one_hot is 2.5"),
        ({"drop": "age"}, TypeError, r"drop is 'age', expected a list .*\['age'\]"),
    ],
)
def test_wrong_arguments(options, error, text):
    with pytest.raises(error, match=text):
        TableEncoder(**options).fit(table_of(10))


def test_a_thousand_columns(monkeypatch):
    monkeypatch.setattr(encoders, "VALUES", 20_000)  # blocks of 20 rows
    random = np.random.default_rng(0)
    table = as_table(random.normal(size=(50, 1000)))
    encoder = TableEncoder().fit(table)
    assert encoder.n_features == 1000
    assert encoder.transform(table).shape == (50, 1000)
    assert encoder.feature_names_out[-1] == "x999"


def test_what_training_has_not_seen():
    table = as_table({"town": ["a", "b", "c"] * 2, "n": [1.0, 2, 3, 4, 5, 6]})
    encoder = TableEncoder().fit(table)
    new = as_table({"town": ["d", None], "n": [None, np.inf], "more": [{"x": 1}, {"x": 2}]})
    found = encoder.transform(new)
    assert (found[:, :3] == 0).all()
    assert found[0, 3] == 0
    assert found[1, 3] == encoder.transform(as_table({"town": ["a"], "n": [6]}))[0, 3]


def test_dates_of_text_and_of_types_are_the_same_inputs():
    days = [dt.date(2024, 1, 1) + dt.timedelta(37 * i) for i in range(30)]
    typed = as_table({"a": days})
    text = as_table({"a": [f"{day.day}.{day.month}.{day.year}" for day in days]})
    same(TableEncoder().fit(typed).transform(typed), TableEncoder().fit(text).transform(text))
    same(TableEncoder().fit(text).transform(typed), TableEncoder().fit(text).transform(text))


@pytest.mark.parametrize("numbers", ["robust", "piecewise"])
def test_memory_is_the_inputs_and_a_block(numbers, monkeypatch):
    monkeypatch.setattr(encoders, "BLOCK", 1000)
    table = as_table({f"n{i}": np.random.default_rng(i).normal(size=50_000) for i in range(4)})
    encoder = TableEncoder(numbers=numbers).fit(table)
    encoder.transform(table.slice(0, 2000))
    tracemalloc.start()
    inputs = encoder.transform(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Of a block: its numbers four times in float64, and the widest inputs of a column three times.
    block = 1000 * 8 * (4 * 4 + 3 * encoder.n_features)
    assert peak - inputs.nbytes < block + 200_000
