"""What of a network's C code is decided before it is written."""

import hashlib
from typing import NamedTuple

from .content import Content
from .packing import PANEL, Packed, pack, padded

LAYOUT = 1
"""The version of the layout of numbers and contexts: raise it with a change of either."""


class Design(NamedTuple):
    """A network that becomes C.

    name: of the files; all public names begin with it. derivatives: with the functions
    input_gradient and jacobian. in_file: the numbers lie in a file, and not in the source.
    """

    name: str
    content: Content
    packed: Packed
    derivatives: bool
    in_file: bool

    @property
    def upper(self) -> str:
        """The name in upper case, with which constants begin."""
        return self.name.upper()

    @property
    def real(self) -> str:
        """The type of an element in C."""
        return "float" if self.content.dtype.itemsize == 4 else "double"

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.content.sizes[0]

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.content.sizes[-1]

    @property
    def widest(self) -> int:
        """Units of the widest layer, or inputs, with their padding."""
        return max(map(padded, self.content.sizes))

    @property
    def places(self) -> list[int]:
        """Where in an array of all layers' units each layer begins; and the end."""
        places = [0]
        for units in self.content.sizes[1:]:
            places.append(places[-1] + padded(units))
        return places

    @property
    def is_normalized(self) -> bool:
        """Whether the hidden layers are."""
        return self.content.layers[0].gain is not None

    @property
    def model(self) -> int:
        """A number below 2**63 that differs for other layouts of numbers and contexts.

        It does not depend on the values of parameters: those of the same network after more
        training have the same layout.
        """
        kinds = [layer.about for layer in self.content.layers]
        scaled = self.content.inputs is not None, self.content.outputs is not None
        facts = (LAYOUT, PANEL, self.real, kinds, scaled, self.derivatives, self.in_file)
        return int.from_bytes(hashlib.sha256(repr(facts).encode()).digest()[:8], "little") >> 1


def design(name: str, content: Content, derivatives: bool, in_file: bool) -> Design:
    """The design of a network's C code."""
    return Design(name, content, pack(content, derivatives), derivatives, in_file)
