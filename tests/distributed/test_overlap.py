"""Gradients of upper layers are exchanged while those of lower layers are computed."""

import threading
from functools import partial

import pytest

from fastbp.distributed import node_memory, overlap
from fastbp.distributed.exchange import MessageExchange
from fastbp.distributed.overlap import Portion, portions
from support.in_process import same_on_ranks
from support.rank_runs import VARIANTS, fingerprint


@pytest.fixture
def several_nodes(monkeypatch):
    """The ranks are on several nodes, and every layer is a portion."""
    monkeypatch.setattr(node_memory, "on_one_node", lambda _: False)
    monkeypatch.setattr(overlap, "LEAST", 1)


LAYERS = [(0, 9), None, (12, 20), (20, 24)]


def test_all_at_once():
    assert portions(LAYERS, None) == [Portion((1, 5), ((0, 9), (12, 24)))]


def test_each_layer_by_itself():
    assert portions(LAYERS, 1) == [
        Portion((4, 5), ((20, 24),)),
        Portion((3, 4), ((12, 20),)),
        Portion((1, 3), ((0, 9),)),
    ]


def test_frozen_layers_at_the_bottom_are_in_the_last():
    assert portions([None, (3, 5)], 1) == [Portion((2, 3), ((3, 5),)), Portion((1, 2), ())]


@pytest.mark.usefixtures("several_nodes")
@pytest.mark.parametrize("variant", ["clipped", "frozen", "norm"])
def test_overlap_changes_no_bit(variant):
    run = partial(fingerprint, **VARIANTS[variant])
    expected = same_on_ranks(1, run)
    assert {same_on_ranks(ranks, run) for ranks in (2, 3, 8)} == {expected}


@pytest.mark.usefixtures("several_nodes")
@pytest.mark.parametrize("reduction", ["fast", "bfloat16"])
def test_other_sums_are_the_same_for_the_same_ranks(reduction):
    run = partial(fingerprint, reduction=reduction, **VARIANTS["many"])
    assert same_on_ranks(3, run) == same_on_ranks(3, run)


@pytest.mark.usefixtures("several_nodes")
def test_the_layers_are_exchanged_from_the_last_to_the_first(monkeypatch):
    found, sum_span = [], MessageExchange.sum_span

    def noted(self, number, cut):
        found.append((self._rank, self._spans[number][0] == 0, threading.current_thread().name))
        sum_span(self, number, cut)

    monkeypatch.setattr(MessageExchange, "sum_span", noted)
    same_on_ranks(2, fingerprint)
    of_one = [(first, name) for rank, first, name in found if rank == 1]
    assert [first for first, _ in of_one[:3]] == [False, False, True]
    assert all(name.startswith("fastbp-exchange") for _, name in of_one)


def test_on_one_node_all_is_exchanged_at_once(monkeypatch):
    monkeypatch.setattr(overlap, "LEAST", 1)
    begun = []
    monkeypatch.setattr(overlap.Overlap, "begin", lambda *_: begun.append(1))
    for reduction in ("ordered", "fast"):
        same_on_ranks(2, partial(fingerprint, reduction=reduction))
    assert not begun
