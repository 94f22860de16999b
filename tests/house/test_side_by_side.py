"""The tables of several processors side by side, and the kernels that their figures are of."""

from dataclasses import replace

import pytest

from bench import provenance, results, side_by_side, stage_table
from bench.cases import CASES
from bench.results import Result, Results
from bench.sweep import ONE_THREAD, Point


def race(measure, case, optimizer="", ours=1e-3, kernels="", **ratios):
    seconds = {"fastbp": [ours] * 3} | {name: [ours * r] * 3 for name, r in ratios.items()}
    return Result(measure, case, optimizer, 10**6, seconds, [10.0] * 3, kernels=kernels)


def point(kernels=""):
    return Point(64, 2, 8, {"fastbp": 1.0, ONE_THREAD: 0.5, "numpy": 2.0}, 3, kernels)


FOUND = {"sgd": {"stages": [1e-3, 2e-3, 1e-3, 1e-3, 2e-3], "step": 6e-3, "peak": 1000.0}}


@pytest.fixture
def everything():
    one = Results(
        [
            race("step", "large", "sgd", numpy=2, torch=1.5),
            race("step", "tiny", "sgd", numpy=0.5),
            race("predict", "large", numpy=3),
        ],
        {
            "machine": {"cpu": "one", "model": "First", "vector bits": 256, "threads": 2},
            "start": {"import numba": [0.4, 0.3, 0.5]},
            "stages": stage_table.table_of("large", 2, FOUND, ""),
        },
    )
    two = Results(
        [race("step", "medium", "sgd", ours=2e-3, jax=4)],
        {
            "machine": {"cpu": "two", "threads": 4},
            "start": {"import torch": [1.0]},
            "memory": {"fastbp": {"peak": 200e6}},
        },
    )
    third = Results([], {"machine": {"cpu": "third"}})
    return {"one": (one, [point()]), "two": (two, []), "third": (third, [])}


def test_cases_are_rows_and_processors_columns(everything):
    assert side_by_side.measure_rows(everything, "step") == [
        ["case", *(f"{n} {w}" for n in ("one", "two") for w in ("µs", "% of peak", "best peer"))],
        ["tiny sgd", "1000", "10.0", "0.50x numpy", "-", "-", "-"],
        ["medium sgd", "-", "-", "-", "2000", "5.0", "4.00x jax"],
        ["large sgd", "1000", "10.0", "1.50x torch", "-", "-", "-"],
    ]


def test_a_processor_appears_where_it_was_measured(everything):
    tables = dict(side_by_side.sections(everything))
    assert tables["Prediction"][0] == ["case", "one µs", "one % of peak", "one best peer"]
    assert tables["Peak memory of a training process"] == [["library", "two MB"], ["fastbp", "200"]]
    start = next(rows for title, rows in tables.items() if title.startswith("Start"))
    assert start == [
        ["in a fresh process", "one s", "two s"],
        ["import numba", "0.40", "-"],
        ["import torch", "-", "1.00"],
    ]


def test_every_processor_has_a_line_of_its_facts(everything):
    head, one, two, third = side_by_side.processor_rows(everything)
    assert dict(zip(head, one, strict=True))["model"] == "First"
    assert one[0] == "[`one`](results/one.md)"
    assert two[1:4] == ["-", "-", "-"]
    assert dict(zip(head, third, strict=True))["cores"] == "-"


def test_losses_are_told_for_each_processor_that_raced(everything, tmp_path):
    for make, begin in ((side_by_side.page, "\n\n- "), (side_by_side.summary, " ")):
        text = make(everything, tmp_path)
        losses_of_one = text.partition(f"`one`:{begin}")[2]
        assert losses_of_one.startswith("step, tiny sgd: slower than numpy (0.50x)")
        assert text.endswith(f"`two`:{begin.removesuffix('- ')}Nowhere in these tables.")
        assert f"`third`:{begin}" not in text


