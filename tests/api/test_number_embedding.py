"""Networks with learned embeddings of numbers: how they are asked for, kept, and refused."""

import inspect

import numpy as np
import pytest

import fastbp
from fastbp import NumberEmbedding, embed
from fastbp.storage import model_file
from support.cases import Case, each_engine
from support.closeness import layers_of
from support.internals import core
from support.trainers import bits, training_state

SOME = NumberEmbedding([2, 0], frequencies=5, width=3, sigma=0.5)
CASE = Case((4, 9, 3), 20, "tanh", "softmax", "cross_entropy", labels=True, number_embedding=SOME)
X, Y = CASE.batch()


def new_trainer(engine="numba", optimizer=None, **options):
    optimizer = optimizer or fastbp.SGD(lr=0.1)
    return CASE.trainer("float32", engine, optimizer, 8, **options)


def trained(*arguments, **options):
    trainer = new_trainer(*arguments, **options)
    before = trainer.net.embedding_parameters
    trainer.fit(X, Y, epochs=2)
    for old, new in zip(before, trainer.net.embedding_parameters, strict=True):
        assert (old != new).all()
    return trainer


# The specification


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": "some"}, ValueError, "columns is 'some', expected 'all', or places such as"),
        ({"columns": []}, ValueError, r"columns is \[\], expected different places, at least one"),
        ({"columns": [1, 1]}, ValueError, r"columns is \[1, 1\], expected different places"),
        ({"columns": [-1]}, ValueError, r"columns\[0\] is -1, expected an integer >= 0"),
        ({"columns": [0.5]}, TypeError, r"columns\[0\] is 0.5"),
        ({"columns": 2}, TypeError, "columns is 2, of type int, expected 'all', or places"),
        ({"frequencies": 0}, ValueError, "frequencies is 0, expected an integer >= 1"),
        ({"frequencies": 4097}, ValueError, "frequencies is 4097, expected at most 4096"),
        ({"width": 1}, ValueError, "width is 1, expected an integer >= 2"),
        ({"sigma": 0}, ValueError, "sigma is 0.0, expected a finite number above 0"),
        ({"sigma": "1"}, TypeError, "sigma is '1'"),
        ({"hidden": 3}, TypeError, "NumberEmbedding has no argument 'hidden'"),
    ],
)
def test_bad_specifications_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        NumberEmbedding(**options)


def test_an_array_of_places_is_a_tuple():
    assert NumberEmbedding(np.array([2, 1])).columns == (2, 1)
    assert NumberEmbedding(np.array([2, 1])) == NumberEmbedding([2, 1]) != NumberEmbedding([1, 2])
    assert hash(NumberEmbedding([1])) == hash(NumberEmbedding((1,)))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (NumberEmbedding([4]), ValueError, r"columns has 4, but the network has 4 inputs"),
        ("all", TypeError, "number_embedding is 'all', of type str, expected a fastbp.NumberEmb"),
        (True, TypeError, "number_embedding is True"),
    ],
)
def test_networks_refuse_what_does_not_fit(value, error, message):
    with pytest.raises(error, match=message):
        fastbp.Network([4, 2], number_embedding=value)


def test_an_embedding_begins_as_realmlps():
    made = NumberEmbedding(frequencies=16, width=4, sigma=0.1)
    net = fastbp.Network([300, 2], number_embedding=made, seed=0, dtype="float64")
    w, b, V, c = net.embedding_parameters
    # Of n = 4,800 numbers: the deviation of their deviation is sigma / sqrt(2 n); four of them.
    assert abs(w.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * w.size)
    assert abs(w.mean()) < 4 * 0.1 / np.sqrt(w.size)
    for part, bound in ((b, np.pi), (V, 0.25), (c, 0.25)):
        assert -bound <= part.min() < -0.9 * bound
        assert 0.9 * bound < part.max() < bound
    X = np.random.default_rng(0).normal(size=(4000, 300))
    plain = fastbp.Network([300, 1], init="zeros", number_embedding=made, seed=0, dtype="float64")
    weights = np.zeros((1200, 1))
    weights[300] = 1  # the first new input of the first column
    plain.set_parameters([weights], [[0.0]])
    angles = 2 * np.pi * X[:, :1] * w[0] + b[0]
    expected = np.cos(angles) @ V[0, :, 0] + c[0, 0]
    np.testing.assert_allclose(plain.predict(X)[:, 0], expected, atol=1e-12)


