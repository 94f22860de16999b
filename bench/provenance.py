"""Whether the figures of a processor are all of the same kernels."""

NOTES = ("company", "scaling", "scaling model")
"""Those that are of kernels of their own."""

NOT_RECORDED = "kernels that were not recorded"


def kernels_of(results, points):
    """{part: the kernels that its figures are of} of the parts that were measured."""
    found = {
        "races": {race.kernels for race in results.races.values()},
        "sweep": {point.kernels for point in points},
        "stage tables": {kept["kernels"] for kept in results.notes.get("stages", {}).values()},
        **{
            note: {results.notes[note]["kernels"]} if note in results.notes else set()
            for note in NOTES
        },
    }
    return {part: kernels for part, kernels in found.items() if kernels}


def told(results, points):
    """One sentence."""
    found = {
        part: sorted(name or NOT_RECORDED for name in kernels)
        for part, kernels in kernels_of(results, points).items()
    }
    every = {name for kernels in found.values() for name in kernels}
    if len(every) == 1:
        return f"All figures are of {every.pop()}."
    parts = "; ".join(f"{part}: {' and '.join(kernels)}" for part, kernels in found.items())
    return f"**The figures are of different kernels**: {parts}."
