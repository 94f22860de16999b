"""LLVM IR written in Python: vectors, pointers, prefetches, flags of the processor.

No loop over a network's data. Uses base.
"""
