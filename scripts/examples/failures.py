"""A table of machines, of which few fail: Pipeline, ColumnTransformer, grid search, class weights.

One machine in eighteen fails. A classifier of the most likely class misses many of them: with class
weights it warns of most, at the price of false alarms. It is scikit-learn's program, with the
import of the classifier changed.

Right: the scaler and the categories are part of the pipeline, so that each fold of the search
learns them from its own rows to train on; the score is that of rows that no search has seen.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp.sklearn import MLPClassifier

NUMBERS, WORDS = ["temperature", "load", "age"], ["maker", "site"]

GRID = {
    "classifier__hidden_layer_sizes": [(16,), (32, 32)],
    "classifier__alpha": [0.01, 1.0],
    "classifier__dropout": [0.0, 0.2],
    "classifier__class_weight": [None, "balanced"],
}


def machines(n: int = 4000, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a table of n machines, some temperatures missing, and which of them failed."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "temperature": rng.normal(60, 10, n),
            "load": rng.uniform(0, 1, n),
            "age": rng.exponential(4, n),
            "maker": rng.choice(["A", "B", "C"], n),
            "site": rng.choice(["north", "south", "coast", "hills"], n),
        }
    )
    strain = (table["temperature"] - 60) / 10 * table["load"] * 2 + table["age"] / 4
    strain += np.where((table["maker"] == "B") & (table["site"] == "coast"), 2.0, 0.0)
    failed = strain + rng.logistic(0, 0.4, n) > 4.1
    table.loc[rng.random(n) < 0.05, "temperature"] = np.nan
    return table, np.where(failed, "fails", "runs")


def model() -> Pipeline:
    """Return a pipeline from the table to a class."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    columns = make_column_transformer((numbers, NUMBERS), (OneHotEncoder(), WORDS))
    classifier = MLPClassifier(
        learning_rate_init=0.01, max_iter=40, early_stopping=True, random_state=0, dtype="float32"
    )
    return Pipeline([("columns", columns), ("classifier", classifier)])


def search() -> tuple[GridSearchCV, pd.DataFrame, np.ndarray]:
    """Return the search after its fit, and the rows that it has not seen."""
    table, state = machines()
    rows, others, y, y_others = train_test_split(table, state, stratify=state, random_state=0)
    found = GridSearchCV(model(), GRID, scoring="balanced_accuracy", cv=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # some fits take all 40 epochs
        return found.fit(rows, y), others, y_others


def best_scores(found: GridSearchCV) -> dict[str | None, float]:
    """Return the best score of the search with each class_weight."""
    best = {}
    for parameters, score in zip(
        found.cv_results_["params"], found.cv_results_["mean_test_score"], strict=True
    ):
        weight = parameters["classifier__class_weight"]
        best[weight] = max(best.get(weight, 0.0), float(score))
    return best


def main() -> None:
    found, table, state = search()
    print(f"{(state == 'fails').mean():.1%} of the machines fail")
    for name, value in found.best_params_.items():
        print(f"  best {name.removeprefix('classifier__')}: {value}")
    for weight, score in best_scores(found).items():
        print(f"  class_weight={weight}: balanced accuracy of the folds up to {score:.3f}")
    p = found.predict(table)
    print(f"On unseen machines: balanced accuracy {balanced_accuracy_score(state, p):.3f}")
    print(f"  warned of {recall_score(state, p, pos_label='fails'):.0%} of those that fail")
    print(f"  right in {precision_score(state, p, pos_label='fails'):.0%} of the warnings")


if __name__ == "__main__":
    main()
