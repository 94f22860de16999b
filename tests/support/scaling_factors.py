"""The factors s and W of the first layer's weights, where the inputs have a learned scaling."""

from fastbp.training import input_scaling
from support.internals import core


def factors(trainer):
    """(s, W), copies; W is that of the last update."""
    s, *_, W = input_scaling.state(core(trainer))
    return s, W
