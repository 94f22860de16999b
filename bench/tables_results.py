"""The file of results of ``python -m bench.tables``, to which each is added when it is there."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import elsewhere
from bench.tables_data import downloads

PATH = Path(__file__).with_name("tables.json")


@dataclass(frozen=True)
class Result:
    """What a peer reached on a split of a table.

    scores: by name, the first decides the rank, the less the better; empty where there is none
    within limit_s. predict_seconds: of 10,000 rows. others: processors that other programs had
    during the fit (elsewhere.py). rows: to train and to test. cpu: as
    bench.machine names it. versions: by package. day: as 2026-11-29.
    """

    table: str
    split: int
    peer: str
    cpu: str
    threads: int
    day: str
    limit_s: int
    versions: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    train_seconds: float = 0.0
    predict_seconds: float = 0.0
    others: float = 0.0
    bytes: int = 0
    rows: tuple[int, int] = (0, 0)

    @property
    def key(self):
        return self.table, self.split, self.peer

    @property
    def is_timed(self):
        """Whether its seconds count: it ran alone."""
        return self.others <= elsewhere.MOST

    @property
    def score(self):
        return next(iter(self.scores.values()))


def load(path=None):
    """The results of a file, none where there is no file."""
    path = path or PATH
    if not path.exists():
        return []
    entries = json.loads(path.read_text(encoding="utf-8"))["results"]
    return [Result(**entry | {"rows": tuple(entry["rows"])}) for entry in entries]


def keep(result, path=None):
    """Add a result to the file, in place of an older one of the same peer, table and split.

    The file is replaced in one go: whoever stops a run loses the trial that runs, and no other.
    """
    path = path or PATH
    kept = [r for r in load(path) if r.key != result.key]
    kept = sorted([*kept, result], key=lambda r: r.key)
    text = json.dumps({"results": [asdict(r) for r in kept]}, indent=1) + "\n"
    downloads.write_whole(path, text.encode())
