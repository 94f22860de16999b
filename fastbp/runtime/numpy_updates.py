"""What the NumPy engine does with gradients: updates of the parameters, by the twins."""

import math
from collections.abc import Sequence

import numpy as np

from ..common.types import Array, Floats
from ..kernels import reference
from ..kernels.base import codes
from ..kernels.tables import arenas, job_table, layout, settings
from ..kernels.tables.learned_scaling import LearnedScaling
from .arrays import TrainingArrays, learned_scaling

WEIGHTS, BIASES = 0, 1
"""Parts of a layer, in its order; gains and shifts follow."""

Layers = list[arenas.Layer]


class NumpyUpdates:
    """The base of ``NumpyEngine``: parameters and moments, in natural shapes."""

    def __init__(self, arrays: TrainingArrays) -> None:
        self.arrays = arrays
        self._plan = layout.make_plan(arrays.spec)
        self._updated = False
        self._scaling = learned_scaling(arrays, self._plan)
        self._count = len(arrays.spec.sizes) - 1

    def _layers(self, arena: Array) -> Layers:
        return list(arenas.read_layers(self._plan, arena))

    def _scheduled(self, schedule: int) -> tuple[float, float]:
        """(factor, momentum) of the schedule at this place of ``hyper`` for the next update."""
        hyper = self.arrays.hyper
        found: tuple[float, float] = reference.scheduled(hyper[schedule:], hyper[settings.UPDATES])
        return found

    def _finish(self, layers: Layers, gradients: Layers) -> None:
        """Add the gradient of the penalties to the sum of kept gradients."""
        final = self._final(gradients, layers, clipped=False)
        for pair, total in zip(final, gradients, strict=True):
            for part, gradient in enumerate(pair):
                total[part][...] = gradient

    def _final(
        self, gradients: Layers, layers: Layers, clipped: bool, penalized: bool = True
    ) -> Layers:
        hyper = self.arrays.hyper[: settings.FIRST_LAYER].tolist()
        if not self.arrays.spec.extended:
            return gradients
        largest = hyper[settings.CLIP_VALUE] if clipped else 0.0
        price = (hyper[settings.L1], hyper[settings.L2]) if penalized else (0.0, 0.0)
        free = [(0.0, 0.0)] * 4  # weights have a price, and nothing else; nor has the embedding
        prices = [[price, *free]] * self._count + [free]
        return [
            tuple(
                reference.final_gradient(w, g, l1, l2, largest)
                for w, g, (l1, l2) in zip(layer, gradient, own, strict=False)
            )
            for gradient, layer, own in zip(gradients, layers, prices, strict=False)
        ]

    def _update(
        self, gradients: Layers, layers: Layers, moments: list[Layers], penalized: bool = True
    ) -> bool:
        """One update. False, and nothing has changed, where the gradient's norm is not finite."""
        spec, hyper = self.arrays.spec, self.arrays.hyper
        gradients = self._final(gradients, layers, True, penalized)
        places = [settings.of_layer(i + 1, settings.LR_FACTOR) for i in range(self._count)]
        places += [settings.EMBEDDING_LR] * (len(layers) - self._count)
        factors = hyper[places].tolist()
        if spec.clips_norm:
            live = [g for f, pair in zip(factors, gradients, strict=True) if f for g in pair]
            clipping = reference.clip_scale(live, float(hyper[settings.CLIP_NORM]))
            if not math.isfinite(clipping):
                return False
            gradients = [
                tuple(g * g.dtype.type(clipping) for g in gradient) for gradient in gradients
            ]
        t = int(hyper[settings.UPDATES]) + 1
        for layer, factor in enumerate(factors):
            if factor:
                self._update_layer(layer, gradients[layer], t, layers, moments)
        return True

    def _now(self, layer: int, part: int) -> Floats:
        """The hyperparameters of this update of a part of a layer: W, b, gains, shifts."""
        end = settings.class_weights(len(self.arrays.spec.sizes) - 1)
        hyper = self.arrays.hyper[:end].copy()
        scheduled, momentum = self._scheduled(settings.SCHEDULE)
        if not math.isnan(momentum):  # an optimizer reads one of these
            hyper[[codes.MOMENTUM, codes.BETA1]] = momentum
        decay, _ = self._scheduled(settings.DECAY_SCHEDULE)
        if layer == self._count:  # the embedding of numbers
            hyper[codes.LR] *= scheduled * hyper[settings.EMBEDDING_LR]
            hyper[codes.WEIGHT_DECAY] *= decay
            return hyper
        hyper[codes.LR] *= scheduled * hyper[settings.of_layer(layer + 1, settings.LR_FACTOR)]
        decay *= hyper[settings.of_layer(layer + 1, settings.DECAY_FACTOR)]
        if part == BIASES:
            hyper[codes.LR] *= hyper[settings.of_layer(layer + 1, settings.BIAS_LR_FACTOR)]
        if part != WEIGHTS:
            decay *= hyper[settings.PER_UNIT_DECAY]
        hyper[codes.WEIGHT_DECAY] *= decay
        return hyper

    def _update_layer(
        self,
        layer: int,
        gradients: arenas.Layer,
        t: int,
        layers: Layers,
        moments: list[Layers],
    ) -> None:
        spec = self.arrays.spec
        for part, gradient in enumerate(gradients):
            w, hyper = layers[layer][part], self._now(layer, part)
            kept = [moments[i][layer][part] for i in range(spec.moments)]
            if layer == part == 0 and self._scaling is not None:
                self._update_factors(self._scaling, gradient, hyper, t, w, kept)
            else:
                self._apply_rule(hyper, t, w, gradient, kept)
            if spec.averages:
                average, decay = (
                    moments[spec.moments][layer][part],
                    w.dtype.type(hyper[settings.AVERAGING] if t > 1 else 0),
                )
                average[...] = w + decay * (average - w)

    def _apply_rule(
        self, hyper: Floats, t: int, w: Array, gradient: Array, kept: Sequence[Array]
    ) -> None:
        m, v = (kept[0], kept[-1]) if kept else (w, w)
        reference.update(self.arrays.spec.optimizer, hyper, t, w, gradient, m, v)

    def _update_factors(
        self,
        scaling: LearnedScaling,
        gradient: Array,
        hyper: Floats,
        t: int,
        weights: Array,
        kept: Sequence[Array],
    ) -> None:
        """Update s and W by the gradient by ``weights`` = diag(s) W. kept: the moments of W."""
        (s, *moments), W = scaling.numbers, scaling.weights
        anew = reference.changed_inputs(weights, s, W)
        W[anew], s[anew] = weights[anew], 1
        for moment in moments:
            moment[anew] = 0
        ds, dW = reference.gradients_of_factors(s, W, gradient)
        self._apply_rule(hyper, t, W, dW, kept)
        faster = hyper.copy()
        faster[codes.LR] *= self.arrays.hyper[self.arrays.spec.input_scaling]
        self._apply_rule(faster, t, s, ds, moments)
        scaling.weights = W
        weights[...] = reference.product(s, W)

    def apply(self, gradient: Array) -> int:
        """See ``Engine``."""
        layers = self._layers(self.arrays.parameters)
        moments = [self._layers(arena) for arena in self.arrays.moments]
        with np.errstate(all="ignore"):
            if not self._update(self._layers(gradient), layers, moments, penalized=False):
                return job_table.NOT_FINITE
        self._write(layers, moments, self.arrays.moments)
        self.arrays.hyper[settings.UPDATES] += 1
        return job_table.OK

    def _write(self, layers: Layers, moments: list[Layers], into: Array) -> None:
        """Write parameters back to their arena, and moments to theirs."""
        arenas.write_layers(self._plan, self.arrays.parameters, layers)
        for arena, moment in zip(into, moments, strict=True):
            arenas.write_layers(self._plan, arena, moment)
