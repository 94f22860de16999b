"""The file of an estimator."""

import os
from typing import Any


def load(path: str | os.PathLike[str]) -> Any:
    """The ``TabularClassifier`` or ``TabularRegressor`` of a file that ``save`` wrote."""
    raise NotImplementedError
