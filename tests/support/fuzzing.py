"""Trainers to call with arguments by the machine, and the judge of what comes of it.

FASTBP_EXAMPLES=100 tries a hundred times as many as the tests of every day, others each time.
"""

import os
import re
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import fastbp
from fastbp.kernels.tables import arenas, settings
from support.internals import core
from support.strange_values import Frame, array_like

ROWS, INPUTS, OUTPUTS, BATCH = 6, 3, 2, 8
REFUSALS = (ValueError, TypeError, MemoryError, FloatingPointError)
FAULTS = ("loss", "lr", "metric", "monitor")
"""What a message may name instead of an argument."""

# What is called


@dataclass(frozen=True)
class Subject:
    """A trainer's loss, dtype and so on."""

    loss: str
    dtype: str = "float32"
    engine: str = "numba"
    options: tuple = ()
    layer_norm: bool = False

    def trainer(self):
        """A new one, one step into its training."""
        output = {"mse": "identity", "bce": "sigmoid", "cross_entropy": "softmax"}[self.loss]
        net = fastbp.Network(
            [INPUTS, 5, OUTPUTS], "tanh", output, seed=1, dtype=self.dtype,
            layer_norm=self.layer_norm,
        )  # fmt: skip
        options = {"optimizer": fastbp.Adam(lr=0.01)} | dict(self.options)
        trainer = fastbp.Trainer(
            net, loss=self.loss, batch_size=BATCH, seed=2, engine=self.engine, **options
        )
        trainer.step(*self.data())
        return trainer

    def data(self, rows=ROWS):
        rng = np.random.default_rng(3)
        X = rng.uniform(-1, 1, (rows, INPUTS)).astype(self.dtype)
        if self.loss == "cross_entropy":
            return X, rng.integers(0, OUTPUTS, rows)
        return X, rng.uniform(0, 1, (rows, OUTPUTS)).astype(self.dtype)


SUBJECTS = (
    Subject("mse"),
    Subject("cross_entropy", options=(("optimizer", fastbp.SGD(lr=0.1, momentum=0.9)),)),
    Subject("bce", "float64"),
    Subject("mse", "float64", "numpy"),
    Subject("cross_entropy", engine="numpy"),
    Subject("cross_entropy", options=(("ema_decay", 0.9), ("dropout", 0.2), ("clip_norm", 1.0))),
    Subject("mse", options=(("l2", 0.1), ("schedule", fastbp.schedules.Cosine(10**6)))),
    Subject("mse", layer_norm=True),
    Subject("mse", options=(("input_scaling", 6.0),)),
)
subjects = st.sampled_from(SUBJECTS)


# The judge


def state_of(trainer):
    """All bits of a trainer and its network that a call may not change unless it succeeds."""
    net, state = trainer.net, core(trainer).arrays
    units = (net.input_mean, net.input_scale, net.target_mean, net.target_scale)
    scaling = [part if part is None else part.tobytes() for part in units]
    hyper, kept = state.hyper.copy(), state.spec.moments + state.spec.averages
    hyper[settings.STEP_DROPOUT : settings.OPTIMIZER_STATE] = 0  # every batch works them out anew
    arrays = (net.arrays.parameters, state.moments[:kept], state.input_scaling, hyper)
    arenas = [part.tobytes() for part in arrays]
    scales = [part.tobytes() for part in net.arrays.scales]
    return arenas, scaling, scales, core(trainer).epoch, trainer.lr


def contents(argument):
    """What an argument holds, to compare."""
    if isinstance(argument, np.ndarray):
        array = np.asarray(argument)
        return array.tolist() if array.dtype.hasobject else array.tobytes()
    if isinstance(argument, Frame):
        return contents(argument.array)
    if isinstance(argument, list | tuple):
        return [contents(part) for part in argument]
    if isinstance(argument, dict):
        return {key: contents(value) for key, value in argument.items()}
    return repr(argument)


def check_refusal(error, names):
    """It is of a kind that is promised, and says which argument is to blame."""
    assert type(error) in REFUSALS, repr(error)
    message = str(error)
    named = any(re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", message) for name in names)
    assert named or type(error) is FloatingPointError, f"names none of {names}: {error!r}"


def check_padding(trainer):
    """What padding of the parameters and moments holds is 0."""
    for arena in (trainer.net.arrays.parameters, *core(trainer).arrays.moments):
        rest = arena.copy()
        zeros = [tuple(map(np.zeros_like, layer)) for layer in trainer.net.arrays.layers()]
        arenas.write_layers(trainer.net.arrays.plan, rest, zeros)
        assert not rest.any()


def are_finite(trainer):
    return np.isfinite(trainer.net.arrays.parameters).all()


def check_call(call, arguments, *, trainer=None, names=(), changes=False, partly=False):
    """What ``call(**arguments)`` returns; None if it is refused as it must be.

    changes: whether the call may change the trainer; partly: even where it is refused.
    """
    before = state_of(trainer) if trainer else None
    written = {name: contents(value) for name, value in arguments.items() if name != "out"}
    result = None
    try:
        result = call(**arguments)
    except REFUSALS as error:
        check_refusal(error, (*names, *arguments))
        changes = partly
    if trainer:
        assert changes or state_of(trainer) == before
        assert are_finite(trainer)
        check_padding(trainer)
    assert written == {name: contents(arguments[name]) for name in written}
    return result


# The examples

TIMES = int(os.environ.get("FASTBP_EXAMPLES", "1"))


def tries(count):
    """So many examples, the same each time; many more, and others each time, if asked to."""
    return hypothesis_settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def draw_all(data, /, **strategies):
    """Some of the arguments, by name."""
    return {
        name: data.draw(strategy, name)
        for name, strategy in strategies.items()
        if strategy is not None
    }


def optional(data, /, **strategies):
    """Each argument one time in three."""
    given_ = [name for name in strategies if data.draw(st.integers(0, 2), "give") == 0]
    return draw_all(data, **{name: strategies[name] for name in given_})


def batch_of(data, subject, weights=True):
    X, y = subject.data()
    arguments = draw_all(data, X=array_like(X), y=array_like(y))
    if weights:
        arguments |= optional(data, sample_weight=array_like(np.linspace(0, 1, ROWS)))
    return arguments
