"""Reports: what is on the page, that it stands alone, and that its numbers are right."""

import base64
import datetime as dt
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

import matplotlib as mpl  # noqa: E402

import fastbp  # noqa: E402
from fastbp.command import report  # noqa: E402
from fastbp.tabular.schema import Schema  # noqa: E402
from fastbp.tabular.targets import Labels  # noqa: E402
from support import command  # noqa: E402

VOID = {"meta", "img", "br", "rect", "path"}
LOADING = {"src", "href", "srcset", "data", "action", "poster", "background", "cite"}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&b;'c\x00\x1b", "סכום"]


class Page(HTMLParser):
    """The elements of a page, once it is sure that they are nested and closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.sections = [], [], [], {}
        self.words = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections[dict(attrs)["id"]] = len(self.words)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def of(self, section):
        """The text of a section and of what follows it."""
        return " ".join(" ".join(self.words[self.sections[section] :]).split())

    def values(self, key):
        return [value for _, k, value in self.attributes if k == key]


def histories(members=3, epochs=12):
    losses = np.geomspace(2.0, 0.01, epochs)
    return [
        fastbp.History(
            loss=list(losses * (1 + m)), val_loss=list(losses + 0.1), lr=list(np.cos(losses) ** 2)
        )
        for m in range(members)
    ]


class Model:
    """What a report asks of a fitted estimator."""

    def __init__(self, table, n_out, drop=()):
        self.encoder_ = SimpleNamespace(schema=Schema.infer(table, drop=drop))
        self.ensemble_ = fastbp.Ensemble([fastbp.Network([2, n_out]) for _ in range(2)])
        self.histories_ = histories()
        self.validation_score_ = {"accuracy": 0.75}
        self.record_ = {
            "rows": 12345,
            "settings": {"preset": "fast", "drop": ["a"]},
            "cpu": "znver4",
        }
        self.record_["members"] = [{"number": i, "best_epoch": 10 + i} for i in range(3)]


class Classifier(Model):
    """Class k is the likelier, the nearer the first column is to k."""

    temperature_ = 1.25

    def __init__(self, table, classes, **more):
        super().__init__(table, len(classes), **more)
        self.classes_ = np.array(classes)
        self.targets_ = Labels(self.classes_)

    def predict_proba(self, table):
        x = np.nan_to_num(np.asarray(table.column(0), dtype=np.float64))
        scores = -np.square(x[:, None] - np.arange(len(self.classes_)))
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)


class Regressor(Model):
    """Predicts the first column, and the sum of the first two for a second target."""

    def __init__(self, table, n_targets=1, **more):
        super().__init__(table, n_targets, **more)
        self.n_targets = n_targets
        self.targets_ = SimpleNamespace(n_outputs=n_targets)

    def predict(self, table):
        a, b = (np.asarray(table.column(i), dtype=np.float64) for i in range(2))
        return a if self.n_targets == 1 else np.column_stack([a, a + b])

    def predict_quantiles(self, table, quantiles):
        return self.predict(table)[..., None] + np.array(quantiles) - 0.5


def columns(n, seed=0, classes=3):
    """A table, and the class that its first column is near to."""
    random = np.random.default_rng(seed)
    codes = random.integers(classes, size=n)
    table = pa.table(
        {
            "near": codes + 0.4 * random.standard_normal(n),
            "noise": random.standard_normal(n),
            "town": random.choice(["Oslo", "Rome", "Lima"], size=n),
        }
    )
    return table, codes


@pytest.fixture
def written(tmp_path):
    def write(model, table, y, **options):
        path = tmp_path / "page.html"
        report.write(model, table, y, path, **{"source": "rows.csv", **options})
        return path.read_text(encoding="utf-8")

    return write


@pytest.fixture
def classified(written):
    table, codes = columns(300)
    return written(
        Classifier(table, ["ant", "bee", "cat"]), table, np.array(["ant", "bee", "cat"])[codes]
    )


def images(page):
    """The SVGs of a page."""
    found = [uri for uri in page.values("src") if uri.startswith("data:image/svg+xml;base64,")]
    return [base64.b64decode(uri.partition(",")[2]).decode() for uri in found]


def check_stands_alone(text):
    page = Page(text)
    assert not set(page.tags) & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert not [key for _, key, _ in page.attributes if key.startswith("on")]
    for _, key, value in page.attributes:
        assert key not in LOADING or value.startswith(("#", "data:image/svg+xml;base64,")), value
    styles = re.findall(r"<style>.*?</style>", text, re.DOTALL) + page.values("style")
    assert not re.search(r"url\(|@import|http", " ".join(map(str, styles)))
    assert "default-src 'none'" in text
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href")} == set(page.sections)
    assert set(page.values("aria-labelledby")) <= set(ids)
    alts = [value for tag, key, value in page.attributes if (tag, key) == ("img", "alt")]
    assert len(alts) == page.tags.count("img")
    assert min(map(len, alts), default=20) >= 20
    for svg in images(page):
        assert not re.search(r"(href=\"|url\()(?!#|data:image/png)", svg)
        assert re.findall(r"https?://[^\" ]*", svg) in (
            ["http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"],
            ["http://www.w3.org/2000/svg"],
        )
        assert "<script" not in svg
    return page


def test_a_classifier_has_every_section(classified):
    page = check_stands_alone(classified)
    order = ["scores", "confusion", "calibration", "training", "importance", "columns", "record"]
    assert list(page.sections) == order
    assert len(images(page)) == 4
    for phrase in (
        "accuracy",
        "log loss",
        "rows.csv",
        "3 classes: ant , bee , cat",
        "accuracy 0.75",
    ):
        assert phrase in page.text
    assert "temperature 1.25" in page.of("calibration")
    assert "settings: preset fast" in page.of("record")
    assert "rows 12,345" in page.of("record")
    assert '["a"]' in page.of("record")
    assert "number best epoch 0 10 1 11 2 12 " in page.of("record")


@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_regressor_has_every_section(written, n_targets):
    table, _ = columns(300)
    model = Regressor(table, n_targets)
    y = model.predict(table) + np.random.default_rng(1).uniform(-0.5, 0.5, 300 * n_targets).reshape(
        (300,) if n_targets == 1 else (300, n_targets)
    )
    page = check_stands_alone(written(model, table, y))
    assert list(page.sections) == [
        "scores",
        "errors",
        "training",
        "importance",
        "columns",
        "record",
    ]
    assert len(images(page)) == 3 + 4 * n_targets
    expected = ["R²", "RMSE", "bias"] if n_targets == 1 else ["mean R²", "target 2"]
    assert all(phrase in page.text for phrase in expected)


def test_targets_have_the_names_of_their_table(written):
    table, _ = columns(50)
    y = pa.table({"<b>width": np.arange(50.0), "height": np.arange(50.0)})
    page = check_stands_alone(written(Regressor(table, 2), table, y))
    assert "<b>width" in page.of("errors")


def test_targets_have_the_names_that_the_command_learned(written):
    table, _ = columns(50)
    model = Regressor(table, 2)
    model.record_["command"] = {"targets": ["<b>width", "height"]}
    page = check_stands_alone(written(model, table, np.ones((50, 2))))
    assert "<b>width" in page.of("errors")
    assert "Regression of <b>width, height: rows.csv" in page.text
    assert "targets" not in page.of("record")


def test_pictures_of_many_targets_are_of_the_first(written, monkeypatch):
    monkeypatch.setattr("fastbp.command.report_sections.MOST_DRAWN", 1)
    table, _ = columns(50)
    model = Regressor(table, 2)
    page = Page(written(model, table, model.predict(table)))
    assert len(images(page)) == 3 + 4
    assert "Pictures are of the first 1 targets" in page.text


def test_names_are_text_and_no_tags(written):
    n = 60
    codes = np.arange(n) % len(HOSTILE)
    names = ["near", *HOSTILE]
    table = pa.table([codes + 0.1, *[[HOSTILE[c] for c in codes]] * len(HOSTILE)], names=names)
    model = Classifier(table, HOSTILE)
    model.record_ = {HOSTILE[0]: HOSTILE[1], "settings": {HOSTILE[1]: [HOSTILE[0]]}}
    model.validation_score_ = {HOSTILE[0]: 1.0}
    source = HOSTILE[0] + HOSTILE[1] + "\ud800"
    page = check_stands_alone(written(model, table, [HOSTILE[c] for c in codes], source=source))
    assert page.tags.count("img") == 4
    for section in ("confusion", "importance", "columns"):
        for name in (HOSTILE[0], HOSTILE[1], "a&b;'c\N{REPLACEMENT CHARACTER}", HOSTILE[3]):
            assert name in page.of(section)
    assert not any(c in page.text for c in "\x00\x1b")


def test_long_names_are_shortened(written):
    table, codes = columns(30)
    table = table.rename_columns(["x" * 5000, "noise", "town"])
    text = written(Classifier(table, [0, 1, 2]), table, codes)
    assert "x" * 119 + "…" in text
    assert "x" * 121 not in text


def test_of_many_classes_the_largest_are_shown(written):
    classes = [f"c{i:02}" for i in range(70)]
    codes = np.concatenate([np.arange(70), np.repeat(np.arange(50, 70), 5)])
    table = pa.table({"near": codes + 0.6 * (codes % 7 == 0), "noise": np.zeros(len(codes))})
    page = check_stands_alone(written(Classifier(table, classes), table, np.array(classes)[codes]))
    shown = page.of("confusion")
    matrix = shown[: shown.index("Precision")]
    assert "the 20 classes with most rows" in matrix
    assert "50 others" in matrix
    assert re.findall(r"c\d\d", matrix) == classes[50:] * 2
    assert "the 50 of 70 classes with most rows" in shown


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_one_row(written, task):
    whole, codes = columns(20)
    table = whole.slice(3, 1)
    if task == "classes":
        page = check_stands_alone(written(Classifier(whole, [0, 1, 2]), table, codes[3:4]))
    else:
        page = check_stands_alone(written(Regressor(whole), table, [1.0]))
    assert "1 row of this file" in page.text


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_a_constant_target(written, value):
    table, _ = columns(20)
    page = check_stands_alone(written(Regressor(table), table, np.full(20, value)))
    assert "R² -" in page.of("scores")


def test_a_constant_target_beside_another(written):
    table, _ = columns(20)
    model = Regressor(table, 2)
    y = np.column_stack([np.ones(20), model.predict(table)[:, 1]])
    assert "mean R² 1 " in Page(written(model, table, y)).of("scores")


def test_rows_without_a_target_or_weight_are_left_out(written):
    table, codes = columns(40)
    y = pa.array([None, *codes[1:].tolist()])
    weights = np.r_[1.0, 0.0, np.ones(38)]
    model = Classifier(table, [0, 1, 2])
    page = Page(written(model, table, y, weights=weights))
    assert "38 rows of this file" in page.text
    assert "2 rows without a target or with a weight of 0 are left out" in page.text
    assert "Rows count by their weights" in page.text


def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path):
    table, codes = columns(10)
    model = Classifier(table, [0, 1, 2])
    path = tmp_path / "old.html"
    path.write_text("old", encoding="utf-8")
    for y, options, message in [
        (codes[:9], {}, "y has 9 rows and the table has 10"),
        ([*codes[:9], 7], {}, "the label 7 at row 9"),
        ([None] * 10, {}, "none of 10 rows has a target and a weight"),
        (codes, {"weights": np.ones(9)}, r"weights has shape \(9,\), expected \(10,\)"),
        (codes, {"weights": np.r_[np.ones(9), -1.0]}, r"weights has -1\.0 at row 9"),
    ]:
        with pytest.raises(ValueError, match=message):
            report.write(model, table, y, path, source="rows", **options)
    with pytest.raises(ValueError, match="y has 2 targets, and the model predicts 1"):
        report.write(Regressor(table), table, np.ones((10, 2)), path, source="rows")
    with pytest.raises(ValueError, match="'near'"):
        report.write(model, table.drop_columns(["near"]), codes, path, source="rows")
    with pytest.raises(FileNotFoundError, match="make it first"):
        report.write(model, table, codes, tmp_path / "no" / "page.html", source="rows")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_without_matplotlib_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    table, codes = columns(10)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[plot\]'"):
        report.write(Classifier(table, [0, 1, 2]), table, codes, tmp_path / "a.html", source="rows")
    assert not list(tmp_path.iterdir())


def test_a_file_has_its_checksum(written, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_bytes(b"abc")
    table, codes = columns(10)
    page = Page(written(Classifier(table, [0, 1, 2]), table, codes, source=str(source)))
    # The first example of FIPS 180-2.
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in page.of("record")
    assert "SHA-256" not in Page(written(Classifier(table, [0, 1, 2]), table, codes)).text


def test_a_model_without_curves(written):
    table, codes = columns(10)
    model = Classifier(table, [0, 1, 2])
    model.histories_ = []
    model.record_ = {}
    page = check_stands_alone(written(model, table, codes))
    assert "no record of its epochs" in page.of("training")


def test_curves_are_of_every_member(written):
    table, codes = columns(10)
    model = Classifier(table, [0, 1, 2])
    model.histories_[1]["val_loss"][-1] = float("nan")
    page = Page(written(model, table, codes))
    alts = [alt for alt in page.values("alt") if "networks" in alt]
    assert [alt.partition(" of ")[0] for alt in alts] == [
        "The training loss",
        "The validation loss",
        "The learning rate",
    ]
    assert alts[0] == (
        "The training loss of 3 networks over 12 epochs: 2 to 6 at the first and 0.01000 to "
        "0.03000 at the last."
    )


def test_a_large_table_makes_a_small_page(written):
    n = 10_000
    table, codes = columns(n)
    y = codes + 0.5
    assert len(written(Regressor(table), table, y)) < 1e6
    assert len(written(Classifier(table, [0, 1, 2]), table, codes)) < 1e6


def test_the_same_rows_have_the_same_page_but_for_the_time(written):
    table, codes = columns(100)
    model = Classifier(table, [0, 1, 2])
    pages = [written(model, table, codes) for _ in range(2)]
    assert images(Page(pages[0])) == images(Page(pages[1]))
    first, second = (
        re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d|seconds</th><td[^>]*>[^<]*", "", page) for page in pages
    )
    assert first == second


def test_settings_of_matplotlib_play_no_part_and_stay(written):
    table, codes = columns(50)
    model = Classifier(table, [0, 1, 2])
    plain = images(Page(written(model, table, codes)))
    with mpl.rc_context({"lines.linewidth": 9, "font.size": 30, "text.usetex": True}):
        before = mpl.rcParams.copy()
        assert images(Page(written(model, table, codes))) == plain
        assert mpl.rcParams.copy() == before


def test_page_and_pictures_follow_light_and_dark(classified):
    for text in (classified, *images(Page(classified))):
        assert "prefers-color-scheme" in text
        assert "#0102" not in text
    assert all("var(--c010203)" in svg for svg in images(Page(classified)))


def test_columns_are_described(written):
    n = 100
    table = pa.table(
        {
            "near": pa.array([None, *np.linspace(0, 2, n - 1)]),
            "town": ["Oslo"] * 60 + ["Rome"] * 30 + [None] * 10,
            "day": [dt.date(2024, 1, 1) + dt.timedelta(days=i) for i in range(n)],
            "same": [1.0] * n,
            "mine": np.arange(n) % 10,
        }
    )
    model = Classifier(table, [0, 1, 2], drop=("mine",))
    fewer = table.drop_columns(["same"])
    shown = Page(written(model, fewer, np.zeros(n, int))).of("columns")
    assert "near number 1.0% 0 to 2" in shown
    assert "town category 10% 2: Oslo 60%, Rome 30%" in shown
    assert "2024-01-01 to 2024-04-09" in shown
    assert "same dropped - - constant" in shown
    assert "mine dropped 0% 10: 0 10%, 1 10%, 2 10%, …" in shown


def test_a_useful_column_is_the_most_important(classified):
    shown = Page(classified).of("importance")
    assert shown.index("near") < shown.index("noise")
    assert "town 0 ± 0" in shown
    assert "5 shuffles of 300 rows" in shown


@pytest.mark.parametrize("target", ["colour", "price"])
def test_the_command_writes_the_page(folder_of_models, tmp_path, capsys, target):
    path = tmp_path / "page.html"
    model, data = folder_of_models / f"{target}.safetensors", folder_of_models / "table.csv"
    said = command.run(capsys, "report", model, data, "-o", path)
    assert (said.code, said.out) == (0, f"{path}\n"), said.err
    page = check_stands_alone(path.read_text(encoding="utf-8"))
    assert f" of {target}: table.csv" in page.text
    assert "300 rows of this file" in page.text
    assert "id dropped - - every value differs" in page.of("columns")
    for what in ("training loss", "learning rate"):
        assert f"The {what} of 2 networks over 12 epochs" in " ".join(page.values("alt"))
    assert "SHA-256 of the source" in page.of("record")


def test_a_report_is_of_some_rows_of_many(folder_of_models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fastbp.command.reporting.MOST_ROWS", 100)
    path = tmp_path / "page.html"
    model, data = folder_of_models / "colour.safetensors", folder_of_models / "table.csv"
    said = command.run(capsys, "report", model, data, "-o", path)
    assert said.code == 0, said.err
    assert "300 rows, of which 100 were drawn" in said.err
    assert (
        "the 100 rows of this file, drawn by chance from 300"
        in check_stands_alone(path.read_text(encoding="utf-8")).text
    )
