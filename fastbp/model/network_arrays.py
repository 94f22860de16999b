"""The arrays of a network, laid out for the kernels of this machine."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from weakref import WeakSet

import numpy as np

from ..common.types import Array, Ints
from ..components import initializers, losses
from ..components.activations import Activation
from ..components.number_embedding import EmbeddingParameters
from ..data import scaling
from ..data.scaling import Scaling
from ..data.tables import address
from ..kernels.tables import arenas, layout, settings
from ..runtime.arrays import TrainingArrays
from ..runtime.compiled_engine import Inference
from ..runtime.locking import exclusive, new_lock
from .folding import folded
from .network_checks import as_layers, as_parameter, as_parameters

if TYPE_CHECKING:
    from ..runtime.jacobians import Derivatives

_NOTHING = np.empty(0)


Fold: TypeAlias = Callable[[list[arenas.Layer]], list[arenas.Layer]]
"""Makes of layers other layers, which do the same under another scaling."""


class Follower(Protocol):
    """A trainer, as far as its network knows it."""

    def check_scaling(self, targets: scaling.Units | None) -> None:
        """ValueError if its loss cannot have targets that are scaled like this."""

    def follow_scaling(self) -> None:
        """Switch to the kernels that scale."""

    def fold_average(self, fold: Fold) -> None:
        """Replace the moving average of the parameters, if there is one, by what ``fold`` makes."""


class NetworkArrays:
    """The parts of a network that fastbp itself uses; users have the methods of ``Network``.

    activations: one for each layer. spec: what plans are made for. plan: the layout of parameters.
    parameters: the arena (plan[0, PARAMETERS],), padding included. scales: factors and shifts of
    inputs, targets and outputs, in the memory behind the parameters. scaling: what the user calls
    them. number_columns: the columns of X that are embedded, behind the scales. lock: held by the
    thread that changes or reads all of this. followers: the trainers.
    """

    def __init__(
        self,
        spec: layout.PlanSpec,
        activations: tuple[Activation, ...],
        layers: Iterable[arenas.Layer],
        scaling_: Scaling,
        number_columns: Sequence[int] = (),
    ) -> None:
        self.activations, self.scaling = activations, scaling_
        self.dtype = np.dtype(f"f{spec.itemsize}")
        self.plan: Ints = layout.make_plan(spec)
        count, scales = int(self.plan[0, layout.PARAMETERS]), arenas.scales_length(spec)
        columns = layout.rounded(8 * len(number_columns), layout.LINE) // spec.itemsize
        memory = arenas.allocate(count + scales + columns, self.dtype)
        self.parameters: Array = memory[:count]  # keeps the memory of the rest, too
        self.scales = arenas.read_scales(spec, memory[count : count + scales])
        self.number_columns: Ints = memory[count + scales :].view(np.int64)[: len(number_columns)]
        self.number_columns[:] = number_columns
        self.spec = replace(spec, number_columns=address(self.number_columns) if columns else 0)
        # Extended kernels read it in an inference; headers of the fast path hold its address.
        self._hyper = np.zeros(settings.length(len(spec.sizes) - 1, 0))
        self._inference: Inference | None = None
        self._derivatives: Derivatives | None = None
        self.followers: WeakSet[Follower] = WeakSet()
        self.lock = new_lock()
        arenas.write_layers(self.plan, self.parameters, layers)
        scaling.fill(scaling_, self.scales)
        if scaling_.any:
            self._extend()

    def _extend(self) -> None:
        """Use the extended kernels, which scale. Other threads may predict meanwhile."""
        scales = address(self.scales.input_mean)
        self.spec = replace(self.spec, extended=True, scaling=scales)

    @property
    def custom_activations(self) -> tuple[Callable[..., Any] | None, ...]:
        """The user's functions, one for each layer, None where the activation is fastbp's."""
        return tuple(a.function for a in self.activations)

    def layers(self) -> list[arenas.Layer]:
        """Fresh copies of all parameters, layer by layer, and of the embedding if there is one."""
        return list(arenas.read_layers(self.plan, self.parameters))

    @property
    def embedding(self) -> arenas.Layer | None:
        """Fresh copies of the parameters of the embedding of numbers; None without one."""
        return self.layers()[-1] if self.spec.numbers else None

    def checksum(self) -> int:
        """The sum of the bits of all parameters, whatever the width of vectors."""
        return int(self.parameters.view(np.uint32).sum(dtype=np.uint64))

    def part(self, number: int) -> list[Array]:
        """Part ``number`` of every layer that has it: weights, biases, gains, shifts."""
        layers = self.layers()[: len(self.spec.sizes) - 1]
        return [layer[number] for layer in layers if len(layer) > number]

    def write_layers(self, layers: Iterable[arenas.Layer]) -> None:
        """Fill a network of zeros with finite layers of its shapes and dtype."""
        with exclusive(self.lock):
            arenas.write_layers(self.plan, self.parameters, layers)

    def set_layers(self, layers: Sequence[arenas.Layer]) -> None:
        """``set_parameters``, and ``set_embedding``, to what ``layers`` returned."""
        count = len(self.spec.sizes) - 1
        weights, biases, gains, shifts = (
            [layer[part] for layer in layers[:count] if len(layer) > part] for part in range(4)
        )
        self.set_parameters(weights, biases, gains or None, shifts or None)
        if self.spec.numbers:
            self.set_embedding(layers[-1])

    def set_parameters(
        self,
        weights: Sequence[Any],
        biases: Sequence[Any],
        gains: Sequence[Any] | None,
        shifts: Sequence[Any] | None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        """``Network.set_parameters``; numbers: its ``layers``."""
        count = len(self.spec.sizes) - 1
        chosen = list(range(count)) if numbers is None else as_layers(numbers, count)
        shapes = list(pairwise(self.spec.widths))
        of_units = [shape[1:] for shape in shapes]
        normalized = [i for i in chosen if self.spec.normalized[i]]
        parts = [
            (chosen, self._checked(weights, [shapes[i] for i in chosen], "weights")),
            (chosen, self._checked(biases, [of_units[i] for i in chosen], "biases")),
            (normalized, self._norms(gains, [of_units[i] for i in normalized], "gains")),
            (normalized, self._norms(shifts, [of_units[i] for i in normalized], "shifts")),
        ]
        with exclusive(self.lock):
            layers = [list(layer) for layer in self.layers()]
            for part, (places, arrays) in enumerate(parts):
                for i, array in zip(places, arrays, strict=False):
                    layers[i][part] = array
            self.parameters.fill(0)  # padding, too: 0 times a delta that was infinite is NaN
            arenas.write_layers(self.plan, self.parameters, map(tuple, layers))

    def set_embedding(self, parts: Sequence[Any]) -> None:
        """``Network.set_embedding_parameters``."""
        each = zip(parts, self.layers()[-1], EmbeddingParameters._fields, strict=True)
        checked = [as_parameter(part, own.shape, self.dtype, name) for part, own, name in each]
        with exclusive(self.lock):
            arenas.write_layers(self.plan, self.parameters, [*self.layers()[:-1], tuple(checked)])

    def _checked(
        self, arrays: Any, shapes: Sequence[tuple[int, ...]], name: str, layer: str = "layer"
    ) -> list[Array]:
        return as_parameters(arrays, shapes, self.dtype, name, layer)

    def _norms(self, arrays: Any, shapes: Sequence[tuple[int, ...]], name: str) -> list[Array]:
        """Checked gains or shifts; [] where none are given, which keeps what there is."""
        if arrays is None:
            return []
        if not self.spec.layer_norm:
            raise ValueError(
                f"{name} are given, but the layers are not normalized: make the Network with "
                "layer_norm=True, or leave them out"
            )
        return self._checked(arrays, shapes, name, "hidden layer")

    def set_scaling(self, wanted: Scaling, keeps_function: bool = False) -> None:
        """Scale like this from now on; trainers follow. ValueError where one of them cannot.

        keeps_function: let the parameters take up the change; ValueError where they cannot.
        """
        scaling.check(wanted.inputs, self.dtype, "input")
        scaling.check(wanted.targets, self.dtype, "target")
        with exclusive(self.lock):
            for trainer in self.followers:
                trainer.check_scaling(wanted.targets)
            if keeps_function:
                fold = partial(folded, spec=self.spec, before=self.scaling, after=wanted)
                self.set_layers(fold(self.layers()))
                for trainer in self.followers:
                    trainer.fold_average(fold)
            if not self.spec.scaling:
                self._extend()
            for trainer in self.followers:
                trainer.follow_scaling()
            self.scaling = wanted
            scaling.fill(wanted, self.scales)

    @property
    def inference(self) -> Inference:
        """What predicts with these arrays, made anew once the network scales."""
        made = self._inference
        if made is None or made.arrays.spec is not self.spec:
            self._inference = made = Inference(self.for_inference())
        return made

    @property
    def derivatives(self) -> "Derivatives":
        """What differentiates with these arrays, made anew once the network scales."""
        if self.spec.numbers:
            raise ValueError(
                "the network embeds numbers, through which there are no derivatives by the inputs: "
                "make the Network without number_embedding"
            )
        known = self._derivatives
        if known is None or known.arrays.spec is not self.spec:
            from ..runtime.jacobians import Derivatives  # few need it

            self._derivatives = known = Derivatives(self.for_inference())
        return known

    def for_inference(self) -> TrainingArrays:
        """The arrays without moments, with any loss: an inference uses neither."""
        return TrainingArrays(
            self.spec,
            self.parameters,
            _NOTHING,
            self._hyper,
            losses.LOSSES["mse"],
            self.scales,
            self.custom_activations,
            number_columns=self.number_columns,
        )


def initial_layers(
    spec: layout.PlanSpec, activations: tuple[Activation, ...], init: str, seed: int
) -> Iterator[arenas.Layer]:
    """The parameters of a new network, layer by layer. init: the rule of its weights."""
    rng = np.random.default_rng(seed)
    of_layers = zip(pairwise(spec.widths), activations, spec.normalized, strict=True)
    for (n_in, n_out), a, is_normalized in of_layers:
        weights = initializers.initial_weights(init, a.rectifier, n_in, n_out, rng)
        norm = (np.ones(n_out), np.zeros(n_out)) if is_normalized else ()
        yield weights, np.zeros(n_out), *norm
