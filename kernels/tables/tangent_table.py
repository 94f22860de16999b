"""The directions of a job on derivatives, and what is known along them: an int64 vector.

``fastbp.runtime.derivative_engine`` fills it in; the stages of tangents and adjoints read it.
"""

from ..base.sizes import DESCRIPTOR

INPUTS, GIVEN, OUTPUTS = range(3)
"""Kinds of the derivatives of a row: tangents along each input, or along one direction of the
user's array; adjoints of each output."""

(
    CODE,  # address of the extended code (entry/run.py), for all other stages
    COUNT,  # directions of each row, or outputs
    ZEROS,  # address of zeros, the bias of tangents, for the widest layer
    FACTORS,  # address of what turns targets into the network's units, (COUNT, targets of each)
    WEIGHTS,  # address of the weights of targets, (COUNT, targets of each)
    KIND,  # INPUTS, GIVEN or OUTPUTS
    ALONG,  # from here, the descriptor of the user's directions (gather.py)
) = range(7)

TARGETS = ALONG + DESCRIPTOR
"""From here, a descriptor for each direction, of the derivatives of the outputs along it, or for
each output, of its derivatives by the inputs."""
