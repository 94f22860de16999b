"""The gradient of the mean loss over any number of rows: a sum over batches."""

from ..common.types import Array
from ..kernels.tables import arenas, job_table
from ..runtime.arrays import Dataset
from ..runtime.job import Job
from . import setup
from .core import TrainerCore
from .row_order import RowOrder

ROWS_OF_A_SUM, BATCHES_OF_A_SUM = 256, 32
"""Of a gradient over more rows than batch_size: rows of a batch, at most, and batches that are
added up in the network's dtype; double precision adds up these sums. Equal terms may all round the
same way, and a float32 sum of n of them is off by n / 2 roundings: here by 144, below 1e-5."""


def of_rows(core: TrainerCore, order: RowOrder) -> tuple[float, list[arenas.Layer]]:
    """``Trainer.loss_and_gradients`` of these rows."""
    one_batch = order.rows <= core.batch_size
    at_once = core.batch_size if one_batch else min(core.batch_size, ROWS_OF_A_SUM)
    job = order.job(at_once, core.seed, 1)
    job[job_table.TASK] = job_table.GRADIENTS
    with core.exclusive():
        found = summed(core, order.data, job, -(-order.rows // at_once))
    return float(job.means()[0]), list(arenas.read_layers(core.net.arrays.plan, found))


def summed(core: TrainerCore, data: Dataset, job: Job, batches: int) -> Array:
    """The sum (size,) of the gradients of the next batches of a job for gradients.

    The loss is a mean over all rows of the job; the last of its batches adds the penalties.
    """
    (part,) = parts = setup.new_arenas(core.net, 1)
    _run(core, data, job, min(batches, BATCHES_OF_A_SUM), parts)
    total = part.astype("f8")
    for begun in range(BATCHES_OF_A_SUM, batches, BATCHES_OF_A_SUM):
        part.fill(0.0)
        _run(core, data, job, min(batches - begun, BATCHES_OF_A_SUM), parts)
        total += part
    found: Array = total.astype(core.net.dtype)
    return found


def _run(core: TrainerCore, data: Dataset, job: Job, count: int, into: Array) -> None:
    """Run so many batches, chunk by chunk."""
    while count > 0:
        job.chunk = min(job.chunk, count)
        count -= job.chunk
        core.chunk(data, job, "loss_and_gradients", into)
