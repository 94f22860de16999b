"""The integer codes of activations, losses and data types, and the facts that go with each.

A code is a value and not a type, so that every network runs the one compiled kernel. It chooses a
branch, and nothing else: codes are never compared by order. A new activation or loss takes the next
free number below 100 and a row in its table here; fastbp/components makes its objects of the rows.
The codes of optimizers stand beside their rules (stages/update_rules.py).
"""

from dataclasses import dataclass

IDENTITY = 0
SIGMOID = 1
TANH = 2
RELU = 3
LEAKY_RELU = 4
ELU = 5
SOFTPLUS = 6
SILU = 7
GELU = 8
SOFTMAX = 9
SELU = 10
MISH = 11

CUSTOM_ACTIVATION = CUSTOM_LOSS = 100
"""The user's own function, in extended plans (custom_activation.py, extended_losses.py)."""

LEAKY_SLOPE = 0.01
"""Slope of leaky_relu below zero (torch's default)."""

SELU_SCALE = 1.0507009873554804934
SELU_ALPHA = 1.6732632423543772848
"""Fixed point of mean 0 and variance 1 (Klambauer et al., 2017), as in torch."""


@dataclass(frozen=True)
class ActivationFacts:
    """What kernels and fastbp must know of an activation beside its formula."""

    code: int
    torch: str | None = None
    """Its module in torch.nn."""
    needs_z: bool = False
    """Its derivative cannot be computed from a alone: the plan keeps z."""
    rectifier: bool = False
    """It belongs to the relu family: init="auto" draws He weights."""
    output_only: bool = False
    smooth: bool = False
    """Its second derivative is continuous, as training on derivatives needs it."""


ACTIVATIONS = {
    "identity": ActivationFacts(IDENTITY, smooth=True),
    "sigmoid": ActivationFacts(SIGMOID, "Sigmoid", smooth=True),
    "tanh": ActivationFacts(TANH, "Tanh", smooth=True),
    "relu": ActivationFacts(RELU, "ReLU", rectifier=True),
    "leaky_relu": ActivationFacts(LEAKY_RELU, "LeakyReLU", rectifier=True),
    "elu": ActivationFacts(ELU, "ELU", rectifier=True),
    "softplus": ActivationFacts(SOFTPLUS, "Softplus", rectifier=True, smooth=True),
    "silu": ActivationFacts(SILU, "SiLU", needs_z=True, rectifier=True, smooth=True),
    "gelu": ActivationFacts(GELU, "GELU", needs_z=True, rectifier=True, smooth=True),
    "selu": ActivationFacts(SELU, "SELU"),
    "mish": ActivationFacts(MISH, "Mish", needs_z=True, rectifier=True, smooth=True),
    "softmax": ActivationFacts(SOFTMAX, "Softmax", output_only=True, smooth=True),
}

CUSTOM_ACTIVATION_FACTS = ActivationFacts(CUSTOM_ACTIVATION, needs_z=True)
"""A custom activation leaves its derivative in the place of z."""

ACTIVATION_OF = {facts.code: facts for facts in (*ACTIVATIONS.values(), CUSTOM_ACTIVATION_FACTS)}
"""The facts by code."""

MSE = 0
SQUARED_ERROR = 1
BCE = 2
CROSS_ENTROPY = 3
MAE = 4
HUBER = 5
POISSON = 6
GAUSSIAN_NLL = 7
QUANTILE = 8
LOG_COSH = 9
BETA_NLL = 10

REAL = 0
COUNT = 1
UNIT = 2
CLASS = 3
"""What targets may be: any number; 0 or more; in [0, 1]; integer labels, or rows of probabilities
that sum to 1."""

HIDDEN_ACTIVATIONS = tuple(name for name, facts in ACTIVATIONS.items() if not facts.output_only)
"""Names of the activations that a hidden layer can have."""


@dataclass(frozen=True)
class LossFacts:
    """What kernels and fastbp must know of a loss beside its formula."""

    code: int
    outputs: tuple[str, ...] = HIDDEN_ACTIVATIONS
    """Names of the output activations that it goes with."""
    targets: int = REAL
    """What its targets may be."""
    outputs_per_target: int = 1
    has_classes: bool = False
    """It has an accuracy, label smoothing and class weights. Only plain losses have them."""
    scalable: bool = False
    """It goes with scaled targets: it depends on the differences of outputs and targets."""
    extended: bool = True
    """It takes the extended kernels (extended_losses.py), not the plain ones (losses.py)."""
    parameter: float = 0.0
    """Default of its one number: huber's delta, the quantile, beta."""
    has_unknown: bool = False
    """A target may be NaN, where the trainer ignores it: each target has a loss by itself."""
    weighs_gradient: bool = False
    """Its gradient is that of its value times weights that depend on the outputs, and so the
    gradient of no function: no line search."""


