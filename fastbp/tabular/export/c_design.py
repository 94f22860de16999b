"""What of a model's C code is decided before it is written."""

import hashlib
from typing import Any, NamedTuple

from ...export import c_ensemble
from ...export.c_ensemble import Members
from ...export.design import LAYOUT
from ..categories import OneHot, Pair
from ..classifier import TabularClassifier
from .c_names import identifiers
from .fields import Field, fields_of

NETWORKS = "_net"
"""What follows the name of a model in that of the files of its networks."""

TYPES = {"number": "double", "date": "double", "category": "const char *", "boolean": "int"}
"""The type of a field in C, by the kind of its column."""


class Table(NamedTuple):
    """A model that becomes C.

    name: of the files; all public names begin with it. fields: the columns. names: of the fields
    of a row. members: the networks.
    """

    name: str
    model: Any
    fields: list[Field]
    names: list[str]
    members: Members

    @property
    def upper(self) -> str:
        """The name in upper case, with which constants begin."""
        return self.name.upper()

    @property
    def inputs(self) -> int:
        """The number of inputs of the networks."""
        return self.members.inputs

    @property
    def outputs(self) -> int:
        """The number of classes, or of targets."""
        return self.members.outputs

    @property
    def is_classifier(self) -> bool:
        """Whether outputs are probabilities."""
        return isinstance(self.model, TabularClassifier)

    @property
    def number(self) -> int:
        """A number below 2**63 that differs for other layouts of rows and contexts."""
        kinds = [TYPES[field.column.kind] for field in self.fields]
        facts = LAYOUT, self.members.model, self.names, kinds
        return int.from_bytes(hashlib.sha256(repr(facts).encode()).digest()[:8], "little") >> 1


def design(name: str, model: Any) -> Table:
    """What is written of a model. ValueError and RuntimeError where that cannot be."""
    fields = fields_of(model.encoder_)
    for field in fields:
        _check_levels(field)
    members = c_ensemble.members(f"{name}{NETWORKS}", model.ensemble_.nets)
    names = identifiers([field.column.name for field in fields])
    return Table(name, model, fields, names, members)


def _check_levels(field: Field) -> None:
    if isinstance(field.part, Pair | OneHot):
        bad = next((level for level in field.part.levels if "\0" in level), None)
        if bad is not None:
            raise ValueError(
                f"column {field.column.name!r} has the level {bad!r:.80} with a NUL, with which "
                "texts of C end: replace it in the data, and train again"
            )
