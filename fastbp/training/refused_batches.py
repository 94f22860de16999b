"""What a call raises where the engine has refused a batch."""

from typing import TYPE_CHECKING, NoReturn

import numpy as np

from ..kernels.tables import job_table
from ..runtime.arrays import Dataset, raise_invalid
from ..runtime.job import Job

if TYPE_CHECKING:
    from .core import TrainerCore


NO_GRADIENT = (
    "the loss is not finite on these rows: there is no gradient. Scale the inputs, or look for "
    "very large weights"
)


def refuse(core: "TrainerCore", data: Dataset, job: Job, caller: str) -> NoReturn:
    """Raise what explains why a batch was refused. caller: as for ``TrainerCore.run``."""
    start, batch = job[job_table.START], job[job_table.BATCH]
    rows = np.arange(start, min(start + batch, job[job_table.ROWS]))
    rows = rows if job.order is None else job.order[rows]
    raise_invalid(job[job_table.STATUS], rows, data, core.arrays)
    if job[job_table.TASK] == job_table.GRADIENTS:
        raise FloatingPointError(NO_GRADIENT)
    what = "loss" if not core.arrays.spec.clips_norm else "loss, or the norm of its gradient,"
    place = "these rows"
    if caller == "fit":
        epoch = job.epochs_taken + job[job_table.EPOCH] - job[job_table.FIRST] + 1
        place = f"epoch {epoch}, step {start // batch + 1}"
    raise FloatingPointError(
        f"the {what} is not finite in {caller} at {place}, with lr = {core.scheduled_lr:g}: "
        "the update was not made. Lower lr, scale the inputs, or look for very large weights"
    )
