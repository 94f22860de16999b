"""Checks of arguments, lookup of names, types of arrays: what every other room uses.

Knows nothing of networks. Uses no other room.
"""
