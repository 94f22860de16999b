"""Trainings drawn at random: the same bits on any number of ranks, and none waits for another."""

from functools import partial

import numpy as np
import pytest

from fastbp.distributed import node_memory
from support import in_process
from support.in_process import same_on_ranks
from support.random_runs import Case, run

SEEDS = 40


@pytest.fixture(autouse=True)
def _a_rank_does_not_wait_long(monkeypatch):
    monkeypatch.setattr(in_process, "SECONDS", 30)


def ranks_of(case, seed):
    """One rank, and two other numbers that its parts allow."""
    most = min(8, case.parts)
    return [1, *np.random.default_rng(seed).integers(2, most + 1, 2).tolist()]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_one_hash(monkeypatch, seed):
    case = Case(seed)
    if seed % 3 == 0:  # as ranks of several nodes
        monkeypatch.setattr(node_memory, "allocate", lambda *_: None)
    monkeypatch.setattr(in_process, "LONGEST_DELAY", (0.0, 2e-4, 1e-3)[seed % 3])
    found = {
        ranks: same_on_ranks(
            ranks, partial(run, case=case, threads=1 + seed % 2, workers=seed % 2 * 2)
        )
        for ranks in ranks_of(case, seed)
    }
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("seed", range(SEEDS, 2 * SEEDS))
def test_ranks_with_rows_of_their_own_agree(monkeypatch, seed):
    case, ranks = Case(seed, local=True), 1 + seed % 5
    found = set()
    for delay in (0.0, 1e-3):
        monkeypatch.setattr(in_process, "LONGEST_DELAY", delay)
        found.add(same_on_ranks(ranks, partial(run, case=case)))
    assert len(found) == 1
