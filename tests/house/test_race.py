"""What bench/ computes from its measurements, and how its sides are held to the same work."""

import itertools
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench import distance, embedding, measures, peers, race, sharing
from bench.cases import CASES, ONE_ROW, Case
from bench.measures import MEASURES
from bench.peers.fastbp import FastBP
from bench.peers.numpy import NumPy
from bench.results import Result, Results

SMALL = Case("some", (5, 7, 3), 16, "cross_entropy")
LINE = Case("line", (3, 4, 1), 8, "mse")


def result(measure="step", case="small", optimizer="sgd", **seconds):
    seconds = seconds or {"fastbp": [1.0, 2.0, 4.0], "numpy": [3.0, 4.0, 40.0]}
    return Result(measure, case, optimizer, 10**9, seconds, [2.0, 2.0, 1.0], {"numpy": 2})


def test_ratio_is_the_median_of_neighbors():
    assert result().ratio("numpy") == 3.0
    assert result(fastbp=[1.0, 2.0, 1.0], numpy=[2.0, 2.0, 9.0]).ratio("numpy") == 2.0


def test_share_of_peak_divides_by_the_peak_of_the_same_round():
    assert result().share_of_peak("fastbp") == 0.25
    assert result().gflops("fastbp") == 0.5
    assert result().microseconds("fastbp") == 2e6


def test_results_come_back_from_their_file(tmp_path):
    results = Results(notes={"machine": {"cpu": "one"}})
    results.add(result())
    results.add(result("predict", optimizer=""))
    results.save(tmp_path / "r.json")
    back = Results.load(tmp_path / "r.json")
    assert back.races == results.races
    assert back.notes == results.notes
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_no_file_is_no_results(tmp_path):
    assert not Results.load(tmp_path / "none.json").races


def test_a_race_run_again_replaces_the_one_before():
    results = Results([result(), result("epoch")])
    again = result(fastbp=[5.0], numpy=[5.0])
    results.add(again)
    assert results.of("step") == [again]
    assert len(results.of("epoch")) == 1


@pytest.mark.parametrize("case", [*CASES.values(), ONE_ROW], ids=lambda case: case.name)
def test_flops_of_a_step_are_those_of_its_products(case):
    forward = gradient = sum(2 * case.batch * n * m for n, m in case.layers)
    first = 2 * case.batch * case.sizes[0] * case.sizes[1]
    assert case.flops == forward + gradient + forward - first


def test_bytes_moved_of_a_small_network():
    weights = 5 * 7 + 7 * 3
    read, updated, moments = 2 * weights - 5 * 7, 2 * weights, 2 * weights
    rows = 6 * (7 + 3) + 4 * 5
    assert SMALL.bytes_moved("sgd") == 4 * (read + updated + moments + 16 * rows)
    assert SMALL.bytes_moved("adam") - SMALL.bytes_moved("sgd") == 4 * 2 * weights


def test_predictions_run_once_and_not_for_each_optimizer():
    found = [
        str(t) for t in measures.tasks(["step", "predict", "one row"], ["tiny"], ["sgd", "adam"])
    ]
    assert found == ["step tiny sgd", "step tiny adam", "predict tiny sgd", "one row one row sgd"]


def test_flops_of_an_epoch_are_those_of_its_steps():
    case = CASES["xlarge"]
    assert MEASURES["epoch"].flops(case) == case.epoch_batches * case.flops
    large = CASES["large"]
    assert MEASURES["predict"].flops(large) == 2 * 4096 * large.weights


def test_a_racer_makes_one_lap_at_least_and_takes_its_batches_in_turn():
    seen = []
    racer = race.Racer("x", seen.append, itertools.cycle([(1,), (2,)]))
    racer.run(1e-9)
    racer.run(1e-9)
    assert seen == [1, 2]
    assert racer.latest > 0


@pytest.mark.parametrize("case", [SMALL, LINE], ids=lambda case: case.name)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("measure", ["step", "predict"])
def test_fastbp_and_numpy_do_the_same_work(case, optimizer, measure):
    shown = [MEASURES[measure].evidence(kind(case, optimizer, 1)) for kind in (FastBP, NumPy)]
    np.testing.assert_allclose(*shown, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("measure", "case"), [("online", ONE_ROW), ("step", CASES["tiny"])])
def test_fastbp_and_numpy_make_the_same_updates_in_a_lap(case, optimizer, measure):
    shown = [MEASURES[measure].evidence(kind(case, optimizer, 1)) for kind in (FastBP, NumPy)]
    np.testing.assert_allclose(*shown, rtol=1e-4)


@pytest.mark.parametrize("kind", [FastBP, NumPy])
def test_predictions_row_by_row_are_those_of_the_batch(kind):
    line = Case("line", (3, 4, 2), 1, "mse")
    X, _ = line.rows(6)
    side = kind(line, "sgd", 1)
    rows = np.reshape(side.predict_rows(X), (6, 2))
    np.testing.assert_allclose(rows, NumPy(line, "sgd", 1).predict(X), rtol=1e-5)


@pytest.mark.parametrize("kind", [FastBP, NumPy])
def test_a_stream_is_one_update_a_row(kind):
    line = Case("line", (3, 4, 1), 1, "mse")
    X, y = line.rows(6)
    streamed, stepped = kind(line, "sgd", 1), kind(line, "sgd", 1)
    streamed.stream(X, y)
    for i in range(len(X)):
        stepped.step(X[i : i + 1], y[i : i + 1])
    np.testing.assert_allclose(streamed.predict(X), stepped.predict(X), rtol=1e-5)


