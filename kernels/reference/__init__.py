"""Plain NumPy twins of the compiled stages, in natural shapes: the oracle and ``engine="numpy"``.

Arrays have one row a sample: X (B, I), W (I, O), b (O,), z, a and delta (B, O). Every function
keeps the dtype it is given (float32 or float64) unless it says otherwise. Uses base and tables,
and the codes of stages/update_rules.py.
"""

from .activations import activation, custom_activation, derivative, second_derivative
from .embedding import embed_numbers, embedding_gradients, error_through_numbers
from .factors import changed_inputs, gradients_of_factors, product
from .jacobian import jacobian, jvp
from .losses import (
    bce_of_entries,
    class_weights,
    correct,
    custom_losses,
    delta_from_output,
    entry_weights,
    output_delta,
    row_losses,
    smoothed,
)
from .network import (
    backward,
    dropout_factors,
    error_of_inputs,
    errors,
    forward,
    gradients,
    in_raw_units,
    layer_norm,
    layer_norm_gradients,
    standardized,
)
from .rounding import round_with_rest, widened
from .scheduling import scheduled
from .shuffling import shuffled
from .sparse import rows_of_csr
from .tangents import (
    errors_with_tangents,
    forward_tangents,
    gradients_with_tangents,
    tangent_losses,
    through_outputs,
)
from .updates import clip_scale, final_gradient, nadam_momentum, penalty, update

__all__ = [
    "activation",
    "backward",
    "bce_of_entries",
    "changed_inputs",
    "class_weights",
    "clip_scale",
    "correct",
    "custom_activation",
    "custom_losses",
    "delta_from_output",
    "derivative",
    "dropout_factors",
    "embed_numbers",
    "embedding_gradients",
    "entry_weights",
    "error_of_inputs",
    "error_through_numbers",
    "errors",
    "errors_with_tangents",
    "final_gradient",
    "forward",
    "forward_tangents",
    "gradients",
    "gradients_of_factors",
    "gradients_with_tangents",
    "in_raw_units",
    "jacobian",
    "jvp",
    "layer_norm",
    "layer_norm_gradients",
    "nadam_momentum",
    "output_delta",
    "penalty",
    "product",
    "round_with_rest",
    "row_losses",
    "rows_of_csr",
    "scheduled",
    "second_derivative",
    "shuffled",
    "smoothed",
    "standardized",
    "tangent_losses",
    "through_outputs",
    "update",
    "widened",
]
