"""The stages of a step over a planned network: gather, forward, loss, backward, update.

Each reads a plan and works on arenas. Uses base, ir, tables and primitives.
"""
