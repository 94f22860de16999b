"""Everything that can be made, with arguments by the machine: made, or refused by name."""

import os
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbp
from support.fuzzing import ROWS, check_call, optional, tries
from support.strange_values import anything, junk, numbers

pytestmark = pytest.mark.slow

FLAGS = anything(True, False)
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


@tries(500)
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
    net = check_call(fastbp.Network, arguments)
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


@tries(500)
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
        bias_lr_factor=per_layer,
        weight_decay_on=anything("all", "weights"),
        weight_decay_factors=per_layer,
        weight_decay_schedule=anything(None, fastbp.schedules.FlatCosine(9)),
        dropout_schedule=anything(fastbp.schedules.LogCosine(9), fastbp.schedules.OneCycle(9)),
        input_scaling=anything(None, 6.0),
        embedding_lr_factor=anything(1.0),
        ignore_nan=anything(False, True),
        comm=anything(None),
        data=anything("shared", "local"),
        reduction=anything("ordered", "fast", "bfloat16"),
        parts=anything(1, 8),
    )  # fmt: skip
    trainer = check_call(fastbp.Trainer, arguments, names=("OneCycle", "LBFGS"))
    if trainer is not None and trainer.loss != "cross_entropy":
        X, y = np.ones((ROWS, 3), "f4"), np.ones((ROWS, 2), "f4")
        with suppress(FloatingPointError):  # penalties as large as 1e308, say
            if isinstance(trainer.optimizer, fastbp.LBFGS):
                trainer.fit(X, y, progress=False)
            else:
                rows = trainer.batch_size
                assert np.isfinite(trainer.step(X[:rows], y[:rows]))


MODES = anything("min", "max", "auto")
MAKERS = {
    fastbp.SGD: {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    fastbp.Adam: {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1},
    fastbp.AdamW: {"lr": 0.1, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1},
    fastbp.RMSprop: {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "momentum": 0.9},
    fastbp.Adagrad: {"lr": 0.1, "lr_decay": 0.1, "eps": 1e-8, "weight_decay": 0.1},
    fastbp.NAdam: {"lr": 0.1, "betas": (0.9, 0.99), "momentum_decay": 0.1},
    fastbp.RAdam: {"lr": 0.1, "betas": (0.9, 0.99), "decoupled_weight_decay": True},
    fastbp.LBFGS: {"history": 5, "tolerance": 0.1, "max_line_search": 5},
    fastbp.Huber: {"delta": 1.0},
    fastbp.Quantile: {"q": 0.5},
    fastbp.BetaNLL: {"beta": 0.5},
    fastbp.NumberEmbedding: {"columns": [0, 1], "frequencies": 4, "width": 3, "sigma": 0.5},
    fastbp.schedules.StepDecay: {"every": 5, "gamma": 0.5},
    fastbp.schedules.ExponentialDecay: {"gamma": 0.5},
    fastbp.schedules.InverseScaling: {"power": 0.5},
    fastbp.schedules.Cosine: {"updates": 5, "end_factor": 0.5},
    fastbp.schedules.FlatCosine: {"updates": 5, "flat": 0.5},
    fastbp.schedules.LogCosine: {"updates": 5, "cycles": 4},
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


@tries(1200)
@given(st.data())
def test_specifications(data):
    maker, fields = data.draw(st.sampled_from(list(MAKERS.items())))
    required = {name: value for name, value in fields.items() if name in ("lr", "gamma", "updates")}
    required |= {"every": 5} if "every" in fields else {}
    required |= {"seconds": 1.0} if "seconds" in fields else {}
    arguments = required | optional(data, **{k: anything(v) for k, v in fields.items()})
    made = check_call(maker, arguments)
    if isinstance(made, fastbp.schedules.Schedule):
        assert np.isfinite(made.encoded()[:2]).all()


@tries(200)
@given(st.data())
def test_history(data):
    columns = st.dictionaries(
        st.sampled_from(["loss", "val_loss", "mine"]),
        st.one_of(st.lists(anything(0.5, 1.0), max_size=3), junk),
    )
    history = fastbp.History(data.draw(columns))
    for write in (history.to_csv, history.to_jsonl):
        check_call(write, {"path": os.devnull}, names=("History",))
