"""Tables as they are: an encoder for columns of any kind, and estimators that need no tuning.

Uses every room of the library; none but the command uses it. Importing it needs
``fastbp[tabular]``.
tables             frames, schema, columns, values: of any package, and what each column is
inputs             encoder, numbers, categories, dates: columns as inputs of networks
estimators         base, classifier, regressor: fit, predict, score; model_file: their file
recipe             what the presets are: networks, learning rates, epochs, members
members, clock     networks that are trained side by side, within a limit of time
kept               those that are done, on disk
calibration        and residuals: probabilities and quantiles by rows that are left out
=================  ==============================================================================
=======
"""

from ..common.optional import need

need("pyarrow", "tabular", "fastbp.tabular")
need("sklearn", "tabular", "fastbp.tabular")

from .classifier import TabularClassifier  # noqa: E402 - what is missing is said first
from .model_file import load  # noqa: E402
from .regressor import TabularRegressor  # noqa: E402

__all__ = ["TabularClassifier", "TabularRegressor", "load"]
