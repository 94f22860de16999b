"""A surrogate that a domain-decomposed simulation trains online, from inside its time loop.

    mpiexec -n 2 .venv/bin/python scripts/examples/mpi_flame.py

A flame runs along a line of cells: T_t = T_xx + w, Y_t = Y_xx - w, with temperature T, fuel Y and
the rate w(T, Y) of the reaction (Zeldovich number 5). Each rank has a part of the line, and
computes the rate in its cells. While it does, the ranks train one network (T, Y) -> w on the cells
that burn: the flame moves from rank to rank, and so do the rows. Then
the rate comes from the network alone.
"""

import numpy as np
from mpi4py import MPI

import fastbp

CELLS, STEP, TIME_STEP = 480, 0.25, 0.02
LEARNED, USED = 800, 400
"""Time steps with the true rate, and with the surrogate."""

ZELDOVICH, EXPANSION = 5.0, 0.8
FRONT = 52.0
"""Where the flame begins: beside the middle of the line."""


def rate(state):
    """Return the rate w (n,) of the reaction; state: T and Y, (n, 2)."""
    cold = 1 - state[:, 0]
    factor = ZELDOVICH**2 / 2 * np.maximum(state[:, 1], 0)
    return factor * np.exp(-ZELDOVICH * cold / (1 - EXPANSION * cold))


def burns(state):
    """Return which cells (n,) are warm and have fuel: the others react too slowly to matter."""
    return (state[:, 0] > 0.1) & (state[:, 1] > 1e-3)


def begin(comm):
    """Return T and Y (n, 2) of this rank's cells: burnt on the left, fresh on the right."""
    first, last = (CELLS * r // comm.size for r in (comm.rank, comm.rank + 1))
    x = STEP * np.arange(first, last)
    burnt = 1 / (1 + np.exp(np.clip(x - FRONT, -50, 50)))
    return np.stack([burnt, 1 - burnt], axis=1)


def advance(comm, state, w):
    """Make one explicit time step in place; the ends of the line are closed."""
    left, right = state[0].copy(), state[-1].copy()
    below = comm.rank - 1 if comm.rank > 0 else MPI.PROC_NULL
    above = comm.rank + 1 if comm.rank < comm.size - 1 else MPI.PROC_NULL
    comm.Sendrecv(state[-1].copy(), above, recvbuf=left, source=below)
    comm.Sendrecv(state[0].copy(), below, recvbuf=right, source=above)
    line = np.concatenate([left[None], state, right[None]])
    diffusion = (line[:-2] - 2 * state + line[2:]) / STEP**2
    state += TIME_STEP * (diffusion + np.stack([w, -w], axis=1))


def new_trainer(comm):
    """Return the trainer of the surrogate, whose ranks have cells of their own."""
    net = fastbp.Network([2, 32, 32, 1], "tanh", seed=0)
    adam = fastbp.Adam(lr=3e-3)
    return fastbp.Trainer(
        net, loss="mse", optimizer=adam, batch_size=CELLS, seed=0, comm=comm, data="local"
    )


def burnt_length(comm, state):
    """Return how far the flame has come."""
    return STEP * comm.allreduce(float(state[:, 0].sum()))


def run(comm):
    """Return the burnt lengths by the true rate and by the surrogate, and the rows of each rank."""
    state, trainer, rows = begin(comm), new_trainer(comm), []
    for _ in range(LEARNED):
        w = rate(state)
        burning = burns(state)
        rows.append(int(burning.sum()))
        trainer.step(state[burning], w[burning])
        advance(comm, state, w)
    true, learned = state.copy(), state.copy()
    for _ in range(USED):
        advance(comm, true, rate(true))
        guess = trainer.net.predict(learned.astype(np.float32))[:, 0].astype(float)
        advance(comm, learned, np.where(burns(learned), np.maximum(guess, 0), 0))
    begun = burnt_length(comm, state)
    lengths = [burnt_length(comm, end) - begun for end in (true, learned)]
    return lengths, comm.gather((min(rows), max(rows)))


def main():
    comm = MPI.COMM_WORLD
    (true, learned), rows = run(comm)
    if comm.rank == 0:
        print(f"the flame came {true:.2f} further by the true rate, {learned:.2f} by the surrogate")
        for rank, (least, most) in enumerate(rows):
            print(f"rank {rank} trained on {least} to {most} cells a time step")


if __name__ == "__main__":
    main()
