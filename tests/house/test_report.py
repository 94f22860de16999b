"""The tables of one processor, its page, the losses it lists; and the markers of pages."""

import pytest

from bench import pages, report, table
from bench.results import Result, Results

BEGIN, END = table.markers("bench")


def race(measure, case, optimizer="", **ratios):
    seconds = {"fastbp": [1e-3] * 3} | {name: [1e-3 * r] * 3 for name, r in ratios.items()}
    return Result(measure, case, optimizer, 10**6, seconds, [10.0] * 3)


@pytest.fixture
def results():
    races = [
        race("predict", "medium", numpy=1.5, torch=3, onnxruntime=0.8),
        race("step", "large", "adam", numpy=2, torch=4),
        race("step", "tiny", "adam", numpy=0.5, torch=0.25),
        race("one row", "one row", numpy=0.4),
    ]
    notes = {
        "machine": {"cpu": "some", "threads": 2},
        "memory_of": "large",
        "memory": {
            "fastbp": {"peak": 200e6, "imports": 100e6, "step": 1800},
            "numpy": {"peak": 90e6, "imports": 30e6, "step": 8_400_000},
            "torch": {"peak": 400e6, "imports": 230e6, "step": None},
        },
        "start": {
            "import numba": [0.4, 0.3, 0.5],
            "fastbp: import and first step": [0.9],
            "jax: import and first step": [0.8],
        },
    }
    return Results(races, notes)


def test_markdown():
    rows = [["case", "µs"], ["tiny", "3"]]
    assert table.markdown(rows) == "| case | µs |\n| --- | ---: |\n| tiny | 3 |"


def test_plain_pads_columns():
    rows = [["case", "µs"], ["large", "123"]]
    assert table.plain(rows) == "case    µs\nlarge  123"


@pytest.mark.parametrize(
    ("value", "text"), [(0.04567, "0.0457"), (99.44, "99.4"), (12345, "12345")]
)
def test_three_digits_without_an_exponent(value, text):
    assert table.significant(value) == text


def test_insert_replaces_what_is_between_the_markers_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    for text in ("new µs", "newer"):
        table.insert(page, text)
        wanted = f"before\n{BEGIN}\n{text}\n{END}\nafter\n"
        assert page.read_text(encoding="utf-8") == wanted


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}\n{BEGIN}"])
def test_missing_markers_are_told(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page\.md needs the lines"):
        table.insert(page, "new")
    assert page.read_text(encoding="utf-8") == text


def test_race_rows_have_cases_in_order_and_a_dash_for_who_did_not_run(results):
    results.add(race("step", "small", "sgd", numpy=3, jax=5))
    head, *rows = report.race_rows(results.of("step"))
    assert head == ["case", "fastbp µs", "GFLOP/s", "% of peak", "vs numpy", "vs torch", "vs jax"]
    assert rows[0] == ["tiny adam", "1000", "1", "10.0", "0.50x", "0.25x", "-"]
    assert [row[0] for row in rows] == ["tiny adam", "small sgd", "large adam"]
    assert rows[1][-2:] == ["-", "5.00x"]


def test_epochs_are_told_by_the_update():
    head, row = report.race_rows([race("epoch", "large", "sgd", numpy=2)])
    assert (head[1], row[1]) == ("fastbp µs an update", "31.2")


def test_every_loss_is_told_and_no_win(results):
    assert report.losses(results) == [
        "- step, tiny adam: slower than torch (0.25x), numpy (0.50x)",
        "- predict, medium: slower than onnxruntime (0.80x)",
        "- one row: slower than numpy (0.40x)",
    ]


def test_memory_and_start_are_told_where_a_peer_needs_less(results):
    assert report.resource_losses(results.notes) == [
        "- peak memory: fastbp takes 200 MB, more than numpy (90 MB)",
        "- import and first step: fastbp takes 0.90 s, more than jax (0.80 s)",
    ]
    assert report.resource_losses({}) == []


def test_memory_rows_say_what_cannot_be_seen(results):
    rows = report.memory_rows(results.notes["memory"])[1:]
    assert [row[-1] for row in rows] == ["1800 B", "8.4 MB", "not visible"]


def test_page_has_tables_losses_and_the_figures_there_are(results, tmp_path):
    (tmp_path / "ratios.png").touch()
    text = report.page(results, [], tmp_path, "../figures/some")
    assert text.startswith("# fastbp on some\n")
    assert "](../figures/some/ratios.png)" in text
    assert "sweep.png" not in text
    assert text.index("**One training step**") < text.index("**Prediction**")
    assert "| import numba | 0.40 |" in text
    assert "- predict, medium: slower than onnxruntime (0.80x)\n" in text
    assert "cpu some, threads 2, cores with no sign of sharing" in text
    assert text.endswith("more than jax (0.80 s)\n")


def test_page_without_losses_says_so(tmp_path):
    results = Results([race("step", "large", "sgd", numpy=2)], {"machine": {"cpu": "some"}})
    assert report.page(results, [], tmp_path, "").endswith("Nowhere in these tables.\n")


def test_page_without_races_tells_no_losses(tmp_path):
    results = Results([], {"machine": {"cpu": "some"}})
    assert "loses" not in report.page(results, [], tmp_path, "")


@pytest.mark.parametrize("place", pages.texts(pages.load()), ids=lambda p: f"{p[0].stem} {p[1]}")
def test_pages_hold_what_is_rendered_from_the_results(place):
    page, section = place
    rendered = pages.texts(pages.load())[place]
    whole = page.read_text(encoding="utf-8")
    if section is None:
        assert whole == rendered
        return
    before, after = table.around_markers(page, section)
    begin, end = table.markers(section)
    assert whole == f"{before}{begin}\n{rendered}\n{end}{after}"
