"""Arguments by the machine between forbidden pages: a crash ends a process of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import NumbaError

from support import processes
from support.embed_ways import WAYS
from support.fuzzing import (
    FAULTS,
    INPUTS,
    OUTPUTS,
    ROWS,
    check_call,
    contents,
    draw_all,
    state_of,
    subjects,
    tries,
)
from support.guards import SIDES, Guard, guard_everything, guarding
from support.strange_values import array_like

pytestmark = pytest.mark.slow


def under_guard(side):
    """Calls whose arrays, and fastbp's own, lie between forbidden pages."""
    guard = Guard(side)
    guard_everything(guard)

    @tries(400)
    @given(st.data())
    def python_calls(data):
        subject = data.draw(subjects)
        trainer, (X, y) = subject.trainer(), subject.data()
        arguments = draw_all(data, X=array_like(X, guard.empty), y=array_like(y, guard.empty))
        calls = ("step", "loss_and_gradients", "evaluate", "fit", "predict", "standardize")
        call = data.draw(st.sampled_from(calls))
        if call == "predict":
            out = np.ones((ROWS, OUTPUTS), subject.dtype)
            arguments = {"X": arguments["X"], "out": data.draw(array_like(out, guard.empty))}
        function = getattr(trainer.net if call == "standardize" else trainer, call)
        names = (*FAULTS, "input_mean", "target_mean")
        check_call(
            function, arguments, trainer=trainer, names=names, changes=True, partly=call == "fit"
        )

    @tries(120)
    @given(st.data())
    def embedded_calls(data):
        embedded_call(data, guard)

    python_calls()
    embedded_calls()
    print("went on")


EMBEDDED = {
    "predict": ("X", "p"),
    "step": ("X", "y"),
    "gradients": ("X", "y", "g"),
    "input_gradient": ("X", "v", "e"),
    "step_from": ("X", "v"),
    "jacobian": ("X", "J"),
    "jvp": ("X", "u", "p"),
}
NO_HEADERS = (
    lambda model: model.header.copy(),
    lambda model: model.header[:0].copy(),
    lambda model: model.header[:2],
    lambda model: model.header.astype("f8"),
    lambda _: 5,
    lambda _: None,
)


def embedded_call(data, guard):
    """A call from Python or njit code; what it refuses it leaves as it was."""
    subject = data.draw(subjects.filter(lambda s: s.engine == "numba"))
    trainer, (X, y) = subject.trainer(), subject.data()
    model, before = trainer.compiled(), state_of(trainer)
    good = {"X": X, "y": y, "p": np.ones((ROWS, OUTPUTS)), "v": np.ones((ROWS, OUTPUTS)),
            "e": np.ones((ROWS, INPUTS)), "u": np.ones((ROWS, INPUTS)),
            "J": np.ones((ROWS, OUTPUTS, INPUTS)),
            "g": np.ones(trainer.net.n_parameters)}  # fmt: skip
    call = data.draw(st.sampled_from(list(EMBEDDED)))
    bent = data.draw(st.integers(0, len(EMBEDDED[call])))
    arrays = []
    for i, name in enumerate(EMBEDDED[call]):
        array = guard.copy(good[name].astype("i8" if good[name].dtype.kind == "i" else X.dtype))
        arrays.append(data.draw(array_like(array, guard.empty), name) if i == bent else array)
    if bent == len(arrays):
        model = model._replace(header=data.draw(st.sampled_from(NO_HEADERS))(model))
    read = contents(arrays[:1])
    function = getattr(WAYS[data.draw(st.sampled_from(list(WAYS)))], call)
    try:
        function(model, *arrays)
    except (ValueError, TypeError, NumbaError):
        assert state_of(trainer) == before
    assert contents(arrays[:1]) == read
    assert np.isfinite(trainer.net.arrays.parameters).all()


@pytest.mark.process
@guarding
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched_whatever_comes(side):
    program = f"import test_fuzz_guarded; test_fuzz_guarded.under_guard({side!r})"
    assert processes.run(program, PYTHONFAULTHANDLER="1") == "went on\n"