def test_front_page_has_steps_alone_and_says_on_what(everything, tmp_path):
    (tmp_path / side_by_side.FIGURE).touch()
    text = side_by_side.summary(everything, tmp_path)
    assert "on `one` (First, vectors of 256 bits, 2 threads); `two` (4 threads). " in text
    assert "](bench/figures/steps.png)" in text
    assert "| tiny sgd |" in text
    assert "3.00x" not in text  # a prediction


def test_stages_stand_side_by_side_where_they_were_measured(everything):
    other = stage_table.table_of("xlarge", 1, FOUND, "")
    everything["two"][0].notes["stages"] = stage_table.table_of("large", 2, FOUND, "") | other
    kept = {name: r.notes["stages"] for name, (r, _) in everything.items() if "stages" in r.notes}
    tables = dict(stage_table.side_by_side(kept))
    large = tables["large, 2 threads"]
    assert large[0] == ["stage", "one µs", "one % of peak", "two µs", "two % of peak"]
    forward = f"{100 * stage_table.flops_of(CASES['large'], 1) / 2e-3 / 1e12:.1f}"
    assert large[2] == ["forward", "2000", forward, "2000", forward]
    assert tables["xlarge, 1 thread"][0] == ["stage", "two µs", "two % of peak"]
    assert "**large, 2 threads**" in side_by_side.stages(everything)


@pytest.mark.parametrize("name", ["large", "xlarge"])
def test_work_of_the_stages_is_that_of_the_step(name):
    case = CASES[name]
    assert sum(stage_table.flops_of(case, stage) for stage in stage_table.STAGES) == case.flops


def test_rates_in_company_are_shown_once_they_are_measured(everything):
    assert side_by_side.in_company(everything) == "Not measured yet."
    rates = {
        "together": {"alone": [1.0], "together": [0.9]},
        "busy": {"default": [1.0], "1": [1.0]},
        "pinned": {"default": [1.0], "1": [2.0]},
    }
    everything["two"][0].notes["company"] = {"kernels": "", "rates": {"fastbp": rates}}
    text = side_by_side.in_company(everything)
    assert "two fastbp" in text
    assert "| 0.90 |" in text


def test_parts_of_the_same_kernels_are_told_as_one(everything):
    assert provenance.told(*everything["one"]).startswith(
        "All figures are of kernels that were not"
    )


@pytest.mark.parametrize("part", ["sweep", "stage tables", "company", "races"])
def test_a_part_of_other_kernels_is_told(part):
    stamps = dict.fromkeys(("races", "sweep", "stage tables", "company"), "a") | {part: "b"}
    notes = {
        "stages": stage_table.table_of("large", 2, FOUND, stamps["stage tables"]),
        "company": {"kernels": stamps["company"]},
    }
    found = Results([race("step", "tiny", kernels=stamps["races"], numpy=2)], notes)
    told = provenance.told(found, [point(stamps["sweep"])])
    assert told.startswith("**The figures are of different kernels**")
    assert f"{part}: b" in told


def test_races_of_two_kernels_are_told():
    races = [
        race("step", "tiny", kernels="a", numpy=2),
        race("step", "large", kernels="b", numpy=2),
    ]
    assert "races: a and b" in provenance.told(Results(races), [])
    same = [replace(r, kernels="a") for r in races]
    assert provenance.told(Results(same), [point("a")]) == "All figures are of a."


def test_files_of_other_processors_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    (tmp_path / "other.json").write_text(
        '{"notes": {"machine": {}}, "races": []}', encoding="utf-8"
    )
    before = (tmp_path / "other.json").read_bytes()
    monkeypatch.setattr(results.machine, "processor", lambda: "mine")
    monkeypatch.setattr(results.machine, "facts", lambda threads: {"threads": threads})
    results.note("stages", {"a": 1}, 2)
    results.note("company", {"b": 1}, 3)
    assert (tmp_path / "other.json").read_bytes() == before
    assert list(results.load_all()) == ["mine", "other"]
    kept = results.of_this_processor().notes
    assert kept == {"machine": {"threads": 2}, "stages": {"a": 1}, "company": {"b": 1}}
