"""A job, one int64 vector: what Python asks of the kernels, and how far they have come.

It says what to run, where the user's arrays and ours lie, and with which row and epoch to go on.
step.py serves it; ``fastbp.runtime.job.Job`` fills it in.
"""

import numpy as np

from ..base.sizes import DESCRIPTOR

# Elements of a job.
(
    TASK,  # TRAIN, GRADIENTS, INFER, FROM_OUTPUT or INPUT_GRADIENT
    ROWS,  # in the data set
    BATCH,  # rows of a batch
    SHUFFLED,  # IN_ORDER, ALL_ROWS or GIVEN_ROWS
    SEED,  # of the order
    FIRST,  # the epoch that losses[0] belongs to
    EPOCHS,  # run up to this epoch
    BUDGET,  # batches to run in this call, at most
    EPOCH,  # the epoch to go on with
    START,  # the row of the epoch to go on with
    STATUS,  # why a call ended early: the batch at START was not applied
    PLAN,  # address of the plan (layout.py)
    PARAMS,  # address of the parameter arena
    MOMENTS,  # address of the optimizer's moments, or of what GRADIENTS adds to
    WORK,  # address of the work arena
    HYPER,  # address of the hyperparameters, float64 (settings.py)
    ORDER,  # address of the order of the rows, int64 (ROWS,), or 0 for as they lie
    LOSSES,  # address of the sums of row losses, float64 (EPOCHS - FIRST,)
    OUT,  # address of the outputs, (ROWS, outputs), or of dLoss/dX, (ROWS, inputs); or 0
    VALUES,  # address of loss and hits of each row of an inference, float64 (ROWS, 2), or 0
    STATUSES,  # address of an inference's statuses, int64 (shares,)
    LAYER,  # the layer that stage FORWARD or BACKWARD works on
    LOADED,  # 1: the batch lies in its blocks already, as the only one of every epoch does
    ROW_WEIGHTS,  # address of the weights of the rows, float64 (ROWS,), or 0 for none
    WEIGHT_SUMS,  # address of their sums, float64 (EPOCHS - FIRST,); for extended plans
    X,  # from here, the descriptor of X (gather.py)
) = range(26)
Y = X + DESCRIPTOR
"""From here, the descriptor of y, whose address is 0 where there is none."""
JOB = Y + DESCRIPTOR
"""Length of a job."""

TRAIN, GRADIENTS, INFER, FROM_OUTPUT, INPUT_GRADIENT = range(5)
"""The last two have in place of y the gradient of the user's own loss, dLoss/dp (rows, outputs):
FROM_OUTPUT updates by it, INPUT_GRADIENT takes it down to the inputs."""

IN_ORDER, ALL_ROWS, GIVEN_ROWS = range(3)
"""The rows of an epoch: as ORDER has them; all of them, shuffled; those that Python has put into
ORDER before the epoch begins, shuffled."""

OK, BAD_INPUT, BAD_TARGET, NOT_FINITE, KINDS = range(5)
"""Statuses. That of an inference's share is kind + KINDS * the first row of the vector of rows
that holds an invalid value."""

NOTHING, BY_ROWS, FORWARD, BACKWARD, BY_WEIGHTS, FOR_OUTPUTS = map(np.int64, range(6))
"""Stages: parts of a job that shares may do side by side. A batch goes BY_ROWS, or FORWARD and
BACKWARD one layer after the other, and then BY_WEIGHTS."""

MEASURE, APPLY, FINISH = map(np.int64, range(6, 9))
"""Stages of extended plans. Where the norm of the gradient is clipped, BY_WEIGHTS stores it,
MEASURE takes its norm and APPLY updates. GRADIENTS ends with FINISH."""

ADVANCE, RUN = range(9, 11)
"""What else ``call`` can be asked: the stage that follows a stage, or to do all of them alone."""
