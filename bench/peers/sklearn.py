"""scikit-learn's MLPClassifier and MLPRegressor."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bench.baseline import BETA1, BETA2, EPS, MOMENTUM
from bench.peers.numpy import OnBlas


class ScikitLearn(OnBlas):
    def build(self, weights, biases):
        self.mse = self.case.loss == "mse"
        self.model = (MLPRegressor if self.mse else MLPClassifier)(**self.settings())
        X, y = self.case.rows(self.case.batch)
        if self.mse:
            self.model.partial_fit(X, y.ravel())  # makes the arrays
        else:
            self.model.partial_fit(X, y, classes=np.arange(self.case.sizes[-1]))
        for own, given in zip(self.model.coefs_, weights, strict=True):
            own[...] = given
        for own, given in zip(self.model.intercepts_, biases, strict=True):
            own[...] = given
        del self.model._optimizer  # noqa: SLF001 - and its moments, which have no public name
        warnings.filterwarnings("ignore", category=ConvergenceWarning)

    def settings(self):
        # It adds epsilon to the root of a v that is not yet unbiased: this is the others' epsilon
        # after two steps, where the losses are compared.
        epsilon = EPS * (1 - BETA2**2) ** 0.5
        # Its squared error is half of mse: so is the gradient, and SGD's step must be twice.
        lr = 2 * self.lr if self.mse and self.optimizer == "sgd" else self.lr
        return {
            "hidden_layer_sizes": self.case.sizes[1:-1],
            "solver": self.optimizer,
            "alpha": 0.0,
            "batch_size": self.case.batch,
            "learning_rate_init": lr,
            "momentum": MOMENTUM,
            "nesterovs_momentum": False,
            "beta_1": BETA1,
            "beta_2": BETA2,
            "epsilon": epsilon,
            "shuffle": False,
            "tol": 0.0,
            "n_iter_no_change": 10**9,
            "random_state": 0,
        }

    def own(self, array):
        """Targets of one output lie flat: scikit-learn warns of a column."""
        return array.ravel() if array.ndim == 2 and array.shape[1] == 1 else array

    def step(self, X, y):
        self.model.partial_fit(X, y)
        return 2 * self.model.loss_ if self.mse else self.model.loss_

    def fit(self, X, y, epochs):
        self.model.set_params(max_iter=epochs, warm_start=True)
        losses = self.model.fit(X, y).loss_curve_[-epochs:]  # a warm start goes on with its curve
        return [2 * loss for loss in losses] if self.mse else losses

    def epoch(self, X, y):
        self.model.shuffle = True
        losses = self.fit(X, y, 1)
        self.model.shuffle = False
        return losses[-1]

    def stream(self, X, y):
        self.step(X, y)

    def predict(self, X):
        return self.model.predict(X) if self.mse else self.model.predict_proba(X)
