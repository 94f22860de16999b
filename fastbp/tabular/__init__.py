"""Tables as they are: an encoder for columns of any kind, and estimators that need no tuning.

Uses every room of the library; none but the command uses it. Importing it needs
``fastbp[tabular]``.
"""

from ..common.optional import need

need("pyarrow", "tabular", "fastbp.tabular")
need("sklearn", "tabular", "fastbp.tabular")

from .classifier import TabularClassifier  # noqa: E402 - what is missing is said first
from .model_file import load  # noqa: E402
from .regressor import TabularRegressor  # noqa: E402

__all__ = ["TabularClassifier", "TabularRegressor", "load"]
