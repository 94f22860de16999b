"""A job: the int64 control block of one compiled call.

It holds the task, the addresses of all arrays, the progress (epoch and row) and the status.
``fastbp.runtime.job.Job`` fills it in; step.py runs it.
"""

import numpy as np

from ..base.sizes import DESCRIPTOR

# Elements of a job.
(
    TASK,  # TRAIN, GRADIENTS, INFER, FROM_OUTPUT, INPUT_GRADIENT or APPLY_GRADIENT
    ROWS,  # in the data set
    BATCH,  # rows of a batch
    SHUFFLED,  # IN_ORDER, ALL_ROWS or GIVEN_ROWS
    SEED,  # of the order
    FIRST,  # the epoch of losses[0]
    EPOCHS,  # run up to this epoch
    BUDGET,  # batches to run in this call, at most
    EPOCH,  # the epoch to continue with
    START,  # the row of the epoch to continue with
    STATUS,  # OK, or why a call ended early: the batch at START was not applied
    PLAN,  # address of the plan (layout.py)
    PARAMS,  # address of the parameter arena
    MOMENTS,  # address of the optimizer's moments, or of the arena that GRADIENTS adds to
    WORK,  # address of the work arena
    HYPER,  # address of the hyperparameters, float64 (settings.py)
    ORDER,  # address of the order of the rows, int64 (ROWS,), or 0 for the order in memory
    LOSSES,  # address of the sums of row losses, float64 (EPOCHS - FIRST,)
    OUT,  # address of outputs (ROWS, outputs), of dLoss/dX (ROWS, inputs), of a gradient; or 0
    VALUES,  # address of loss and n_correct of each row of an inference, float64 (ROWS, 2), or 0
    STATUSES,  # address of an inference's statuses, int64 (workers,)
    LAYER,  # the layer that stage FORWARD or BACKWARD works on
    LOADED,  # 1: the batch is in its blocks already (an epoch has one batch, in order)
    WEIGHT_SUMS,  # address of the sums of row weights, float64 (EPOCHS - FIRST,), if extended
    MEAN_WEIGHT,  # address of what divides each weight, and of its part for entries; or 0 for 1
    BY_NONZEROS,  # 1: the batch's first layer takes the nonzeros of a sparse X (nonzeros.py)
    ROW_WEIGHTS,  # address of the weights of the rows, float64 (ROWS,), or 0 for none
    NONZEROS_CODE,  # address of the code for that, or 0: X is made dense, if it is sparse
    X,  # from here, the descriptor of X (gather.py)
) = range(29)
Y = X + DESCRIPTOR
"""From here, the descriptor of y, whose address is 0 where there is none."""
TANGENTS = Y + DESCRIPTOR
"""Address of a table of directions and derivatives (tangent_table.py), or 0."""
JOB = TANGENTS + 1
"""Length of a job."""

TRAIN, GRADIENTS, INFER, FROM_OUTPUT, INPUT_GRADIENT, APPLY_GRADIENT = range(6)
"""Tasks. For FROM_OUTPUT and INPUT_GRADIENT y is the gradient of a custom loss, dLoss/dp (rows,
outputs): the one makes an update by it, the other propagates it to the inputs. APPLY_GRADIENT, of
extended plans, makes an update by the gradient of the whole loss in an arena at OUT, without rows.
"""

IN_ORDER, ALL_ROWS, GIVEN_ROWS = range(3)
"""The rows of an epoch. IN_ORDER: those of ORDER. ALL_ROWS: all rows, shuffled. GIVEN_ROWS: the
rows that Python wrote to ORDER before the epoch, shuffled."""

OK, BAD_INPUT, BAD_TARGET, NOT_FINITE, KINDS = range(5)
"""Statuses. The status of a worker in an inference is kind + KINDS * row, where row is the first
row of the vector of rows with an invalid value."""

NOTHING, BY_ROWS, FORWARD, BACKWARD, BY_WEIGHTS, FOR_OUTPUTS = map(np.int64, range(6))
"""Stages: parts of a job that workers run side by side. A training batch takes the stage BY_ROWS,
or FORWARD and BACKWARD once for each layer, and then BY_WEIGHTS. An inference takes FOR_OUTPUTS, or
FORWARD once for each layer."""

MEASURE, APPLY, FINISH = map(np.int64, range(6, 9))
"""Stages of extended plans. Where the norm of the gradient is clipped, BY_WEIGHTS stores it,
MEASURE takes its norm and APPLY updates. GRADIENTS ends with FINISH."""

ADVANCE, RUN = range(9, 11)
"""Requests to ``step.call`` beside the stages. ADVANCE: which stage follows a stage. RUN: run all
stages in the calling thread."""
