"""The names of columns: those that a network has learned from, compared with those of new data."""

from typing import TypeAlias

Names: TypeAlias = tuple[str, ...] | None
"""One for each column; None where the data have none."""

MOST_SHOWN = 10


def check(known: Names, given: Names, name: str) -> None:
    """ValueError where the data called ``name`` have other names, or another order, than known."""
    if known is None or given is None or known == given:
        return
    missing = [column for column in known if column not in given]
    unknown = [column for column in given if column not in known]
    if not missing and not unknown and len(known) == len(given):
        place = next(i for i in range(len(known)) if known[i] != given[i])
        raise ValueError(
            f"{name} has its columns in another order than the network was trained with: column "
            f"{place} is {given[place]!r}, expected {known[place]!r}; select them in the order "
            f"{_list(known)}"
        )
    differences = [
        f"{what} {_list(columns)}"
        for what, columns in (("lacks", missing), ("has besides", unknown))
        if columns
    ]
    raise ValueError(
        f"{name} {' and '.join(differences) or f'has the columns {_list(given)}'}: the network was "
        f"trained with the columns {_list(known)}; pass {name} with these, in this order, or an "
        "array where names play no part"
    )


def _list(columns: tuple[str, ...] | list[str]) -> str:
    """The first of the names, as a list."""
    more = [f"... {len(columns) - MOST_SHOWN} more"] * (len(columns) > MOST_SHOWN)
    return f"[{', '.join([*map(repr, columns[:MOST_SHOWN]), *more])}]"
