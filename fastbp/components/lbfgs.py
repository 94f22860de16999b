"""Full-batch L-BFGS (Liu and Nocedal, 1989): SciPy's L-BFGS-B without bounds.

It is for data sets and networks small enough for a loss over all rows at every iteration. SciPy is
an extra: pip install 'fastbp[lbfgs]'.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..common import checks
from ..common.signatures import explained
from ..common.specs import added, check_fields
from ..common.types import Floats
from ..kernels.base import codes
from ..kernels.stages import update_rules as rules
from .optimizers import Optimizer


@dataclass(frozen=True, repr=False)
class LBFGS(Optimizer):
    """L-BFGS with a line search that holds the strong Wolfe conditions (Moré and Thuente, 1994).

    ``fit`` makes up to ``epochs`` iterations, each on all rows. It ends earlier where the line
    search finds no lower loss. History has the loss after each iteration. The trainer's
    ``batch_size`` bounds memory and changes nothing else. Each ``fit`` begins without the pairs of
    an earlier one: 20 fits of one epoch find less than one of 20. ``step`` raises ValueError.

    Args:
        history: pairs of steps and changes of the gradient that approximate the Hessian, >= 1.
        tolerance: the fit stops when no entry of the gradient exceeds it in size, >= 0.
        max_line_search: evaluations of one line search, >= 1.
        loss_tolerance: the fit stops when an iteration lowers the loss by no more than this share
            of it (of 1, for smaller losses), >= 0; 0 for never.
        max_evaluations: the fit stops after an iteration that has come to more evaluations of the
            loss, >= 1; None for any number.

    Raises:
        ValueError, TypeError: a number is out of range, or is not a number.

    A line through two points:

    >>> net = fastbp.Network([1, 1], seed=0)
    >>> trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.LBFGS(), engine="numpy")
    >>> history = trainer.fit([[0.0], [1.0]], [1.0, 3.0], epochs=20)
    >>> print(net.predict([[2.0]]).round(2))
    [[5.]]

    """

    history: int = 10
    tolerance: float = 1e-5
    max_line_search: int = 20
    loss_tolerance: float = added(0.0)
    max_evaluations: int | None = added(None)

    code: ClassVar[int] = rules.SGD  # not used: the kernels make no update
    extended: ClassVar[bool] = False
    makes_updates: ClassVar[bool] = False

    @property
    def n_moments(self) -> int:
        """None: SciPy keeps the history."""
        return 0

    def hyper(self) -> Floats:
        """See ``Optimizer``; not used."""
        return np.zeros(codes.N_HYPER)

    def __post_init__(self) -> None:
        check_fields(self, history=checks.count, max_line_search=checks.count)
        check_fields(self, tolerance=checks.not_negative, loss_tolerance=checks.not_negative)
        if self.max_evaluations is not None:
            check_fields(self, max_evaluations=checks.count)


LBFGS.__init__ = explained("fastbp.LBFGS")(LBFGS.__init__)  # type: ignore[method-assign]
