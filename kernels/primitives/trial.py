"""Times the candidates of base/choices.py on products of the shape that training has.

The tiles are compiled by LLVM alone, with loops around them as in ``multiply_down`` and
``multiply_across``, but for the blocks of rows: these do not change which candidate wins. The
candidates take turns, so that what else runs on the machine slows all of them. Times are ratios to
the default's of the same round. The candidate of the least median replaces the default where the
median is lower by more than ``MARGIN``, and the candidate was faster in three of four rounds: of
eight that do not differ, one soon seems faster on a busy machine.
"""

import ctypes
import time
from collections.abc import Callable
from functools import partial
from statistics import median, quantiles
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from ..base import choices, width
from ..base.choices import Choice, Walk
from ..base.sizes import WIDEST, tile_rows
from ..ir.llvm_ir import I64, ir_call_built, ir_count_down
from .tile import CONTINUE, WRITE, Tile

UNITS, VECTORS = 1024, 6
"""Units of two layers, and vectors of rows: weights of 4 MiB, which no nearest cache holds."""

ROUNDS, SECONDS, MARGIN = 24, 0.6, 0.03
"""Turns of the candidates at most, the time after which no further turn begins, and the gain below
which the default stays: the noise of the median on a shared machine."""

_FLOAT = ir.FloatType().as_pointer()
_ARGUMENTS = _FLOAT, _FLOAT, _FLOAT, I64
"""(a, b, c, steps of a block)"""

LANES = width.lanes(4)
PANEL = UNITS * LANES + LANES
"""Elements from one panel to the next: an odd number of vectors."""


class _Product:
    """Builds c (UNITS, VECTORS) = a product of UNITS steps, in one direction."""

    def __init__(self, across: bool, prefetches: bool) -> None:
        self.across = across
        self.name = f"fastbp_trial_{'across' if across else 'down'}_{int(prefetches)}"
        self.tile = Tile(types.float32, WIDEST, across, prefetches)

    def build(self, at: Any, a: Any, b: Any, c: Any, block: Any) -> None:
        """Blocks of steps, in them vectors, in them rows, as in gemm.py."""
        ir_count_down(at, I64(UNITS), block, (I64(0),), partial(self._vectors, at, a, b, c, block))

    def _vectors(self, at: Any, a: Any, b: Any, c: Any, block: Any, left: Any, k: Any) -> list[Any]:
        steps = at.select(at.icmp_signed("<", left, block), left, block)
        begun = at.icmp_signed(">", k, I64(0))
        mode = at.select(begun, I64(int(CONTINUE)), I64(int(WRITE)))

        def tiles(_left: Any, v: Any) -> list[Any]:
            ir_count_down(
                at, I64(UNITS), I64(tile_rows(4)), (I64(0),), partial(one, at.mul(v, I64(PANEL)))
            )
            return [at.add(v, I64(WIDEST))]

        def one(panel: Any, _left: Any, r: Any) -> list[Any]:
            place = at.add(panel, at.mul(r, I64(LANES)))
            target = at.gep(c, [place])
            arguments = (
                at.gep(a, [self._place_of_a(at, k, r)]),
                at.gep(b, [at.add(panel, at.mul(k, I64(LANES)))]),
                I64(PANEL),
                target,
                I64(PANEL),
                steps,
                I64(LANES) if self.across else steps,
                I64(PANEL) if self.across else I64(0),
                mode,
                *[target] * 4,
                I64(PANEL if self.across else 0),
            )
            ir_call_built(at, f"{self.name}_tile", self.tile.build, arguments)
            return [at.add(r, I64(tile_rows(4)))]

        ir_count_down(at, I64(VECTORS), I64(WIDEST), (I64(0),), tiles)
        return [at.add(k, block)]

    def _place_of_a(self, at: Any, k: Any, r: Any) -> Any:
        """Step k of row r: down, rows are lanes of panels; across, steps are."""
        lanes, panel = I64(LANES), I64(PANEL)
        inside, outside = (r, k) if self.across else (k, r)
        rest = at.srem(outside, lanes)
        line = at.add(at.mul(at.sdiv(outside, lanes), panel), at.mul(inside, lanes))
        return at.add(line, rest)


