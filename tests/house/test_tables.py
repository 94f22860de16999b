"""bench.tables: the tables and their rows, a run that was stopped, ranks. Nothing is downloaded."""

import lzma
import math
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench import (
    pickled_frames,
    table,
    tables,
    tables_data,
    tables_page,
    tables_peers,
    tables_results,
    tables_trial,
)
from bench.tables_data import FINAL, TASKS, TUNING, Task
from bench.tables_peers import PEERS
from bench.tables_results import Result

HALVES = {
    TUNING: {"diamonds", "nlswork", "flights", "happiness"},
    FINAL: {"movies", "hotel_rates", "gss_abortion", "TV16"},
}


@pytest.mark.parametrize("half", HALVES)
def test_the_halves_are_settled(half):
    tasks = [task for task in TASKS.values() if task.half == half]
    assert {task.name for task in tasks} == HALVES[half]
    assert [task.classifies for task in tasks] == [False, False, True, True]


def test_no_target_is_an_input():
    for task in TASKS.values():
        assert task.target not in {*task.categories, *task.left_out}
        assert not {*task.categories} & {*task.left_out}


@pytest.mark.parametrize(
    ("n", "n_train", "n_test"), [(100, 80, 20), (25_000, 20_000, 5_000), (90_000, 20_000, 50_000)]
)
def test_a_split_takes_no_row_twice(n, n_train, n_test):
    rows = tables_data.split(n, 0)
    assert (len(rows.train), len(rows.test)) == (n_train, n_test)
    both = np.concatenate(rows)
    assert len(np.unique(both)) == len(both)
    assert both.min() >= 0
    assert both.max() < n


def test_the_seed_decides_the_split():
    first, again, other = (tables_data.split(1000, seed).train for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def frame_of_people():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(
        {
            "id": [1, 2, 3, 4],
            "age": [30, np.nan, 50, 60],
            "job": [2.0, 1.0, np.nan, 10.0],
            "sex": ["f", "m", "f", "m"],
            "wage": [3.0, 4.0, np.nan, 5.0],
        }
    )


def people(**changes):
    settings = {
        "name": "people",
        "half": TUNING,
        "title": "wages",
        "read": frame_of_people,
        "target": "wage",
        "classifies": False,
        "categories": ("job", "sex"),
        "left_out": {"id": "names a person"},
    }
    return Task(**settings | changes)


def test_a_table_has_what_is_known_of_rows_with_a_target():
    X, y, classes = tables_data.load(people())
    assert list(X.columns) == ["age", "job", "sex"]
    np.testing.assert_array_equal(y, [3, 4, 5])
    assert classes == ()
    np.testing.assert_array_equal(X["age"], [30, np.nan, 60])
    assert list(X["job"].cat.categories) == ["1", "10", "2"]
    assert X["job"].tolist() == ["2", "1", "10"]


def test_a_missing_category_stays_missing():
    X, y, classes = tables_data.load(people(target="sex", classifies=True, categories=("job",)))
    assert X["job"].isna().tolist() == [False, False, True, False]
    assert classes == ("f", "m")
    assert y.tolist() == [0, 1, 0, 1]
    assert y.dtype == np.int64


def test_text_that_is_no_category_is_refused():
    with pytest.raises(ValueError, match="sex of people does not hold numbers alone"):
        tables_data.load(people(categories=("job",)))


def test_a_column_that_is_not_there_is_told():
    with pytest.raises(ValueError, match=r"people has no columns \['number'\]"):
        tables_data.load(people(left_out={"number": "of no use"}))


def test_what_builds_a_frame_is_read(tmp_path):
    values = np.arange(6.0).reshape(2, 3), slice(0, 2), np.array(["text"], object)
    (tmp_path / "frame").write_bytes(lzma.compress(pickle.dumps(values)))
    numbers, rows, text = pickled_frames.read(tmp_path / "frame")
    np.testing.assert_array_equal(numbers, values[0])
    assert rows == slice(0, 2)
    assert text.tolist() == ["text"]


class Harmful:
    """An object whose pickle calls print."""

    def __reduce__(self):
        return print, ("it ran",)


def test_a_pickle_that_calls_something_else_is_refused_before_it_does(tmp_path, capsys):
    (tmp_path / "frame").write_bytes(lzma.compress(pickle.dumps(Harmful())))
    with pytest.raises(pickle.UnpicklingError, match=r"calls builtins\.print"):
        pickled_frames.read(tmp_path / "frame")
    assert capsys.readouterr().out == ""


def test_scores_by_hand():
    y = np.array([1.0, 2.0, 3.0, 4.0])
    assert tables_trial.scores(y + np.array([1, -1, 1, -1]), y, classifies=False) == {"RMSE": 1.0}
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
    found = tables_trial.scores(p, np.array([0, 0]), classifies=True)
    assert found["error"] == 0.5
    assert found["log loss"] == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2)


