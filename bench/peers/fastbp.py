"""fastbp itself. Where a measure stands for a loop of a user's program, that loop is compiled."""

import numpy as np
from numba import njit

import fastbp
from bench.baseline import MOMENTUM
from bench.peers.side import Side
from fastbp import embed


def core_of(trainer):
    """The TrainerCore of a trainer: its engine and arrays, for measures of them alone."""
    return trainer._core  # noqa: SLF001 - no user needs it


class FastBP(Side):
    _model = None

    def build(self, weights, biases):
        sizes, output = list(self.case.sizes), self.case.output
        self.network = fastbp.Network(sizes, activation="relu", output=output, seed=0)
        self.network.set_parameters(weights, biases)
        self.trainer = self.trainer_for(self.case.batch)
        self.step = self.trainer.step
        self.predict = self.trainer.predict

    def trainer_for(self, batch):
        adam = self.optimizer == "adam"
        rule = fastbp.Adam(lr=self.lr) if adam else fastbp.SGD(lr=self.lr, momentum=MOMENTUM)
        threads = self.threads or "auto"
        return fastbp.Trainer(
            self.network, loss=self.case.loss, optimizer=rule, batch_size=batch, threads=threads
        )

    def fit(self, X, y, epochs):
        return self.trainer.fit(X, y, epochs, shuffle=False, progress=False)["loss"]

    def epoch(self, X, y):
        return self.trainer.fit(X, y, 1, shuffle=True, progress=False)["loss"][0]

    @property
    def model(self):
        """For compiled code; what does not ask for it does not pay for it."""
        if self._model is None:
            self._model = self.trainer.compiled()
        return self._model

    def stream(self, X, y):
        update_rows(self.model, X, y)

    def predict_rows(self, X):
        out = np.empty((len(X), self.case.sizes[-1]), X.dtype)
        predict_rows(self.model, X, out)
        return out


@njit
def update_rows(model, X, y):
    for i in range(len(X)):
        embed.step(model, X[i], y[i])


@njit
def predict_rows(model, X, out):
    for i in range(len(X)):
        embed.predict(model, X[i], out[i])