@pytest.mark.parametrize("kind", [FastBP, NumPy])
def test_an_epoch_changes_the_model_and_gives_a_loss(kind):
    side = kind(SMALL, "adam", 1)
    X, y = SMALL.data(3)
    before = side.predict(X).copy()
    assert 0 < float(side.epoch(X, y)) < 10
    assert not np.allclose(before, side.predict(X))


def entry(name, *evidence):
    return measures.Entry(name, None, None, 1, np.array(evidence))


def test_other_work_is_refused():
    task = measures.Task("step", SMALL, "sgd")
    ours = entry("fastbp", 1.0, 0.5, 0.2)
    measures.check_same_work(task, [ours, entry("numpy", 1.0, 0.5, 0.2001)])
    with pytest.raises(RuntimeError, match=r"step some sgd: numpy computes .* where fastbp"):
        measures.check_same_work(task, [ours, entry("numpy", 1.0, 0.5, 0.21)])


def test_a_result_has_the_kernels_and_the_steal_of_its_race(monkeypatch):
    mine = measures.Entry("fastbp", NumPy(LINE, "sgd", 1), None, 2, None)
    monkeypatch.setattr(measures, "entries_of", lambda *_: [mine])
    monkeypatch.setattr(measures.race, "run", lambda *_: ({"fastbp": [4.0]}, [8.0], [90.0]))
    monkeypatch.setattr(measures.machine, "kernels", lambda: "some")
    ticks = iter([(100, 10), (120, 15)])
    monkeypatch.setattr(measures.sharing, "ticks", lambda: next(ticks))
    found = measures.measure(measures.Task("step", LINE, "sgd"), ["fastbp"], 1)
    assert (found.kernels, found.steal, found.round_trips) == ("some", 5 / 20, [90.0])
    assert found.seconds == {"fastbp": [2.0]}


@pytest.mark.parametrize(
    ("name", "package"), [("jax", "jax"), ("onnxruntime", "onnx onnxruntime"), ("torch", "torch")]
)
def test_a_missing_peer_says_how_to_get_it(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"bench.peers.{name}", raising=False)
    with pytest.raises(peers.MissingError, match=f"python -m pip install {package}$"):
        peers.load(name)


@pytest.mark.parametrize("name", ["medium", "large", "xlarge"])
def test_every_class_occurs_in_an_epoch(name):
    """scikit-learn goes on with a fit only if all do."""
    case = CASES[name]
    _, y = case.data(case.epoch_batches)
    assert set(y) == set(range(case.sizes[-1]))


@pytest.fixture
def round_trips(monkeypatch):
    """Call it with the round trips between two cores that will be measured."""
    monkeypatch.setattr(distance.Watch, "shortest", math.inf)
    monkeypatch.setattr(distance, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(race, "check_fields", lambda: None)

    def will_be(*nanoseconds):
        left = iter(nanoseconds)
        monkeypatch.setattr(distance, "measure", lambda: next(left))

    return will_be


class Counter:
    """A racer whose windows are numbered."""

    name = "one"

    def __init__(self):
        self.windows = itertools.count()

    def window(self):
        return next(self.windows)


def test_a_round_in_which_cores_move_apart_is_run_again(round_trips):
    round_trips(100.0, 90.0, 100.0, 300.0, 310.0, 320.0, 95.0, 105.0)
    seconds, peaks, trips = race.run([Counter()], 2, 1)
    assert seconds == {"one": [0, 2]}
    assert len(peaks) == 2
    assert trips == [100.0, 95.0]


def test_a_race_goes_on_with_cores_that_stay_apart(round_trips, monkeypatch):
    monkeypatch.setattr(race, "PATIENCE_SECONDS", 0.0)
    round_trips(100.0, 300.0, 300.0, 300.0)
    seconds, _, trips = race.run([Counter()], 2, 1)
    assert seconds == {"one": [0, 1]}
    assert trips == [100.0, 300.0]


def test_one_processor_has_no_round_trips(round_trips):
    round_trips(*[None] * 4)
    assert race.run([Counter()], 2, 1)[2] == []


def test_a_round_trip_takes_longer_than_a_load_of_a_register():
    trip = distance.measure()
    assert trip is None or 1.0 < trip < 1e6


def test_round_trips_are_told():
    assert "100 ns from core to core and back, in the worst race 300" in sharing.told(
        [replace(result(), round_trips=[trip] * 3) for trip in (100.0, 300.0, 90.0)]
    )
    assert "core to core" not in sharing.told([result()])


def test_calls_in_compiled_loops_are_told_beside_their_peers(monkeypatch):
    """NumPy is the peer here."""
    monkeypatch.setattr(race, "WINDOW_SECONDS", 1e-4)
    monkeypatch.setattr(embedding, "MEASURES", {"row by row": ("predict", "numpy", 3.0)})
    group = embedding.of_measure("row by row")
    assert [len(each) for each in race.windows(group.racers, 2)] == [2, 2]
    group.units = 2
    seconds = [[2e-6, 4e-6, 6e-6], [6e-6, 16e-6, 12e-6]]
    assert list(group.lines(seconds)) == [[group.title, "2.00", "numpy", "3.00x", ">= 3x"]]