def test_the_seed_draws_it():
    one, same, other = (
        fastbp.Network([4, 2], number_embedding=SOME, seed=seed) for seed in (1, 1, 2)
    )
    assert one.allclose(same, 0, 0)
    assert not one.allclose(other)
    plain = fastbp.Network([4, 2], seed=1)
    np.testing.assert_array_equal(plain.weights[0].shape, (4, 2))
    assert one.weights[0].shape == (4 + 2 * 2, 2)


# What a network says and takes


def test_a_plain_network_has_none():
    net = fastbp.Network([4, 2])
    assert net.number_embedding is None
    assert net.embedding_parameters is None
    assert not core(Case((4, 9, 3), 20).trainer()).extended
    with pytest.raises(ValueError, match="the network embeds no numbers: make the Network with"):
        net.set_embedding_parameters(0, 0, 0, 0)
    with pytest.raises(ValueError, match=r"embedding_lr_factor is 0.5, but the network embeds no"):
        Case((4, 9, 3), 20).trainer(embedding_lr_factor=0.5)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1, ValueError, "embedding_lr_factor is -1.0, expected a finite number 0 or more"),
        (None, TypeError, "embedding_lr_factor is None"),
    ],
)
def test_bad_factors_are_refused(value, error, message):
    with pytest.raises(error, match=message):
        CASE.trainer(embedding_lr_factor=value)


def test_parameters_are_counted_shown_and_read_alone(capsys):
    net = CASE.network()
    assert net.n_parameters == (4 + 2 * 2 + 1) * 9 + 10 * 3 + 2 * (4 * 5 + 2)
    assert "number_embedding=fastbp.NumberEmbedding(columns=(2, 0), frequencies=5" in repr(net)
    net.summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["0", "embedding", "4", "->", "8", "44", "no", "no"]
    assert lines[2].split()[:5] == ["1", "tanh", "8", "->", "9"]
    with pytest.raises(ValueError, match="read-only"):
        net.embedding_parameters.phases[0] = 1
    with pytest.raises(AttributeError, match="call set_embedding_parameters"):
        net.embedding_parameters = None
    with pytest.raises(AttributeError, match="make a new Network"):
        net.number_embedding = None


def test_parameters_are_set_and_bad_ones_refused():
    net = CASE.network()
    w, b, V, c = (part + 1 for part in net.embedding_parameters)
    weights = net.weights
    net.set_embedding_parameters(w, b, V, c)
    for part, found in zip((w, b, V, c), net.embedding_parameters, strict=True):
        np.testing.assert_array_equal(part, found)
    np.testing.assert_array_equal(net.weights[0], weights[0])
    before = [part.tobytes() for part in net.embedding_parameters]
    bad = V.copy()
    bad[0, 1, 1] = np.inf
    with pytest.raises(ValueError, match=r"weights has inf at \(0, 1, 1\)"):
        net.set_embedding_parameters(w, b, bad, c)
    with pytest.raises(ValueError, match=r"biases has shape \(2,\), expected \(2, 2\)"):
        net.set_embedding_parameters(w, b, V, c[0])
    with pytest.raises(ValueError, match=r"weights\[0\] has shape \(4, 9\), expected \(8, 9\)"):
        net.set_parameters([np.zeros((4, 9)), net.weights[1]], net.biases)
    assert [part.tobytes() for part in net.embedding_parameters] == before


