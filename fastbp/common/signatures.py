"""Keyword arguments that a function does not have: refused with the one that was meant."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

from . import suggestions

P = ParamSpec("P")
R = TypeVar("R")

OF_OTHERS = {
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "verbose": "progress",
    "validation_split": "validation_fraction",
    "eval_set": "validation_data",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "nb_epoch": "epochs",
    "max_iter": "epochs",
    "random_state": "seed",
    "hidden": "sizes",
    "hidden_layers": "sizes",
    "hidden_sizes": "sizes",
    "hidden_layer_sizes": "sizes",
    "layers": "sizes",
    "layer_sizes": "sizes",
    "units": "sizes",
    "activations": "activation",
    "hidden_activation": "activation",
    "output_activation": "output",
    "out_activation": "output",
    "kernel_initializer": "init",
    "initializer": "init",
    "criterion": "loss",
    "loss_fn": "loss",
    "solver": "optimizer",
    "optim": "optimizer",
    "device": "threads",
    "n_jobs": "threads",
    "num_threads": "threads",
    "num_workers": "threads",
    "backend": "engine",
    "alpha": "l2",
    "dropout_rate": "dropout",
    "gradient_clip": "clip_norm",
    "max_grad_norm": "clip_norm",
    "clipnorm": "clip_norm",
    "clipvalue": "clip_value",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "weights": "sample_weight",
    "class_weights": "class_weight",
    "beta_1": "betas",
    "beta_2": "betas",
    "beta1": "betas",
    "beta2": "betas",
    "epsilon": "eps",
    "rho": "alpha",
    "decay": "weight_decay",
    "restore_best_weights": "restore_best",
    "n_iter_no_change": "patience",
    "tol": "min_delta",
    "filepath": "path",
    "filename": "path",
    "save_freq": "every_epochs",
    "save_top_k": "keep",
    "on_train_begin": "on_fit_begin",
    "on_train_end": "on_fit_end",
    "on_batch_end": "on_step_end",
    "on_train_batch_end": "on_step_end",
    "T_max": "updates",
    "total_steps": "updates",
    "step_size": "every",
    "beta": "delta",
    "mean": "input_mean",
    "std": "input_scale",
}
"""Arguments of torch, Keras and scikit-learn, and those of fastbp that stand for them."""

EXAMPLES = {
    "sizes": "[inputs, hidden, outputs], the units of all layers",
    "betas": "betas=(0.9, 0.999)",
    "lr": "lr=1e-3",
    "validation_fraction": "validation_fraction=0.1",
    "progress": "progress=False",
}

PLACES: dict[str, tuple[str, ...]] = {}
"""The arguments of each call that is ``explained``."""

ORDER = ("fastbp.Network", "fastbp.Trainer", "fastbp.Adam", "trainer.fit", "trainer.evaluate")
"""Where an argument that belongs to another call is looked for."""


def explained(call: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: keyword arguments that the function lacks raise a TypeError with the remedy.

    call: what the user writes, such as "trainer.fit". ``step`` and ``predict`` are not explained:
    they may take 0.5 µs, and this would add 0.15 µs to each call.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        code = inspect.unwrap(function).__code__  # inspect.signature takes 35 times as long
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        PLACES[call] = tuple(name for name in names if name != "self")

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in names:
                    raise TypeError(no_argument(call, name, PLACES[call]))
            return function(*args, **kwargs)

        return checked

    return decorate


def explain_constructors(path: str, kinds: Mapping[str, type]) -> None:
    """Let the constructors of these classes, which dataclass made, be ``explained``.

    path: where users find them. kinds: by name.
    """
    for name, kind in kinds.items():
        kind.__init__ = explained(f"{path}.{name}")(kind.__init__)  # type: ignore[misc]


def no_argument(call: str, name: str, own: tuple[str, ...]) -> str:
    """The message for an argument that the call does not have. own: those that it has."""
    known = OF_OTHERS.get(name, name)
    return f"{call} has no argument {name!r}: " + (
        _own(known, own)
        or _elsewhere(known)
        or _own(suggestions.meant(name, own), own)
        or f"there are {', '.join(own)}"
    )


def _own(name: str | None, own: tuple[str, ...]) -> str | None:
    return f"did you mean {name!r}? {EXAMPLES.get(name, '')}".rstrip() if name in own else None


def _elsewhere(name: str) -> str | None:
    place = next((place for place in ORDER if name in PLACES.get(place, ())), None)
    if place is None:
        return None
    shown = EXAMPLES.get(name, f"{name}=...")
    if place == "fastbp.Adam":
        return f"{name} is an argument of the optimizer: optimizer=fastbp.Adam({shown})"
    return f"{name} is an argument of {place}: {place}(..., {shown})"
