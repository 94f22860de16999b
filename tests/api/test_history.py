"""What a History writes and draws."""

import csv
import json
import sys

import numpy as np
import pytest

import fastbp
from support import processes

HISTORY = fastbp.History(
    loss=[1.0, 1 / 3, 1e-17],
    val_loss=[2.0, float("nan"), float("inf")],
    val_accuracy=[0.1, 0.25, 1.0],
    val_auc=[0.5, 0.6, 0.7],
    samples_per_second=[1e6, 2e6, 3.5e6],
)


def test_csv_has_a_row_an_epoch(tmp_path):
    HISTORY.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in rows] == ["1", "2", "3"]
    for key, column in HISTORY.items():
        read = [float(row[key]) for row in rows]
        assert list(map(repr, read)) == list(map(repr, column))
    assert b"\r" not in (tmp_path / "history.csv").read_bytes()


def test_jsonl_has_a_line_an_epoch(tmp_path):
    HISTORY.to_jsonl(str(tmp_path / "history.jsonl"))

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    assert rows[0] == {"epoch": 1} | {key: column[0] for key, column in HISTORY.items()}
    assert rows[2] == {
        "epoch": 3,
        "loss": 1e-17,
        "val_loss": None,
        "val_accuracy": 1.0,
        "val_auc": 0.7,
        "samples_per_second": 3.5e6,
    }
    assert [row["val_loss"] for row in rows] == [2.0, None, None]


def test_a_history_without_epochs_is_an_empty_table(tmp_path):
    fastbp.History().to_csv(tmp_path / "h.csv")
    fastbp.History().to_jsonl(tmp_path / "h.jsonl")
    assert (tmp_path / "h.csv").read_text() == "epoch\n"
    assert not (tmp_path / "h.jsonl").read_text()


def test_numbers_of_numpy_are_numbers(tmp_path):
    history = fastbp.History(loss=[np.float32(0.5)], mine=[np.int8(3)])
    history.to_jsonl(tmp_path / "h")
    assert json.loads((tmp_path / "h").read_text()) == {"epoch": 1, "loss": 0.5, "mine": 3}


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"loss": [1.0, 2.0], "mine": [1.0]}, ValueError, "'loss': 2, 'mine': 1"),
        ({"loss": [1.0], "mine": ["good"]}, TypeError, "'good'.* under 'mine'"),
        ({"loss": [10**400]}, TypeError, "under 'loss'"),
        ({"loss": 1.0}, TypeError, "1.0 under 'loss'"),
    ],
)
def test_what_is_no_table_is_refused_before_a_file_is_begun(columns, error, message, tmp_path):
    path = tmp_path / "h"
    path.write_text("of another fit")
    history = fastbp.History(columns)
    for write in (history.to_csv, history.to_jsonl):
        with pytest.raises(error, match=message):
            write(path)
    assert path.read_text() == "of another fit"


# plot


def lines(axes):
    """(label, epochs, values) of each curve of a panel."""
    return [
        (line.get_label(), list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines
    ]


def test_plot_has_a_panel_for_the_loss_and_for_each_metric():
    figure = HISTORY.plot()
    panels = {axes.get_ylabel(): axes for axes in figure.axes}
    assert list(panels) == ["loss", "accuracy", "auc"]
    assert [label for label, *_ in lines(panels["loss"])] == ["training", "validation"]
    assert lines(panels["accuracy"]) == [("validation", [1, 2, 3], [0.1, 0.25, 1.0])]
    assert lines(panels["loss"])[0][1:] == ([1, 2, 3], HISTORY["loss"])
    for axes in figure.axes:
        assert axes.get_xlabel() == "epoch"
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [label for label, *_ in lines(axes)]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([2.0, 0.03], "linear"),
        ([2.0, 0.01], "log"),
        ([2.0, 0.0], "linear"),
        ([-1.0, 5.0], "linear"),
    ],
)
def test_a_loss_that_falls_far_has_a_logarithmic_scale(values, scale):
    (axes,) = fastbp.History(loss=values).plot().axes
    assert axes.get_yscale() == scale


def test_a_metric_has_a_linear_scale():
    (axes,) = fastbp.History(val_auc=[0.001, 1.0]).plot().axes
    assert axes.get_yscale() == "linear"


def test_a_single_epoch_and_many_can_be_seen():
    for count, marker in ((1, "o"), (30, "o"), (31, "")):
        (axes,) = fastbp.History(loss=[1.0] * count).plot().axes
        assert axes.lines[0].get_marker() in (marker, marker or "None")


@pytest.mark.parametrize("history", [{}, {"loss": []}])
def test_nothing_to_plot_is_an_error(history):
    with pytest.raises(ValueError, match="has no epochs, so that there is nothing to plot"):
        fastbp.History(history).plot()


def test_a_figure_can_be_saved_and_shown_in_a_notebook(tmp_path):
    figure = HISTORY.plot()
    figure.savefig(tmp_path / "curves.png")
    for image in ((tmp_path / "curves.png").read_bytes(), figure._repr_png_()):
        assert image.startswith(b"\x89PNG")
        assert len(image) > 5000


UNTOUCHED = """
import sys
import fastbp
assert "matplotlib" not in sys.modules
import matplotlib
def settings():  # a look at the backend by rcParams' own method chooses one
    return dict(dict.items(matplotlib.rcParams))
before = settings()
fastbp.History(loss=[1.0, 0.5]).plot()._repr_png_()
print(settings() == before, "matplotlib.pyplot" in sys.modules)
"""


@pytest.mark.process
def test_plot_needs_no_display_and_leaves_matplotlib_as_it_was():
    printed = processes.run(UNTOUCHED, DISPLAY=None, MPLBACKEND=None)
    assert printed == "True False\n"


def test_plot_without_matplotlib_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "fastbp.callbacks.plots", raising=False)
    monkeypatch.delattr(fastbp, "plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[plot\]'"):
        HISTORY.plot()
