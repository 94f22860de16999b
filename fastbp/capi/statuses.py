"""What the functions of ``fastbp.h`` return."""

STATUSES = {
    "OK": "done",
    "NULL_POINTER": "the model or an array is NULL",
    "NO_MODEL": "there is no fastbp_model at this address, or it is of another version of fastbp.h",
    "CLOSED": "the model is closed: its trainer is gone",
    "STALE": "the network scales since the model was made: make another",
    "BUSY": "another thread is training with this model",
    "NO_TRAINER": "the model is of a network without a trainer, which only predicts",
    "WRONG_TASK": "this version of fastbp does not know the task",
    "WRONG_TYPE": "the network is of the other type: float or double",
    "MISALIGNED": "an address is no multiple of the size of what should be there",
    "WRONG_ROWS": "rows is below 1 or above most_rows of the model",
    "WRONG_X": "X has other columns than the network has inputs",
    "WRONG_Y": "y has not the columns of targets or outputs, or labels where none are taken",
    "WRONG_OUT": "out has other columns than expected, or a gradient another length",
    "OVERLAP": "out shares memory with another array",
    "INVALID_X": "X has NaN or Inf",
    "INVALID_Y": "y has NaN, Inf, a label that there is not, or another value that the loss does "
    "not take",
    "NOT_FINITE": "the loss is not finite: there was no update",
    "NOT_STARTED": "fastbp_start has not been called",
    "PYTHON": "Python raised an exception",
    "NO_DERIVATIVES": "the network embeds numbers: it has no derivatives by its inputs",
}
"""The codes by name, in their order from 0 on, and what each means."""
