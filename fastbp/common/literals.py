"""The types of names, which an editor completes. A test holds that they are those of the tables."""

from typing import Literal, TypeAlias

ActivationName: TypeAlias = Literal[
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "silu",
    "gelu",
    "selu",
    "mish",
]
OutputName: TypeAlias = Literal[ActivationName, "softmax"]
LossName: TypeAlias = Literal[
    "mse",
    "squared_error",
    "bce",
    "cross_entropy",
    "mae",
    "huber",
    "quantile",
    "log_cosh",
    "poisson",
    "gaussian_nll",
    "beta_nll",
]
InitName: TypeAlias = Literal[
    "auto",
    "he_normal",
    "he_uniform",
    "glorot_normal",
    "glorot_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "uniform",
    "zeros",
]
DtypeName: TypeAlias = Literal["float32", "float64"]
EngineName: TypeAlias = Literal["numba", "numpy"]
