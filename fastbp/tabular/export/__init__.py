"""Estimators of tables for other programs: ONNX, C, Fortran and torch, encoders included.

Uses all of ``fastbp.tabular`` and ``fastbp.export``; only the methods that call it use it.
"""
