"""What decides how kernels are compiled: flags, compiler, cache, vector width, sizes, variants.

The codes of losses, activations and optimizers are here, too. Uses no other room.
"""
