"""Where the time of a step goes: gather, forward, loss, backward, weights, each by itself.

``python -m bench.stages`` compiles the stages one by one, and runs whole steps of them in threads
that start each stage together. It prints microseconds, GFLOP/s, and the share of the FMA peak that
was measured in between, and keeps them in the file of this processor in bench/results. A stage
lasts as long as its slowest thread.
"""

import argparse
import ctypes
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median

from bench import environment, machine, results, stage_table, table
from bench.cases import CASES, LEARNING_RATES
from bench.stage_table import BACKWARD, FORWARD, GATHER, LOSS, STAGES

STEPS, ROUNDS = 8, 7
"""Steps timed between two measurements of the peak, and how often."""


def compiled():
    """The stages as one C function: (address of a job, stage, worker, workers)."""
    from numba import cfunc, types

    from fastbp.kernels.base import jit
    from fastbp.kernels.ir.denormals import flush_denormals, restore_denormals
    from fastbp.kernels.ir.simd import lanes, offset, pointer_to
    from fastbp.kernels.ir.typed_pointers import plan_at, typed_pointer_at
    from fastbp.kernels.stages.backward import backward
    from fastbp.kernels.stages.batch import gather_block
    from fastbp.kernels.stages.forward import forward
    from fastbp.kernels.stages.output_loss import output_loss
    from fastbp.kernels.stages.update import UPDATE, update_part
    from fastbp.kernels.tables import job_table, layout

    def run_stage(address, stage, worker, workers):
        job = typed_pointer_at(address, types.int64)
        plan, hyper = (
            plan_at(job[job_table.PLAN]),
            typed_pointer_at(job[job_table.HYPER], types.float64),
        )
        params = pointer_to(job[job_table.PARAMS], types.float32)
        moments = pointer_to(job[job_table.MOMENTS], types.float32)
        work = pointer_to(job[job_table.WORK], types.float32)
        w, rows = lanes(work), job[job_table.BATCH]
        vectors = rows // w
        first, last = vectors * worker // workers, vectors * (worker + 1) // workers
        scratch = offset(work, plan[0, layout.SCRATCH] + worker * plan[0, layout.SCRATCH_STRIDE])
        before = flush_denormals()
        if stage == GATHER:
            for v in range(first, last):
                row = job[job_table.START] + v * w
                gather_block(plan, work, job, job[job_table.ORDER], row, w, v, scratch, False)
        elif stage == FORWARD:
            forward(plan, params, work, job, first, last)
        elif stage == LOSS:
            for v in range(first, last):
                output_loss(plan, work, job, v, w, rows)
        elif stage == BACKWARD:
            backward(plan, params, work, first, last)
        else:
            update_part(plan, (params, moments, work), hyper, UPDATE, worker, workers, rows, 1)
        restore_denormals(before)

    signature = types.void(types.int64, types.int64, types.int64, types.int64)
    function = cfunc(signature, **jit.FLAGS)(run_stage)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
    call = kind(function.address)
    call.keeps = function
    return call


class Model:
    """A network in training, with the job that says where everything lies."""

    def __init__(self, case, optimizer, workers):
        import numpy as np

        from bench.peers.fastbp import FastBP, core_of
        from fastbp.data.tables import address
        from fastbp.kernels.tables import job_table, layout, settings
        from fastbp.kernels.tables.arenas import allocate
        from fastbp.runtime.job import Job
        from fastbp.training.datasets import as_dataset

        self.workers, self.batch = workers, case.batch
        self.side = FastBP(case, optimizer, workers)
        trainer = self.side.trainer
        self.data = as_dataset(core_of(trainer), *case.data())
        self.state = core_of(trainer).arrays
        shape = replace(self.state.spec, capacity=case.batch, workers=workers)
        plan = layout.make_plan(shape)
        work = allocate(plan[0, layout.WORK], np.float32)
        order = np.random.default_rng(0).permutation(self.data.rows)
        self.job = Job(job_table.TRAIN, self.data.rows, case.batch, np.zeros(1), order)
        arenas = (self.state.parameters, self.state.moments, work, self.state.hyper)
        self.job.point((address(plan), *map(address, arenas)), self.data.x, self.data.y)
        self.keeps = plan, arenas
        self.start, self.updates = job_table.START, settings.UPDATES

    def advance(self):
        """Go on to the next batch; the shuffled rows come round again at their end."""
        self.job[self.start] = (self.job[self.start] + self.batch) % self.data.rows
        self.state.hyper[self.updates] += 1


def part_of_steps(call, model, worker, together):
    """One thread's part of STEPS steps: seconds by step and stage."""
    taken = []
    for _ in range(STEPS):
        seconds = []
        for stage in STAGES:
            together.wait()
            start = time.perf_counter()
            call(model.job.address, stage, worker, model.workers)
            seconds.append(time.perf_counter() - start)
        taken.append(seconds)
        if together.wait() == 0:
            model.advance()
    return taken


def run_steps(call, model):
    """STEPS lists of seconds by stage, of the slowest thread each."""
    together = threading.Barrier(model.workers)
    with ThreadPoolExecutor(model.workers) as pool:
        parts = [
            pool.submit(part_of_steps, call, model, worker, together)
            for worker in range(model.workers)
        ]
        steps = zip(*(part.result() for part in parts), strict=True)
        return [[max(stage) for stage in zip(*threads, strict=True)] for threads in steps]


def whole_steps(model, batches):
    """Seconds of each ``Trainer.step``."""
    taken = []
    for i in range(STEPS):
        start = time.perf_counter()
        model.side.step(*batches[i % len(batches)])
        taken.append(time.perf_counter() - start)
    return taken


def measure(call, case, optimizer, workers):
    """Median seconds by stage and of the whole step, and the median peak."""
    from bench import peak

    model = Model(case, optimizer, workers)
    batches = case.batches()
    model.side.step(*batches[0])
    stages, wholes, peaks = [], [], []
    for _ in range(ROUNDS):
        peaks.append(peak.measure(workers))
        stages += run_steps(call, model)
        wholes += whole_steps(model, batches)
    by_stage = [median(seconds) for seconds in zip(*stages, strict=True)]
    return {"stages": by_stage, "step": median(wholes), "peak": median(peaks)}


def parse(arguments):
    cpus = environment.available_cpus()
    parser = argparse.ArgumentParser(prog="python -m bench.stages", description=__doc__)
    add = parser.add_argument
    whole = [c.name for c in CASES.values() if c.batch % 64 == 0 and c.loss == "cross_entropy"]
    add("--cases", nargs="+", choices=whole, default=["large", "xlarge"])
    add("--threads", nargs="+", type=int, default=sorted({1, cpus}), help="default: 1 and all")
    add("--print", action="store_true", help="print the tables of this run and write no file")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    threads = max(options.threads)
    environment.run_in(environment.fair(os.environ, threads), "bench.stages")
    call = compiled()
    tables = results.of_this_processor().notes.get("stages", {})
    for name in options.cases:
        for workers in options.threads:
            found = {o: measure(call, CASES[name], o, workers) for o in LEARNING_RATES}
            one = stage_table.table_of(name, workers, found, machine.kernels())
            tables |= one
            for title, kept in one.items():
                print(f"\n{title}\n{table.plain(stage_table.rows(kept))}", flush=True)
            if not options.print:
                results.note("stages", tables, threads)


if __name__ == "__main__":
    main()
