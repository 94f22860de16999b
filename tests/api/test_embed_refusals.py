"""Wrong shapes, types and values are refused, from Python and from njit code; nothing changes."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from numba.core.errors import TypingError

from fastbp import embed
from support import processes
from support.cases import CASES
from support.embed_ways import (
    ADAM,
    FLAT,
    ODD,
    WAYS,
    batch,
    each_way,
    model_of,
    same_state,
)
from support.guards import Guard, guarding
from support.internals import core

GOOD = {
    "X": np.ones((6, 4)),
    "y": np.ones((6, 2)),
    "v": np.ones((6, 2)),
    "dloss_dp": np.ones((6, 2)),
    "p": np.ones((6, 2)),
    "e": np.ones((6, 4)),
    "g": np.ones((4 + 1) * 9 + (9 + 1) * 2),
    "J": np.ones((6, 2, 4)),
    "u": np.ones((6, 4)),
}
CALLS = {
    "predict": ("X", "p"),
    "step": ("X", "y"),
    "gradients": ("X", "y", "g"),
    "input_gradient": ("X", "v", "e"),
    "step_from": ("X", "dloss_dp"),
    "jacobian": ("X", "J"),
    "jvp": ("X", "u", "p"),
}
WRONG = {
    "X": [(0, 4), (7, 4), (6, 3), (6, 5), (4, 6), (24,), (3,), (5, 4), (1, 4)],
    "y": [(6, 1), (6, 3), (5, 2), (12,), (6,), (2, 6), (0, 2), (1,)],
    "p": [(6, 1), (5, 2), (7, 2), (12,), (2, 6), (0, 0)],
    "e": [(6, 3), (5, 4), (24,), (4, 6)],
    "g": [(64,), (66,), (0,)],
    "J": [(6, 4, 2), (5, 2, 4), (6, 2, 5), (6, 8), (12, 4), (2, 4), (6, 4), (48,), (4,)],
    "u": [(6, 3), (5, 4), (24,), (4, 6)],
}
WRONG["v"] = WRONG["dloss_dp"] = WRONG["y"]
CASES_OF_WRONG = [
    (call, name, shape) for call, names in CALLS.items() for name in names for shape in WRONG[name]
]


@each_way
@pytest.mark.parametrize(("call", "name", "shape"), CASES_OF_WRONG)
def test_wrong_shapes_are_refused(call, name, shape, way):
    trainer = replace(FLAT, sizes=(4, 9, 2)).trainer()
    before = trainer.net.arrays.parameters.copy()
    arguments = GOOD | {name: np.ones(shape)}
    said = "out" if name in ("p", "e", "g", "J") else "v" if name == "u" else name
    if name == "X" and len(shape) == 2 and shape[1] == 4 and 0 < shape[0] < 7:
        of_calls = {"predict": "out", "input_gradient": "v", "step_from": "dloss_dp"}
        said = (of_calls | {"jacobian": "out", "jvp": "v"}).get(call, "y")
    with pytest.raises(ValueError, match=rf"^{said} has the wrong .*, expected"):
        getattr(way, call)(trainer.compiled(), *(arguments[n] for n in CALLS[call]))
    np.testing.assert_array_equal(trainer.net.arrays.parameters, before)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_model_is_refused_in_one_line(call):
    trainer = FLAT.trainer()
    X = np.ones((1, 3))
    arrays = [X] * (3 if call in ("gradients", "input_gradient", "jvp") else 2)
    for wrong in (trainer, trainer.net, None):
        message = f"^model is a {type(wrong).__name__}, expected what trainer.compiled"
        with pytest.raises(TypingError, match=message):
            getattr(embed, call)(wrong, *arrays)
    with pytest.raises(TypingError, match=r"^X is .*, expected a C-contiguous array of ") as error:
        getattr(embed, call)(trainer.compiled(), [[1.0]], *arrays[1:])
    assert "\n" not in str(error.value)


@each_way
def test_labels_for_another_loss_are_refused(way):
    model = model_of(FLAT)
    for labels in (np.zeros(6, np.int64), np.zeros(1, np.int64)):
        with pytest.raises(ValueError, match=r"y has the wrong shape.*'cross_entropy'"):
            way.step(model, np.ones((len(labels), 4)), labels)


@each_way
def test_outputs_in_the_memory_of_inputs_are_refused(way):
    model = model_of(replace(FLAT, sizes=(4, 4)))
    memory = np.ones((7, 4))
    with pytest.raises(ValueError, match="out lies in the memory of another argument"):
        way.predict(model, memory[:6], memory[1:])
    v = np.ones((6, 4))
    with pytest.raises(ValueError, match="out lies in the memory of another argument"):
        way.input_gradient(model, memory[:6], v, v)
    with pytest.raises(ValueError, match="out lies in the memory of another argument"):
        way.jvp(model, memory[:6], v, v)
    with pytest.raises(ValueError, match="out lies in the memory of another argument"):
        way.jvp(model, memory[:6], v, memory[1:])
    memory = np.ones((30, 4))
    with pytest.raises(ValueError, match="out lies in the memory of another argument"):
        way.jacobian(model, memory[24:], memory[1:25].reshape(6, 4, 4))


# Types


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


BAD_TYPES = {
    "X of another dtype": ("step", {"X": np.ones((6, 4), "f4")}, "X is .*expected a C-contiguous"),
    "X in columns": ("step", {"X": np.ones((4, 6)).T}, "X is .*C-contiguous array of float64"),
    "X of three dimensions": ("step", {"X": np.ones((6, 4, 1))}, "X is .*one or two dimensions"),
    "X a number": ("predict", {"X": 1.0}, "X is "),
    "y of another dtype": ("step", {"y": np.ones((6, 2), "f4")}, "y is "),
    "y of small labels": ("step", {"y": np.ones(6, "i4")}, "y is .*int64"),
    "y of labels in a column": ("step", {"y": np.ones((6, 1), "i8")}, "y is .*int64"),
    "y half a number": ("step", {"y": np.float16(0.5)}, "y is float16"),
    "y of bool": ("gradients", {"y": np.ones(6, "?")}, "y is "),
    "out read-only": ("predict", {"p": read_only(np.ones((6, 2)))}, "out is .*can be written"),
    "out of gradients in rows": ("gradients", {"g": np.ones((1, 65))}, "out is .*one dimension"),
    "v of integers": ("input_gradient", {"v": np.ones((6, 2), int)}, "v is "),
    "Jacobians of four dimensions": (
        "jacobian",
        {"J": np.ones((6, 2, 4, 1))},
        "out is .*one to three dimensions",
    ),
    "Jacobians read-only": ("jacobian", {"J": read_only(np.ones((6, 2, 4)))}, "can be written"),
    "Jacobians in columns": ("jacobian", {"J": np.ones((4, 2, 6)).T}, "out is .*C-contiguous"),
    "a direction of another dtype": ("jvp", {"u": np.ones((6, 4), "f4")}, "v is "),
    "no gradient": ("step_from", {"dloss_dp": None}, "dloss_dp is "),
}


@each_way
@pytest.mark.parametrize(("call", "bad", "message"), BAD_TYPES.values(), ids=BAD_TYPES)
def test_wrong_types_are_refused(call, bad, message, way):
    model = model_of(replace(FLAT, sizes=(4, 9, 2)))
    with pytest.raises(TypingError, match=message):
        getattr(way, call)(model, *((GOOD | bad)[n] for n in CALLS[call]))


@each_way
def test_what_is_no_model_is_refused(way):
    for model in (model_of(FLAT)[0], tuple(model_of(FLAT))):
        with pytest.raises(TypingError, match=r"model is .*what trainer.compiled\(\) returns"):
            way.predict(model, np.ones((6, 4)), np.ones((6, 1)))


@each_way
@pytest.mark.parametrize("header", [np.zeros(9), np.zeros((3, 3), int), 5, None], ids=repr)
def test_a_header_of_another_type_is_refused(header, way):
    """As an address it would be read wherever it points to."""
    model = model_of(FLAT)._replace(header=header)
    with pytest.raises(TypingError, match=r"model is .*what trainer.compiled\(\) returns"):
        way.predict(model, np.ones((6, 4)), np.ones((6, 1)))


@pytest.mark.slow
@pytest.mark.process
@guarding
@pytest.mark.parametrize("length", [0, 2])
def test_a_short_header_is_not_read_beyond_its_end(length):
    processes.run(
        f"import test_embed_refusals; test_embed_refusals.call_with_a_short_header({length})"
    )


def call_with_a_short_header(length):
    header = Guard("end").zeros(length, np.int64)
    for way in WAYS.values():
        with pytest.raises(ValueError, match="model is a copy"):
            way.predict(model_of(FLAT)._replace(header=header), np.ones((6, 4)), np.ones((6, 1)))


def test_read_only_inputs_are_taken():
    trainer = FLAT.trainer()
    X, y = (read_only(part) for part in FLAT.batch())
    assert embed.step(trainer.compiled(), X, y) == FLAT.trainer().step(X, y)


# Values


@each_way
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_values_change_nothing(bad, way):
    trainer = FLAT.trainer(optimizer=ADAM)
    model, before = trainer.compiled(), copy.deepcopy(trainer)
    X, y = FLAT.batch()
    bad_X, bad_y = X.copy(), y.copy()
    bad_X[3, 1] = bad_y[2, 0] = bad
    out = np.full(trainer.net.n_parameters, 7.0)
    for arguments in ((bad_X, y), (X, bad_y)):
        assert np.isnan(way.step(model, *arguments))
        assert np.isnan(way.gradients(model, *arguments, out))
        assert way.step_from(model, *arguments) is False
        into = np.ones_like(X)
        way.input_gradient(model, *arguments, into)
        assert np.isnan(into).all()
    assert np.all(out == 7)
    assert same_state(trainer, before)
    assert way.step(model, X, y) == before.step(X, y)


@each_way
@pytest.mark.parametrize("labels", [[0, 3, 1], [0, -1, 1]])
def test_bad_labels_change_nothing(labels, way):
    case = replace(CASES["wide"], sizes=(5, 7, 3))
    model = model_of(case)
    before = model.parameters.copy()
    assert np.isnan(way.step(model, np.ones((3, 5)), np.array(labels)))
    np.testing.assert_array_equal(model.parameters, before)


@each_way
def test_a_loss_that_is_not_finite_changes_nothing(way):
    trainer = FLAT.trainer(optimizer=ADAM)
    trainer.net.arrays.parameters[0] = np.nan
    before = copy.deepcopy(trainer)
    X, y = FLAT.batch()
    assert np.isnan(way.step(trainer.compiled(), X, y))
    assert not way.step_from(trainer.compiled(), X, y)
    np.testing.assert_array_equal(core(trainer).arrays.moments, core(before).arrays.moments)
    np.testing.assert_array_equal(core(trainer).arrays.hyper, core(before).arrays.hyper)


@each_way
@pytest.mark.parametrize("case", [ODD, CASES["one unit between"]])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_outputs_of_bad_rows_are_not_a_number(case, bad, way):
    X, _ = batch(case, "float64")
    X[-1, 1] = bad
    out = np.empty((case.rows, case.sizes[-1]))
    way.predict(model_of(case), X, out)
    assert np.isnan(out).all()
