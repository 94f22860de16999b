"""Data parallel training over MPI: how ranks agree, cut an update, and combine its gradient.

Imported where a call is given a ``comm``, and never else. Uses common, components, data, runtime
and the kernels.
"""
