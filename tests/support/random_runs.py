"""Trainings on several ranks, drawn at random: networks, options, rows, and what goes wrong."""

import numpy as np

import fastbp
from fastbp.schedules import Cosine
from support.internals import core
from support.rank_runs import digest
from support.trainers import training_state

LOSSES = (
    ("mse", "identity"),
    ("squared_error", "tanh"),
    ("bce", "sigmoid"),
    ("cross_entropy", "softmax"),
)

OPTIMIZERS = (
    fastbp.SGD(0.05),
    fastbp.SGD(0.05, momentum=0.9, nesterov=True),
    fastbp.Adam(0.01),
    fastbp.AdamW(0.01, weight_decay=0.1),
    fastbp.RMSprop(0.01),
)

EVENTS = ("nothing", "stops", "fails", "sets lr", "interrupts")
"""What the callback of one rank does after an update."""


class Case:
    """A network, a trainer and a fit of a seed; ``local`` for ranks with rows of their own."""

    def __init__(self, seed, local=False):
        self.rng = rng = np.random.default_rng(seed)
        self.local = local
        self.loss, self.output = self.pick(*LOSSES)
        self.sizes = tuple(int(n) for n in rng.integers(1, 40, rng.integers(2, 5)))
        if self.loss == "cross_entropy":
            self.sizes = (*self.sizes[:-1], max(2, self.sizes[-1]))
        if len(self.sizes) == 4 and self.pick(False, True):  # for residual layers
            self.sizes = (self.sizes[0], self.sizes[1], self.sizes[1], self.sizes[3])
        self.rows = int(self.pick(1, 2, 17, 33, rng.integers(1, 260)))
        self.parts = int(self.pick(8, 8, 3, 13))
        self.network = self._network()
        self.options = self._options()
        self.fit = self._fit()
        self.X, self.y, self.weights = self._data()
        self.event, self.at = self.pick(*EVENTS), int(rng.integers(1, 9))
        self.on = int(rng.integers(0, 8))

    def pick(self, *items):
        return items[self.rng.integers(len(items))]

    def _network(self):
        return {
            "activation": self.pick("relu", "tanh", "silu"),
            "output": self.output,
            "seed": 1,
            "dtype": self.pick("float32", "float32", "float64"),
            "layer_norm": len(self.sizes) > 2 and bool(self.pick(False, False, True)),
            "residual": len(self.sizes) == 4 and self.sizes[1] == self.sizes[2],
        }

    def _options(self):
        layers, classes = len(self.sizes) - 1, self.loss in ("bce", "cross_entropy")
        return {
            "loss": self.loss,
            "optimizer": self.pick(*OPTIMIZERS),
            "batch_size": int(self.pick(1, 8, 31, 64, 100)),
            "seed": 5,
            "dropout": self.pick(0.0, 0.0, 0.4) if layers > 1 else 0.0,
            "clip_norm": self.pick(None, None, 0.1),
            "clip_value": self.pick(None, None, 0.01),
            "l1": self.pick(0.0, 1e-3),
            "l2": self.pick(0.0, 1e-2),
            "ema_decay": self.pick(None, 0.8),
            "schedule": self.pick(None, Cosine(10**4)),
            "lr_factors": self.pick(1.0, [float(f) for f in self.rng.integers(0, 3, layers)]),
            "bias_lr_factor": self.pick(1.0, 0.5),
            "label_smoothing": self.pick(0.0, 0.1) if classes else 0.0,
            "class_weight": self.pick(None, "balanced", {0: 0.3, 1: 2.0}) if classes else None,
            "input_scaling": self.pick(None, None, 6.0),
            "parts": self.parts,
        }

    def _fit(self):
        holds_out = self.rows > 1 and self.pick(False, True)
        return {
            "epochs": int(self.pick(1, 2)),
            "shuffle": bool(self.pick(True, True, False)),
            "validation_fraction": 0.3 if holds_out else None,
            "snapshot": bool(self.pick(True, True, False)),
            "progress": False,
        }

    def _data(self):
        rng, outputs = self.rng, self.sizes[-1]
        X = rng.normal(size=(self.rows, self.sizes[0]))
        if self.loss == "cross_entropy":
            y = rng.integers(0, outputs, self.rows)
        elif self.loss == "bce":
            y = rng.integers(0, 2, (self.rows, outputs)).astype(float)
        else:
            y = rng.uniform(-1, 1, (self.rows, outputs))
        weights = rng.uniform(0.1, 2, self.rows) * (rng.random(self.rows) < 0.6)
        weights[rng.integers(self.rows)] = 1.0
        return X, y, self.pick(None, weights)

    def part_of(self, rank, ranks):
        """The rows of a rank: some of all, or all."""
        if not self.local:
            return slice(None)
        ends = np.sort(np.random.default_rng(ranks).integers(0, self.rows + 1, ranks - 1))
        ends = [0, *ends.tolist(), self.rows]
        return slice(ends[rank], ends[rank + 1])


class Meddler(fastbp.Callback):
    """Does the event of a case, on one rank, and hears of updates on all."""

    def __init__(self, case, comm):
        self.case, self.acts = case, comm.Get_rank() == case.on % comm.Get_size()

    def on_step_end(self, state):
        if state.steps != self.case.at:
            return
        if self.case.event == "sets lr":
            state.trainer.lr = 0.001 * (1 + state.trainer.rank)
        if self.case.event == "stops" and self.acts:
            raise fastbp.StopTraining
        if self.case.event == "fails" and self.acts:
            raise LookupError("a callback's")
        if self.case.event == "interrupts" and self.acts:
            core(state.trainer).group._interrupts.came = True

    def on_fit_end(self, state):
        """All ranks predict, whatever has ended the fit."""
        state.trainer.predict(self.case.X[:40])


def run(comm, case, threads=1, workers=0):
    """A hash of all that comes of a case: how its fit ends, and what the trainer then is."""
    part = case.part_of(comm.Get_rank(), comm.Get_size())
    X, y = case.X[part], case.y[part]
    weights = None if case.weights is None else case.weights[part]
    net = fastbp.Network(case.sizes, **case.network)
    sharing = {"comm": comm, "data": "local" if case.local else "shared", "threads": threads}
    trainer = fastbp.Trainer(net, **case.options, **sharing)
    core(trainer).workers = workers
    try:
        callbacks = [Meddler(case, comm)]
        history = trainer.fit(X, y, sample_weight=weights, callbacks=callbacks, **case.fit)
        ended = [history["loss"], history.get("val_loss", [])]
    except (ArithmeticError, LookupError, KeyboardInterrupt, ValueError) as error:
        ended = [type(error).__name__, str(error)]
    arrays = [np.frombuffer(a, "u1") for a in training_state(trainer)[0]]
    found = [*trainer.evaluate(X, y).values(), trainer.lr, trainer.updates]
    if case.options["class_weight"] != "balanced" and not case.local:
        rows = slice(case.options["batch_size"])
        found.append(trainer.step(X[rows], y[rows]))
    shared = [] if case.local else [trainer.predict(X)]
    return repr(ended), digest(found, *shared, *arrays, *net.weights)
