"""How a network shows itself: the call that makes it, and a table of its layers."""

from itertools import pairwise
from typing import TYPE_CHECKING

from ..common.call_repr import Text, as_call

if TYPE_CHECKING:
    from .network import Network

COLUMNS = ("layer", "activation", "shape", "parameters", "layer norm", "residual")


def as_text(net: "Network", init: str) -> str:
    """``fastbp.Network([4, 8, 3])  # 67 parameters``, the call that makes it before training."""
    kinds = [
        Text(kind) if function else kind
        for kind, function in zip(net.activations, net.custom_activations, strict=True)
    ]
    hidden, output = kinds[:-1], kinds[-1]
    call = as_call(
        net,
        list(net.sizes),
        activation="relu" if not hidden else hidden[0] if len(set(hidden)) == 1 else hidden,
        output=output,
        init=init,
        seed=net.seed,
        dtype=net.dtype.name,
        layer_norm=net.layer_norm,
        residual=net.residual,
        number_embedding=net.number_embedding,
    )
    return f"{call}  # {net.n_parameters:,} parameters"


def as_table(net: "Network") -> str:
    """A line for each layer, under a line of titles, and a line of totals."""
    lines = [COLUMNS, *_layers(net)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(map(_aligned, line, widths, COLUMNS)).rstrip() for line in lines]
    n_bytes = net.n_parameters * net.dtype.itemsize
    scaled = [
        name
        for name, mean in (("inputs", net.input_mean), ("targets", net.target_mean))
        if mean is not None
    ]
    total = f"{net.n_parameters:,} parameters, {n_bytes:,} bytes of {net.dtype}"
    return "\n".join([*table, f"{total}; standardized: {', '.join(scaled) or 'no'}"])


def _layers(net: "Network") -> list[tuple[str, ...]]:
    spec = net.arrays.spec
    shapes = pairwise(spec.widths)
    rows = zip(shapes, net.activations, spec.normalized, spec.adds_inputs, strict=True)
    return [
        *_embedding(net),
        *(
            (
                str(i),
                activation,
                f"{n_in} -> {n_out}",
                f"{(n_in + 1 + 2 * normalized) * n_out:,}",
                _yes(normalized),
                _yes(adds),
            )
            for i, ((n_in, n_out), activation, normalized, adds) in enumerate(rows, 1)
        ),
    ]


def _embedding(net: "Network") -> list[tuple[str, ...]]:
    """The line of an embedding of numbers, if there is one."""
    parts = net.arrays.embedding
    if parts is None:
        return []
    shape, count = f"{net.sizes[0]} -> {net.arrays.spec.widths[0]}", sum(p.size for p in parts)
    return [("0", "embedding", shape, f"{count:,}", "no", "no")]


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _aligned(text: str, width: int, column: str) -> str:
    return text.rjust(width) if column == "parameters" else text.ljust(width)
