"""What decides how kernels are compiled: jit flags and cache, vector width, sizes, variants, codes.

Uses no other room.
"""
