"""``Trainer.replace``: the core of a trainer that goes on from another, with other arguments."""

from typing import Any

from ..common import signatures
from ..kernels.tables import settings
from . import description, inference, input_scaling
from .core import TrainerCore
from .setup import Arguments


def replaced(core: TrainerCore, changes: dict[str, Any]) -> TrainerCore:
    """The new core, of the same network."""
    arguments = description.arguments(core)
    for name in changes:
        _check_name(name, list(arguments))
    with core.exclusive():
        new = TrainerCore(core.net, Arguments(**arguments | {"comm": core.group} | changes))
        if "optimizer" not in changes:
            new.lr = core.lr
        if type(new.optimizer) is type(core.optimizer):
            _keep_moments(core, new)
        if core.weighs_rows:
            new.weigh_rows()
        if core.is_balanced and new.options.class_weight == "balanced":
            new.set_class_weights(core.class_weights)
        new.epoch, new.history, new.workers = core.epoch, core.history, core.workers
        new.settled_lr = new.lr if "optimizer" in changes else core.settled_lr
    return new


def _check_name(name: str, known: list[str]) -> None:
    if name in known:
        return
    if name == "net":
        raise TypeError("net is given, but replace keeps the network: make a Trainer of the other")
    raise TypeError(signatures.no_argument("trainer.replace", name, tuple(known)))


def _keep_moments(core: TrainerCore, new: TrainerCore) -> None:
    """Take over the moments that both have, the average, the scaling and the counters."""
    old, arrays = core.arrays, new.arrays
    count = min(old.spec.moments, arrays.spec.moments)
    arrays.moments[:count] = old.moments[:count]
    if arrays.spec.averages:
        known = inference.average(core) if old.spec.averages else old.parameters
        arrays.moments[arrays.spec.moments] = known
    input_scaling.restore(new, input_scaling.state(core))
    counters = [settings.UPDATES, settings.OPTIMIZER_STATE]
    arrays.hyper[counters] = old.hyper[counters]
