"""Estimators for tables as they are: numbers, categories, dates, missing values.

``TabularClassifier`` and ``TabularRegressor`` take DataFrames and arrays, and need no tuning.
Importing it needs ``fastbp[tabular]``.

=================  ==============================================================================
estimators         base, classifier, regressor: fit, predict, score
recipe             what the presets are: networks, learning rates, epochs, members
members, clock     networks that are trained side by side, within a limit of time
targets            labels and numbers as networks learn them
calibration        probabilities and quantiles by the rows that a member did not train on
model_file         the file of an estimator
=================  ==============================================================================
"""

from ..common.optional import need

need("sklearn", "tabular", "fastbp.tabular")
need("pyarrow", "tabular", "fastbp.tabular")

from .classifier import TabularClassifier  # noqa: E402 - what is missing is said first
from .model_file import load  # noqa: E402
from .regressor import TabularRegressor  # noqa: E402

__all__ = ["TabularClassifier", "TabularRegressor", "load"]
