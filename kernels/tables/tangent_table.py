"""The directions of a job on derivatives, and what is known along them: an int64 vector.

``fastbp.runtime.derivative_engine`` fills it in; the stages of tangents read it.
"""

from ..base.sizes import DESCRIPTOR

(
    CODE,  # address of the extended code (entry/run.py), for all other stages
    COUNT,  # directions of each row
    ZEROS,  # address of zeros, the bias of tangents, for the widest layer
    FACTORS,  # address of what turns targets into the network's units, (COUNT, outputs)
    WEIGHTS,  # address of the weights of targets, (COUNT, outputs)
    IS_GIVEN,  # 1: each row has one direction, of the user's array; 0: unit vectors of the inputs
    ALONG,  # from here, the descriptor of that array (gather.py)
) = range(7)

TARGETS = ALONG + DESCRIPTOR
"""From here, for each direction the descriptor of the derivatives of the outputs along it."""
