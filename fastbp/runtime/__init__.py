"""From arrays to compiled code: engines, jobs, threads, locks, forks.

Knows arrays and numbers, but neither Network nor Trainer. Uses common, components, data and the
kernels.
"""
