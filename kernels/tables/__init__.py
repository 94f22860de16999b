"""Columns of the integer and float tables that Python fills in and kernels read.

The job, the plan, the hyperparameters, schedules. Uses base.
"""
