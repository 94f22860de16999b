"""What bench/ says about the machine: names, kernels, and whether its cores are shared."""

import os

import pytest

from bench import machine, sharing
from bench.results import Result
from fastbp.kernels.base import choices, code_stamp

STAT = "cpu  {user} 0 50 900 5 3 7 {steal} 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n"


def race(peaks, steal=None):
    return Result("step", "tiny", "", 1, {"fastbp": [1.0]}, peaks, steal=steal)


def test_another_processor_or_width_has_files_of_its_own(monkeypatch):
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    monkeypatch.delenv("FASTBP_VECTOR_BITS", raising=False)
    host = machine.processor()
    monkeypatch.setenv("NUMBA_CPU_NAME", "host")
    assert machine.processor() == host
    monkeypatch.setenv("NUMBA_CPU_NAME", "nehalem")
    assert machine.processor() == f"{host}-as-nehalem"
    monkeypatch.setenv("FASTBP_VECTOR_BITS", "128")
    assert machine.processor() == f"{host}-as-nehalem-128-bits"


def test_model_is_the_name_that_the_system_gives(tmp_path, monkeypatch):
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "CPUINFO", info)
    assert machine.model()
    info.write_text(
        "processor\t: 0\nmodel name\t: Some: 7\nmodel name\t: Other\n", encoding="utf-8"
    )
    assert machine.model() == "Some: 7"


def test_facts_and_kernels_of_this_machine():
    facts = machine.facts(3)
    assert facts["threads"] == 3
    assert facts["cpus"] == os.cpu_count()
    assert facts["vector bits"] in (128, 256, 512)
    assert facts["tile"] == str(choices.current())
    assert facts["tile from"] == choices.reason()
    assert machine.kernels().endswith(f"code {code_stamp.source_stamp()}, tile {facts['tile']}")


def test_steal_is_its_share_of_the_wanted_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "STAT", tmp_path / "stat")
    assert sharing.ticks() is None
    assert sharing.steal_since(None) is None
    sharing.STAT.write_text(STAT.format(user=100, steal=10), encoding="utf-8")
    before = sharing.ticks()
    assert before == (100 + 50 + 3 + 7 + 10, 10)
    assert sharing.steal_since(before) == 0
    sharing.STAT.write_text(STAT.format(user=130, steal=20), encoding="utf-8")
    assert sharing.steal_since(before) == 10 / 40


def test_scatter_is_the_median_over_races():
    races = [race([10.0, 9.0]), race([10.0, 10.0]), race([8.0, 10.0])]
    assert sharing.scatter(races) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("peaks", "steal", "told"),
    [
        ([10.0, 9.8], None, "no sign of sharing: steal not recorded, FMA peaks scatter by 2.0%"),
        ([10.0, 9.8], 0.002, "no sign of sharing: steal 0.2%, FMA peaks scatter by 2.0%"),
        ([10.0, 9.8], 0.02, "signs of sharing: steal 2.0%, FMA peaks scatter by 2.0%"),
        ([10.0, 9.0], 0.0, "signs of sharing: steal 0.0%, FMA peaks scatter by 10.0%"),
    ],
)
def test_what_is_told_of_the_cores(peaks, steal, told):
    assert sharing.told([race(peaks, steal)]) == told


def test_steal_is_the_mean_of_the_races_that_know_it():
    races = [race([1.0], 0.1), race([1.0]), race([1.0], 0.3)]
    assert sharing.steal(races) == pytest.approx(0.2)
