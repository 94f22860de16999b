"""One worker's numbers that are embedded: their gradient, its norm, and the update by it."""

from ..base.jit import kernel
from ..base.variants import by_plan
from ..tables import layout as P
from .number_embedding import APPLY, GRADIENT, MEASURE, ask
from .regularization import part


@kernel
def _use(plan, arenas, hyper, mode, worker, workers, vectors):
    first, last = part(plan[0, P.NUMBERS], worker, workers)
    for number in range(first, last):
        ask(plan, arenas, hyper, GRADIENT + mode, number, vectors, worker)


update_numbers = by_plan(None, _use)
"""The gradient of embeddings, used by a mode.

(plan, arenas, hyper, mode, worker, workers, vectors); vectors: of rows. All else: as
``update_part``. Twins: ``embedding_gradients``, ``update``.
"""


@kernel
def measure_numbers(plan, arenas, hyper, worker, workers):
    """The sums of the squares of the final gradient. arenas: (params, gradient, work)."""
    first, last = part(plan[0, P.NUMBERS], worker, workers)
    for number in range(first, last):
        ask(plan, arenas, hyper, MEASURE, number, worker, worker)


@kernel
def apply_numbers(plan, arenas, hyper, worker, workers):
    """The update by a stored gradient. arenas: (params, moments, gradient). Twin: ``update``."""
    first, last = part(plan[0, P.NUMBERS], worker, workers)
    for number in range(first, last):
        ask(plan, arenas, hyper, APPLY, number, worker, worker)
