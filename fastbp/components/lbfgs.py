"""Full-batch L-BFGS (Liu and Nocedal, 1989): SciPy's L-BFGS-B without bounds.

It is for data sets and networks small enough for a loss over all rows at every iteration. SciPy is
an extra: pip install 'fastbp[lbfgs]'.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..common import checks
from ..common.specs import check_fields
from ..common.types import Floats
from ..kernels.base import codes
from ..kernels.stages import update_rules as rules


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS with a line search that holds the strong Wolfe conditions (Moré and Thuente, 1994).

    ``fit`` makes up to ``epochs`` iterations, each on all rows, and ends before where there is no
    lower loss to be found; History has the loss after each. Its ``batch_size`` bounds memory, and
    changes nothing else. There is no ``step``.

    history: pairs of steps and changes of the gradient that stand for the Hessian, >= 1.
    tolerance: it stops where no entry of the gradient is larger, >= 0. max_line_search: evaluations
    of one line search, >= 1.
    """

    history: int = 10
    tolerance: float = 1e-5
    max_line_search: int = 20

    code: ClassVar[int] = rules.SGD  # of no consequence: the kernels make no update
    extended: ClassVar[bool] = False
    n_moments: ClassVar[int] = 0

    def hyper(self) -> Floats:
        """The hyperparameters as the kernels read them, (codes.N_HYPER,) float64; of no use."""
        return np.zeros(codes.N_HYPER)

    def __post_init__(self) -> None:
        check_fields(self, history=checks.count, max_line_search=checks.count)
        check_fields(self, tolerance=checks.not_negative)
