"""What Python and njit code call: a step in stages, in one region or many, and the embed calls.

Uses every other room of the kernels; none uses it.
"""
