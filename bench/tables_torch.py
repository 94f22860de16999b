"""The networks for tables that run on torch: RealMLP of pytabkit, and TabM.

RealMLP comes as an estimator. The package tabm has the network alone: its training is that of its
makers' example (batches of 256, AdamW, gradients clipped to norm 1, the best epoch on a fifth of
the rows, patience of 16 epochs), as are the quantiles of its inputs and its embeddings of numbers.
"""

import copy
import math
import pickle

import numpy as np

from bench.tables_peers import THREADS, Model, numbers_and_categories

HELD_OUT = 0.2
BATCH, PATIENCE, CLIP_NORM = 256, 16, 1.0
LR, WEIGHT_DECAY = 2e-3, 3e-4
BINS, EMBEDDING = 48, 16
ROWS_AT_ONCE = 1024
"""Of a prediction by TabM."""


class Imputer:
    """Medians for numbers that are missing, and a category that says that one was."""

    def fit(self, X):
        self.numbers, self.categories = numbers_and_categories(X)
        self.medians = X[self.numbers].median().fillna(0.0)  # 0 where there is none
        self.gaps = [name for name in self.numbers if X[name].isna().any()]
        return self

    def transform(self, X):
        import pandas as pd

        missing = {
            f"{name} is missing": pd.Categorical(X[name].isna(), categories=[False, True])
            for name in self.gaps
        }
        return X.fillna(self.medians).assign(**missing)


class RealMLPSmall(Model):
    """RealMLP-TD-S; it refuses missing numbers, which are imputed.

    Levels are numbered: pytabkit 1.8 refuses categories of text from pandas 3.
    """

    kinds = ("RealMLP_TD_S_Regressor", "RealMLP_TD_S_Classifier")

    def __init__(self, task, seed):
        import pytabkit

        make = getattr(pytabkit, self.kinds[task.classifies])
        super().__init__(make(device="cpu", random_state=seed, n_threads=THREADS), task.classifies)
        self.imputer = Imputer()

    def frame(self, X):
        X = self.imputer.transform(X)
        levels = {name: X[name].cat for name in numbers_and_categories(X)[1]}
        numbered = {
            name: each.rename_categories(list(range(len(each.categories))))
            for name, each in levels.items()
        }
        return X.assign(**numbered)

    def fit(self, X, y):
        self.imputer.fit(X)
        super().fit(X, y)


class RealMLP(RealMLPSmall):
    """RealMLP-TD."""

    kinds = ("RealMLP_TD_Regressor", "RealMLP_TD_Classifier")


