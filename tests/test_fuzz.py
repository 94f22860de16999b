"""Every public function with arguments by the machine: it works, or says what is wrong with which.

FASTBP_EXAMPLES=100 tries a hundred times as many as the tests of every day, others each time.
"""

import os

import numpy as np
import processes
import pytest
from fuzzing import (
    INPUTS,
    OUTPUTS,
    ROWS,
    SUBJECTS,
    anything,
    array_like,
    contents,
    judge,
    junk,
    numbers,
    state_of,
    subjects,
)
from guards import SIDES, Guard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba.core.errors import NumbaError
from test_memory import guard_everything, guarding
from ways import WAYS

import fastbp

TIMES = int(os.environ.get("FASTBP_EXAMPLES", "1"))


def tries(count):
    """So many examples, the same each time; many more, and others each time, if asked to."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def draw_all(data, **strategies):
    """Some of the arguments, by name."""
    return {
        name: data.draw(strategy, name)
        for name, strategy in strategies.items()
        if strategy is not None
    }


def optional(data, **strategies):
    """Each argument one time in three."""
    given_ = [name for name in strategies if data.draw(st.integers(0, 2), "give") == 0]
    return draw_all(data, **{name: strategies[name] for name in given_})


def batch_of(data, subject, weights=True):
    X, y = subject.data()
    arguments = draw_all(data, X=array_like(X), y=array_like(y))
    if weights:
        arguments |= optional(data, sample_weight=array_like(np.linspace(0, 1, ROWS)))
    return arguments


def plain_metric(y, p):
    return float(len(p) / len(np.asarray(y)))


METRICS = st.one_of(
    st.sampled_from([None, {}, {"rows": plain_metric}, {"loss": plain_metric}, {"m": 3}, {3: len}]),
    junk,
)
FLAGS = anything(True, False)
FAULTS = ("loss", "lr", "metric", "monitor")
"""What a message may name instead of an argument."""


@tries(250)
@given(st.data())
def test_step(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    loss = judge(trainer.step, batch_of(data, subject), trainer=trainer, changes=True)
    assert loss is None or (type(loss) is float and np.isfinite(loss))


@tries(150)
@given(st.data())
def test_loss_and_gradients(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    found = judge(trainer.loss_and_gradients, batch_of(data, subject), trainer=trainer)
    if found is not None:
        loss, layers = found
        assert np.isfinite(loss)
        for layer, own in zip(layers, trainer.net._layers(), strict=True):
            for gradient, part in zip(layer, own, strict=True):
                assert (gradient.shape, gradient.dtype) == (part.shape, part.dtype)


@tries(150)
@given(st.data())
def test_evaluate(data):
    subject = data.draw(subjects)
    trainer, arguments = subject.trainer(), batch_of(data, subject)
    arguments |= optional(data, averaged=FLAGS, metrics=METRICS)
    found = judge(trainer.evaluate, arguments, trainer=trainer, names=FAULTS)
    assert found is None or all(type(value) is float for value in found.values())


@tries(250)
@given(st.data())
def test_predict(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    X, _ = subject.data()
    arguments = draw_all(data, X=array_like(X))
    arguments |= optional(data, out=array_like(np.ones((ROWS, OUTPUTS), subject.dtype)))
    call = trainer.net.predict
    if data.draw(st.booleans(), "by the trainer"):
        call, arguments = trainer.predict, arguments | optional(data, averaged=FLAGS)
    p = judge(call, arguments, trainer=trainer)
    if p is not None:
        assert p is arguments.get("out") or type(p) is np.ndarray
        assert (p.ndim, p.shape[1], p.dtype) == (2, OUTPUTS, subject.dtype)
        assert np.isfinite(p).all()


@tries(100)
@given(subjects, st.integers(0, 22))
def test_outputs_and_inputs_that_share_memory(subject, start):
    net = subject.trainer().net
    memory = np.linspace(-1, 1, 34).astype(subject.dtype)
    X = memory[: ROWS * INPUTS].reshape(ROWS, INPUTS)
    out = memory[start : start + ROWS * OUTPUTS].reshape(ROWS, OUTPUTS)
    expected, before = net.predict(X.copy()), memory.copy()
    p = judge(net.predict, {"X": X, "out": out} if start >= X.size else {"out": out, "X": X})
    if start >= X.size:
        np.testing.assert_array_equal(p, expected)
    else:
        assert p is None
        np.testing.assert_array_equal(memory, before)


@tries(200)
@given(st.data())
def test_fit(data):
    subject = data.draw(subjects)
    trainer, (X, y) = subject.trainer(), subject.data()
    arguments = batch_of(data, subject) | optional(
        data,
        epochs=anything(1, 2).filter(is_no_long_time),
        validation_data=st.one_of(st.tuples(array_like(X), array_like(y)), junk),
        validation_fraction=anything(0.5, 0.2),
        metrics=METRICS,
        callbacks=st.one_of(st.sampled_from([[], [fastbp.TimeLimit(9)], [len]]), junk),
        shuffle=FLAGS,
        progress=anything(False, "auto"),
    )
    arguments.setdefault("progress", False)
    with redirect_stderr(io.StringIO()):  # where progress is True
        history = judge(
            trainer.fit, arguments, trainer=trainer, names=FAULTS, changes=True, partly=True
        )
    if history is not None:
        assert all(np.isfinite(column).all() for column in history.values())


def is_no_long_time(count):
    """So many epochs, or updates, take no long time, or are none."""
    return not (isinstance(count, int | np.integer) and count > 1000)


@tries(100)
@given(st.data())
def test_fit_batches(data):
    subject = data.draw(subjects)
    trainer, (X, y) = subject.trainer(), subject.data()
    batch = st.one_of(st.tuples(array_like(X), array_like(y)), st.just((X, y, [1] * ROWS)), junk)
    batches = data.draw(st.one_of(st.lists(batch, max_size=3), junk, numbers))
    kind = data.draw(st.sampled_from(["as it is", "function", "generator"]))
    given_ = {"as it is": batches, "function": lambda: batches, "generator": through(batches)}
    arguments = {"batches": given_[kind]}
    arguments |= optional(data, epochs=anything(1, 2).filter(is_no_long_time))
    judge(trainer.fit_batches, arguments, trainer=trainer, names=FAULTS, changes=True, partly=True)


def through(batches):
    return (batch for batch in batches) if isinstance(batches, list) else batches


@tries(60)
@given(st.data())
def test_find_lr(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    arguments = batch_of(data, subject, weights=False) | optional(
        data,
        start_lr=anything(1e-7, 1e-3),
        end_lr=anything(1.0, 10.0),
        updates=anything(2, 20).filter(is_no_long_time),
    )
    arguments.setdefault("updates", 5)
    curve = judge(trainer.find_lr, arguments, trainer=trainer, names=FAULTS)
    assert curve is None or np.isfinite(curve.losses).all()


@tries(200)
@given(st.data())
def test_set_parameters(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    net = trainer.net
    names = ["weights", "biases", *(("gains", "shifts") if subject.layer_norm else ())]
    arguments = {}
    for name in names:
        arrays = [array.copy() for array in getattr(net, name)]
        arguments[name] = data.draw(
            st.one_of(st.just(arrays), st.tuples(*map(array_like, arrays)), junk), name
        )
    judge(net.set_parameters, arguments, trainer=trainer, changes=True)


@tries(150)
@given(st.data())
def test_standardize(data):
    subject = data.draw(subjects)
    trainer, (X, y) = subject.trainer(), subject.data()
    y = y if y.ndim == 2 else X[:, :OUTPUTS]
    arguments = draw_all(data, X=array_like(X)) | optional(data, y=array_like(y))
    names = ("loss", "input_mean", "target_mean")
    judge(trainer.net.standardize, arguments, trainer=trainer, names=names, changes=True)


@tries(200)
@given(st.data())
def test_set_scaling(data):
    subject = data.draw(subjects)
    trainer = subject.trainer()
    arguments = optional(
        data,
        input_mean=array_like(np.arange(INPUTS)),
        input_scale=array_like(np.ones(INPUTS)),
        target_mean=array_like(np.arange(OUTPUTS)),
        target_scale=array_like(np.full(OUTPUTS, 2.0)),
    )
    judge(trainer.net.set_scaling, arguments, trainer=trainer, names=("loss",), changes=True)


@tries(60)
@given(subjects, st.one_of(numbers, junk))
def test_lr(subject, value):
    trainer = subject.trainer()
    judge(lambda lr: setattr(trainer, "lr", lr), {"lr": value}, trainer=trainer, changes=True)


# What is made

NAMES = ("relu", "tanh", "gelu", "softmax", "swoosh")
sizes = st.one_of(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.lists(anything(1, 2, 3), max_size=3),
    st.sampled_from(
        [np.array([3, 2]), np.array([[3, 2]]), (2**40, 2**40), [2**31] * 3, [1, 2**70]]
    ),
    numbers,
    junk,
)
seeds = anything(0, 1, None, 2**63 - 1)


@tries(250)
@given(st.data())
def test_network(data):
    arguments = {"sizes": data.draw(sizes, "sizes")} | optional(
        data,
        activation=st.one_of(anything(*NAMES), st.lists(anything(*NAMES), max_size=3)),
        output=anything(*NAMES),
        init=anything("auto", "zeros", "he_normal"),
        seed=seeds,
        dtype=anything("float32", "float64", np.float32, np.dtype(">f4"), "float16"),
        layer_norm=FLAGS,
        residual=FLAGS,
    )
    net = judge(fastbp.Network, arguments)
    if net is not None:
        p = net.predict(np.zeros((2, net.sizes[0])))
        assert p.shape == (2, net.sizes[-1])
        assert np.isfinite(p).all()


per_layer = st.one_of(anything(0.0, 0.5), st.lists(anything(0.0, 0.5), max_size=3))
weights_of_classes = st.one_of(
    st.dictionaries(anything(0, 1).filter(lambda k: k.__hash__ and not is_array(k)), numbers),
    anything("balanced", None),
)


def is_array(value):
    return isinstance(value, np.ndarray)


@tries(250)
@given(st.data())
def test_trainer(data):
    loss = data.draw(anything("mse", "cross_entropy", fastbp.Huber(), fastbp.Quantile(), "bce"))
    output = (
        "softmax" if loss is not None and isinstance(loss, str) and loss[:1] == "c" else "sigmoid"
    )
    arguments = {
        "net": fastbp.Network([3, 5, 2], "tanh", output, seed=0),
        "loss": loss,
        "optimizer": data.draw(anything(fastbp.Adam(), fastbp.SGD(0.1), fastbp.LBFGS())),
    } | optional(
        data,
        batch_size=anything(1, 8),
        threads=anything(1, "auto"),
        seed=seeds,
        engine=anything("numba", "numpy"),
        l1=anything(0.0, 0.1),
        l2=anything(0.0, 0.1),
        dropout=per_layer,
        label_smoothing=anything(0.0, 0.1),
        clip_value=anything(None, 1.0),
        clip_norm=anything(None, 1.0),
        ema_decay=anything(None, 0.9),
        class_weight=weights_of_classes,
        schedule=anything(None, fastbp.schedules.StepDecay(2), fastbp.schedules.OneCycle(9)),
        lr_factors=per_layer,
    )  # fmt: skip
    trainer = judge(fastbp.Trainer, arguments, names=("OneCycle", "LBFGS"))
    if trainer is not None and trainer.loss != "cross_entropy":
        X, y = np.ones((ROWS, 3), "f4"), np.ones((ROWS, 2), "f4")
        with suppress(FloatingPointError):  # penalties as large as 1e308, say
            if isinstance(trainer.optimizer, fastbp.LBFGS):
                trainer.fit(X, y, progress=False)
            else:
                assert np.isfinite(trainer.step(X, y))


MODES = anything("min", "max", "auto")
MAKERS = {
    fastbp.SGD: {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    fastbp.Adam: {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1},
    fastbp.AdamW: {"lr": 0.1, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1},
    fastbp.RMSprop: {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "momentum": 0.9},
    fastbp.Adagrad: {"lr": 0.1, "lr_decay": 0.1, "eps": 1e-8, "weight_decay": 0.1},
    fastbp.NAdam: {"lr": 0.1, "betas": (0.9, 0.99), "momentum_decay": 0.1},
    fastbp.LBFGS: {"history": 5, "tolerance": 0.1, "max_line_search": 5},
    fastbp.Huber: {"delta": 1.0},
    fastbp.Quantile: {"q": 0.5},
    fastbp.schedules.StepDecay: {"every": 5, "gamma": 0.5},
    fastbp.schedules.ExponentialDecay: {"gamma": 0.5},
    fastbp.schedules.InverseScaling: {"power": 0.5},
    fastbp.schedules.Cosine: {"updates": 5, "end_factor": 0.5},
    fastbp.schedules.OneCycle: {
        "updates": 50, "pct_start": 0.3, "anneal_strategy": "cos", "cycle_momentum": False,
        "base_momentum": 0.5, "max_momentum": 0.9, "div_factor": 25.0, "final_div_factor": 1e4,
    },
    fastbp.schedules.Warmup: {
        "updates": 5, "then": fastbp.schedules.Cosine(9), "start_factor": 0.5
    },
    fastbp.EarlyStopping: {
        "monitor": "val_loss", "patience": 3, "min_delta": 0.1, "mode": "min", "restore_best": True,
    },
    fastbp.ReduceLROnPlateau: {
        "monitor": "loss", "factor": 0.5, "patience": 3, "threshold": 0.1, "cooldown": 1,
        "min_lr": 0.1, "mode": "max",
    },
    fastbp.TimeLimit: {"seconds": 1.0},
    fastbp.LambdaCallback: dict.fromkeys(("on_fit_begin", "on_step_end", "on_fit_end"), print),
    fastbp.warmup: {"dtype": "float32"},
}  # fmt: skip


@tries(600)
@given(st.data())
def test_specifications(data):
    maker, fields = data.draw(st.sampled_from(list(MAKERS.items())))
    required = {name: value for name, value in fields.items() if name in ("lr", "gamma", "updates")}
    required |= {"every": 5} if "every" in fields else {}
    required |= {"seconds": 1.0} if "seconds" in fields else {}
    arguments = required | optional(data, **{k: anything(v) for k, v in fields.items()})
    made = judge(maker, arguments)
    if isinstance(made, fastbp.schedules.Schedule):
        assert np.isfinite(made.cells()[:2]).all()


@tries(100)
@given(st.data())
def test_history(data):
    columns = st.dictionaries(
        st.sampled_from(["loss", "val_loss", "mine"]),
        st.one_of(st.lists(anything(0.5, 1.0), max_size=3), junk),
    )
    history = fastbp.History(data.draw(columns))
    for write in (history.to_csv, history.to_jsonl):
        judge(write, {"path": os.devnull}, names=("History",))


# In processes of their own


def under_guard(side):
    """Calls whose arrays, and fastbp's own, lie between forbidden pages."""
    guard = Guard(side)
    guard_everything(guard)

    @tries(200)
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
        judge(function, arguments, trainer=trainer, names=names, changes=True, partly=call == "fit")

    @tries(60)
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
            "e": np.ones((ROWS, INPUTS)), "g": np.ones(trainer.net.n_parameters)}  # fmt: skip
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
    assert np.isfinite(trainer.net._parameters).all()


