"""Files: written in one go, with a checksum, and read as hostile input.

Knows tensors and trees of plain values, and nothing of networks. Uses common.
"""
