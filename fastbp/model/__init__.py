"""The Network, its model files, and its conversion to and from torch.

Owns the parameters. Uses every room above: common, storage, components, data, runtime.
"""
