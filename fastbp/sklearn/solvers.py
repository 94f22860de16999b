"""How the solvers run: a fit of fastbp's Trainer, and what scikit-learn says of its end."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.optimize import _check_optimize_result

from ..callbacks.base import Callback, as_callbacks
from ..callbacks.history import History
from ..model.network import Network
from ..training.trainer import Trainer
from . import parts
from .epochs import Epochs, Follower, LearningRate
from .objective import Objective
from .rows import Rows

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
"""scikit-learn's text."""


@dataclass
class Task:
    """What one call of fit or partial_fit has to do.

    rows: to train on. validation: the user's rows to evaluate. is_new: whether to begin with new
    parameters. incremental: whether it is a partial_fit.
    """

    rows: Rows
    validation: Rows | None
    objective: Objective
    is_new: bool
    incremental: bool


class Solvers(Epochs):
    """A base of the estimators: the network, its trainer, and the course of a fit."""

    n_outputs_: int
    _arguments: dict[str, Any]

    @property
    def _stratifies(self) -> bool:
        """Whether held-out rows have the same share of each class."""
        return False

    def _objective(self, rows: Rows) -> Objective:
        """What is minimized over these rows, with ``n_outputs_`` outputs."""
        raise NotImplementedError

    def _own_arguments(self) -> dict[str, Any]:
        """Arguments of the trainer that only one of the estimators has."""
        return {}

    def _solve(self, task: Task) -> None:
        random = check_random_state(self.random_state)
        net = self._network(task, random)
        held = None
        if self.early_stopping and not parts.is_full_batch(self):
            held = task.validation or self._hold_out(task, random)
        task.rows.check_weights("to train on")
        self._trained = self._trainer(task, net, random)
        self._forget_lists()
        if parts.is_full_batch(self):
            self._run_full_batch(task)
        else:
            self._run_epochs(task, held)
        if not np.isfinite(net.arrays.parameters).all():
            raise ValueError(NOT_FINITE)

    def _hold_out(self, task: Task, random: Any) -> Rows:
        """Take the rows to score out of those to train on."""
        fraction, stratifies = self.validation_fraction, self._stratifies
        task.rows, held = task.rows.split(fraction, random, stratifies)
        task.objective = self._objective(task.rows)
        held.check_weights("that is held out")
        return held

    def _network(self, task: Task, random: Any) -> Network:
        """The network to train, which has the parameters to begin with."""
        if not task.is_new and self._has_network:
            return self.net_
        X = task.rows.X
        sizes = [X.shape[1], *parts.sizes_of_hidden(self.hidden_layer_sizes), self.n_outputs_]
        net = parts.new_network(self, sizes, task.objective, parts.dtype_of(self, X.dtype))
        if task.is_new:
            self.n_iter_ = self.t_ = 0
            self.n_layers_ = len(sizes)
            self.out_activation_ = task.objective.out_activation
            net.set_parameters(*parts.initial(random, sizes, self.activation))
        else:
            net.set_parameters(self.coefs_, self.intercepts_)
        return net

    def _trainer(self, task: Task, net: Network, random: Any) -> Trainer:
        """The trainer: the one that there is, where partial_fit goes on."""
        rows, scale = task.rows, task.objective.scale
        arguments = parts.trainer_arguments(self, len(rows.targets), rows.mean_weight, scale)
        arguments |= self._own_arguments()
        goes_on = task.incremental and self._has_network and self.trainer_.optimizer.makes_updates
        if goes_on:
            trainer = self.trainer_
            if arguments != self._arguments:
                trainer = trainer.replace(**arguments)
        else:
            is_sgd = self.optimizer is None and self.solver == "sgd"
            rule = self.learning_rate if is_sgd else "constant"
            self._optimizer = LearningRate(rule, self.learning_rate_init, self.power_t)
            trainer = Trainer(
                net,
                loss=task.objective.loss,
                optimizer=parts.optimizer_of(self, scale),
                seed=int(random.randint(np.iinfo(np.int32).max)),
                **arguments,
            )
        self._arguments = arguments
        return trainer

    def _run_epochs(self, task: Task, held: Rows | None) -> None:
        if task.is_new or self._lacks_curves:
            self._begin_curves()
        self.n_iter_ = 0
        end = partial(self._end_epochs, task.objective, held, task.incremental)
        follower = Follower(end, partial(self._epochs_at_once, held))
        callbacks = [follower, *as_callbacks(self.callbacks or ())]
        try:
            self._run(task, 1 if task.incremental else self.max_iter, callbacks)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        except FloatingPointError as error:
            self._end_diverged(held, error)
        if held is not None:
            self.net_.arrays.set_layers(self._best_layers)
        elif self.ema_decay is not None:
            self.net_.arrays.set_layers(self._trained_layers())

    def _run(self, task: Task, epochs: int, callbacks: Sequence[Callback]) -> History:
        rows, validation = task.rows, task.validation
        return self.trainer_.fit(
            rows.X,
            rows.targets,
            epochs,
            sample_weight=rows.weights,
            validation_data=None if validation is None else validation.given,
            callbacks=callbacks,
            shuffle=self.shuffle,
            progress=False,
            snapshot=False,
        )

    def _end_diverged(self, held: Rows | None, error: FloatingPointError) -> None:
        """End after a batch whose loss is not finite. With early stopping the best epoch counts."""
        if held is None:
            raise ValueError(NOT_FINITE) from error
        self._add_loss(np.nan)
        self.validation_scores_.append(float("nan"))
        warnings.warn(
            f"Stochastic Optimizer: the loss is not finite in iteration {self.n_iter_}, and the "
            "parameters are those of the best one before.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _run_full_batch(self, task: Task) -> None:
        try:
            history = self._run(task, self.max_iter, self.callbacks or ())
        except FloatingPointError as error:
            raise ValueError(NOT_FINITE) from error
        outcome = self.trainer_.outcome
        if outcome is None:  # a callback has stopped it
            self.n_iter_, loss = len(history["loss"]), history["loss"][-1]
        else:
            self.n_iter_ = _check_optimize_result("lbfgs", outcome.result, self.max_iter)
            loss = outcome.result.fun
        self.loss_ = task.objective.reported(loss)
