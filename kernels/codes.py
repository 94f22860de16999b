"""The integer codes that choose an activation, a loss, an optimizer or a data type at run time.

They are values and not types, so that every network runs the one compiled kernel.
"""

IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SOFTPLUS, SILU, GELU, SOFTMAX = range(10)

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below zero (torch's default)."""

MSE, SQUARED_ERROR, BCE, CROSS_ENTROPY = range(4)

SGD, ADAM, ADAMW, RMSPROP = range(4)
"""Moments: SGD keeps its velocity in m; ADAM and ADAMW keep m and v; RMSPROP keeps the mean
square in v and its velocity in m."""

# Columns of the float64 hyperparameter vector of an optimizer.
LR, MOMENTUM, BETA1, BETA2, EPS, WEIGHT_DECAY, NESTEROV = range(7)
N_HYPER = 7
"""MOMENTUM: SGD and RMSPROP. BETA1, BETA2: ADAM and ADAMW. BETA2 is RMSPROP's alpha."""

# Element types of the user's arrays, as the gather reads them.
F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64 = range(11)
"""bool is read as U8."""
