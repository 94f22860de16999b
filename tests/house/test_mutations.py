"""The table of scripts/mutate fits the sources; scripts/mutate itself applies its breaks."""

from collections import Counter

import mutate


def test_every_break_has_one_place_and_a_test():
    assert mutate.misplaced() == []


def test_every_break_has_a_name_of_its_own_and_changes_something():
    counts = Counter(one.name for one in mutate.BREAKS)
    assert [name for name, count in counts.items() if count > 1] == []
    assert [one.name for one in mutate.BREAKS if one.old == one.new] == []


def test_there_are_breaks_in_every_room():
    broken = {tuple(one.file.split("/")[:2]) for one in mutate.BREAKS}
    rooms = {
        (top, path.name)
        for top in ("fastbp", "kernels")
        for path in (mutate.ROOT / top).iterdir()
        if (path / "__init__.py").is_file()
    }
    assert rooms - broken - {("kernels", "ir")} == set()  # a break of IR ends the process
    assert len(mutate.BREAKS) >= 60
