"""Networks for other programs, and from them: ONNX, C and Fortran.

Uses every room of the library; none uses it, but for the methods that call it.
"""
