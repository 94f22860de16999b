"""What Python and njit code call: a step in stages, in one region or many, and the embed calls.

Uses all rooms of the kernels but the twins. No room uses it.
"""
