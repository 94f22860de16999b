"""The bits do not depend on the number of ranks, nor on their threads or when they arrive."""

from functools import partial

import numpy as np
import pytest

import fastbp
from fastbp.distributed import node_memory
from support.in_process import on_ranks, same_on_ranks
from support.rank_runs import VARIANTS, fingerprint, new_trainer

each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
def test_one_hash_for_one_to_eight_ranks(variant):
    run = partial(fingerprint, **VARIANTS[variant])
    found = {ranks: same_on_ranks(ranks, run) for ranks in range(1, 9)}
    assert set(found.values()) == {found[1]}


@pytest.mark.parametrize("variant", ["dropout", "clipped", "norm", "scaled"])
def test_threads_change_no_bit(variant):
    expected = same_on_ranks(1, partial(fingerprint, **VARIANTS[variant]))
    run = partial(fingerprint, threads=2, workers=2, **VARIANTS[variant])
    assert {same_on_ranks(ranks, run) for ranks in (1, 3, 8)} == {expected}


@pytest.mark.parametrize("parts", [1, 3, 16])
def test_other_numbers_of_parts(parts):
    run = partial(fingerprint, parts=parts, **VARIANTS["clipped"])
    ranks = range(1, min(parts, 8) + 1)
    assert len({same_on_ranks(count, run) for count in ranks}) == 1


@pytest.fixture
def no_memory(monkeypatch):
    """The ranks share no memory, as those of several nodes."""
    monkeypatch.setattr(node_memory, "allocate", lambda *_: None)


@pytest.mark.usefixtures("no_memory")
def test_the_sums_of_the_library_are_the_same_for_the_same_ranks():
    run = partial(fingerprint, reduction="fast", **VARIANTS["dropout"])
    assert same_on_ranks(3, run) == same_on_ranks(3, run)


def gradient_of_a_step(comm, **options):
    """The loss, and what one update by plain gradient descent with lr 1 subtracts."""
    trainer, X, y, _ = new_trainer(comm, **options)
    before = [
        part for pair in zip(trainer.net.weights, trainer.net.biases, strict=False) for part in pair
    ]
    loss = trainer.step(X[:100], y[:100])
    after = [
        part for pair in zip(trainer.net.weights, trainer.net.biases, strict=False) for part in pair
    ]
    return loss, [a - b for a, b in zip(before, after, strict=True)], before


PENALTIES = {"plain": {}, "penalty": {"l2": 0.5}}


@pytest.mark.parametrize("reduction", ["ordered", "fast", "library"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_are_those_of_one_trainer(penalty, reduction, request):
    """Sums of 100 rows in any order differ by less than 2 x 100 roundings of the terms' sizes.

    A row's term comes from the same numbers, to the bit. The penalty and the update round three
    times more, by the size of a parameter.
    """
    options = {"dtype": "float64", "optimizer": fastbp.SGD(lr=1.0)} | PENALTIES[penalty]
    if reduction == "library":
        request.getfixturevalue("no_memory")
        reduction = "fast"
    loss, expected, weights = gradient_of_a_step(None, **options)
    found = on_ranks(3, partial(gradient_of_a_step, reduction=reduction, **options))
    trainer, X, y, _ = new_trainer(None, **options)
    rows = [trainer.loss_and_gradients(X[i : i + 1], y[i : i + 1])[1] for i in range(100)]
    sizes = [sum(np.abs(row[i // 2][i % 2]) for row in rows) / 100 for i in range(len(expected))]
    eps = np.finfo(np.float64).eps
    for other_loss, others, _ in found:
        assert abs(loss - other_loss) <= 200 * eps * loss
        for one, other, size, weight in zip(expected, others, sizes, weights, strict=True):
            assert (np.abs(one - other) <= eps * (200 * size + 4 * np.abs(weight))).all()


@pytest.mark.parametrize("variant", ["clipped", "frozen"])
@pytest.mark.usefixtures("no_memory")
def test_ranks_of_several_nodes_send_messages(variant):
    """Where ranks share no memory, the bits are the same."""
    run = partial(fingerprint, **VARIANTS[variant])
    expected = same_on_ranks(1, run)
    assert {same_on_ranks(ranks, run) for ranks in (2, 3, 5, 8)} == {expected}


def test_memory_of_a_node_leaves_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(node_memory, "FOLDER", tmp_path)
    assert same_on_ranks(3, fingerprint) == same_on_ranks(1, fingerprint)
    assert not list(tmp_path.iterdir())


def test_ranks_do_without_a_folder_in_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(node_memory, "FOLDER", tmp_path / "none")
    assert same_on_ranks(3, fingerprint) == same_on_ranks(1, fingerprint)
