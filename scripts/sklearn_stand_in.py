"""A plugin of pytest: fastbp's estimators in the place of scikit-learn's own.

pytest -p sklearn_stand_in --pyargs sklearn.neural_network.tests.test_mlp
"""

import sklearn.neural_network

from fastbp.sklearn import MLPClassifier, MLPRegressor

# Tests take them from here when they are collected, which is after plugins are imported.
sklearn.neural_network.MLPClassifier = MLPClassifier
sklearn.neural_network.MLPRegressor = MLPRegressor

PRIVATE = {"test_gradient"}
"""Calls a private function of scikit-learn's, with packed parameters and buffers to fill."""


def pytest_collection_modifyitems(config, items):
    """Leave out what no other class can pass."""
    left_out = [item for item in items if item.name in PRIVATE]
    items[:] = [item for item in items if item.name not in PRIVATE]
    config.hook.pytest_deselected(items=left_out)
