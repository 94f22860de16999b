"""The hyperparameter vector, float64: the settings and the scalar state of an optimizer.

First the columns of codes.py and UPDATES, which plain kernels read. Then, for extended kernels: the
settings of the extended features (0 where a feature is off), the scalars of the current batch, two
elements for each layer, one element for each class; for bce two for each output, of y = 0 and 1.
Last, where the inputs have a learned scaling, the factor on its learning rate.
"""

from numba.extending import register_jitable

from ..base import codes
from .schedules import N_SCHEDULE

UPDATES = codes.N_HYPER
"""Element that counts the updates made."""

# Settings of the trainer.
(
    L1,  # factor of sum |w| in the loss, over weights and not biases
    L2,  # factor of 1/2 sum w^2
    SMOOTHING,  # of labels
    CLIP_VALUE,  # largest size of an element of the gradient; 0: any
    CLIP_NORM,  # largest norm of the whole gradient; 0: any
    AVERAGING,  # decay of the moving average of the parameters
    LOSS_PARAMETER,  # huber's delta, the quantile
) = range(UPDATES + 1, UPDATES + 8)

SCHEDULE = UPDATES + 8
"""From here, the learning rate's schedule (schedules.py): N_SCHEDULE elements."""

# Scalars of the current batch.
(
    STEP_LR,  # the learning rate that the schedule gives
    STEP_MOMENTUM,  # momentum, or beta1
    PENALTY_SCALE,  # factor on L1 and L2: 1, or 0 where the gradient is to have no penalty's
    CLIP_SCALE,  # factor that brings the gradient's norm within CLIP_NORM
    OPTIMIZER_STATE,  # a number that a rule keeps from update to update; 1 before the first
) = range(SCHEDULE + N_SCHEDULE, SCHEDULE + N_SCHEDULE + 5)

FIRST_LAYER = SCHEDULE + N_SCHEDULE + 5
"""From here, PER_LAYER elements for each layer:"""
LR_FACTOR, KEPT_SCALE = range(2)
"""The factor on its learning rate, 0 where it is frozen; 1 / (1 - its rate of dropout)."""
PER_LAYER = 2


def length(n_layers: int, n_classes: int) -> int:
    """Elements of the vector of a network."""
    return class_weights(n_layers) + n_classes


@register_jitable
def class_weights(n_layers: int) -> int:
    """The first element that is a class's weight."""
    return FIRST_LAYER + PER_LAYER * n_layers


@register_jitable
def of_layer(layer: int, element: int) -> int:
    """The place of a layer's element; layers count from 1."""
    return FIRST_LAYER + PER_LAYER * (layer - 1) + element
