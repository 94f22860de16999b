"""Callbacks, History and the progress bar: the events of fit.

A callback sees a FitState and the Trainer in it. Uses common, storage and model.
"""

from .base import Callback, FitState, LambdaCallback, StopTraining

__all__ = ["Callback", "FitState", "LambdaCallback", "StopTraining"]