LOSSES = {
    "mse": LossFacts(MSE, scalable=True, extended=False),
    "squared_error": LossFacts(SQUARED_ERROR, scalable=True, extended=False),
    "bce": LossFacts(BCE, ("sigmoid",), UNIT, has_classes=True, has_unknown=True, extended=False),
    "cross_entropy": LossFacts(
        CROSS_ENTROPY, ("softmax",), CLASS, has_classes=True, extended=False
    ),
    "mae": LossFacts(MAE, scalable=True),
    "huber": LossFacts(HUBER, scalable=True, parameter=1.0),
    "quantile": LossFacts(QUANTILE, scalable=True, parameter=0.5),
    "log_cosh": LossFacts(LOG_COSH, scalable=True),
    "poisson": LossFacts(POISSON, ("identity", "softplus"), COUNT),
    "gaussian_nll": LossFacts(
        GAUSSIAN_NLL, ("identity",), outputs_per_target=2, scalable=True, has_unknown=True
    ),
    "beta_nll": LossFacts(
        BETA_NLL,
        ("identity",),
        outputs_per_target=2,
        scalable=True,
        parameter=0.5,
        has_unknown=True,
        weighs_gradient=True,
    ),
}
"""With p the output, z its logit, y the target, and n rows of O outputs:

- mse: mean over rows and outputs of (p - y)^2
- squared_error: mean over rows of 1/2 sum_j (p - y)^2
- bce: mean over rows and outputs of -[y ln p + (1 - y) ln(1 - p)], computed from z
- cross_entropy: mean over rows of -sum_j y_j ln softmax(z)_j
- mae: mean over rows and outputs of |p - y|
- huber: mean over rows and outputs of 1/2 d^2 where |d| <= delta, else delta (|d| - delta / 2),
  with d = p - y (Huber, 1964)
- quantile: mean over rows and outputs of q d where d = y - p > 0, else (q - 1) d: p comes to be the
  quantile q of y (Koenker and Bassett, 1978)
- log_cosh: mean over rows and outputs of ln cosh(p - y), Keras's LogCosh: like mse near 0, like mae
  far from it
- poisson: mean over rows and outputs of e^p - y p, where p is the logarithm of the rate (output
  "identity"), or of p - y ln(p + 1e-8), where p is the rate itself (output "softplus"); y counts
- gaussian_nll: mean over rows and targets of 1/2 [s + (m - y)^2 e^-s], for outputs that are first
  the means m and then the logarithms s of the variances, twice as many as there are targets (Nix
  and Weigend, 1994)
- beta_nll: that of gaussian_nll, whose gradient by m and s is multiplied by e^(beta s), the
  variance to the power beta: rows with a large variance do not lose their part in the mean (Seitzer
  et al., ICLR 2022; their code multiplies the value, too, which is then no likelihood)
"""

CUSTOM_LOSS_FACTS = LossFacts(CUSTOM_LOSS, outputs=tuple(ACTIVATIONS))

LOSS_OF = {facts.code: facts for facts in (*LOSSES.values(), CUSTOM_LOSS_FACTS)}
"""The facts by code."""

# Columns of the float64 hyperparameter vector of an optimizer.
LR = 0
MOMENTUM = 1
BETA1 = 2
BETA2 = 3
EPS = 4
WEIGHT_DECAY = 5
NESTEROV = 6
DECAY = 7
N_HYPER = 8
"""MOMENTUM: SGD and RMSprop. BETA1, BETA2: Adam's family. BETA2 is RMSprop's alpha. DECAY: one more
number of a rule (update_rules.py). A rule has MOMENTUM or BETA1, never both: the other stays 0."""

# Element types of the user's arrays, as the gather reads them.
F16 = 0
F32 = 1
F64 = 2
I8 = 3
I16 = 4
I32 = 5
I64 = 6
U8 = 7
U16 = 8
U32 = 9
U64 = 10
"""bool is read as U8."""

CSR = 11
"""In place of an element type: the rows of a sparse matrix (primitives/csr.py)."""
