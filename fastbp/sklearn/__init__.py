"""scikit-learn's MLPClassifier and MLPRegressor, trained by fastbp.

Uses every room of the library; none uses it. Importing it needs ``fastbp[sklearn]``.
"""

from ..common.optional import need

need("sklearn", "sklearn", "fastbp.sklearn")

from .classifier import MLPClassifier  # noqa: E402 - what is missing is said first
from .regressor import MLPRegressor  # noqa: E402

__all__ = ["MLPClassifier", "MLPRegressor"]
