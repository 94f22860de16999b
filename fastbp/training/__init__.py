"""The Trainer, its core, the training loops, validation, checkpoints, the lr finder.

Owns moments and counters. Uses every other room; none uses it.
"""