@guarding
@pytest.mark.parametrize("side", SIDES)
def test_nothing_beyond_the_arrays_is_touched_whatever_comes(side):
    program = (
        f"import faulthandler, test_fuzz; faulthandler.enable(); test_fuzz.under_guard({side!r})"
    )
    assert processes.run(program) == "went on\n"


# Sizes beyond memory


def rows(count, columns, value=0.0):
    """So many equal rows in the memory of one number."""
    return np.broadcast_to(np.float32(value), (count, columns))


def beyond_memory():
    """(what is called, what its message says), each of which raises MemoryError or ValueError."""
    small = SUBJECTS[0].trainer()
    net, many, too_many = small.net, 2**38, 2**41
    network, sgd = fastbp.Network, fastbp.SGD(0.1)
    huge = fastbp.Trainer(net, loss="mse", optimizer=sgd, batch_size=10**12)
    beyond = fastbp.Trainer(net, loss="mse", optimizer=sgd, batch_size=10**30)
    yield lambda: network([10**6, 10**6]), "sizes [1000000, 1000000] make 1000001000000 parameters"
    yield lambda: network([10**9, 10**9], init="zeros"), "sizes"
    yield lambda: network([2**31, 2**32, 2**31]), "sizes"
    yield lambda: network([2**62, 1]), "sizes"
    yield lambda: network([1, 2**63]), "sizes[1]"
    yield lambda: network([10**400, 1]), "sizes[0]"
    yield lambda: network([1, 10**5000]), "sizes[1]"
    yield huge.compiled, "batch_size is 1000000000000"
    yield beyond.compiled, "batch_size is 1000000"
    yield lambda: small.find_lr(*SUBJECTS[0].data(), updates=10**13), "updates"
    yield lambda: small.find_lr(*SUBJECTS[0].data(), updates=10**30), "updates"
    for predict in (net.predict, small.predict):
        yield lambda predict=predict: predict(rows(many, INPUTS)), "shape (274877906944, 2)"
        yield lambda predict=predict: predict(rows(too_many, INPUTS)), "X has shape"
    for call in (small.fit, small.evaluate, small.find_lr):
        yield lambda call=call: call(rows(many, INPUTS), rows(many, OUTPUTS)), "(274877906944,"
        yield lambda call=call: call(rows(2**61, INPUTS), rows(2**61, OUTPUTS)), "X has shape"
    for count in (many, 2**61):
        X, y = rows(count, INPUTS), rows(count, OUTPUTS)
        yield lambda X=X, y=y: small.step(X, y), "X has"
        yield lambda X=X, y=y: small.fit(X, y, validation_fraction=0.5), ""
        yield lambda X=X, y=y: small.fit(*SUBJECTS[0].data(), validation_data=(X, y)), ""
        yield lambda X=X, y=y: net.standardize(X[:0], y), "X is empty"
    bad = rows(many, OUTPUTS, np.nan)  # found at once, without memory for an order
    yield lambda: small.fit(rows(many, INPUTS), bad, shuffle=False), "y has nan at row 0"


