"""The integer codes that choose an activation, a loss, an optimizer or a data type at run time.

They are values and not types, so that every network runs the one compiled kernel.
"""

IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SOFTPLUS, SILU, GELU, SOFTMAX = range(10)

CUSTOM_ACTIVATION = 10
"""The user's, in extended plans (custom_activation.py)."""

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below zero (torch's default)."""

MSE, SQUARED_ERROR, BCE, CROSS_ENTROPY = range(4)

MAE, HUBER, POISSON, GAUSSIAN_NLL, QUANTILE, CUSTOM_LOSS = range(4, 10)
"""Losses of extended plans."""

SGD, ADAM, ADAMW, RMSPROP = range(4)
"""Moments: SGD keeps its velocity in m; ADAM and ADAMW keep m and v; RMSPROP keeps the mean
square in v and its velocity in m."""

ADAGRAD, NADAM = range(4, 6)
"""Optimizers of extended plans. ADAGRAD keeps the sum of squares in v, NADAM m and v."""

# Columns of the float64 hyperparameter vector of an optimizer.
LR, MOMENTUM, BETA1, BETA2, EPS, WEIGHT_DECAY, NESTEROV, DECAY = range(8)
N_HYPER = 8
"""MOMENTUM: SGD and RMSPROP. BETA1, BETA2: ADAM, ADAMW, NADAM. BETA2 is RMSPROP's alpha. DECAY:
ADAGRAD's of the learning rate, NADAM's of the momentum."""

# Element types of the user's arrays, as the gather reads them.
F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64 = range(11)
"""bool is read as U8."""