@pytest.mark.parametrize(
    ("export", "form"),
    [
        (lambda net, path: net.to_onnx(path / "m.onnx"), "ONNX"),
        (lambda net, path: net.to_c(path / "m.c"), "C"),
        (lambda net, path: net.to_fortran(path / "m.f90"), "Fortran"),
        (lambda net, _: net.to_torch(), "torch"),
    ],
    ids=["onnx", "c", "fortran", "torch"],
)
def test_other_programs_have_no_form_for_it(export, form, tmp_path, monkeypatch):
    monkeypatch.setattr("fastbp.model.network_export.need", lambda *_: None)
    with pytest.raises(ValueError, match=f"embeds numbers, which has no form in {form} yet"):
        export(CASE.network(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_parts_of_a_network_embed_too():
    net = CASE.network()
    np.testing.assert_allclose(net[:1].predict(X), net.predict(X, layer=1), rtol=1e-12)
    assert net[:].allclose(net)
    assert net[:1].number_embedding == SOME


def test_networks_that_embed_other_columns_are_not_alike():
    other = fastbp.Network([4, 2], number_embedding=NumberEmbedding([0, 2], 5, 3, 0.5), seed=1)
    net = fastbp.Network([4, 2], number_embedding=SOME, seed=1)
    assert not net.allclose(other)
    assert not net.allclose(fastbp.Network([4, 2], seed=1))


def test_another_scaling_of_a_trained_network_is_refused():
    trainer = trained()
    with pytest.raises(ValueError, match="is trained, and it embeds numbers, so that another"):
        trainer.net.standardize(X)
    fresh = CASE.network()
    fresh.standardize(X)
    assert fresh.input_mean is not None


def test_targets_of_a_trained_network_are_scaled_as_ever():
    case = Case((4, 9, 2), 20, number_embedding=SOME)
    trainer, (X, y) = case.trainer(), case.batch()
    trainer.fit(X, y)
    p = trainer.predict(X)
    trainer.net.set_scaling(target_mean=1.0)
    trainer.net.set_scaling()
    trainer.net.arrays.set_scaling(
        fastbp.data.scaling.Scaling(None, fastbp.data.scaling.Units(np.ones(2), np.full(2, 3.0))),
        keeps_function=True,
    )
    np.testing.assert_allclose(trainer.predict(X), p, rtol=1e-12)


def test_rows_initialize_what_follows_the_embedding():
    net, rows = CASE.network(), np.random.default_rng(3).normal(size=(500, 4))
    before = net.embedding_parameters
    net.initialize_from(rows, seed=9)
    assert all((a != b).all() for a, b in zip(before, net.embedding_parameters, strict=True))
    z = np.arctanh(net.predict(rows, layer=1)) - net.biases[0]
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-6)


def test_nothing_is_compiled_for_others():
    """The kernels ask for the code by its address in the plan."""
    from fastbp.kernels.entry import run

    assert "embedded_numbers" not in inspect.getsource(run)
    assert "embedded_numbers" not in inspect.getsource(inspect.getmodule(run.call))


# How it is kept


@each_engine
@pytest.mark.parametrize("optimizer", [fastbp.SGD(lr=0.1), fastbp.Adam(lr=0.01)], ids=repr)
def test_a_saved_trainer_goes_on_to_the_bit(optimizer, engine, tmp_path):
    trainer = trained(engine, optimizer, embedding_lr_factor=0.5)
    trainer.save(tmp_path / "t")
    twin = fastbp.Trainer.load(tmp_path / "t")
    assert training_state(twin) == training_state(trainer)
    assert twin.fit(X, Y)["loss"] == trainer.fit(X, Y)["loss"]
    assert training_state(twin) == training_state(trainer)
    assert eval(repr(trainer), {"fastbp": fastbp}).net.number_embedding == SOME


def test_a_saved_network_predicts_the_same_bits(tmp_path):
    net = trained().net
    net.save(tmp_path / "m")
    twin = fastbp.load(tmp_path / "m")
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))
    assert twin.number_embedding == SOME
    assert twin.allclose(net, 0, 0)
    nets = [trained().net, trained(optimizer=fastbp.Adam()).net]
    fastbp.Ensemble(nets).save(tmp_path / "e")
    loaded = fastbp.Ensemble.load(tmp_path / "e")
    np.testing.assert_array_equal(loaded.predict(X), fastbp.Ensemble(nets).predict(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, _: m.pop("number_embedding"), "a tensor it cannot have"),
        (lambda m, _: m["number_embedding"].update(columns=[2, 7]), "columns has 7, but the netw"),
        (lambda m, _: m["number_embedding"].update(columns=[2]), r"shape \(2, 5\) .* \(1, 5\)"),
        (lambda m, _: m["number_embedding"].update(frequencies=10**9), "expected at most 4096"),
        (lambda m, _: m["number_embedding"].update(more=1), "number_embedding has fields"),
        (
            lambda m, _: m.update(number_embedding=[1]),
            r"number_embedding is \[1\], expected one of",
        ),
        (lambda _, t: t.pop("number_embedding.phases"), "no tensor 'number_embedding.phases'"),
        (
            lambda _, t: t["number_embedding.weights"].fill(np.nan),
            "number_embedding.weights has nan",
        ),
    ],
    ids=["none", "place", "fewer", "many", "fields", "list", "missing", "nan"],
)
def test_a_file_that_lies_is_refused(change, message, tmp_path):
    CASE.network("float32").save(tmp_path / "m")
    meta, tensors = model_file.read(tmp_path / "m", "model")
    tensors = {name: array.copy() for name, array in tensors.items()}
    change(meta, tensors)
    model_file.write(tmp_path / "m", "model", meta, tensors)
    with pytest.raises(ValueError, match=message):
        fastbp.load(tmp_path / "m")


