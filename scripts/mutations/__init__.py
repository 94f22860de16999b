"""The breaks that scripts/mutate applies, each with the test that must notice it.

A break is one mistake that somebody could make: a sign, an index, a forgotten state. A test holds
that every old text occurs exactly once, so that a rename fails at once. Add a break with each new
kernel and each promise. Choose a test that compiles little: one of a stage takes 10 s, one that
trains 20 s for each of the two variants of the kernels.
"""

from .command import COMMAND
from .data import DATA
from .encoders import ENCODERS
from .estimators import ESTIMATORS
from .export import EXPORT
from .input_scaling import INPUT_SCALING
from .large_tables import LARGE_TABLES
from .library import LIBRARY
from .primitives import PRIMITIVES
from .reports import REPORTS
from .row import Break
from .runtime import RUNTIME
from .sparse import SPARSE_DATA
from .stages import STAGES
from .table_estimators import TABLE_ESTIMATORS

BREAKS = (
    *(*PRIMITIVES, *STAGES, *INPUT_SCALING, *DATA, *SPARSE_DATA, *LIBRARY, *RUNTIME, *EXPORT),
    *(*ESTIMATORS, *ENCODERS, *TABLE_ESTIMATORS, *LARGE_TABLES, *COMMAND, *REPORTS),
)

__all__ = ["BREAKS", "Break"]
