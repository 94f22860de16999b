"""An ensemble whose networks ranks train: the model of one process, or no model."""

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

import fastbp
from fastbp.distributed.group import Group
from fastbp.tabular import TabularClassifier, TabularRegressor
from fastbp.tabular.members import Team
from fastbp.tabular.recipe import Recipe
from support.in_process import on_ranks, same_on_ranks

ROWS, LONG = 120, 500


def table(rank=0):
    rng = np.random.default_rng(2 + rank)
    X = pd.DataFrame({"x": rng.normal(size=ROWS), "town": rng.choice(["Ulm", "Bonn"], ROWS)})
    return X, X["x"] + (X["town"] == "Ulm")


def fit(comm, kind=TabularRegressor, ensemble=3, rows=0, **more):
    X, y = table(rows)
    y = y > 0.5 if kind is TabularClassifier else y
    model = kind(epochs=4, ensemble=ensemble, random_state=5)
    how = {name: more.pop(name) for name in ("time_limit", "random_state") if name in more}
    return model.set_params(**how).fit(X, y, comm=comm, **more)


@pytest.fixture
def long(monkeypatch):
    """Two networks that train for many epochs."""
    given = partial(replace, members=2, epochs=LONG)
    monkeypatch.setattr(Recipe, "given", lambda self, *_: given(self))


def told(model):
    """All that a model is, but for its times."""
    X, _ = table()
    losses = [history["val_loss"] for history in model.histories_]
    seeds = [member["seed"] for member in model.record_["members"]]
    p = model.predict(X) if hasattr(model, "residuals_") else model.predict_proba(X)
    weights = [array.tobytes() for net in model.ensemble_ for array in net.weights]
    return losses, seeds, model.validation_score_, p.tobytes(), weights


@pytest.mark.parametrize("kind", [TabularClassifier, TabularRegressor])
def test_the_bits_are_those_of_one_process(kind):
    """With fewer networks than ranks, too."""
    expected = told(fit(None, kind))
    for ranks in (1, 2, 4):
        assert same_on_ranks(ranks, lambda comm: told(fit(comm, kind))) == expected


def test_each_network_is_trained_once(monkeypatch):
    trained, train = [], Team._train

    def counted(self, member, members):
        trained.append((self.ranks.rank, member.number))
        return train(self, member, members)

    monkeypatch.setattr(Team, "_train", counted)
    on_ranks(2, partial(fit, ensemble=5))
    assert sorted(trained) == [(0, 0), (0, 2), (0, 4), (1, 1), (1, 3)]


def test_a_seed_that_is_drawn_is_that_of_rank_0():
    found = same_on_ranks(2, lambda comm: told(fit(comm, ensemble=2, random_state=None)))
    assert len(found[0]) == 2


def test_other_rows_on_one_rank():
    found = on_ranks(2, lambda comm: fit(comm, rows=comm.Get_rank()))
    assert {type(error) for error in found} == {ValueError}
    assert all("not the same on all ranks" in str(error) for error in found)


@pytest.mark.usefixtures("long")
def test_the_error_of_one_rank_ends_all_at_once():
    """The others do not first train to their end."""

    def run(comm):
        def hear(progress):
            if comm.Get_rank() == 1:
                raise LookupError("of rank 1")
            time.sleep(0.1)
            heard.append(progress.epoch)

        heard = []
        try:
            fit(comm, ensemble=2, on_epoch=hear)
        except LookupError as error:
            return str(error), len(heard)

    for error, epochs in on_ranks(2, run):
        assert error == "of rank 1"
        assert epochs < LONG


@pytest.mark.usefixtures("long")
def test_a_callback_of_one_rank_stops_all():
    def run(comm):
        def hear(_):
            if comm.Get_rank() == 1:
                raise fastbp.StopTraining
            time.sleep(0.05)

        return [len(losses) for losses in told(fit(comm, on_epoch=hear))[0]]

    first, second = same_on_ranks(2, run)
    assert second == 1
    assert first < LONG


@pytest.mark.filterwarnings("ignore:the training was interrupted")
@pytest.mark.usefixtures("long")
def test_ctrl_c_on_one_rank_leaves_a_model_of_all():
    def run(comm):
        group = Group(comm)

        def hear(progress):
            time.sleep(0.02)
            if group.rank == 1 and progress.epoch == 3:
                group._interrupts.came = True

        found = told(fit(group, on_epoch=hear))
        assert group.was_interrupted
        return [len(losses) for losses in found[0]]

    assert max(same_on_ranks(2, run)) < LONG


def test_a_limit_of_time_is_shared():
    found = same_on_ranks(2, lambda comm: len(fit(comm, ensemble=4, time_limit=60.0).ensemble_))
    assert found == 4


def test_a_killed_fit_goes_on_on_other_ranks(tmp_path):
    """Networks that are done are taken from the folder."""
    expected = told(fit(None))

    def run(comm):
        def hear(progress):
            if progress.member == 2:
                raise LookupError("killed")

        fit(comm, on_epoch=hear, keep_in=tmp_path)

    assert {type(error) for error in on_ranks(1, run)} == {LookupError}
    done = len(list(tmp_path.glob("*.json")))
    assert done in (0, 1, 2)
    assert same_on_ranks(2, lambda comm: told(fit(comm, keep_in=tmp_path))) == expected