def _compiled() -> tuple[dict[tuple[str, bool], Callable[..., None]], Any]:
    """The product in each direction, with and without prefetches; and what keeps their code."""
    library = cpu_target.target_context.codegen().create_library("fastbp_trial")
    module = library.create_ir_module("fastbp_trial")
    products = {
        (direction, prefetches): _Product(direction == "across", prefetches)
        for direction in Choice._fields
        for prefetches in (False, True)
    }
    for product in products.values():
        kind = ir.FunctionType(ir.VoidType(), _ARGUMENTS)
        function = ir.Function(module, kind, product.name)
        at = ir.IRBuilder(function.append_basic_block("entry"))
        product.build(at, *function.args)
        at.ret_void()
    with global_compiler_lock:
        library.add_ir_module(module)
        library.finalize()
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
    codes = {
        key: kind(library.get_pointer_to_function(product.name))
        for key, product in products.items()
    }
    return codes, library


_clock = time.thread_time
"""Leaves out the time in which other programs had the processor."""
if time.get_clock_info("thread_time").resolution > 1e-6:
    _clock = time.perf_counter

Timer = Callable[[str, Walk], float]
"""Runs the product of a direction by a candidate: the seconds."""


def timer() -> Timer:
    """A timer of products in this process's memory."""
    codes, library = _compiled()
    a = np.full(UNITS // LANES * PANEL, 0.5, np.float32)
    b, c = np.full((2, VECTORS * PANEL), 0.5, np.float32)
    kept = library, a, b, c  # as long as the timer

    def seconds(direction: str, walk: Walk) -> float:
        places = [array.ctypes.data for array in kept[1:]]
        began = _clock()
        codes[direction, walk.prefetches](*places, walk.steps)
        return _clock() - began

    return seconds


def measured() -> tuple[Choice, dict[str, Any]]:
    """``best`` of this machine."""
    return best(timer())


def best(seconds: Timer) -> tuple[Choice, dict[str, Any]]:
    """The choice, and the median time of each candidate, the default's being 1."""
    times, chosen, measured = _times(seconds), {}, {}
    for direction in choices.CANDIDATES:
        default = getattr(choices.DEFAULT, direction)
        ratios = _ratios(times[direction], default)
        medians = {walk: median(found) for walk, found in ratios.items()}
        fastest = min(medians, key=lambda walk: medians[walk])
        is_sure = quantiles(ratios[fastest], n=4)[2] < 1
        chosen[direction] = fastest if medians[fastest] < 1 - MARGIN and is_sure else default
        measured |= {f"{direction} {walk}": f"{ratio:.2f}" for walk, ratio in medians.items()}
    return Choice(**chosen), measured


Times = dict[Walk, list[float]]
"""The seconds, or ratios, of each candidate, by the round."""


def _times(seconds: Timer) -> dict[str, Times]:
    """The candidates of each direction take turns; another one begins in each round."""
    began = time.perf_counter()
    times: dict[str, Times] = {
        direction: {walk: [] for walk in walks} for direction, walks in choices.CANDIDATES.items()
    }
    keys = [(direction, walk) for direction, walks in times.items() for walk in walks]
    for key in keys:
        seconds(*key)  # reads everything once
    for turn in range(ROUNDS):
        if turn >= 3 and time.perf_counter() - began > SECONDS:
            break
        for direction, walk in keys:
            times[direction][walk].append(seconds(direction, walk))
        keys.append(keys.pop(0))
    return times


def _ratios(times: Times, default: Walk) -> Times:
    """The times of each candidate, in ratio to the default's of the same round."""
    return {
        walk: [one / other for one, other in zip(taken, times[default], strict=True)]
        for walk, taken in times.items()
    }