class TabMEncoder:
    """Frames as tensors: quantiles of the numbers as normal deviates, and codes of categories.

    Numbers of two values are categories. Code 0 stands for a level that was not seen.
    """

    def fit(self, X):
        from sklearn.preprocessing import OrdinalEncoder, QuantileTransformer

        self.imputer = Imputer().fit(X)
        X = self.imputer.transform(X)
        numbers, categories = numbers_and_categories(X)
        self.numbers = [name for name in numbers if X[name].nunique() > 2]
        self.categories = categories + [name for name in numbers if X[name].nunique() == 2]
        values = X[self.numbers].to_numpy(np.float32)
        noise = np.random.default_rng(0).normal(0, 1e-5, values.shape).astype(np.float32)
        self.quantiles = QuantileTransformer(
            n_quantiles=max(min(len(X) // 30, 1000), 10),
            output_distribution="normal",
            subsample=10**9,
        ).fit(values + noise)
        unseen = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
        self.codes = OrdinalEncoder(**unseen, encoded_missing_value=-1)
        self.codes.fit(X[self.categories].astype(object))
        return self

    @property
    def cardinalities(self):
        return [len(levels) + 1 for levels in self.codes.categories_]

    def transform(self, X):
        """(numbers (n, k) float32, codes (n, c) int64), tensors; None where there are no codes."""
        import torch

        X = self.imputer.transform(X)
        numbers = self.quantiles.transform(X[self.numbers].to_numpy(np.float32))
        numbers = torch.as_tensor(numbers.astype(np.float32))
        if not self.categories:
            return numbers, None
        codes = self.codes.transform(X[self.categories].astype(object)) + 1
        return numbers, torch.as_tensor(codes.astype(np.int64))


class TabM:
    """TabM with piecewise-linear embeddings of its numbers, 32 networks that share weights."""

    def __init__(self, task, seed):
        import rtdl_num_embeddings  # noqa: F401, a missing package is told before a fit
        import tabm  # noqa: F401
        import torch

        torch.set_num_threads(THREADS)
        torch.manual_seed(seed)
        self.classifies, self.seed = task.classifies, seed

    def fit(self, X, y):
        import torch

        order = np.random.default_rng(self.seed).permutation(len(X))
        n = len(X) - round(HELD_OUT * len(X))
        rows, held_out = order[:n], order[n:]
        self.encoder = TabMEncoder().fit(X.iloc[rows])
        center, scale = (0, 1) if self.classifies else (y[rows].mean(), y[rows].std())
        self.center, self.scale = float(center), float(scale)
        inputs = self.encoder.transform(X.iloc[rows])
        self.net = self.network(inputs[0], len(np.unique(y)) if self.classifies else 1)
        scaled = (y[rows] - center) / scale
        targets = torch.as_tensor(scaled.astype(np.int64 if self.classifies else np.float32))
        self.train(inputs, targets, X.iloc[held_out], y[held_out])

    def network(self, numbers, n_out):
        import rtdl_num_embeddings
        import tabm

        embeddings = rtdl_num_embeddings.PiecewiseLinearEmbeddings(
            rtdl_num_embeddings.compute_bins(numbers, n_bins=min(BINS, len(numbers) - 1)),
            d_embedding=EMBEDDING,
            activation=False,
            version="B",
        )
        return tabm.TabM.make(
            n_num_features=numbers.shape[1],
            cat_cardinalities=self.encoder.cardinalities,
            d_out=n_out,
            num_embeddings=embeddings,
        )

    def train(self, inputs, targets, X, y):
        """Epochs until PATIENCE of them did not better the error on the rows X, y."""
        import torch

        optimizer = torch.optim.AdamW(self.net.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        least, best, patience = math.inf, None, PATIENCE
        while patience >= 0:
            for rows in torch.randperm(len(targets)).split(BATCH):
                self.step(optimizer, inputs, targets, rows)
            error = self.error(X, y)
            if error < least:
                least, best, patience = error, copy.deepcopy(self.net.state_dict()), PATIENCE
            else:
                patience -= 1
        self.net.load_state_dict(best)

    def step(self, optimizer, inputs, targets, rows):
        """An update. Each of the networks has a loss of its own: they are averaged."""
        import torch

        self.net.train()
        optimizer.zero_grad()
        outputs = self.net(*taken(inputs, rows))
        wanted = targets[rows].repeat_interleave(outputs.shape[1])
        outputs = outputs.flatten(0, 1)
        if self.classifies:
            loss = torch.nn.functional.cross_entropy(outputs, wanted)
        else:
            loss = torch.nn.functional.mse_loss(outputs[:, 0], wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), CLIP_NORM)
        optimizer.step()

    def error(self, X, y):
        """The mean squared error, or the rate of wrong classes."""
        outputs = self.outputs(X)
        if self.classifies:
            return float(np.mean(outputs.argmax(axis=1) != y))
        return float(np.mean((outputs - y) ** 2))

    def outputs(self, X):
        """The mean of the networks: of their probabilities in a classification."""
        import torch

        inputs = self.encoder.transform(X)
        self.net.eval()
        with torch.inference_mode():
            blocks = torch.arange(len(X)).split(ROWS_AT_ONCE)
            outputs = torch.cat([self.net(*taken(inputs, rows)) for rows in blocks])
            if self.classifies:
                return outputs.double().softmax(dim=-1).mean(dim=1).numpy()
        return outputs.double().mean(dim=1)[:, 0].numpy() * self.scale + self.center

    def size(self):
        weights = {name: value.numpy() for name, value in self.net.state_dict().items()}
        return len(pickle.dumps((self.encoder, weights)))


def taken(inputs, rows):
    """Some rows of the numbers and codes."""
    return tuple(None if each is None else each[rows] for each in inputs)
