"""The network: layer sizes, activations, and the parameters."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
from numpy import empty, ndarray

from ..common import checks, registry
from ..common.optional import need
from ..common.types import Array, Floats, Ints
from ..components import activations, initializers, losses, user_functions
from ..data import scaling
from ..data.scaling import Scaling
from ..data.tables import address, as_array, as_inputs
from ..kernels.tables import arenas, layout, settings
from ..runtime import compiled_engine, fast_path, threads
from ..runtime.arrays import Dataset, TrainingArrays, raise_status
from ..runtime.locking import exclusive, new_lock


class Follower(Protocol):
    """A trainer, as far as its network knows it."""

    def check_scaling(self, targets: scaling.Units | None) -> None:
        """ValueError if its loss goes with no targets that are scaled so."""

    def follow_scaling(self) -> None:
        """The network scales from now on."""


_NOTHING = np.empty(0)

DTYPES = {name: np.dtype(name) for name in ("float32", "float64")}


class Network:
    """A multilayer perceptron: fully connected layers, an activation after each.

    Args:
        sizes: units of each layer, the inputs first: at least two integers >= 1.
        activation: of the hidden layers: one name, or a sequence of one name per hidden layer. In
            place of a name, an activation of your own: an njit function ``f(z) -> (a, da/dz)`` of
            one number, called by its address from the compiled kernels. Where it raises, or one of
            the two is not finite, a is NaN: predictions show it, and no update is made of it. Its
            arithmetic is vectorized; functions of ``math`` are called for one number at a time.
        output: activation of the last layer, likewise. An own one goes with every loss but "bce",
            "cross_entropy", "poisson" and "gaussian_nll".
        init: rule for the initial weights (fastbp/initializers.py); "auto" is He's normal for the
            relu family and Glorot's uniform for the others, and for your own. Biases start at 0.
        seed: of the initial weights, an integer in [0, 2**63); None draws one.
        dtype: "float32", or "float64" for the same kernels in double precision.
        layer_norm: every hidden layer computes a = activation(LN(W x + b)): over its units
            LN(z) = gain (z - mean) / sqrt(variance + 1e-5) + shift, with gains that start at 1 and
            shifts at 0, and are learned. (torch.nn.LayerNorm; Ba, Kiros and Hinton, 2016.)
        residual: a hidden layer that is as wide as the layer before, or as the inputs, adds what
            it was given to its activations. (He et al., 2016.)

    Raises:
        ValueError, TypeError: an argument that is not as above; layer_norm without a hidden layer,
            residual without one as wide as the layer before; an own activation whose da/dz is not
            what central differences give. What it raises, when it is tried out.
        MemoryError: there is not enough for so many parameters.

    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: activations.ActivationLike | Sequence[activations.ActivationLike] = "relu",
        output: activations.ActivationLike = "identity",
        init: str = "auto",
        seed: int | None = None,
        dtype: npt.DTypeLike = "float32",
        layer_norm: bool = False,
        residual: bool = False,
    ) -> None:
        self._sizes = _sizes(sizes)
        hidden = _hidden(activation, len(self.sizes) - 2)
        self._activations = (*hidden, activations.lookup(output, "output"))
        for one in self._activations:
            initializers.lookup(init, one.rectifier)
        self._seed = checks.seed(seed)
        self._dtype = as_dtype(dtype)
        self._layer_norm = checks.flag(layer_norm, "layer_norm")
        self._residual = checks.flag(residual, "residual")
        _check_layers(self._new_shape())
        try:
            layout.check_room(self._new_shape())
            self._place(self._initial(init))
        except MemoryError as error:
            raise MemoryError(
                f"sizes {list(self.sizes)} make {self.n_parameters} parameters, and there is no "
                "memory for so many: make the layers smaller"
            ) from error

    def _new_shape(self) -> layout.PlanSpec:
        return layout.PlanSpec(
            self.sizes,
            tuple(a.code for a in self._activations),
            self.dtype.itemsize,
            extended=self.layer_norm or self.residual or any(self.custom_activations),
            layer_norm=self.layer_norm,
            residual=self.residual,
            custom_activations=tuple(
                user_functions.activation_address(f, self.dtype.itemsize) if f else 0
                for f in self.custom_activations
            ),
        )

    def _place(self, layers: list[arenas.Layer]) -> None:
        """Lay out the parameters of every layer for this machine's kernels."""
        self._shape = self._new_shape()
        self._plan: Ints = layout.make_plan(self._shape)
        count = int(self._plan[0, layout.PARAMETERS])
        memory = arenas.allocate(count + arenas.scales_length(self._shape), self.dtype)
        self._parameters = memory[:count]  # what holds it holds the scales, too
        self._scales = arenas.read_scales(self._shape, memory[count:])
        arenas.write_layers(self._plan, self._parameters, layers)
        scaling.fill(self._scaling, self._scales)
        # What extended kernels read of an inference; the quick way has its address.
        self._hyper = np.zeros(settings.length(len(self.sizes) - 1, 0))
        if self._scaling.any:
            self._extend()
        self._trainers: WeakSet[Follower] = WeakSet()
        self._lock = new_lock()

    def _extend(self) -> None:
        """Use the extended kernels, which scale; other threads may predict meanwhile."""
        scales = address(self._scales.input_mean)
        self._shape = replace(self._shape, extended=True, scaling=scales)
        self._fast_path = None

    def _initial(self, init: str) -> list[arenas.Layer]:
        rng = np.random.default_rng(self.seed)
        layers: list[arenas.Layer] = [
            (initializers.initial_weights(init, a.rectifier, n_in, n_out, rng), np.zeros(n_out))
            for (n_in, n_out), a in zip(pairwise(self.sizes), self._activations, strict=True)
        ]
        if not self.layer_norm:
            return layers
        hidden = [(W, b, np.ones(len(b)), np.zeros(len(b))) for W, b in layers[:-1]]
        return [*hidden, layers[-1]]

    _fast_path: fast_path.Prediction | None = None
    _scaling = Scaling()

    def __getstate__(self) -> dict[str, Any]:
        """With parameters in natural shapes: their layout is this machine's."""
        of_this_machine = {"_shape", "_plan", "_parameters", "_scales", "_hyper"}
        of_this_machine |= {"_trainers", "_fast_path", "_lock"}
        with exclusive(self._lock):
            state = {key: value for key, value in vars(self).items() if key not in of_this_machine}
            return state | {"layers": self._layers()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update((key, value) for key, value in state.items() if key != "layers")
        self._place(state["layers"])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of each layer, the inputs first."""
        return self._sizes

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations, one a layer, the output's last; of own ones, the function's."""
        return tuple(a.name for a in self._activations)

    @property
    def custom_activations(self) -> tuple[Callable[..., Any] | None, ...]:
        """The functions of activations of your own, one a layer, None where it is none."""
        return tuple(a.function for a in self._activations)

    @property
    def own_activations(self) -> tuple[Callable[..., Any] | None, ...]:
        """``custom_activations`` under its name in 0.1.0."""
        return self.custom_activations

    @property
    def output(self) -> str:
        """Name of the output activation."""
        return self._activations[-1].name

    @property
    def seed(self) -> int:
        """The seed of the initial weights."""
        return self._seed

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters and outputs."""
        return self._dtype

    @property
    def layer_norm(self) -> bool:
        """Whether hidden layers are normalized."""
        return self._layer_norm

    @property
    def residual(self) -> bool:
        """Whether hidden layers as wide as the layer before add what they were given."""
        return self._residual

    @property
    def n_parameters(self) -> int:
        """Weights, biases, gains and shifts, counted."""
        of_norms = 2 * sum(self.sizes[1:-1]) if self.layer_norm else 0
        return of_norms + sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))

    @property
    def weights(self) -> list[Array]:
        """Fresh read-only copies of the weights, (n_in, n_out) for each layer."""
        return self._copies(0)

    @property
    def biases(self) -> list[Array]:
        """Fresh read-only copies of the biases, (n_out,) for each layer."""
        return self._copies(1)

    @property
    def gains(self) -> list[Array]:
        """Fresh read-only copies of the gains, (n_out,) for each hidden layer; [] without any."""
        return self._copies(2)

    @property
    def shifts(self) -> list[Array]:
        """Fresh read-only copies of the shifts, (n_out,) for each hidden layer; [] without any."""
        return self._copies(3)

    def _copies(self, part: int) -> list[Array]:
        return [_read_only(layer[part]) for layer in self._layers() if len(layer) > part]

    def _layers(self) -> list[arenas.Layer]:
        """Fresh copies of all parameters, layer by layer."""
        return list(arenas.read_layers(self._plan, self._parameters))

    def _set_layers(self, layers: Sequence[arenas.Layer]) -> None:
        """``set_parameters`` to what ``_layers`` gave."""
        weights, biases, gains, shifts = (
            [layer[part] for layer in layers if len(layer) > part] for part in range(4)
        )
        self.set_parameters(weights, biases, gains or None, shifts or None)

    def set_parameters(
        self,
        weights: Sequence[Any],
        biases: Sequence[Any],
        gains: Sequence[Any] | None = None,
        shifts: Sequence[Any] | None = None,
    ) -> None:
        """Copy in weights, (n_in, n_out) for each layer, and biases, (n_out,).

        Where layers are normalized, also gains and shifts, (n_out,) for each hidden layer; None
        leaves them. Optimizer moments of a trainer stay. ValueError or TypeError, with nothing
        changed, where a count, shape or dtype does not fit or a value is not finite.
        """
        shapes = list(pairwise(self.sizes))
        of_units = [shape[1:] for shape in shapes]
        normalized = of_units[:-1] if self.layer_norm else []
        columns = [
            self._checked(weights, shapes, "weights", "layer"),
            self._checked(biases, of_units, "biases", "layer"),
            self.gains if gains is None else self._norms(gains, normalized, "gains"),
            self.shifts if shifts is None else self._norms(shifts, normalized, "shifts"),
        ]
        layers = [
            tuple(column[i] for column in columns if i < len(column)) for i in range(len(shapes))
        ]
        with exclusive(self._lock):
            self._parameters.fill(0)  # padding, too: 0 times a delta that was infinite is NaN
            arenas.write_layers(self._plan, self._parameters, layers)

    def _norms(self, arrays: Any, shapes: Sequence[tuple[int, ...]], name: str) -> list[Array]:
        if not self.layer_norm:
            raise ValueError(
                f"{name} are given, but the layers are not normalized: make the Network with "
                "layer_norm=True, or leave them out"
            )
        return self._checked(arrays, shapes, name, "hidden layer")

    def _checked(
        self, arrays: Any, shapes: Sequence[tuple[int, ...]], name: str, layer: str
    ) -> list[Array]:
        """One array for each shape."""
        try:
            count = len(arrays)
        except TypeError:
            raise TypeError(
                f"{name} is {type(arrays).__name__}, expected a sequence of {len(shapes)} arrays, "
                f"one per {layer}"
            ) from None
        if count != len(shapes):
            raise ValueError(f"{name} has {count} arrays, expected {len(shapes)}, one per {layer}")
        return [
            _parameter(array, shape, self.dtype, f"{name}[{i}]")
            for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True))
        ]

    def standardize(self, X: Any, y: Any = None) -> None:
        """Standardize inputs, and with y targets, by the mean and standard deviation of these.

        From now on the network takes (x - mean) / scale of every input, whoever calls it, and
        trainers take (y - mean) / scale of every target; outputs come back as p scale + mean. All
        data stay as they are, in units of their own: ``predict`` and ``embed`` take and give those.
        A column that is constant gets scale 1. Losses are of standardized targets, and so
        without units: 1 is what the mean of y would do by mse. Without y the scaling of targets
        stays.

        X and y are read once, a part at a time, in float64: they may be memory-mapped. Values are
        rounded to the network's dtype before they are scaled. Trainers that exist follow; models
        that ``compiled()`` made before the network's first scaling do not, and say so.

        Args:
            X: (n, n_in), numbers of any real dtype, order and strides: the training data.
            y: (n, n_out), (n,) for one column, or (n, n_out / 2) for loss "gaussian_nll", whose
                outputs become means and log-variances in units of y.

        Raises:
            ValueError, TypeError: X or y is not as above or has NaN or Inf; a column's spread is
                too small beside its mean for the network's dtype; a trainer of this network has a
                loss that goes with no scaled targets (all but mse, squared_error, mae, huber,
                quantile and gaussian_nll). Nothing has changed.

        """
        x = as_inputs(X, self.sizes[0])
        targets = self._scaling.targets
        if y is not None:
            columns = scaling.as_columns(y, self.sizes[-1], len(x.array))
            targets = scaling.estimated(as_inputs(columns, columns.shape[1], "y"), self.dtype, "y")
        self._scale(Scaling(scaling.estimated(x, self.dtype, "X"), targets))

    def set_scaling(
        self,
        *,
        input_mean: Any = None,
        input_scale: Any = None,
        target_mean: Any = None,
        target_scale: Any = None,
    ) -> None:
        """Set what ``standardize`` estimates: inputs become (x - input_mean) / input_scale.

        For images of bytes, say, ``net.set_scaling(input_scale=255)``. What is not given is 0, or
        1 for a scale, whatever it was before: without arguments nothing is scaled any more.

        Args:
            input_mean: a number, or (n_in,).
            input_scale: a number above 0, or (n_in,).
            target_mean: a number, or one for each target.
            target_scale: a number above 0, or one for each target.

        Raises:
            ValueError, TypeError: an argument is not as above, or a trainer of this network has a
                loss that goes with no scaled targets. Nothing has changed.

        """
        counts = scaling.target_counts(self.sizes[-1])
        inputs = scaling.given(input_mean, input_scale, (self.sizes[0],), "input")
        self._scale(Scaling(inputs, scaling.given(target_mean, target_scale, counts, "target")))

    def _scale(self, wanted: Scaling) -> None:
        scaling.check(wanted.inputs, self.dtype, "input")
        scaling.check(wanted.targets, self.dtype, "target")
        with exclusive(self._lock):
            for trainer in self._trainers:
                trainer.check_scaling(wanted.targets)
            if not self._shape.scaling:
                self._extend()
            for trainer in self._trainers:
                trainer.follow_scaling()
            self._scaling = wanted
            scaling.fill(wanted, self._scales)

    @property
    def input_mean(self) -> Floats | None:
        """What is subtracted from inputs: a read-only copy, (n_in,), or None."""
        return _copy_of(self._scaling.inputs, "mean")

    @property
    def input_scale(self) -> Floats | None:
        """What inputs are then divided by: a read-only copy, (n_in,), or None."""
        return _copy_of(self._scaling.inputs, "scale")

    @property
    def target_mean(self) -> Floats | None:
        """What is subtracted from targets: a read-only copy, one for each, or None."""
        return _copy_of(self._scaling.targets, "mean")

    @property
    def target_scale(self) -> Floats | None:
        """What targets are then divided by: a read-only copy, one for each, or None."""
        return _copy_of(self._scaling.targets, "scale")

    def predict(self, X: Any, out: Array | None = None) -> Array:
        """Outputs (n, n_out) of the rows of X (n, n_in); safe from many threads at once.

        While another thread trains, the parameters are what they are at the time: some as before an
        update, and some as after it.

        Args:
            X: numbers of any real dtype, order and strides.
            out: array to fill and return, (n, n_out), C-contiguous, of the network's dtype.

        Raises:
            ValueError, TypeError: X or out is not as above, or X holds NaN or Inf; in that case
                out may have been written to.

        """
        p = self._predict_fast_path(X, out)
        return self._predict_carefully(X, out) if p is None else p

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file, from which ``fastbp.load`` makes it again.

        A safetensors file, which any reader of these opens: parameters in natural shapes, what else
        ``predict`` needs, and a checksum. It takes the place of an older one in one go: the file is
        whole at any time, and on the disk when this returns.

        Args:
            path: the file, by custom called ``....safetensors``; its folder exists.

        Raises:
            ValueError: a parameter is not finite. Nothing has been written.
            OSError: the file cannot be written. What was there is still there.

        """
        from . import model_io

        model_io.save(self, path)

    def to_torch(self) -> Any:
        """A torch.nn.Sequential, on the CPU, that predicts the same, with copies of all parameters.

        Linear and the activation for each hidden layer, with LayerNorm between them if layers are
        normalized; then Linear and the output activation. fastbp/torch_modules.py has modules for
        what torch has none for: layers that add their inputs, and the scaling of inputs and
        targets. ModuleNotFoundError without torch, ValueError for an activation of your own.
        """
        need("torch", "torch", "to_torch")
        from . import torch_modules

        return torch_modules.to_torch(self)

    def _predict_carefully(self, X: Any, out: Array | None) -> Array:
        data = Dataset(as_inputs(X, self.sizes[0]))
        out = self._out(out, data)
        flops = 2.0 * data.rows * self.n_parameters
        workers = threads.workers(threads.maximum("auto"), flops)
        state = self._state()
        statuses = compiled_engine.infer(
            state, workers, data, np.asarray(out), compiled_engine.NO_VALUES
        )
        raise_status(statuses, data, state)
        return out

    def _predict_fast_path(self, X: Any, out: Array | None) -> Array | None:
        """``predict`` by the short way (quick.py), or None where only the careful way will do."""
        if type(X) is not ndarray or X.dtype is not self._dtype or not X.flags.carray:
            return None
        code, header, _memory = self._fast_path or self._make_fast_path()
        try:
            if out is None:
                out = empty((len(X), self._sizes[-1]), self._dtype)
            elif type(out) is not ndarray:
                return None
            return out if code(header, X, out) else None
        except TypeError:  # not an array of two dimensions
            return None

    def _make_fast_path(self) -> fast_path.Prediction:
        state = self._state()
        self._fast_path = made = fast_path.prediction(state, self.n_parameters)
        if self._shape is not state.shape:  # another thread has just begun to scale
            self._fast_path = None
        return made

    def _state(self) -> TrainingArrays:
        """For an inference."""
        loss = losses.LOSSES["mse"]
        arrays = self._parameters, _NOTHING, self._hyper
        return TrainingArrays(self._shape, *arrays, loss, self._scales, self.custom_activations)

    def _out(self, out: Array | None, data: Dataset) -> Array:
        shape = (data.rows, self.sizes[-1])
        if out is None:
            return np.empty(shape, self.dtype)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out is a {type(out).__name__}, expected a NumPy array {shape}")
        array = np.asarray(out)  # what a class of the user's says of itself may be anything
        if array.shape != shape or array.dtype != self.dtype or not array.flags.carray:
            raise ValueError(
                f"out has shape {array.shape} and dtype {array.dtype}, C-contiguous and writeable: "
                f"{array.flags.carray}; expected shape {shape}, dtype {self.dtype}, True"
            )
        if np.ma.is_masked(out):
            raise ValueError("out has masked entries, which would stay masked: pass out.data")
        if np.may_share_memory(array, data.x.array):
            raise ValueError("out lies in the memory of X, expected memory of its own: pass a copy")
        return out


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def _copy_of(units: scaling.Units | None, part: str) -> Floats | None:
    return None if units is None else _read_only(getattr(units, part).copy())


def _sizes(sizes: Any) -> tuple[int, ...]:
    try:
        units = None if isinstance(sizes, str | bytes) else iter(sizes)
    except TypeError:  # an array without dimensions has an __iter__, too
        units = None
    if units is None:
        raise TypeError(
            f"sizes is {sizes!r}, expected a sequence of integers, inputs first: [784, 512, 10]"
        )
    checked = tuple(checks.count(n, f"sizes[{i}]") for i, n in enumerate(units))
    if len(checked) < 2:
        raise ValueError(f"sizes is {list(checked)}, expected at least inputs and outputs: [4, 1]")
    return checked


def _check_layers(shape: layout.PlanSpec) -> None:
    """Refuse what would be without effect."""
    sizes = list(shape.sizes)
    if shape.layer_norm and len(sizes) == 2:
        raise ValueError(
            f"layer_norm is True, but sizes {sizes} has no hidden layer, which is what it "
            "normalizes: add one, or leave layer_norm out"
        )
    if shape.residual and not any(shape.adds_inputs):
        raise ValueError(
            f"residual is True, but in sizes {sizes} no hidden layer is as wide as the layer "
            "before: make some equal, or leave residual out"
        )


def _hidden(activation: Any, count: int) -> tuple[activations.Activation, ...]:
    if isinstance(activation, str) or callable(activation):
        return (activations.lookup_hidden(activation),) * count
    if isinstance(activation, bytes) or not isinstance(activation, Sequence):
        raise TypeError(
            f"activation is {activation!r}, of type {type(activation).__name__}, expected a name "
            "or a function that numba.njit has compiled, or one of these per hidden layer"
        )
    if len(activation) != count:
        raise ValueError(
            f"activation has {len(activation)} names, expected {count}, one per hidden layer"
        )
    return tuple(
        activations.lookup_hidden(name, f"activation[{i}]") for i, name in enumerate(activation)
    )


def as_dtype(dtype: Any) -> np.dtype[Any]:
    """``dtype`` as NumPy's; ValueError or TypeError for what no network has."""
    name = (
        dtype
        if isinstance(dtype, str)
        else getattr(dtype, "__name__", getattr(dtype, "name", dtype))
    )
    return registry.lookup(DTYPES, name, "dtype")


def _parameter(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    array = as_array(value, name)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if not np.isfinite(converted).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(converted))[0])
        raise ValueError(
            f"{name} has {array[place]} at {place}, expected numbers that are finite in {dtype}"
        )
    return converted
