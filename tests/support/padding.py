"""What padding must be: zero, whatever was there before."""

import numpy as np

from fastbp.kernels.base import width
from fastbp.kernels.tables import arenas, layout
from support.closeness import layers_of
from support.internals import core


def rest_of(arena, trainer):
    """A parameter arena without its parameters: what padding holds."""
    rest = arena.copy()
    zeros = [tuple(map(np.zeros_like, layer)) for layer in layers_of(trainer)]
    arenas.write_layers(trainer.net.arrays.plan, rest, zeros)
    return rest


class Work:
    """What a step left in the work arena (layout.py)."""

    def __init__(self, trainer, rows):
        self.plan, self.work = core(trainer).compiled.plan, core(trainer).compiled.work
        self.lanes = width.lanes(self.work.itemsize)
        self.vectors = -(-rows // self.lanes)
        exclusive = self.plan[0, layout.ROWS_ONLY] == 1
        self.few = rows if 2 * rows <= self.lanes and not exclusive else 0

    def blocks(self, column, layer, units):
        """(vectors * lanes rows, padded units) of z or a."""
        w = self.lanes
        padded = -(-int(units) // w) * w
        for v in range(self.vectors):
            start = int(v * self.plan[0, layout.BLOCK] + self.plan[layer, column])
            yield self.work[start : start + padded * w].reshape(padded, w)

    def rows(self, column, layer, units):
        outputs = layer == self.plan[0, layout.LAST] and column != layout.IN
        if self.few and not outputs:
            return self.row_panels(int(self.plan[layer, column]), int(units))
        return np.concatenate([block.T for block in self.blocks(column, layer, units)])

    def row_panels(self, start, units):
        """The rows of a small batch, whose units lie in the lanes."""
        w, panels = self.lanes, -(-units // self.lanes)
        flat = self.work[start : start + panels * self.few * w].reshape(panels, self.few, w)
        return flat.transpose(1, 0, 2).reshape(self.few, -1)

    def delta(self, layer):
        """Delta likewise, from its panels of units; few rows have no padding there."""
        row, w = self.plan[layer], self.lanes
        panels = []
        for p in range(-(-int(row[layout.OUTPUTS]) // w)):
            start = int(row[layout.DELTA_PANELS] + p * row[layout.DELTA_PANEL_STRIDE])
            panels.append(self.work[start : start + self.vectors * w * w].reshape(-1, w))
        return np.concatenate(panels, axis=1)[: self.few or None]


def check_padding(trainer, rows):
    work = Work(trainer, rows)
    for layer, row in enumerate(work.plan[1:], 1):
        below = work.rows(layout.IN, layer, row[layout.INPUTS])
        a, delta = work.rows(layout.A, layer, row[layout.OUTPUTS]), work.delta(layer)
        assert np.isfinite(a).all()
        assert a[:rows].any()
        assert delta[:rows].any()
        assert not below[:, row[layout.INPUTS] :].any()
        assert not a[:, row[layout.OUTPUTS] :].any()
        assert not delta[:, row[layout.OUTPUTS] :].any()
        assert not delta[rows:].any()
