"""Where everything lies: lane panels, the arenas, and the plan that describes them.

*Lane panels.* A matrix (R, C) is cut into panels of one vector of columns each; a panel is (R,
lanes), row by row, so that a tile of any shape reads and writes whole vectors at unit stride.

*Parameters.* One flat arena: for each layer W (I, O) as lane panels of outputs, then b (O,) padded
to whole vectors, and in normalized layers (norm.py) the gains and shifts, likewise. Optimizer
moments and gradients have the same layout. Behind the moments lies the state of a learned scaling
of the inputs, where there is one (learned_scaling.py). Where numbers are embedded
(stages/number_embedding.py), the last layer is followed by the parameters of each number, one after
another: frequencies (H,), phases (H,), weights (E, H) and biases (E,), each vector of H or E padded
to whole vectors.

*Work.* One flat arena. It begins with a block for each vector of batch rows: y, the activations of
every layer as (units, lanes), the kept pre-activations, two deltas used in turn, loss and number of
correct outputs of each row, and one status. Then it holds each layer's delta again as lane panels
of units (rows, lanes), which the weight gradient reads. Then it holds scratch for each worker: a
tile, or some vectors of a gradient.

Widths and rows are padded to whole vectors. Padded units of a and delta are 0; padded rows have
delta 0 and finite a.

*Plan.* int64 (1 + L, COLUMNS): row 0 holds the globals, row l describes layer l. Every offset is in
elements, and every offset, stride and length is a whole number of cache lines.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..base import codes, width
from ..base.sizes import COLUMNS, NONZERO_CHUNK, NONZERO_PANELS, ROWS, WIDEST

# Columns of row 0, the globals.
(
    LOSS,  # code of the loss
    OPTIMIZER,  # code of the optimizer
    MOMENTS,  # moment arenas of the optimizer, 0 to 2
    CAPACITY,  # rows of the largest batch
    BLOCK,  # elements between the blocks of two vectors of batch rows
    TARGET,  # in a block: y, (outputs, lanes), or (1, lanes) when y is labels
    DELTA,  # in a block: two deltas, DELTA_STRIDE apart, each (units, lanes)
    DELTA_STRIDE,  # between these two deltas
    ROW_LOSS,  # in a block: loss of each row
    ROW_CORRECT,  # in a block: number of correct outputs of each row
    ROW_STATUS,  # in a block: not 0 if X or y of a row is invalid; then 1 if X lies as nonzeros
    SCRATCH,  # in work: one tile for each worker, SCRATCH_STRIDE apart
    SCRATCH_STRIDE,  # between the scratch of two workers
    PARAMETERS,  # elements of the parameter arena
    WORK,  # elements of the work arena
    LAST,  # number of the last layer
    X_COLUMNS,  # columns of X: the inputs of the first layer but those of embeddings
    # The rest only extended plans read and write.
    EXTENDED,  # 1: the plan is for the extended kernels (variants.py)
    TARGETS,  # columns of y, unless y is labels
    ROW_WEIGHT,  # in a block: weight of each row
    PANEL_SUMS,  # in work: two sums over each panel of weights, lane by lane
    AVERAGE,  # moment arena that is the moving average of the parameters, or -1
    GRADIENT,  # moment arena that stores the gradient where its norm is clipped, or -1
    SEED,  # of dropout
    KEY,  # of dropout, for the current batch
    FIRST_ROW,  # number of its first row, for dropout's counter
    CUSTOM_LOSS,  # address of the custom loss
    CUSTOM_ROWS,  # in a block: one row of p, y and dLoss/dp for the custom loss
    CLASSES,  # 1: classes have weights
    SCALING,  # address of the scales of inputs, targets and outputs (scaling.py), or 0
    ROWS_ONLY,  # 1: every batch takes the stage BY_ROWS (batch.py)
    ERROR,  # in a block: error of the a of a residual layer (residual.py), (units, lanes)
    NUMBERS,  # columns of X that are embedded
    NUMBER_COLUMNS,  # address of their places in X, int64 (NUMBERS,)
    FREQUENCIES,  # of each of them
    EMBEDDED,  # inputs that each of them adds, behind those of X
    EMBEDDING,  # in the parameters: those of the numbers, EMBEDDING_STRIDE apart
    EMBEDDING_STRIDE,  # between the parameters of two numbers
    EMBEDDING_CODE,  # address of the code of embeddings (entry/embedding_run.py)
) = range(39)

# Columns of a layer.
(
    INPUTS,  # units of the layer before
    OUTPUTS,  # units
    ACTIVATION,  # code
    WEIGHTS,  # in the parameters: panels of W
    WEIGHT_STRIDE,  # between two panels of W
    BIAS,  # in the parameters: b
    IN,  # in a block: activations of the layer before
    Z,  # in a block: pre-activations (equal to A where they are not kept)
    A,  # in a block: activations
    DELTA_PANELS,  # in work: panels of delta, each (capacity, lanes)
    DELTA_PANEL_STRIDE,  # between two panels of delta
    # The rest only extended plans read.
    DROPOUT,  # a unit is dropped where its 32 random bits are below this
    FIRST_PANEL,  # number of the layer's first panel among those of all layers
    PER_UNIT,  # parameters of a unit beside W: 1, its bias, or 3, with gain and shift
    PER_UNIT_STRIDE,  # in the parameters: between all biases, all gains and all shifts
    LINEAR,  # in a block: W x + b, then n of layer norm (equal to Z without layer norm)
    INVERSE,  # in a block: 1 / standard deviation of each row of LINEAR
    RESIDUAL,  # 1: a of the layer before is added to a
    FUNCTION,  # address of the custom activation
    NEEDS_Z,  # 1: the derivative is computed from z; a custom one lies in the place of z
    TARGET_KIND,  # of the last layer, in plain plans too: one of codes.REAL, ..., or of OR_NAN
    THRESHOLD,  # DROPOUT of the current batch; 0: none is dropped
    INPUT_SCALING,  # of the first: in the moments, its learned scaling (learned_scaling.py), or -1
    SCALING_RATE,  # of the first: the hyperparameter that is the factor on its learning rate
) = range(24)

UNIT_OR_NAN, REAL_OR_NAN = 4, 5
"""Kinds of targets of extended plans, beside those of codes.py: UNIT or REAL, or NaN for a target
that is not known."""

OR_NAN = {codes.UNIT: UNIT_OR_NAN, codes.REAL: REAL_OR_NAN}
"""The kind that allows NaN, for each kind of codes.py that has one."""

SMALL_BATCH_VECTORS = 64
"""Vectors of a weight gradient that a small batch holds in scratch at a time."""

MOST_BYTES = 2**56
"""More than any machine has. The sum of a few such numbers still fits int64."""

LINE = 64
"""Bytes of a cache line."""


def rounded(count: int, step: int) -> int:
    """``count`` rounded up to a multiple of ``step``."""
    return -(-count // step) * step


@dataclass(frozen=True)
class PlanSpec:
    """The description of a network and its training that a plan is made from.

    ``sizes`` has the input width first; ``activations`` are codes. The fields after ``workers`` are
    for extended plans. dropout: one rate for each layer. layer_norm: hidden layers are normalized.
    residual: a hidden layer as wide as the layer before adds its inputs.
    """

    sizes: tuple[int, ...]
    activations: tuple[int, ...]
    itemsize: int
    loss: int = codes.MSE
    optimizer: int = 0
    moments: int = 0
    capacity: int = 1
    workers: int = 1
    extended: bool = False
    dropout: tuple[float, ...] = ()
    averages: bool = False
    clips_norm: bool = False
    weighs_classes: bool = False
    ignores_nan: bool = False
    custom_loss: int = 0
    seed: int = 0
    scaling: int = 0
    layer_norm: bool = False
    residual: bool = False
    sparse: bool = False
    """Whether batches may go by their nonzeros, which takes more scratch (sparse_layer.py)."""
    custom_activations: tuple[int, ...] = ()
    """Address of each layer's custom activation, 0 for a built-in one; () for none."""
    input_scaling: int = 0
    """Place in the hyperparameters of the factor on the learning rate of a learned scaling of the
    inputs; 0 for none."""
    directions: int = 0
    """Of each row, along which derivatives are trained, or outputs for ``adjoints``; 0 for none."""
    adjoints: bool = False
    """Whether derivatives are trained from the side of the outputs (stages/adjoints.py)."""
    numbers: int = 0
    """Columns of X that are embedded, with ``frequencies`` each, as ``embedded`` more inputs."""
    frequencies: int = 0
    embedded: int = 0
    number_columns: int = 0
    """Address of the places of these columns, int64 (numbers,)."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each layer, first the inputs of layer 1: columns of X, and embeddings."""
        return (self.sizes[0] + self.numbers * self.embedded, *self.sizes[1:])

    @property
    def number_length(self) -> int:
        """Elements of the parameters of a number that is embedded."""
        frequencies, embedded = (rounded(n, self.lanes) for n in (self.frequencies, self.embedded))
        whole = (2 + self.embedded) * frequencies + embedded
        return rounded(whole, LINE // self.itemsize)

    @property
    def normalized(self) -> tuple[bool, ...]:
        """Whether each layer is normalized."""
        return (self.layer_norm,) * (len(self.sizes) - 2) + (False,)

    @property
    def adds_inputs(self) -> tuple[bool, ...]:
        """Whether each layer adds its inputs to its activations."""
        inputs = 0 if self.numbers else self.sizes[0]  # embeddings are not added
        equal = [one == other for one, other in pairwise((inputs, *self.sizes[1:-1]))]
        return (*(self.residual and same for same in equal), False)

    @property
    def arenas(self) -> int:
        """Arenas beside the parameters: moments, the average, the gradient."""
        return self.moments + self.averages + self.clips_norm

    @property
    def lanes(self) -> int:
        """Elements of a vector."""
        return width.lanes(self.itemsize)


class _Space:
    """Hands out offsets one after another, each a whole number of cache lines."""

    def __init__(self, itemsize: int) -> None:
        self.line = LINE // itemsize
        self.end = 0

    def take(self, count: int) -> int:
        start = self.end
        self.end += rounded(count, self.line)
        return start

    def odd(self, count: int) -> int:
        """A stride of at least ``count``, in an odd number of lines.

        Off multiples of 4 KiB, panels read side by side do not fall into the same cache sets.
        """
        lines = -(-count // self.line)
        return (lines | 1) * self.line


def check_room(shape: PlanSpec) -> None:
    """MemoryError for a spec whose offsets might not fit int64.

    The bound is above the memory of the plan: each width has more than its padding added, and the
    block and the panels hold each layer fewer than 8 times.
    """
    units = [size + LINE for size in shape.widths]
    weights = sum(inputs * outputs for inputs, outputs in pairwise(units))
    weights += shape.numbers * shape.number_length
    rows = 8 * sum(units) * (shape.capacity + LINE)
    if shape.itemsize * (weights + rows) > MOST_BYTES:
        raise MemoryError(
            f"sizes {list(shape.sizes)}, {shape.capacity} rows at a time, take more memory than "
            "any machine has: make the layers or the batches smaller"
        )


def make_plan(shape: PlanSpec) -> NDArray[np.int64]:
    """The plan (1 + L, COLUMNS) of a network: offsets, strides, codes. MemoryError: check_room."""
    check_room(shape)
    plan = np.zeros((len(shape.sizes), COLUMNS), np.int64)
    plan[0, [LOSS, OPTIMIZER, MOMENTS]] = shape.loss, shape.optimizer, shape.moments
    plan[0, CAPACITY] = shape.capacity
    plan[0, LAST], plan[0, X_COLUMNS] = len(plan) - 1, shape.sizes[0]
    _extend(plan, shape)
    _place_parameters(plan, shape)
    _place_input_scaling(plan, shape)
    _place_block(plan, shape)
    _place_work(plan, shape)
    return plan


def _extend(plan: NDArray[np.int64], shape: PlanSpec) -> None:
    plan_globals, outputs = plan[0], shape.sizes[-1]
    plan_globals[EXTENDED], plan_globals[SEED] = shape.extended, shape.seed
    plan_globals[CUSTOM_LOSS], plan_globals[CLASSES] = shape.custom_loss, shape.weighs_classes
    plan_globals[SCALING] = shape.scaling
    plan_globals[TARGETS] = outputs // codes.LOSS_OF[shape.loss].outputs_per_target
    plan_globals[[AVERAGE, GRADIENT]] = -1
    if shape.averages:
        plan_globals[AVERAGE] = shape.moments
    if shape.clips_norm:
        plan_globals[GRADIENT] = shape.moments + shape.averages
    for row, rate in zip(plan[1:], shape.dropout, strict=False):
        row[DROPOUT] = min(round(rate * 2**32), 2**32 - 1)
    plan[1:, PER_UNIT] = [3 if normalized else 1 for normalized in shape.normalized]
    plan[1:, RESIDUAL] = shape.adds_inputs
    plan[1:, FUNCTION] = shape.custom_activations or 0
    plan[1:, NEEDS_Z] = [codes.ACTIVATION_OF[code].needs_z for code in shape.activations]
    plan[-1, TARGET_KIND] = codes.LOSS_OF[shape.loss].targets
    if shape.ignores_nan:
        plan[-1, TARGET_KIND] = OR_NAN[codes.LOSS_OF[shape.loss].targets]
    rows_only = any(shape.normalized + shape.adds_inputs)
    plan_globals[ROWS_ONLY] = rows_only or shape.directions > 0 or shape.numbers > 0
    plan_globals[[NUMBERS, NUMBER_COLUMNS]] = shape.numbers, shape.number_columns
    plan_globals[[FREQUENCIES, EMBEDDED]] = shape.frequencies, shape.embedded


def _place_parameters(plan: NDArray[np.int64], shape: PlanSpec) -> None:
    space, lanes = _Space(shape.itemsize), shape.lanes
    before = 0
    for row, (inputs, outputs) in zip(plan[1:], pairwise(shape.widths), strict=True):
        panels = -(-outputs // lanes)
        row[FIRST_PANEL], before = before, before + panels
        stride = space.odd(rounded(inputs, lanes) * lanes)
        row[[INPUTS, OUTPUTS, WEIGHT_STRIDE]] = inputs, outputs, stride
        row[WEIGHTS] = space.take(panels * stride)
        row[PER_UNIT_STRIDE] = rounded(panels * lanes, space.line)
        row[BIAS] = space.take(row[PER_UNIT] * row[PER_UNIT_STRIDE])
    if shape.numbers:
        plan[0, EMBEDDING_STRIDE] = shape.number_length
        plan[0, EMBEDDING] = space.take(shape.numbers * shape.number_length)
    plan[0, PARAMETERS] = space.end


def _place_input_scaling(plan: NDArray[np.int64], shape: PlanSpec) -> None:
    plan[1:, INPUT_SCALING] = -1
    if shape.input_scaling:
        plan[1, INPUT_SCALING] = shape.arenas * plan[0, PARAMETERS]
        plan[1, SCALING_RATE] = shape.input_scaling


def _place_block(plan: NDArray[np.int64], shape: PlanSpec) -> None:
    space, lanes = _Space(shape.itemsize), shape.lanes

    def units(count: int) -> int:
        return space.take(rounded(count, lanes) * lanes)

    plan_globals, last = plan[0], len(plan) - 1
    targets = max(shape.sizes[0], shape.sizes[-1]) if shape.adjoints else shape.sizes[-1]
    plan_globals[TARGET] = units(targets)
    before = units(shape.widths[0])
    for layer in range(1, len(plan)):
        row, code = plan[layer], shape.activations[layer - 1]
        kept = row[NEEDS_Z] == 1 or (layer == last and code in (codes.SIGMOID, codes.SOFTMAX))
        kept = kept or row[DROPOUT] > 0  # a before units are dropped
        kept = kept or row[RESIDUAL] == 1 or row[PER_UNIT] > 1 or shape.directions > 0
        row[ACTIVATION], row[IN] = code, before
        row[A] = before = units(row[OUTPUTS])
        row[LINEAR] = row[Z] = units(row[OUTPUTS]) if kept else row[A]
        if row[PER_UNIT] > 1:
            row[LINEAR], row[INVERSE] = units(row[OUTPUTS]), space.take(lanes)
    widest = max(shape.widths if shape.numbers else shape.sizes[1:])
    plan_globals[DELTA_STRIDE] = space.odd(rounded(widest, lanes) * lanes)
    plan_globals[DELTA] = space.take(2 * plan_globals[DELTA_STRIDE])
    for column in (ROW_LOSS, ROW_CORRECT, ROW_STATUS, *((ROW_WEIGHT,) if shape.extended else ())):
        plan_globals[column] = space.take(lanes)
    if plan[1:, RESIDUAL].any():
        plan_globals[ERROR] = space.take(plan_globals[DELTA_STRIDE])
    if shape.custom_loss:
        plan_globals[CUSTOM_ROWS] = space.take(3 * shape.sizes[-1])
    plan_globals[BLOCK] = space.odd(space.end)


def _place_work(plan: NDArray[np.int64], shape: PlanSpec) -> None:
    space, lanes, plan_globals = _Space(shape.itemsize), shape.lanes, plan[0]
    rows = rounded(shape.capacity, lanes)
    space.take(rows // lanes * plan_globals[BLOCK])
    for row in plan[1:]:
        row[DELTA_PANEL_STRIDE] = space.odd(rows * lanes)
        row[DELTA_PANELS] = space.take(-(-row[OUTPUTS] // lanes) * row[DELTA_PANEL_STRIDE])
    scratch = max(ROWS * WIDEST, lanes, SMALL_BATCH_VECTORS) * lanes
    if shape.sparse:  # two gradients, and two int32 for each row
        scratch = 2 * NONZERO_PANELS * NONZERO_CHUNK * lanes + 2 * rows * 4 // shape.itemsize
    if shape.numbers:  # a gradient, and two sums for each of the parameters of a frequency
        scratch = max(scratch, shape.number_length + 2 * (2 + shape.embedded) * lanes)
    plan_globals[SCRATCH_STRIDE] = space.odd(scratch)
    plan_globals[SCRATCH] = space.take(shape.workers * plan_globals[SCRATCH_STRIDE])
    if shape.extended:
        panels = plan[-1, FIRST_PANEL] + -(-shape.sizes[-1] // lanes) + shape.numbers
        plan_globals[PANEL_SUMS] = space.take(2 * panels * lanes)
    plan_globals[WORK] = space.end
