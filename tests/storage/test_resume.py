"""fit(resume=...) ends with the bits of a fit that was never interrupted."""

import numpy as np
import pytest

import fastbp
from fastbp.schedules import Cosine
from support import resumed_fits
from support.cases import each_engine
from support.internals import core
from support.resumed_fits import (
    BATCH,
    CASE,
    ENDED,
    EPOCHS,
    OPTIONS,
    PLAIN,
    Crash,
    Crasher,
    assert_same,
    fit_with,
    new_trainer,
)
from support.trainers import training_state


def callbacks(folder, at=None, **options):
    return [
        fastbp.ModelCheckpoint(folder / "run.safetensors", **({"every_updates": 5} | options)),
        fastbp.EarlyStopping(patience=3),
        fastbp.ReduceLROnPlateau(patience=0),
        fastbp.CSVLogger(folder / "run.csv"),
        Crasher(at),
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A fit without interruption, and its History; EarlyStopping ends it."""
    folder = tmp_path_factory.mktemp("whole")
    trainer = new_trainer()
    history = fit_with(trainer, callbacks(folder))
    assert 4 < len(history["loss"]) < EPOCHS, "early stopping is to have its say"
    return trainer, history, folder


@pytest.mark.parametrize("loaded", [False, True], ids=["made anew", "loaded"])
@pytest.mark.parametrize("at", [5, 6, 9, 10, 14, 15, 20, 23, 25])
def test_a_resumed_fit_ends_as_one_that_was_not_interrupted(at, loaded, whole, tmp_path):
    """80 rows in batches of 16: checkpoints inside epochs and at the end of one, of 5 updates."""
    with pytest.raises(Crash):
        fit_with(new_trainer(), callbacks(tmp_path, at))
    path = tmp_path / "run.safetensors"
    trainer = fastbp.Trainer.load(path) if loaded else new_trainer()
    history = fit_with(trainer, callbacks(tmp_path), resume=path)
    assert_same(trainer, history, *whole[:2])
    one, other = (folder / "run.csv" for folder in (tmp_path, whole[2]))
    columns = [[line.split(",")[:-1] for line in p.read_text().splitlines()] for p in (one, other)]
    assert columns[0] == columns[1]


@pytest.mark.parametrize("interval", [3, 4, 7])
def test_inside_epochs(interval, whole, tmp_path):
    with pytest.raises(Crash):
        fit_with(new_trainer(), callbacks(tmp_path, 13, every_updates=interval))
    trainer = new_trainer()
    called = callbacks(tmp_path, every_updates=interval)
    history = fit_with(trainer, called, resume=tmp_path / "run.safetensors")
    assert_same(trainer, history, *whole[:2])


@each_engine
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("more", [{}, {"validation_fraction": None}], ids=["held out", "all rows"])
def test_either_engine_any_order(engine, shuffle, more, tmp_path):
    asked = {"shuffle": shuffle, "epochs": 3} | more
    ends = []
    for folder, at in (("a", None), ("b", 8)):
        place = tmp_path / folder
        place.mkdir()
        trainer, path = new_trainer(PLAIN, engine), place / "run.safetensors"
        called = [fastbp.ModelCheckpoint(path, every_updates=3), Crasher(at)]
        if at:
            with pytest.raises(Crash):
                fit_with(trainer, called, **asked)
            trainer = new_trainer(PLAIN, engine)
            called = [fastbp.ModelCheckpoint(path, every_updates=3), Crasher()]
            asked["resume"] = path
        ends.append((trainer, fit_with(trainer, called, **asked)))
    assert_same(*ends[0], *ends[1])


def test_other_threads_the_same_bits(whole, tmp_path):
    with pytest.raises(Crash):
        fit_with(new_trainer(), callbacks(tmp_path, 12))
    trainer = new_trainer()
    core(trainer).workers = 3
    history = fit_with(trainer, callbacks(tmp_path), resume=tmp_path / "run.safetensors")
    assert_same(trainer, history, *whole[:2])


def test_a_fit_that_has_ended_is_at_its_end(whole, tmp_path):
    """Stopped early: the file is of the last epoch, and the best weights come back once more."""
    trainer = new_trainer()
    with pytest.warns(UserWarning, match=ENDED):
        history = fit_with(trainer, callbacks(tmp_path), resume=whole[2] / "run.safetensors")
    assert_same(trainer, history, *whole[:2])


def test_a_time_limit_does_not_end_the_fit_that_is_resumed(tmp_path):
    path = tmp_path / "run.safetensors"

    def called(seconds):
        return [fastbp.ModelCheckpoint(path), fastbp.TimeLimit(seconds)]

    first, whole, second = new_trainer(), new_trainer(), new_trainer()
    assert len(fit_with(first, called(1e-9))["loss"]) == 1
    history = fit_with(second, called(1e9), resume=path)
    assert_same(second, history, whole, fit_with(whole, called(1e9)))


def test_more_epochs_can_be_asked_for(tmp_path):
    path = tmp_path / "run.safetensors"
    first, whole, second = new_trainer(), new_trainer(), new_trainer()
    fit_with(first, [fastbp.ModelCheckpoint(path)], epochs=2)
    history = fit_with(second, [fastbp.ModelCheckpoint(path)], epochs=5, resume=path)
    assert_same(second, history, whole, fit_with(whole, [fastbp.ModelCheckpoint(path)], epochs=5))


def test_callbacks_count_on(tmp_path):
    path, seen = tmp_path / "run.safetensors", []
    with pytest.raises(Crash):
        fit_with(new_trainer(), callbacks(tmp_path, 13))
    count = fastbp.LambdaCallback(on_step_end=lambda s: seen.append((s.steps, s.samples, s.epoch)))
    count.__class__ = type("Crasher", (fastbp.LambdaCallback,), {"run_last": True})
    fit_with(new_trainer(), [*callbacks(tmp_path)[:-1], count], resume=path)
    assert [steps for steps, _, _ in seen[:7]] == [10, 11, 12, 13, 14, 15, 16]
    assert [samples for _, samples, _ in seen[:7]] == [160, 176, 192, 208, 224, 240, 256]
    assert [epoch for _, _, epoch in seen[:7]] == [1, 2, 2, 2, 2, 2, 3]


# ModelCheckpoint


def test_the_last_are_kept(tmp_path):
    path = tmp_path / "run.safetensors"
    fit_with(new_trainer(), [fastbp.ModelCheckpoint(path, keep=2)], epochs=4)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "run-000000015.safetensors",
        "run-000000020.safetensors",
        "run.safetensors",
    ]
    newest = tmp_path / "run-000000020.safetensors"
    assert newest.read_bytes() == path.read_bytes()
    trainer = new_trainer()
    history = fit_with(trainer, [fastbp.ModelCheckpoint(path, keep=2)], epochs=5, resume=newest)
    assert len(history["loss"]) == 5
    assert len(list(tmp_path.iterdir())) == 3


def test_every_so_many_epochs_and_the_last(tmp_path):
    path, written = tmp_path / "run.safetensors", []

    def look(_state):
        written.append(path.exists() and len(fastbp.Trainer.load(path).history["loss"]))

    looker = fastbp.LambdaCallback(on_epoch_end=look)
    looker.run_last = True
    trainer = new_trainer(PLAIN)
    fit_with(trainer, [fastbp.ModelCheckpoint(path, every_epochs=2), looker], epochs=5)
    assert written == [False, 2, 2, 4, 4]
    assert training_state(fastbp.Trainer.load(path)) == training_state(trainer)


def test_the_best_is_kept(tmp_path):
    path, best = tmp_path / "best.safetensors", []
    scores = iter([1.0, 3.0, 2.0, float("nan"), 4.0, 4.0])
    keep = fastbp.ModelCheckpoint(path, monitor="val_score", mode="max", save_best_only=True)

    def look(_state):
        best.append(len(fastbp.Trainer.load(path).history["loss"]))

    looker = fastbp.LambdaCallback(on_epoch_end=look)
    looker.run_last = True
    metrics = {"score": lambda *_: next(scores)}
    fit_with(new_trainer(PLAIN), [keep, looker], epochs=6, metrics=metrics)
    assert best == [1, 2, 2, 2, 5, 5]


def test_a_file_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    fit_with(new_trainer(PLAIN), [fastbp.ModelCheckpoint(path)], epochs=1)
    before = path.read_bytes()

    def full(_file):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    trainer = new_trainer(PLAIN)
    with pytest.raises(OSError, match="no space left"):
        fit_with(trainer, [fastbp.ModelCheckpoint(path)], epochs=1)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    fit_with(trainer, [])


def test_a_folder_is_wanted_before_fit_begins(tmp_path):
    trainer = new_trainer(PLAIN)
    with pytest.raises(FileNotFoundError, match=r"path is .*there is no folder .*make it first"):
        fit_with(trainer, [fastbp.ModelCheckpoint(tmp_path / "none" / "model")])
    assert core(trainer).epoch == 0


def test_copies_beside_a_symbolic_link_are_of_the_file(tmp_path):
    """A link to the link would be to the newest."""
    (tmp_path / "disk").mkdir()
    path = tmp_path / "run.safetensors"
    try:
        path.symlink_to(tmp_path / "disk" / "run.safetensors")
    except OSError:
        pytest.skip("no symbolic links here")
    fit_with(new_trainer(PLAIN), [fastbp.ModelCheckpoint(path, keep=2)], epochs=3)
    made = [len(fastbp.Trainer.load(p).history["loss"]) for p in sorted(tmp_path.glob("run-*"))]
    assert made == [2, 3]


def test_copies_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("not supported")

    monkeypatch.setattr("os.link", refuse)
    fit_with(new_trainer(PLAIN), [fastbp.ModelCheckpoint(tmp_path / "run", keep=2)], epochs=3)
    made = [len(fastbp.Trainer.load(p).history["loss"]) for p in sorted(tmp_path.glob("run-*"))]
    assert made == [2, 3]


@pytest.mark.parametrize("name", ["run-{epoch:02d}", "{val_loss:.2f}.safetensors", "{epoch}/run"])
def test_a_name_with_places_for_values_is_refused(name):
    with pytest.raises(ValueError, match=r"path is .*one file.*keep=n"):
        fastbp.ModelCheckpoint(name)


def test_other_braces_are_part_of_a_name():
    assert "'run{1}{epochs}'" in repr(fastbp.ModelCheckpoint("run{1}{epochs}"))


def test_a_path_that_is_a_folder_is_refused_before_fit_begins(tmp_path):
    trainer = new_trainer(PLAIN)
    with pytest.raises(IsADirectoryError, match=r"which is a folder: name a file in it"):
        fit_with(trainer, [fastbp.ModelCheckpoint(tmp_path)])
    assert core(trainer).epoch == 0


def test_updates_that_are_not_made_are_not_waited_for(tmp_path):
    net = fastbp.Network([6, 4, 3], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.LBFGS(), seed=0)
    checkpoint = fastbp.ModelCheckpoint(tmp_path / "x", every_updates=2)
    with pytest.raises(ValueError, match=r"every_updates is given, but optimizer fastbp\.LBFGS"):
        trainer.fit(np.ones((4, 6)), np.ones((4, 3)), callbacks=[checkpoint])


# What is refused, with nothing changed


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    with pytest.raises(Crash):
        fit_with(new_trainer(), callbacks(folder, 12))
    return folder / "run.safetensors"


def _refused(trainer, message, error=ValueError, **asked):
    before = training_state(trainer)
    with pytest.raises(error, match=message):
        fit_with(trainer, asked.pop("called"), **asked)
    assert training_state(trainer) == before
    assert core(trainer).fit is None


def test_another_fit_is_refused(written, tmp_path):
    def refused(message, trainer=None, called=None, **asked):
        called = callbacks(tmp_path) if called is None else called
        asked = {"resume": written} | asked
        _refused(trainer or new_trainer(), message, called=called, **asked)

    refused(
        "trainer's dropout was .0.2, 0.2. and is .0.0, 0.0.",
        new_trainer(OPTIONS | {"dropout": 0.0}),
    )
    other = fastbp.Network([6, 16, 9, 3], "relu", "softmax", seed=1)
    how = {"loss": "cross_entropy", "optimizer": fastbp.AdamW(0.01), "batch_size": BATCH, "seed": 0}
    refused("network's sizes was .6, 16, 8, 3. and is", fastbp.Trainer(other, **how, **OPTIONS))
    anew = r".*Trainer\.load\(path\)\.fit\(\.\.\.\), without resume"
    refused("shuffle was True and is False" + anew, shuffle=False)
    other_class = CASE.trainer("float32", "numba", fastbp.SGD(0.01), BATCH, **OPTIONS)
    refused(r"optimizer was .*replace\(optimizer=\.\.\.\)", other_class)
    refused(r"callbacks was .*as fastbp\.ModelCheckpoint\(path\)", called=[])
    refused("resume is True, of type bool, expected the path", error=TypeError, resume=True)
    refused("rows to train on was 80 and is 90", validation_fraction=0.1)
    refused("metrics was .*and is .'m'.", metrics={"m": lambda *_: 0.0})
    refused("callbacks was .*and is .'CSVLogger'", called=callbacks(tmp_path)[3:])
    refused("sample_weight was False and is True", sample_weight=np.ones(100))
    refused("2 epochs have been made, and epochs is 1", epochs=1)
    scaled = new_trainer()
    scaled.net.set_scaling(input_scale=3.0)
    refused("network's scaling was", scaled)


def test_other_data_are_refused(written, tmp_path):
    X, y = CASE.batch()
    trainer, asked = (
        new_trainer(),
        {"epochs": EPOCHS, "validation_fraction": 0.2, "resume": written},
    )
    with pytest.raises(ValueError, match=r"X was \[\[100, 6\], 'float64'\] and is .*'float32'"):
        trainer.fit(X.astype("float32"), y, callbacks=callbacks(tmp_path), **asked)


def test_a_schedule_that_would_end_before(tmp_path):
    short = CASE.trainer("float32", optimizer=fastbp.Adam(), batch_size=BATCH, schedule=Cosine(24))
    path = tmp_path / "short.safetensors"
    fit_with(short, [fastbp.ModelCheckpoint(path)], epochs=2, validation_fraction=None)
    _refused(
        short,
        "Cosine.*24 updates, but 14 have been made and 14 more",
        called=[fastbp.ModelCheckpoint(path)],
        epochs=4,
        validation_fraction=None,
        resume=path,
    )


def test_what_is_no_checkpoint_of_a_fit(tmp_path):
    path = tmp_path / "x.safetensors"
    new_trainer().save(path)
    _refused(new_trainer(), r"not written within fit.*Trainer\.load", called=[], resume=path)
    _refused(
        new_trainer(),
        "none.safetensors",
        FileNotFoundError,
        called=[],
        resume=tmp_path / "none.safetensors",
    )


def test_fits_that_cannot_be_resumed_say_so(tmp_path):
    path = tmp_path / "x.safetensors"
    net = fastbp.Network([6, 4, 3], seed=0)
    trainer = fastbp.Trainer(net, loss="mse", optimizer=fastbp.LBFGS(), seed=0)
    X, y = np.random.default_rng(0).normal(size=(20, 6)), np.ones((20, 3))
    trainer.fit(X, y, epochs=3, callbacks=[fastbp.ModelCheckpoint(path)])
    with pytest.raises(ValueError, match="not written within fit by batches"):
        trainer.fit(X, y, epochs=5, callbacks=[fastbp.ModelCheckpoint(path)], resume=path)
    assert len(fastbp.Trainer.load(path).fit(X, y)["loss"]) == 1


# What a checkpoint keeps of callbacks


@pytest.mark.parametrize("name", ["run_last", "hears_last"])
def test_who_runs_last_is_called_after_the_others(name):
    heard = []
    last = fastbp.LambdaCallback(on_epoch_end=lambda _: heard.append("last"))
    setattr(last, name, True)
    other = fastbp.LambdaCallback(on_epoch_end=lambda _: heard.append("other"))
    fit_with(new_trainer(PLAIN), [last, other], epochs=1)
    assert heard == ["other", "last"]


def test_a_fit_that_was_stopped_stays_so(tmp_path):
    path = tmp_path / "run.safetensors"

    def stop(state):
        if state.epoch == 2:
            raise fastbp.StopTraining

    checkpoint = fastbp.ModelCheckpoint(path)
    fit_with(new_trainer(), [fastbp.LambdaCallback(on_epoch_end=stop), checkpoint], epochs=4)
    called = [fastbp.LambdaCallback(), fastbp.ModelCheckpoint(path)]
    with pytest.warns(UserWarning, match=ENDED) as warned:
        assert len(fit_with(new_trainer(), called, epochs=4, resume=path)["loss"]) == 2
    assert warned[0].filename == resumed_fits.__file__  # the line that called fit
    assert len(fit_with(new_trainer(), called, epochs=2, resume=path)["loss"]) == 2


def other_monitors(folder):
    """Callbacks that were in a fit, and others of the class, with the difference."""
    path = folder / "best.safetensors"
    plateau, stopping = fastbp.ReduceLROnPlateau, fastbp.EarlyStopping
    return [
        ([stopping()], [stopping("val_accuracy")], "monitor of EarlyStopping was 'val_loss'"),
        ([stopping(mode="max")], [stopping()], "mode of EarlyStopping was 'max' and is 'min'"),
        ([plateau("loss")], [plateau()], "monitor of ReduceLROnPlateau was 'loss' and is"),
        (
            [fastbp.ModelCheckpoint(path, save_best_only=True)],
            [fastbp.ModelCheckpoint(path, save_best_only=True, monitor="val_accuracy")],
            "monitor of ModelCheckpoint was 'val_loss' and is 'val_accuracy'",
        ),
    ]


@pytest.mark.parametrize("case", range(4))
def test_values_of_another_monitor_are_not_compared(case, tmp_path):
    path = tmp_path / "run.safetensors"
    before, after, message = other_monitors(tmp_path)[case]
    keeper = fastbp.ModelCheckpoint(path)
    fit_with(new_trainer(), [*before, keeper], epochs=2)
    _refused(
        new_trainer(), message + ".*Trainer.load", called=[*after, keeper], epochs=3, resume=path
    )


def test_a_monitor_whose_value_is_not_read_may_change(tmp_path):
    path = tmp_path / "run.safetensors"
    fit_with(new_trainer(), [fastbp.ModelCheckpoint(path)], epochs=1)
    other = fastbp.ModelCheckpoint(path, monitor="val_accuracy")
    assert len(fit_with(new_trainer(), [other], epochs=2, resume=path)["loss"]) == 2


def test_a_plateau_goes_on_counting():
    one, other = fastbp.ReduceLROnPlateau(cooldown=3), fastbp.ReduceLROnPlateau(cooldown=3)
    state = {"best": 0.25, "bad": 2, "cooling": 1, "monitor": "val_loss", "mode": "min"}
    one.load_state_dict(state)
    assert one.state_dict() == state != other.state_dict()


def test_kernels_that_weigh_rows_are_kept(tmp_path):
    trainer, path = new_trainer(PLAIN), tmp_path / "x.safetensors"
    X, y = CASE.batch()
    trainer.step(X[:4], y[:4], sample_weight=np.ones(4))
    trainer.save(path)
    assert core(fastbp.Trainer.load(path)).extended
