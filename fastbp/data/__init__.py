"""The user's arrays: checked, described to the kernels, standardized.

An error names the argument, the row and the column. Uses common and components.
"""
