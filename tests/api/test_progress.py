"""The bar that fit shows."""

import io
import re
import sys
import warnings
from types import SimpleNamespace

import pytest

import fastbp
from fastbp.kernels.base import caution
from fastbp.runtime import compiled_engine
from support import processes
from support.cases import THREE_CLASSES


def fit(epochs=3, **options):
    return THREE_CLASSES.trainer("float32", batch_size=8).fit(
        *THREE_CLASSES.batch(), epochs=epochs, **options
    )


def last_line(capsys):
    """What stays of the bar on the screen."""
    printed = capsys.readouterr()
    assert not printed.out
    return printed.err.rstrip("\n").split("\r")[-1].strip()


@pytest.mark.parametrize("callbacks", [(), [fastbp.LambdaCallback(on_step_end=lambda _: None)]])
def test_a_bar_says_how_far_it_is_how_fast_and_how_good(callbacks, capsys):
    history = fit(validation_data=THREE_CLASSES.batch(), progress=True, callbacks=callbacks)
    line = last_line(capsys)
    took = r"\[\d\d:\d\d<00:00"  # kernels may have to be compiled
    assert re.match(rf"epoch 3/3: 100%\|.*\| 60\.0/60\.0 {took}, .* samples/s, loss ", line)
    numbers = re.findall(r"(\w+) ([\d.]+)(?:, |\])", line)
    assert numbers == [
        (key, f"{history[key][-1]:.4g}") for key in ("loss", "val_loss", "val_accuracy")
    ]


def test_a_bar_moves_within_an_epoch(capsys, monkeypatch):
    """A call of the kernels moves it, and here takes one batch of three."""
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: 1)
    monkeypatch.setattr("tqdm.std.tqdm.update", lambda bar, n: bar.refresh() if n else None)
    shown, update = [], fastbp.callbacks.progress.Bar.show

    def show(bar, state):
        update(bar, state)
        shown.append(state.samples)

    monkeypatch.setattr(fastbp.callbacks.progress.Bar, "show", show)
    fit(2, progress=True)
    assert shown == [0, 8, 16, 20, 28, 36, 40, 40]
    capsys.readouterr()


def test_a_bar_cuts_no_epochs(capsys, monkeypatch):
    runs, run = [], compiled_engine._run
    monkeypatch.setattr(compiled_engine, "_run", lambda *job: runs.append(job) or run(*job))
    monkeypatch.setattr("fastbp.runtime.chunking.next_count", lambda *_: 2**40)
    fit(50, progress=True)
    assert len(runs) == 2
    assert "epoch 50/50: 100%" in last_line(capsys)


def test_a_bar_stays_where_fit_stopped(capsys):
    def stop(_state):
        raise fastbp.StopTraining

    fit(progress=True, callbacks=[fastbp.LambdaCallback(on_epoch_end=stop)])
    assert re.match(r"epoch 2/3:  33%\|", last_line(capsys))


def test_a_bar_is_closed_when_fit_fails(capsys):
    def fail(_state):
        raise LookupError

    with pytest.raises(LookupError):
        fit(progress=True, callbacks=[fastbp.LambdaCallback(on_epoch_end=fail)])
    assert capsys.readouterr().err.endswith("\n")


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"),
    [
        (True, True, True),
        (True, False, True),
        ("auto", True, True),
        ("auto", False, False),
        (False, True, False),
    ],
)
def test_a_bar_is_for_terminals_unless_it_is_chosen(progress, terminal, shown, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    fit(progress=progress)
    assert bool(last_line(capsys)) == shown


def test_a_notebook_has_its_bar(monkeypatch):
    """tqdm.auto knows which: here it is asked at all."""
    made = []

    class Asked:
        n = 0

        def __init__(self, **options):
            made.append(options)

        def update(self, n):
            self.n += n

        def set_description_str(self, text, refresh):
            pass

        set_postfix_str = set_description_str

        def close(self):
            made.append(self.n)

    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    monkeypatch.setattr("tqdm.auto.tqdm", Asked)
    fit()
    assert made[0]["total"] == made[1] == 60


def test_without_a_screen_there_is_no_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    for progress in (True, "auto"):
        assert len(fit(progress=progress)["loss"]) == 3


# Whatever stderr is


class WriteOnly:
    """What hosts with windows, loggers and embedded interpreters put in the place of stderr."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


class RaisingTerminal(WriteOnly):
    def isatty(self):
        raise OSError("no terminal here")


class Terminal(WriteOnly):
    encoding = None

    def isatty(self):
        return True


class BrokenPipe(Terminal):
    """From its third line on."""

    left = 2

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError
        return len(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = (WriteOnly, closed, RaisingTerminal, Terminal, BrokenPipe, object)


@pytest.mark.parametrize("progress", ["auto", True])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda kind: kind.__name__)
def test_fit_trains_whatever_stderr_is(stream, progress, monkeypatch):
    expected = fit()["loss"]
    monkeypatch.setattr("sys.stderr", stream())
    assert fit(progress=progress, validation_data=THREE_CLASSES.batch())["loss"] == expected
    trainer = THREE_CLASSES.trainer("float32", batch_size=20)
    assert len(trainer.fit_batches([THREE_CLASSES.batch()], progress=progress)["loss"]) == 1


def test_a_bar_whose_screen_goes_away_is_given_up(monkeypatch):
    stream, written = BrokenPipe(), []
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("tqdm.std.tqdm.update", lambda bar, _: bar.refresh())
    watcher = fastbp.LambdaCallback(on_epoch_end=lambda _: written.append(stream.left))
    assert len(fit(20, progress=True, callbacks=[watcher])["loss"]) == 20
    assert written[-1] == written[5] < 0


LATE = """
import sys
from support.cases import CASES
trainer, data = CASES["odd"].trainer("float32"), CASES["odd"].batch()
trainer.fit(*data)
trainer.fit(*data, progress=False)
print("tqdm" in sys.modules)
trainer.fit(*data, progress=True)
print("tqdm" in sys.modules)
"""


@pytest.mark.process
def test_tqdm_is_imported_only_where_a_bar_is_shown():
    assert processes.run(LATE) == "False\nTrue\n"


@pytest.mark.parametrize("stream", [closed, BrokenPipe, object], ids=lambda kind: kind.__name__)
def test_a_warning_ends_nothing_whatever_stderr_is(stream, monkeypatch):
    monkeypatch.setattr("sys.stderr", stream())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr("warnings.showwarning", show_on_stderr)
        for _ in range(3):
            caution.warn("a word")
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="a word"):
            caution.warn("a word")


def show_on_stderr(message, *_):
    """As Python does, without pytest's collection."""
    sys.stderr.write(str(message))