def test_a_resumed_fit_ends_as_one_that_was_not_interrupted(tmp_path):
    class Crash(Exception):
        pass

    def crash(state):
        if state.steps == 5:
            raise Crash

    path, whole = tmp_path / "run", new_trainer()
    whole.fit(X, Y, epochs=4)
    keep = fastbp.ModelCheckpoint(path, every_updates=4)
    ends = fastbp.LambdaCallback(on_step_end=crash)
    with pytest.raises(Crash):
        new_trainer().fit(X, Y, epochs=4, callbacks=[keep, ends])
    resumed, silent = new_trainer(), fastbp.LambdaCallback(on_step_end=lambda _: None)
    called = [fastbp.ModelCheckpoint(path, every_updates=4), silent]
    resumed.fit(X, Y, epochs=4, resume=path, callbacks=called)
    assert training_state(resumed) == training_state(whole)


def test_another_embedding_is_no_resume(tmp_path):
    path = tmp_path / "run"
    new_trainer().fit(X, Y, epochs=2, callbacks=[fastbp.ModelCheckpoint(path)])
    other = Case(CASE.sizes, 20, "tanh", "softmax", "cross_entropy", labels=True)
    with pytest.raises(ValueError, match=r"number_embedding was .* and is None"):
        other.trainer("float32", batch_size=8).fit(
            X, Y, epochs=4, resume=path, callbacks=[fastbp.ModelCheckpoint(path)]
        )
    slower = new_trainer(embedding_lr_factor=0.5)
    with pytest.raises(ValueError, match=r"embedding_lr_factor was None and is 0\.5"):
        slower.fit(X, Y, epochs=4, resume=path, callbacks=[fastbp.ModelCheckpoint(path)])


@each_engine
def test_a_batch_that_is_refused_brings_the_embedding_back(engine):
    trainer, bad = new_trainer(engine), X.copy()
    bad[13, 2] = np.nan
    trainer.fit(X, Y)
    before = training_state(trainer)
    with pytest.raises(ValueError, match="X has nan at row 13, column 2"):
        trainer.fit(bad, Y, epochs=4, shuffle=False)  # in the second batch
    assert training_state(trainer) == before


