"""Models of tables with columns of every kind, to export, and rows as other programs take them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd

import fastbp
from fastbp.tabular import TabularClassifier, TabularRegressor
from fastbp.tabular.export import fields, sample
from fastbp.tabular.targets import Units

N = 400
ODD_NAME = 'a "b" */ \\'
KINDS = {"zip code": "category", "": "number"}


def frame(seed=0, n=N):
    """A table with columns of every kind, missing values, rare levels and odd names."""
    rng = np.random.default_rng(seed)

    def some(values, share=0.1):
        return [None if rng.random() < share else value for value in values]

    towns = rng.choice(["Ulm", "Jena", "Köln", "Wien"], n).astype(object)
    towns[:3] = ["Rom", "Oslo", "Bern"]  # each too rare for an input of its own
    columns = {
        "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 2, n)),
        "count": rng.poisson(3, n),
        "label": np.where(rng.random(n) < 0.02, np.inf, rng.normal(size=n)),
        "prediction": rng.normal(size=n),
        "": rng.normal(size=n),
        ODD_NAME: rng.normal(size=n),
        "town": some(towns),
        "colour": rng.choice(["red", "blue"], n),
        "answer": some(rng.choice(["what?", "who?"], n)),
        "zip code": rng.choice([89073, 7743, 50667], n),
        "smoker": rng.random(n) < 0.3,
        "owner": pd.array(some(rng.random(n) < 0.5), "boolean"),
        "only": pd.array(some([True] * n, 0.5), "boolean"),
        "since": pd.to_datetime(some(rng.integers(-(10**9), 2 * 10**9, n).tolist()), unit="s"),
        "day": [f"{d:02d}.{m:02d}.2021" for d, m in zip(*rng.integers(1, 13, (2, n)), strict=True)],
    }
    return pd.DataFrame(columns)


def classifier(preset="fast", labels=("no", "perhaps", "yes"), **parameters):
    """A classifier with small networks by chance, so that it makes something of every input."""
    X = frame()
    y = np.array(labels)[(X["count"] % len(labels)).to_numpy()]
    model = _new(TabularClassifier, preset, **parameters).fit(X, y)
    model.temperature_ = 1.7
    return _with_small_networks(model, "selu", "softmax", len(labels))


def regressor(preset="fast", targets=1, **parameters):
    """A regressor likewise."""
    X = frame()
    y = np.stack([X["prediction"] * 3 + k for k in range(targets)], axis=1)
    model = _new(TabularRegressor, preset, **parameters).fit(X, y if targets > 1 else y[:, 0])
    units = model.targets_  # some predictions are to lie beyond the range
    ends = {"low": units.mean - units.scale / 2, "high": units.mean + units.scale / 2}
    model.targets_ = replace(units, **ends)
    return _with_small_networks(model, "mish", "identity", targets)


def _new(kind, preset, ensemble=2, **parameters):
    return kind(
        preset, ensemble=ensemble, epochs=1, kinds=KINDS, random_state=0, n_threads=1, **parameters
    )


def _with_small_networks(model, activation, output, n_out):
    sizes = [model.encoder_.n_features, 9, n_out]
    nets = [fastbp.Network(sizes, activation, output, seed=k) for k in range(len(model.ensemble_))]
    model.ensemble_ = fastbp.Ensemble(nets)
    return model


def encoder_alone(preset="fast"):
    """A regressor that predicts what its encoder makes of a row, to the bit."""
    model = regressor(preset, ensemble=1)
    n = model.encoder_.n_features
    net = fastbp.Network([n, n], [], "identity", seed=0)
    net.set_parameters([np.eye(n)], [np.zeros(n)])
    model.ensemble_ = fastbp.Ensemble([net])
    model.targets_ = Units(*(np.full(n, x) for x in (0.0, 1.0, -1e9, 1e9)), flat=False)
    return model


def fields_of(model):
    return fields.fields_of(model.encoder_)


def rows_of(model, count=200, seed=1):
    """Rows by chance, in which a column of bool that had no missing value has none."""
    found = sample.rows(fields_of(model), count, seed)
    for row in found:
        for i, field in enumerate(fields_of(model)):
            row[i] = False if field.is_bool and row[i] is None else row[i]
    return found


def table_of(model, rows):
    """The rows as the model reads them."""
    return sample.table(fields_of(model), rows)


def encoded(model, rows):
    """What the encoder makes of the rows, dense."""
    X = model.encoder_.transform(table_of(model, rows))
    return X.toarray() if hasattr(X, "toarray") else X


def feeds(model, rows, metadata):
    """The rows as the ONNX file takes them."""
    names = [one["input"] for one in json.loads(metadata["fastbp_columns"])]
    columns = zip(*rows, strict=True)
    return {
        name: np.array([_fed(field, one) for one in values], _dtype(field)).reshape(-1, 1)
        for name, field, values in zip(names, fields_of(model), columns, strict=True)
    }


def _dtype(field):
    if field.column.kind == "category":
        return object
    return bool if field.is_bool else np.float64


def _fed(field, value):
    if field.column.kind == "category":
        return "" if value is None else value
    return np.nan if value is None else value