def test_one_certain_mistake_costs_no_more_than_a_float32_can_tell():
    found = tables_trial.scores(np.array([[0.0, 1.0]]), np.array([0]), classifies=True)
    assert found["log loss"] == pytest.approx(23 * math.log(2))  # of 24 bits


def many_people():
    """A third of the numbers and of the categories missing, and a target that both tell of."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=600), rng.integers(0, 5, 600)
    frame = pd.DataFrame({"x": x, "flag": rng.integers(0, 2, 600), "kind": kind.astype(float)})
    frame["y"] = x + kind
    frame["class"] = frame["y"] > 2
    frame.loc[::3, "x"] = np.nan
    frame.loc[1::3, "kind"] = np.nan
    return frame


def of_many(classifies):
    target, other = ("class", "y") if classifies else ("y", "class")
    return people(
        read=many_people,
        target=target,
        classifies=classifies,
        categories=("kind",),
        left_out={other: "the other target"},
    )


PACKAGES = {
    "sklearn MLP": "sklearn",
    "HistGradientBoosting": "sklearn",
    "LightGBM": "lightgbm",
    "XGBoost": "xgboost",
    "CatBoost": "catboost",
}


@pytest.mark.filterwarnings("default")  # a peer's are its own
@pytest.mark.parametrize("classifies", [False, True])
@pytest.mark.parametrize("peer", PACKAGES)
def test_a_trial(peer, classifies, monkeypatch):
    pytest.importorskip(PACKAGES[peer])
    monkeypatch.setattr(tables_trial, "PREDICTED", 50)
    task = of_many(classifies)
    found = tables_trial.trial(task, tables_data.load(task), 0, PEERS[peer])
    assert found["rows"] == [480, 120]
    assert found["bytes"] > 0
    assert min(found["train_seconds"], found["predict_seconds"]) > 0
    # A constant has an error near a half, and an RMSE of sqrt(1 + 2), the deviation of y.
    first = next(iter(found["scores"].values()))
    assert first < (0.4 if classifies else 1.6)


@pytest.mark.parametrize("classifies", [False, True])
def test_tensors_of_a_table(classifies):
    for package in ("sklearn", "torch"):
        pytest.importorskip(package)
    from bench.tables_torch import TabMEncoder

    X = tables_data.load(of_many(classifies)).X
    encoder = TabMEncoder().fit(X[:400])
    numbers, codes = encoder.transform(X[400:])
    assert encoder.numbers == ["x"]
    assert numbers.shape == (200, 1)
    assert codes.shape == (200, 3)  # kind, whether x is missing, and flag
    assert codes.numpy().max(axis=0).tolist() <= [c - 1 for c in encoder.cardinalities]
    missing = X["kind"][400:].isna().to_numpy()
    assert (codes.numpy()[missing, 0] == 0).all()


MACHINE = {"cpu": "some", "threads": 2, "day": "2026-11-29", "limit_s": 100}


def result(table_, split, peer, *scores, names=("RMSE",), **changes):
    found = {
        "scores": dict(zip(names, scores, strict=False)),
        "train_seconds": 2.0,
        "predict_seconds": 0.5,
        "bytes": 3000,
        "rows": (80, 20),
    }
    return Result(table_, split, peer, **MACHINE | found | changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of its own for the modules, and a page with the markers."""
    monkeypatch.setattr(tables_results, "PATH", tmp_path / "tables.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "README.md")
    begin, end = table.markers(table.TABLES)
    (tmp_path / "README.md").write_text(f"before\n{begin}\n{end}\nafter\n", encoding="utf-8")
    return tmp_path


FOUND = {
    "scores": {"RMSE": 1.0},
    "train_seconds": 1.0,
    "predict_seconds": 0.1,
    "bytes": 9,
    "rows": [80, 20],
}
COMMAND = ["--tables", "diamonds", "nlswork", "--splits", "0", "3", "--only", "XGBoost", "TabM"]
ALL = [
    ("diamonds", 0, "XGBoost"),
    ("diamonds", 0, "TabM"),
    ("diamonds", 3, "XGBoost"),  # TabM has three splits: 0, 1 and 2
    ("nlswork", 0, "XGBoost"),
    ("nlswork", 0, "TabM"),
    ("nlswork", 3, "XGBoost"),
]


class Tried(list):
    """Trials that only pretended to run, and what they are to answer."""

    def __init__(self):
        super().__init__()
        self.answers = {}


@pytest.fixture
def tried(monkeypatch, folder):  # noqa: ARG001, the files are written there
    log = Tried()

    def measured(task, split, peer, _limit):
        key = task.name, split, peer.name
        log.append(key)
        answer = log.answers.get(key, FOUND)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(tables, "measured", measured)
    monkeypatch.setattr(tables, "fetch", lambda _: None)
    monkeypatch.setattr(tables, "versions", lambda _: {})
    return log


def again(tried, *options, **answers):
    """Run the command once more, and return what it tried."""
    tried.clear()
    tried.answers = answers.get("answers", {})
    tables.main([*COMMAND, *options])
    return list(tried)


def test_a_run_goes_on_where_it_stopped(tried):
    tried.answers = {ALL[3]: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        tables.main(COMMAND)
    assert tried == ALL[:4]
    assert {r.key for r in tables_results.load()} == set(ALL[:3])
    assert again(tried) == ALL[3:]
    assert {r.key for r in tables_results.load()} == set(ALL)
    assert again(tried) == []


def test_what_is_there_is_measured_again_when_told(tried):
    assert again(tried) == ALL
    assert again(tried, "--again", answers={ALL[0]: FOUND | {"bytes": 10}}) == ALL
    results = tables_results.load()
    assert len(results) == len(ALL)
    sizes = {r.key: r.bytes for r in results}
    assert sizes == dict.fromkeys(ALL, 9) | {ALL[0]: 10}


def test_what_ran_beside_others_is_measured_again_alone_when_told(tried):
    again(tried, answers={ALL[2]: FOUND | {"others": 0.5}})
    assert again(tried) == []
    assert again(tried, "--alone") == [ALL[2]]
    assert again(tried, "--alone") == []


def test_a_trial_past_its_limit_is_tried_again_under_a_longer_one(tried):
    again(tried, "--limit", "50", answers={ALL[1]: {}})
    (late,) = (r for r in tables_results.load() if not r.scores)
    assert (late.key, late.limit_s) == (ALL[1], 50)
    assert again(tried, "--limit", "50") == []
    assert again(tried, "--limit", "51") == [ALL[1]]


def test_a_trial_that_fails_is_told_and_stops_no_other(tried, capsys):
    with pytest.raises(SystemExit, match="1 trials failed"):
        again(tried, answers={ALL[1]: tables.TrialError("it broke")})
    assert "diamonds, split 0, TabM failed:\nit broke" in capsys.readouterr().out
    assert {r.key for r in tables_results.load()} == {*ALL} - {ALL[1]}
    assert again(tried) == [ALL[1]]


def test_what_was_measured_is_shown(tried, folder, capsys):
    again(tried)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith("before\n")
    assert "| XGBoost | 1.0000 | 1.000x |" in page
    assert "XGBoost" in capsys.readouterr().out
    assert tables_results.load()[0].rows == (80, 20)


def test_rendering_measures_nothing(tried, folder):
    again(tried, "--render")
    assert tried == []
    assert "Not measured yet." in (folder / "README.md").read_text(encoding="utf-8")


def test_tables_of_the_final_half_are_not_taken_by_mistake(capsys):
    with pytest.raises(SystemExit):
        tables.parse(["--tables", "movies"])
    assert "movies: not of the half tuning" in capsys.readouterr().err
    assert tables.parse(["--tables", "movies", "--half", "final"]).tables == ["movies"]
    assert set(tables.parse([]).tables) == HALVES[TUNING]


def test_a_missing_package_is_told():
    peer = tables_peers.Peer("some", None, ("a-package-that-is-not-there",))
    with pytest.raises(SystemExit, match=r"some needs a-package-that-is-not-there: pip install"):
        tables.versions(peer)


def test_a_process_past_its_limit_has_found_nothing(monkeypatch):
    def run(*arguments, timeout, **_):
        raise subprocess.TimeoutExpired(arguments, timeout)

    monkeypatch.setattr(tables.subprocess, "run", run)
    assert tables.measured(TASKS["diamonds"], 0, PEERS["XGBoost"], 1) == {}


def test_a_process_that_fails_is_told(monkeypatch):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, stderr="no memory")

    monkeypatch.setattr(tables.subprocess, "run", run)
    with pytest.raises(tables.TrialError, match="no memory"):
        tables.measured(TASKS["diamonds"], 0, PEERS["XGBoost"], 1)


def test_a_process_has_two_threads_for_every_library(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    found = tables.surroundings()
    assert found["OMP_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == "2"
    assert "OPENBLAS_CORETYPE" not in found


def test_ranks_by_hand():
    scores = {"a": 0.2, "b": 0.1, "c": 0.2, "d": math.inf, "e": math.inf}
    assert tables_page.ranks(scores) == {"b": 1, "a": 2.5, "c": 2.5, "d": 4.5, "e": 4.5}


def test_mean_ranks_by_hand():
    tables_ = {
        "diamonds": {"a": [result("diamonds", 0, "a", 1.0)], "b": [result("diamonds", 0, "b", 2)]},
        "nlswork": {"a": [result("nlswork", 0, "a", 5.0)], "b": [result("nlswork", 0, "b", 4.0)]},
        "movies": {"a": [result("movies", 0, "a", 5.0)], "b": [result("movies", 0, "b", 6.0)]},
    }
    assert tables_page.mean_ranks(tables_) == {"a": pytest.approx(4 / 3), "b": pytest.approx(5 / 3)}
    head, first, second = tables_page.summary_rows(tables_)
    assert head[:5] == ["", "mean rank", "tuning half", "final half", "farthest from the best"]
    assert first[:5] == ["a", "1.33", "1.50", "1.00", "1.250x"]
    assert second[:5] == ["b", "1.67", "1.50", "2.00", "2.000x"]


def test_peers_are_compared_on_the_splits_that_all_have():
    runs = [result("diamonds", i, "a", i + 1.0) for i in range(5)]
    runs += [result("diamonds", i, "b", 1.25) for i in (0, 1)]
    peers = tables_page.by_table(runs)["diamonds"]
    assert {name: [r.split for r in each] for name, each in peers.items()} == {
        "a": [0, 1],
        "b": [0, 1],
    }
    _, first, second = tables_page.table_rows(peers)
    assert first == ["b", "1.2500 ± 0.0000", "1.000x", "2", "0.5", "3"]
    assert second[:3] == ["a", "1.5000 ± 0.7071", "1.200x"]  # of 1 and 2


def test_a_peer_that_did_not_end_comes_last():
    late = result("flights", 1, "a", limit_s=60)
    names = ("error", "log loss")
    runs = [result("flights", 0, "a", 0.1, 0.3, names=names), late]
    runs += [result("flights", i, "b", 0.2, 0.4, names=names) for i in (0, 1)]
    tables_ = tables_page.by_table(runs)
    head, first, last = tables_page.table_rows(tables_["flights"])
    assert head[:4] == ["", "error", "log loss", "of the best"]
    assert first[0] == "b"
    assert last[:2] == ["a", "none within 60 s"]
    assert len(last) == len(head)
    assert tables_page.mean_ranks(tables_) == {"a": 2, "b": 1}
    assert tables_page.summary_rows(tables_)[2][4] == tables_page.NOTHING


def test_mean_ranks_are_of_tables_that_every_peer_was_tried_on():
    runs = [result("diamonds", 0, peer, 1.0) for peer in ("a", "b")]
    runs += [result("nlswork", 0, "a", 1.0), result("movies", 0, "a"), result("movies", 0, "b")]
    assert list(tables_page.complete(tables_page.by_table(runs))) == ["diamonds"]
    titles = [title for title, _ in tables_page.sections(runs)]
    assert titles[0] == "Mean ranks on diamonds (cpu some, 2 threads)"
    assert [title.partition(",")[0] for title in titles[1:]] == ["diamonds", "nlswork", "movies"]


def test_processors_are_named():
    runs = [result("diamonds", 0, "a", 1.0), result("diamonds", 0, "b", 1.0, cpu="other")]
    assert tables_page.where(runs) == (
        "cpus other, some: seconds of different ones do not compare, 2 threads"
    )


@pytest.mark.usefixtures("folder")
def test_the_page_tells_what_is_left_out_and_why():
    page = tables_page.page()
    for task in TASKS.values():
        assert f"| `{task.name}` | {task.half} |" in page
        for name, why in (task.left_out | task.unread).items():
            assert f"`{name}`" in page
            assert why in page


def test_bytes_of_a_file_that_a_model_saves():
    assert tables_peers.size_of_file(lambda path: Path(path).write_bytes(b"12345")) == 5


def test_seconds_beside_others_do_not_count():
    runs = [result("diamonds", i, "a", 1.0, others=0.5, train_seconds=9.0) for i in range(2)]
    assert tables_page.costs(runs) == ["-", "-", "3"]
    alone = result("diamonds", 2, "a", 1.0, others=0.05)
    assert tables_page.costs([*runs, alone]) == ["2", "0.5", "3"]
