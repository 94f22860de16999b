"""How an update is cut among ranks."""

import itertools

import numpy as np
import pytest

from fastbp.distributed import cuts, node_memory
from fastbp.distributed.exchange import MessageExchange, NodeExchange, combine
from fastbp.distributed.group import Group
from support.in_process import on_ranks

RANKS = range(1, 9)


def add(target, other):
    target += other


@pytest.mark.parametrize("rows", [9, 16, 17, 64, 100, 1000])
@pytest.mark.parametrize("ranks", RANKS)
def test_every_row_is_in_one_part_of_one_rank(rows, ranks):
    made = [cuts.shared(rows, 8, 8, rank, ranks) for rank in range(ranks)]
    assert [cut.first for cut in made] == list(np.cumsum([0, *(cut.count for cut in made)])[:-1])
    assert sum(cut.count for cut in made) == rows
    for rank, cut in enumerate(made):
        held = cut.leaves[slice(*cut.held[rank])]
        assert held[0][0] == 0
        assert all(one[1] == other[0] for one, other in itertools.pairwise(held))
        assert cut.vectors(rank) == -(-cut.count // 8) == held[-1][1]
        assert [other.vectors(rank) for other in made] == [cut.vectors(rank)] * ranks


def test_few_rows_are_not_cut():
    assert cuts.shared(8, 8, 8, 0, 2) is None
    assert cuts.shared(9, 8, 8, 0, 2) is not None


@pytest.mark.parametrize("parts", [1, 3, 8, 12])
def test_the_roots_of_all_ranks_cover_the_tree_once(parts):
    for ranks in range(1, parts + 1):
        cut = cuts.shared(8 * 5, 8, parts, 0, ranks)
        nodes = [node for roots in cut.roots for node in roots] + list(cut.empty)
        leaves = [leaf for low, high in nodes for leaf in range(low, high)]
        assert sorted(leaves) == list(range(parts))


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_a_rank_of_a_power_of_two_sends_once(ranks):
    cut = cuts.shared(1000, 8, 8, 0, ranks)
    assert {len(roots) for roots in cut.roots} == {1}


@pytest.mark.parametrize("span", [(0, 0), (0, 5), (64, 1000), (16, 4096)])
def test_slices_cover_a_span(span):
    for ranks in RANKS:
        owned = cuts.slices(span, ranks)
        assert owned[0][0] == span[0]
        assert owned[-1][1] == span[1]
        assert all(one[1] == other[0] for one, other in itertools.pairwise(owned))


@pytest.mark.parametrize("rows", [16, 17, 100])
def test_few_rows_of_an_inference_are_never_alone(rows):
    for ranks in RANKS:
        spans = cuts.inference(rows, 8, ranks)
        assert [first for first, _ in spans] == [0, *(last for _, last in spans[:-1])]
        assert spans[-1][1] == rows
        assert all(last == first or last - first >= 8 for first, last in spans)


def test_empty_parts_are_skipped_and_not_added():
    minus_zero = np.array([-0.0])
    known = {(0, 1): None, (1, 2): minus_zero, (2, 4): None}
    assert np.signbit(combine((0, 4), known, add))[0]


def gradients(cut, leaves):
    """A copy of each leaf's gradient; None for those without rows."""
    spans = enumerate(cut.leaves)
    return {(i, i + 1): leaves[i].copy() if a != b else None for i, (a, b) in spans}


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("rows", [24, 100])
@pytest.mark.parametrize("kind", ["messages", "memory"])
def test_the_exchange_adds_in_the_order_of_the_tree(kind, rows, ranks):
    size, spans = 1000, [(0, 320), (512, 1000)]
    leaves = np.random.default_rng(0).normal(size=(8, size)).astype("float32")

    def exchange(comm):
        cut = cuts.shared(rows, 8, 8, comm.Get_rank(), comm.Get_size())
        if kind == "messages":
            made = MessageExchange(comm, leaves[0], spans, 3, add)
        else:
            memory = node_memory.allocate(Group(comm), leaves[0], 3)
            made = NodeExchange(comm, memory, spans, add=add)
        for root, gradient in zip(cut.roots[comm.Get_rank()], made.own, strict=False):
            gradient[:] = combine(root, gradients(cut, leaves), add)
        whole = made.sum(cut)
        return np.concatenate([whole[first:last] for first, last in spans])

    g = leaves
    whole = g[2] + (g[5] + g[7])  # three vectors of rows are in these parts
    if rows == 100:
        whole = ((g[0] + g[1]) + (g[2] + g[3])) + ((g[4] + g[5]) + (g[6] + g[7]))
    expected = np.concatenate([whole[first:last] for first, last in spans])
    for found in on_ranks(ranks, exchange):
        np.testing.assert_array_equal(found, expected)
