"""Files: written atomically, with a checksum, and read as hostile input.

Knows tensors and trees of plain values, and nothing of networks. Uses common.
"""
