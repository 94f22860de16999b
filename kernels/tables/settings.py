"""The hyperparameter vector, float64: the settings and the scalar state of an optimizer.

First the columns of codes.py and UPDATES, which plain kernels read. Then, for extended kernels: the
settings of the extended features (0, and factors 1, where a feature is off), the scalars of the
current batch, three elements for each layer, one element for each class; for bce two for each
output, of y = 0 and 1. Then the factors of tables. Last, where the inputs have a learned scaling,
the factor on its learning rate.
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
    PER_UNIT_DECAY,  # factor on the weight decay of biases, gains and shifts: 1 or 0
    EMBEDDING_LR,  # factor on the learning rate of the embeddings of numbers
) = range(UPDATES + 1, UPDATES + 10)

SCHEDULE, DROPOUT_SCHEDULE, DECAY_SCHEDULE = (UPDATES + 10 + i * N_SCHEDULE for i in range(3))
"""From here, N_SCHEDULE elements each: schedules (schedules.py) of the learning rate, of the rates
of dropout, and of weight decay."""

_FIRST_SCALAR = DECAY_SCHEDULE + N_SCHEDULE

# Scalars of the current batch.
(
    STEP_DROPOUT,  # the factor on the shares of dropout that their schedule gives
    STEP_LR,  # the learning rate that the schedule gives
    STEP_MOMENTUM,  # momentum, or beta1
    STEP_DECAY,  # the weight decay that its schedule gives
    POWER_1,  # beta1 to the power of the number of the update, from 1
    POWER_2,  # beta2 likewise
    MU,  # NAdam's momentum of the update
    NEXT_MU,  # and of the one after it
    ARE_GIVEN,  # 1 where those above are not to be worked out, but are there
    PENALTY_SCALE,  # factor on L1 and L2: 1, or 0 where the gradient is to have no penalty's
    CLIP_SCALE,  # factor that brings the gradient's norm within CLIP_NORM
    OPTIMIZER_STATE,  # a number that a rule keeps from update to update; 1 before the first
) = range(_FIRST_SCALAR, _FIRST_SCALAR + 12)

FIRST_LAYER = _FIRST_SCALAR + 12
"""From here, PER_LAYER elements for each layer:"""
LR_FACTOR, BIAS_LR_FACTOR, DECAY_FACTOR = range(3)
"""The factor on its learning rate, 0 where it is frozen; beside it, that of its biases; the factor
on its weight decay."""
PER_LAYER = 3


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
