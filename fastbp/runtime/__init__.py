"""From arrays to compiled code: engines, control blocks, threads, locks, forks.

Knows arrays and numbers, no Network and no Trainer. Uses common, components, data and the kernels.
"""
