"""Base class of all sides: plain implementations, which a library overrides by better ones."""

import numpy as np


class Side:
    """A model with its optimizer, on one case. threads: 0 for as many as the library chooses.

    Arrays given to the methods have gone through ``own`` before, outside of the clock. What the
    methods return is ready when they return.
    """

    choose_threads = False
    """Whether a trial of one thread against all is worth its time."""

    def __init__(self, case, optimizer, threads):
        self.case = case
        self.optimizer = optimizer
        self.lr = case.lr(optimizer)
        self.threads = threads
        self.rng = np.random.default_rng(0)
        self.enter()
        self.build(*case.parameters())

    def build(self, weights, biases):
        """Make the model, from float32 weights (n_in, n_out) and biases (n_out,)."""
        raise NotImplementedError

    def enter(self):
        """Called before each window: set the library's process-wide settings."""

    def own(self, array):
        """The array as the library's own kind of array."""
        return array

    def step(self, X, y):
        """One update on these rows; the loss before it, as a value that float() accepts."""
        raise NotImplementedError

    def fit(self, X, y, epochs):
        """Full-batch updates; the loss of each."""
        return [self.step(X, y) for _ in range(epochs)]

    def epoch(self, X, y):
        """Every row once, shuffled, in batches of the case; the mean loss."""
        n, batch, total = len(X), self.case.batch, 0.0
        order = self.rng.permutation(n)
        for start in range(0, n, batch):
            rows = order[start : start + batch]
            total += self.step(X[rows], y[rows]) * len(rows)
        return total / n

    def stream(self, X, y):
        """One update for each row, in their order."""
        for i in range(len(X)):
            self.step(X[i : i + 1], y[i : i + 1])

    def predict_rows(self, X):
        """``predict`` of each row by itself, in their order; all of them."""
        return [self.predict(X[i : i + 1]) for i in range(len(X))]

    def predict(self, X):
        """(n, n_out): probabilities for cross_entropy, plain outputs for mse."""
        raise NotImplementedError