def try_beyond_memory():
    """As much address space as there is, and 2 GB: what takes more is refused."""
    import resource

    SUBJECTS[0].trainer().fit(*SUBJECTS[0].data())
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + 2**31
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number, (call, said) in enumerate(beyond_memory()):
        try:
            call()
        except (MemoryError, ValueError) as error:
            assert said in str(error), (number, error)
        else:
            raise AssertionError(number)
    few_rows_in_huge_batches()
    print("went on")


def few_rows_in_huge_batches():
    """Memory is for the rows that there are."""
    for engine in ("numba", "numpy"):
        expected = None
        for batch_size in (ROWS, 10**12, 10**30):
            net = fastbp.Network([INPUTS, 5, OUTPUTS], seed=0)
            trainer = fastbp.Trainer(
                net, loss="mse", optimizer=fastbp.Adam(), batch_size=batch_size, seed=0,
                engine=engine,
            )  # fmt: skip
            X, y = SUBJECTS[0].data()
            found = [trainer.step(X, y), trainer.fit(X, y)["loss"], trainer.evaluate(X, y)]
            found += [trainer.loss_and_gradients(X, y)[0], trainer.find_lr(X, y).losses.tolist()]
            found += [trainer.fit_batches([(X, y)])["loss"], contents(net.weights)]
            expected = expected or found
            assert found == expected


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space, as Linux does")
def test_sizes_beyond_memory_are_refused():
    assert processes.run("import test_fuzz; test_fuzz.try_beyond_memory()") == "went on\n"
