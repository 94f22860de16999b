"""The processors that a rank takes."""

import pytest

from fastbp.distributed import hosts


@pytest.fixture
def node(monkeypatch):
    """Sets the processors of a node, the ranks started there, and the quota."""

    def make(processors, ranks, quota=None):
        monkeypatch.setattr(hosts.os, "cpu_count", lambda: processors)
        monkeypatch.setattr(hosts.quota, "granted", lambda: quota)
        monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
        for name in hosts.RANKS_HERE:
            monkeypatch.delenv(name, raising=False)
        if ranks:
            monkeypatch.setenv(hosts.RANKS_HERE[0], str(ranks))

    return make


def ranks_on(*processors, name="node"):
    return [(name, frozenset(each)) for each in processors]


def shares(ranks):
    return [hosts._share_of_processors(ranks, rank) for rank in range(len(ranks))]


def test_ranks_of_a_node_divide_its_processors(node):
    node(8, 4)
    assert shares(ranks_on(*[range(8)] * 4)) == [2] * 4


def test_each_node_has_its_own(node):
    node(8, 0)
    ranks = [*ranks_on(range(8), range(8), name="a"), *ranks_on(range(8), name="b")]
    assert shares(ranks) == [4, 4, 8]


def test_bound_ranks_keep_theirs(node):
    node(8, 2)
    assert shares(ranks_on(range(4), range(4, 8))) == [4, 4]
    assert shares(ranks_on(range(4))) == [4], "the other rank is not in this communicator"


def test_ranks_outside_the_communicator_count_too(node):
    """Two trainers, each on two of four ranks, do not both take all processors."""
    node(8, 4)
    assert shares(ranks_on(range(8), range(8))) == [2, 2]


def test_a_quota_is_divided(node, monkeypatch):
    node(8, 4, quota=4)
    assert hosts._share_of_quota() == 1
    monkeypatch.setenv("NUMBA_NUM_THREADS", "4")
    assert hosts._share_of_quota() > 100, "the user's number counts"
