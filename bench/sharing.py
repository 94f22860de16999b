"""Whether other programs had a part of the cores while they were measured, as far as one can tell.

Two signs are read. Steal is the share of the time wanted by programs of this system that the
hypervisor gave to others; Linux counts it in ticks. Scatter is how far the lowest FMA peak of a
race lies below its highest. A change of the clock scatters peaks, too, and not every hypervisor
reports steal: signs prove sharing, and their absence proves nothing.
"""

from pathlib import Path
from statistics import median

STAT = Path("/proc/stat")

MOST_STEAL, MOST_SCATTER = 0.01, 0.05
"""More is a sign of sharing."""


def ticks():
    """(wanted, stolen) CPU time since the start of the system; None where nothing counts it."""
    if not STAT.exists():
        return None
    first = STAT.read_text(encoding="utf-8").split("\n", 1)[0]
    user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, first.split()[1:9])
    return user + nice + system + irq + softirq + stolen, stolen


def steal_since(before):
    """Share of the time wanted since then that was stolen; None where nothing counts it."""
    now = ticks()
    if before is None or now is None:
        return None
    wanted, stolen = (b - a for a, b in zip(before, now, strict=True))
    return stolen / wanted if wanted else 0.0


def steal(races):
    """The mean steal of races; None where it was not recorded."""
    known = [race.steal for race in races if race.steal is not None]
    return sum(known) / len(known) if known else None


def scatter(races):
    """The median over races."""
    return median(1 - min(race.peaks) / max(race.peaks) for race in races)


def round_trips(races):
    """The round trips between cores, in words; empty where they were not measured."""
    found = [median(race.round_trips) for race in races if race.round_trips]
    if not found:
        return ""
    return (
        f", {median(found):.0f} ns from core to core and back, in the worst race {max(found):.0f}"
    )


def told(races):
    """One line on the cores that races ran on."""
    stolen, scattered = steal(races), scatter(races)
    shared = (stolen or 0) > MOST_STEAL or scattered > MOST_SCATTER
    word = "signs of sharing" if shared else "no sign of sharing"
    share = "not recorded" if stolen is None else f"{stolen:.1%}"
    scatter_and_steal = f"steal {share}, FMA peaks scatter by {scattered:.1%}"
    return f"{word}: {scatter_and_steal}{round_trips(races)}"
