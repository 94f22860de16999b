"""What is raced on real tables: models with their defaults and their makers' preprocessing.

A peer makes a model: ``fit(X, y)`` of a frame of tables_data.Table, ``outputs(X)``, which are
(n,) predictions of a regression or (n, classes) probabilities, and ``size()``, bytes as the library
saves it. What a package lacks by itself (one-hot columns, imputed numbers) is a part of the model,
and of its times.
"""

import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.results import OURS

THREADS = 2
"""Of every peer."""

MOST_LEVELS_OF_HISTOGRAMS = 255
"""HistGradientBoosting takes categories of at most so many levels."""


@dataclass(frozen=True)
class Peer:
    """A model that is raced.

    make: (task, seed) -> the model. packages: whose versions the results depend on. splits: the
    first so many splits of a table are tried. compiles: the first fit of a process loads compiled
    code, or compiles it: one of few rows comes before the one that is timed.
    """

    name: str
    make: Callable[[object, int], object]
    packages: tuple[str, ...]
    splits: int = 5
    compiles: bool = False


class Model:
    """An estimator with the interface of scikit-learn, and what is done to its frames."""

    def __init__(self, estimator, classifies):
        self.estimator, self.classifies = estimator, classifies

    def frame(self, X):
        """What the estimator is given for the frame X."""
        return X

    def fit(self, X, y):
        self.estimator.fit(self.frame(X), y)

    def outputs(self, X):
        X = self.frame(X)
        return self.estimator.predict_proba(X) if self.classifies else self.estimator.predict(X)

    def size(self):
        return len(pickle.dumps(self.estimator))


def numbers_and_categories(X):
    """The names of the columns of both kinds."""
    categories = [name for name in X.columns if X[name].dtype == "category"]
    return [name for name in X.columns if name not in categories], categories


class Perceptron(Model):
    """scikit-learn's: standardized numbers and targets, medians for what is missing, one-hot."""

    def __init__(self, task, seed):
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.neural_network import MLPClassifier, MLPRegressor
        from sklearn.preprocessing import StandardScaler

        self.classifies = task.classifies
        if self.classifies:
            self.last = MLPClassifier(random_state=seed)
        else:
            network = MLPRegressor(random_state=seed)
            self.last = TransformedTargetRegressor(network, transformer=StandardScaler())

    def fit(self, X, y):
        import warnings

        from sklearn.compose import make_column_transformer
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numbers, categories = numbers_and_categories(X)
        imputer = SimpleImputer(strategy="median", add_indicator=True)
        encoder = make_column_transformer(
            (make_pipeline(imputer, StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), categories),
        )
        self.estimator = make_pipeline(encoder, self.last)
        with warnings.catch_warnings():  # 200 epochs are its default
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.estimator.fit(X, y)


class Histograms(Model):
    """HistGradientBoosting: its own categories; one of too many levels is a number, its code."""

    def __init__(self, task, seed):
        from sklearn import ensemble

        kinds = ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier
        super().__init__(kinds[task.classifies](random_state=seed), task.classifies)

    def frame(self, X):
        _, categories = numbers_and_categories(X)
        wide = [n for n in categories if len(X[n].cat.categories) > MOST_LEVELS_OF_HISTOGRAMS]
        return X.assign(**{name: X[name].cat.codes.astype(float) for name in wide})


class LightGBM(Model):
    """Takes the categories of pandas as they are."""

    def __init__(self, task, seed):
        import lightgbm

        kinds = lightgbm.LGBMRegressor, lightgbm.LGBMClassifier
        model = kinds[task.classifies](random_state=seed, n_jobs=THREADS, verbosity=-1)
        super().__init__(model, task.classifies)

    def size(self):
        return len(self.estimator.booster_.model_to_string())


class XGBoost(Model):
    """Takes the categories of pandas as they are."""

    def __init__(self, task, seed):
        import xgboost

        kinds = xgboost.XGBRegressor, xgboost.XGBClassifier
        options = {"random_state": seed, "n_jobs": THREADS, "enable_categorical": True}
        super().__init__(kinds[task.classifies](**options), task.classifies)

    def size(self):
        return len(self.estimator.get_booster().save_raw())


class CatBoost(Model):
    """Takes categories as text; a missing one is a level."""

    def __init__(self, task, seed):
        import catboost

        kinds = catboost.CatBoostRegressor, catboost.CatBoostClassifier
        self.make = kinds[task.classifies]
        self.options = {"random_seed": seed, "thread_count": THREADS}
        self.classifies = task.classifies

    def frame(self, X):
        _, categories = numbers_and_categories(X)
        text = {name: X[name].astype(object).where(X[name].notna(), "") for name in categories}
        return X.assign(**text)

    def fit(self, X, y):
        _, categories = numbers_and_categories(X)
        quiet = {"verbose": False, "allow_writing_files": False}
        self.estimator = self.make(cat_features=categories, **self.options, **quiet)
        self.estimator.fit(self.frame(X), y)

    def size(self):
        return size_of_file(self.estimator.save_model)


class Fastbp(Model):
    """fastbp.tabular with one of its presets. It is told which columns are categories."""

    def __init__(self, task, seed, preset):
        from fastbp import tabular

        kinds = tabular.TabularRegressor, tabular.TabularClassifier
        options = {"random_state": seed, "n_threads": THREADS}
        options["kinds"] = dict.fromkeys(task.categories, "category")
        super().__init__(kinds[task.classifies](preset, **options), task.classifies)

    def size(self):
        return size_of_file(self.estimator.save)


def size_of_file(save):
    """Bytes of what save(path) writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save(str(path))
        return sum(file.stat().st_size for file in Path(folder).iterdir())


def preset(name):
    return lambda task, seed: Fastbp(task, seed, name)


def torch_peer(name):
    """A class of bench.tables_torch, which is imported when it is tried."""

    def make(task, seed):
        from bench import tables_torch

        return getattr(tables_torch, name)(task, seed)

    return make


PEERS = {
    peer.name: peer
    for peer in (
        Peer(f"{OURS} fast", preset("fast"), (OURS,), compiles=True),
        Peer(f"{OURS} best", preset("best"), (OURS,), compiles=True),
        Peer("sklearn MLP", Perceptron, ("scikit-learn",)),
        Peer("HistGradientBoosting", Histograms, ("scikit-learn",)),
        Peer("LightGBM", LightGBM, ("lightgbm",)),
        Peer("XGBoost", XGBoost, ("xgboost",)),
        Peer("CatBoost", CatBoost, ("catboost",)),
        Peer("RealMLP-TD-S", torch_peer("RealMLPSmall"), ("pytabkit", "torch"), splits=3),
        Peer("RealMLP-TD", torch_peer("RealMLP"), ("pytabkit", "torch"), splits=3),
        Peer("TabM", torch_peer("TabM"), ("tabm", "rtdl_num_embeddings", "torch"), splits=3),
    )
}
"""In the order in which they are tried: the slow ones last."""
