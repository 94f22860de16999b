"""Matrix products, gather, shuffle, elementwise functions: kernels that know no network.

They take pointers and strides. Uses base, ir and tables.
"""
