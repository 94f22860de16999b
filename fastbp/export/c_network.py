"""The passes of a network through its layers, for one row, as C functions."""

from .c_math import Function
from .design import Design
from .packing import PANEL, Product, padded

_SIZE = "{} * sizeof(real)"


class Code:
    """Lines of a C function, and the names of the functions of c_layers.py that they call."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.needs: list[str] = []

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append(f"    {text}\n")

    def call(self, function: str, *arguments: object) -> None:
        """Add a call of one of the functions of c_layers.py."""
        self.needs.append(function)
        self.line(f"{function}({', '.join(map(str, arguments))});")

    def copy(self, to: str, source: str, count: int) -> None:
        """Add the copy of so many numbers."""
        self.line(f"memcpy({to}, {source}, {_SIZE.format(count)});")

    def clear(self, array: str, first: int, end: int) -> None:
        """Add what makes the numbers from ``first`` to before ``end`` 0, if there are any."""
        if first < end:
            self.line(f"memset({at(array, first)}, 0, {_SIZE.format(end - first)});")

    def product(self, z: str, product: Product, x: str) -> None:
        """Add z += x W."""
        if product.panels:
            weights = at("w", product.of_panels)
            self.call("add_panels", z, weights, x, product.inputs, product.panels)
        if product.dots:
            rest, weights = at(z, PANEL * product.panels), at("w", product.of_dots)
            self.call("add_dots", rest, weights, x, padded(product.inputs), product.dots)

    def function(self, comment: str, head: str) -> Function:
        """The function of these lines."""
        return Function(f"\n/* {comment} */\n{head}\n{{\n{''.join(self.lines)}}}\n", (*self.needs,))


def at(array: str, place: int) -> str:
    """A pointer to an element."""
    return f"{array} + {place}" if place else array


def forward(design: Design, slopes: bool) -> Function:
    """The function outputs_of, or for slopes=True slopes_of, which also keeps what backward needs.

    Both return the outputs before they are brought to the user's units.
    """
    code, buffers = Code(), ["a", "b"]
    code.line(f"const real *const w = {numbers(design)};")
    code.line("real *const a = context->a, *const b = context->b;")
    code.copy("a", "x", design.inputs)
    code.clear("a", design.inputs, padded(design.inputs))
    if design.content.inputs is not None:
        mean, factor = design.packed.inputs
        code.call("standardize", "a", at("w", mean), at("w", factor), design.inputs)
    for number in range(len(design.content.layers)):
        _layer(code, design, number, slopes, *buffers)
        buffers.reverse()
    code.line(f"return {buffers[0]};")
    name = "slopes_of" if slopes else "outputs_of"
    head = f"static const real *{name}({design.name}_context *context, const real *x)"
    more = ", and da/dz of all units to slopes" if slopes else ""
    return code.function(f"the outputs of one row, in the units of the network{more}", head)


def _layer(code: Code, design: Design, number: int, slopes: bool, x: str, z: str) -> None:
    layer, places = design.content.layers[number], design.packed.layers[number]
    units, start = len(layer.bias), design.places[number]
    code.line(f"/* layer {number + 1}: {layer.about} */")
    code.copy(z, at("w", places.bias), padded(units))
    code.product(z, places.product, x)
    if layer.gain is not None:
        _normalize(code, number, start if slopes else None, z, units)
        code.call("scale_and_shift", z, at("w", places.gain), at("w", places.shift), units)
    if layer.activation == "softmax":
        code.call("softmax", z, units)
    elif slopes:
        of_layer = at("context->slopes", start)
        code.call(f"{layer.activation}_slopes", z, of_layer, padded(units))
    elif layer.activation != "identity":
        code.call(f"{layer.activation}_units", z, padded(units))
    if layer.adds_inputs:
        code.call("add", z, x, units)


def _normalize(code: Code, number: int, start: int | None, z: str, units: int) -> None:
    """start: where the normalized units are kept, if they are."""
    if start is None:
        code.call("normalize", z, units, padded(units))
        return
    code.needs.append("normalize")
    code.line(f"context->factors[{number}] = normalize({z}, {units}, {padded(units)});")
    code.copy(at("context->normal", start), z, units)


def backward(design: Design) -> Function:
    """The function backward, which takes the gradient by the outputs in e to one by the inputs."""
    code, count, buffers = Code(), padded(design.outputs), ["context->e", "context->f"]
    code.line(f"const real *const w = {numbers(design)};")
    code.line("real *const d = context->d;")
    if design.content.outputs is not None:
        code.call("times", "context->e", at("w", design.packed.outputs[0]), design.outputs)
    if design.content.layers[-1].activation == "softmax":
        code.call("softmax_back", "d", "context->e", "outputs", design.outputs)
        code.clear("d", design.outputs, count)
    else:
        code.line("(void)outputs;")
        _times_slopes(code, design, len(design.content.layers) - 1, "context->e")
    for number in reversed(range(len(design.content.layers))):
        _layer_back(code, design, number, *buffers)
        buffers.reverse()
    code.copy("out", buffers[0], design.inputs)
    if design.content.inputs is not None:
        code.call("times", "out", at("w", design.packed.inputs[1]), design.inputs)
    head = f"static void backward({design.name}_context *context, const real *outputs, real *out)"
    return code.function("out: the gradient by one row; context->e: by its outputs", head)


def _times_slopes(code: Code, design: Design, number: int, error: str) -> None:
    """d: the gradient by z of a layer, from that by its a."""
    count = padded(design.content.sizes[number + 1])
    code.copy("d", error, count)
    code.call("times", "d", at("context->slopes", design.places[number]), count)


def _layer_back(code: Code, design: Design, number: int, error: str, below: str) -> None:
    layer, places = design.content.layers[number], design.packed.layers[number]
    n_in, units = layer.weights.shape
    code.line(f"/* layer {number + 1} */")
    if layer.gain is not None:
        normal, factor = at("context->normal", design.places[number]), f"context->factors[{number}]"
        gain = at("w", places.gain)
        code.call("normalize_back", "d", normal, gain, factor, units, padded(units))
    if layer.adds_inputs:
        code.copy(below, error, padded(units))
    else:
        code.clear(below, 0, padded(n_in))
    if places.back is not None:
        code.product(below, places.back, "d")
    if number > 0:
        _times_slopes(code, design, number - 1, below)


def numbers(design: Design) -> str:
    """Where the numbers of the network are."""
    return "context->weights->numbers" if design.in_file else "numbers"
