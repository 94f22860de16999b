"""Measured windows of all races: a JSON file for each processor, to which later runs add."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from bench import machine

OURS = "fastbp"
FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Result:
    """The windows of one race.

    seconds: of one unit (a step, an epoch, a call, a row), by side. flops: of one unit. peaks: the
    FMA peak before each round, GFLOP/s. threads: by side. kernels: machine.kernels(), empty where
    they were not recorded. steal: sharing.steal_since the start of the race. round_trips: between
    two cores before each round, nanoseconds (distance.py).
    """

    measure: str
    case: str
    optimizer: str
    flops: int
    seconds: dict[str, list[float]]
    peaks: list[float]
    threads: dict[str, int] = field(default_factory=dict)
    kernels: str = ""
    steal: float | None = None
    round_trips: list[float] = field(default_factory=list)

    @property
    def key(self):
        return self.measure, self.case, self.optimizer

    @property
    def others(self):
        return [name for name in self.seconds if name != OURS]

    def microseconds(self, name):
        return 1e6 * median(self.seconds[name])

    def gflops(self, name):
        return median(self.flops / s / 1e9 for s in self.seconds[name])

    def ratio(self, other):
        """Time of the other side over time of fastbp: the median over neighboring windows."""
        pairs = zip(self.seconds[other], self.seconds[OURS], strict=True)
        return median(theirs / ours for theirs, ours in pairs)

    @property
    def best_peer(self):
        return min(self.others, key=self.ratio)

    def share_of_peak(self, name):
        pairs = zip(self.seconds[name], self.peaks, strict=True)
        return median(self.flops / s / 1e9 / top for s, top in pairs)


class Results:
    """All races by key, and notes: other results, each a value that JSON can hold."""

    def __init__(self, races=(), notes=None):
        self.races = {race.key: race for race in races}
        self.notes = notes or {}

    def add(self, race):
        """Add a race; it replaces an older one of the same key."""
        self.races[race.key] = race

    def of(self, measure):
        """The races of a measure, in the order in which each was first run."""
        return [race for race in self.races.values() if race.measure == measure]

    def save(self, path):
        content = {"notes": self.notes, "races": [asdict(race) for race in self.races.values()]}
        whole = json.dumps(content, indent=1, default=float)
        fresh = Path(path).with_suffix(".new")
        fresh.write_text(whole + "\n", encoding="utf-8")
        fresh.replace(path)  # an interrupted run leaves the old file or the new one

    @classmethod
    def load(cls, path):
        """Read a file; empty results if it does not exist."""
        if not Path(path).exists():
            return cls()
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls([Result(**race) for race in content["races"]], content["notes"])


def path_of(processor):
    return FOLDER / f"{processor}.json"


def load_all():
    """The results of every processor, by its name."""
    return {path.stem: Results.load(path) for path in sorted(FOLDER.glob("*.json"))}


def of_this_processor():
    return Results.load(path_of(machine.processor()))


def note(name, value, threads):
    """Keep a note with the results of this processor."""
    results = of_this_processor()
    results.notes.setdefault("machine", machine.facts(threads))
    results.notes[name] = value
    results.save(path_of(machine.processor()))
