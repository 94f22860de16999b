"""An estimator without its encoder as a module of torch. Needs torch."""

from typing import Any

import torch
from torch import nn

from ...export.torch_file import Calibrated, Restored
from ..calibration import SMALLEST
from ..classifier import TabularClassifier


def module_of(model: Any) -> Any:
    """``TableExport.to_torch``."""
    mean = model.ensemble_.to_torch()
    if isinstance(model, TabularClassifier):
        return nn.Sequential(mean, Calibrated(model.temperature_, SMALLEST))
    units = model.targets_
    arrays = (units.mean, units.scale, units.low, units.high)
    return nn.Sequential(mean, Restored(*(torch.from_numpy(array.copy()) for array in arrays)))