def test_the_best_weights_of_an_early_stop_are_those_of_the_embedding_too():
    trainer, kept = new_trainer(), []
    stopping = fastbp.EarlyStopping(monitor="loss", mode="max", patience=1)
    first = fastbp.LambdaCallback(on_epoch_end=lambda s: kept.append(layers_of(s.trainer)))
    trainer.fit(X, Y, epochs=9, callbacks=[first, stopping])
    assert stopping.best_epoch == 1
    for part, found in zip(kept[0][-1], layers_of(trainer)[-1], strict=True):
        np.testing.assert_array_equal(part, found)


@each_engine
def test_a_replaced_trainer_goes_on(engine):
    trainer, other = (trained(engine, fastbp.Adam(lr=0.01)) for _ in range(2))
    twin = trainer.replace()
    assert training_state(twin) == training_state(trainer)
    assert twin.fit(X, Y)["loss"] == other.fit(X, Y)["loss"]
    frozen = twin.replace(embedding_lr_factor=0)
    before = twin.net.embedding_parameters
    frozen.fit(X, Y)
    for old, new in zip(before, twin.net.embedding_parameters, strict=True):
        np.testing.assert_array_equal(old, new)


def test_full_batch_minimization_takes_the_embedding_along():
    pytest.importorskip("scipy")
    case = Case((4, 9, 2), 20, "tanh", number_embedding=SOME)
    X, y = case.batch()
    trainer = case.trainer(optimizer=fastbp.LBFGS())
    before, first = trainer.net.embedding_parameters, trainer.evaluate(X, y)["loss"]
    losses = trainer.fit(X, y, epochs=20)["loss"]
    assert losses[-1] < 0.2 * first
    assert all(
        (a != b).all() for a, b in zip(before, trainer.net.embedding_parameters, strict=True)
    )


# Embedded models


def test_models_are_copied_between_networks_that_embed_alike():
    one, other = trained(), trained(optimizer=fastbp.SGD(lr=0.05))
    embed.copy(one.compiled(), other.compiled(), 1.0)
    assert bits(one)[:8] == bits(other)[:8]
    for made in (NumberEmbedding([2, 1], 5, 3), NumberEmbedding([2, 0], 6, 3), None):
        case = Case(CASE.sizes, 20, "tanh", "softmax", "cross_entropy", number_embedding=made)
        stranger = case.trainer("float32")
        with pytest.raises(ValueError, match="networks of a and b have other sizes"):
            embed.copy(one.compiled(), stranger.compiled(), 1.0)


def test_gradients_of_other_shapes_are_refused():
    trainer = new_trainer()
    _, gradients = trainer.loss_and_gradients(X, Y)
    with pytest.raises(ValueError, match="gradients has 2 items, expected 3 layers"):
        trainer.apply_gradients(gradients[:-1])
    wrong = [*gradients[:-1], (*gradients[-1][:3], np.zeros(2))]
    with pytest.raises(ValueError, match=r"gradients\[2\]\[3\] has shape \(2,\)"):
        trainer.apply_gradients(wrong)


def test_derivatives_by_the_inputs_are_refused():
    smooth = new_trainer()
    for ask in (smooth.net.jacobian, lambda X: smooth.net.predict(X, jacobian=True)):
        with pytest.raises(ValueError, match=r"embeds numbers.*without number_embedding"):
            ask(X)
    with pytest.raises(ValueError, match=r"jacobian is given, but the network embeds numbers"):
        smooth.step(X[:8], Y[:8], jacobian=np.zeros((8, 3, 4)))
    with pytest.raises(ValueError, match="embeds numbers"):
        embed.jacobian(smooth.compiled(), X[:8].astype(np.float32), np.empty((8, 3, 4), np.float32))
