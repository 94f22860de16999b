"""ONNX files of models of tables: encoder, networks, calibration, by two runtimes."""

import doctest
import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
for package in ("pandas", "pyarrow", "sklearn"):
    pytest.importorskip(package)

from fastbp.export import c_ensemble  # noqa: E402 - packages may be missing
from fastbp.tabular import TabularClassifier, exports  # noqa: E402
from fastbp.tabular.export import results  # noqa: E402
from support import exported_tables, onnx_models  # noqa: E402

try:
    import onnxruntime
except ModuleNotFoundError:
    onnxruntime = None

PRESETS = ("fast", "best")
KINDS = {
    "text": ("no", "perhaps", "yes"),
    "integers": (-3, 4, 10**12),
    "two of bool": (False, True),
    "floats": (0.0, 2.0, 5.0),
}


def by_reference(made, fed):
    with np.errstate(all="ignore"):
        return onnx_models.ReferenceEvaluator(made).run(None, fed)


def by_onnxruntime(made, fed):
    return onnxruntime.InferenceSession(made.SerializeToString()).run(None, fed)


RUNTIMES = {"reference": by_reference} | ({"onnxruntime": by_onnxruntime} if onnxruntime else {})
each_runtime = pytest.mark.parametrize("run", RUNTIMES.values(), ids=RUNTIMES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def results_of(model, rows, path, run, **options):
    """What the file gives, by name, and the model that is in it."""
    model.to_onnx(path, **options)
    made = onnx_models.load(path)
    metadata = {one.key: one.value for one in made.metadata_props}
    found = run(made, exported_tables.feeds(model, rows, metadata))
    return dict(zip([one.name for one in made.graph.output], found, strict=True)), made


def expected(model, rows):
    members = c_ensemble.members("net", model.ensemble_.nets)
    return results.expected(model, members, exported_tables.encoded(model, rows))


@each_runtime
@pytest.mark.parametrize("preset", PRESETS)
def test_the_encoder(preset, run, path):
    """Of each kind of column: to one unit in the last place, as float64 is rounded to float32."""
    model = exported_tables.encoder_alone(preset)
    rows = exported_tables.rows_of(model)
    found, _ = results_of(model, rows, path, run)
    wanted = exported_tables.encoded(model, rows)
    names = model.encoder_.feature_names_out
    for i, name in enumerate(names):
        far = np.abs(found["prediction_"][:, i] - wanted[:, i])
        assert (far <= np.spacing(np.abs(wanted[:, i]).astype(np.float32))).all(), name
        assert len(np.unique(wanted[:, i])) > 1, name


@each_runtime
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("labels", KINDS.values(), ids=KINDS)
def test_a_classifier(labels, preset, run, path):
    model = exported_tables.classifier(preset, labels)
    rows = exported_tables.rows_of(model)
    found, _ = results_of(model, rows, path, run)
    assert list(found) == ["label_", "probabilities"]  # a column is called label
    wanted, table = expected(model, rows), exported_tables.table_of(model, rows)
    p = model.predict_proba(table)
    assert found["probabilities"].dtype == p.dtype
    assert (np.abs(found["probabilities"] - p) <= wanted.error).all()
    assert wanted.error.max() < 1e-3
    first, second = np.sort(p, axis=1)[:, -1], np.sort(p, axis=1)[:, -2]
    sure = first - second > 2 * wanted.error.max(axis=1)
    assert sure.mean() > 0.9
    assert found["label_"][sure].tolist() == model.predict(table)[sure].tolist()
    assert len(set(found["label_"].tolist())) == len(labels)


@each_runtime
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_regressor(targets, preset, run, path):
    model = exported_tables.regressor(preset, targets)
    rows = exported_tables.rows_of(model)
    found, _ = results_of(model, rows, path, run)
    p = model.predict(exported_tables.table_of(model, rows)).reshape(-1, targets)
    assert found["prediction_"].shape == p.shape
    assert (np.abs(found["prediction_"] - p) <= expected(model, rows).error).all()
    assert np.isin(p, [model.targets_.low, model.targets_.high]).any()


@each_runtime
def test_the_table_that_was_learned_from(run, path):
    """Its values as pandas has them, by the rules of the docstring."""
    model = exported_tables.regressor()
    X = exported_tables.frame()
    texts = ["town", "colour", "answer", "zip code"]
    fed = {name: X[name].astype(object).fillna("").astype(str).to_numpy(object) for name in texts}
    seconds = X["since"].astype("M8[s]")
    fed["since"] = np.where(seconds.isna(), np.nan, seconds.astype("int64").to_numpy(float))
    days = X["day"].str.split(".").map(lambda one: np.datetime64("-".join(one[::-1]), "s"))
    fed["day"] = days.astype("M8[s]").astype("int64").to_numpy(float)
    fed["smoker"] = X["smoker"].to_numpy()
    for name in ("owner", "only"):
        fed[name] = X[name].astype("Float64").to_numpy(float, na_value=np.nan)
    fed["_"] = X[""].to_numpy()
    rest = [name for name in X.columns if name not in fed and name]
    fed |= {name: X[name].to_numpy(np.float64) for name in rest}
    model.to_onnx(path)
    made = onnx_models.load(path)
    used = {one.name for one in made.graph.input}
    (found,) = run(made, {k: v[:, None] for k, v in fed.items() if k in used})
    p = model.predict(X)
    assert np.abs(found[:, 0] - p).max() <= 1e-4 * np.abs(p).max()


@pytest.mark.parametrize("opset", [18, onnx.defs.onnx_opset_version()])
def test_opsets_names_and_what_inputs_say(opset, path):
    model = exported_tables.classifier()
    rows = exported_tables.rows_of(model, 3)
    found, made = results_of(model, rows, path, by_reference, opset=opset)
    versions = {one.domain: one.version for one in made.opset_import}
    assert versions == {"": opset, "ai.onnx.ml": 3}
    about = {one.name: one.doc_string for one in made.graph.input}
    used = [column.name for column in model.encoder_.schema.used]
    assert list(about) == [name or "_" for name in used]
    assert "seconds since 1970" in about["since"]
    assert about["smoker"] == "true or false"
    metadata = {one.key: one.value for one in made.metadata_props}
    columns = json.loads(metadata["fastbp_columns"])
    assert columns[used.index("")] == {"input": "_", "column": "", "kind": "number"}
    assert found["probabilities"].shape == (3, 3)


def test_the_file_is_the_same_every_time(tmp_path):
    model = exported_tables.regressor()
    for name in ("one", "two"):
        model.to_onnx(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("scale", [86_400, 3_600])
@each_runtime
def test_dates_of_all_years(scale, run, path):
    """Beside leap days, ends of years and centuries, before 1970 and far behind it."""
    days = [
        f"{y}-{d}"
        for y in (1599, 1600, 1700, 1900, 1969, 1970, 2000, 2024, 2100, 2399, 2400)
        for d in ("01-01", "02-28", "03-01", "12-31")
    ]
    seconds = np.array(days, "M8[s]").astype(np.int64) + scale - 3_600
    model = exported_tables.encoder_alone()
    i = [one.column.name for one in exported_tables.fields_of(model)].index("since")
    rows = exported_tables.rows_of(model, len(days))
    for row, one in zip(rows, seconds, strict=True):
        row[i] = int(one)
    found, _ = results_of(model, rows, path, run)
    wanted = exported_tables.encoded(model, rows)
    assert np.abs(found["prediction_"] - wanted).max() <= 2**-22


def test_the_examples_of_docstrings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(exports, extraglobs={"np": np})
    assert failed == 0
    assert tried > 5


def test_not_fitted_is_said(path):
    with pytest.raises(Exception, match="not fitted"):
        TabularClassifier().to_onnx(path)
