"""The arithmetic peak of this machine: a loop of fused multiply-adds on registers alone."""

import platform
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from ..kernels.base import width
from ..kernels.ir.llvm_ir import I64, ir_call, ir_splat, ir_vector

MANY_REGISTERS = width.BITS == 512 or platform.machine() in ("arm64", "aarch64")
CHAINS = 24 if MANY_REGISTERS else 12
"""Independent sums. A core needs latency times ports of them (AVX-512 4 x 2, AVX2 5 x 2, arm64 up
to 4 x 4), and they must stay in registers: AVX-512 and arm64 have 32, AVX2 and SSE 16."""

FLOPS_A_STEP = 2 * CHAINS * width.lanes(4)
BURST_SECONDS = 2e-3
BURSTS = 5


@intrinsic
def fma_chains(_typingctx, steps, factor, term):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Run x = factor * x + term in CHAINS float32 vectors ``steps`` times; returns their sum."""
    vector = ir_vector(types.float32)

    def codegen(_context, builder, _sig, args):  # type: ignore[no-untyped-def]
        count, x, y = args
        x, y = (ir_splat(builder, scalar, vector.count) for scalar in (x, y))
        before = builder.block
        loop, done = (builder.append_basic_block(name) for name in ("fma_loop", "fma_done"))
        builder.branch(loop)

        builder.position_at_end(loop)
        left = builder.phi(I64)
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        grown = [ir_call(builder, "fmuladd", total, x, y) for total in sums]
        less = builder.sub(left, I64(1))
        builder.cbranch(builder.icmp_signed(">", less, I64(0)), loop, done)
        left.add_incoming(count, before)
        left.add_incoming(less, loop)
        for i, (total, later) in enumerate(zip(sums, grown, strict=True)):
            # All chains starting alike would be one chain to the compiler.
            total.add_incoming(ir.Constant(vector, [float(i)] * vector.count), before)
            total.add_incoming(later, loop)

        builder.position_at_end(done)
        result = grown[0]
        for later in grown[1:]:
            result = builder.fadd(result, later)
        return builder.extract_element(result, I64(0))

    return types.float32(types.int64, types.float32, types.float32), codegen


@njit(nogil=True)
def run_chains(steps, factor, term):  # type: ignore[no-untyped-def]
    """``fma_chains`` as a function, for several threads at once."""
    return fma_chains(types.int64(steps), types.float32(factor), types.float32(term))


def seconds(steps: int) -> float:
    """Seconds that this thread takes for a number of steps."""
    start = time.perf_counter()
    run_chains(steps, 0.5, 0.5)  # the sums go to 1: neither denormal nor infinite
    return time.perf_counter() - start


def best_rate(steps: int, start: threading.Barrier) -> float:
    """The best GFLOP/s of a few bursts in this thread, begun together with the other threads."""
    start.wait()
    return FLOPS_A_STEP * steps / min(seconds(steps) for _ in range(BURSTS)) / 1e9


def measure(threads: int = 1) -> float:
    """GFLOP/s in float32 of a number of threads at once."""
    seconds(1)
    steps = max(1, int(1e5 * BURST_SECONDS / seconds(100_000)))
    start = threading.Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(best_rate, [steps] * threads, [start] * threads))
