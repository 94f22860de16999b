"""Files that were damaged, or made to mislead: refused, or loaded as what was saved."""

import collections
import json
import tracemalloc

import numpy as np
import pytest

import fastbp
from support import file_fuzzer

COUNT = 2_000
"""scripts/nightly files tries 100,000."""


@pytest.mark.slow
def test_a_file_loads_as_what_was_saved_or_is_refused(tmp_path):
    found = file_fuzzer.run(tmp_path, COUNT, seed=0)
    by_way = collections.Counter()
    for (way, verified, _), count in found.items():
        by_way[way, verified] += count
    for way in file_fuzzer.WAYS:
        assert by_way[way.__name__, "refused"] >= COUNT / len(file_fuzzer.WAYS) / 2, way
    assert any(unverified == "another" for _, _, unverified in found), "nothing got that far"


@pytest.mark.parametrize("way", file_fuzzer.WAYS, ids=lambda way: way.__name__)
def test_the_files_are_those_of_the_seed(way, tmp_path):
    contents = file_fuzzer.Trial(tmp_path).contents
    one, two = (way(np.random.default_rng(5), *contents) for _ in range(2))
    assert one == two != contents[0]


WASTEFUL = {
    "lists": "[" + "[]," * 300_000 + "[]]",
    "objects": "[" + '{"a":{}},' * 100_000 + "{}]",
    "names": "{" + ",".join(f'"{i}":0' for i in range(100_000)) + "}",
    "numbers": "[" + "0.1," * 200_000 + "0]",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", WASTEFUL.values(), ids=WASTEFUL)
def test_memory_is_what_the_header_justifies(text, tmp_path):
    """Of JSON that is much larger when parsed, in the header and in the description."""
    fastbp.Network([2, 1], seed=0).save(tmp_path / "a")
    header, data = file_fuzzer.split((tmp_path / "a").read_bytes())
    metadata = header["__metadata__"]
    described = header | {"__metadata__": metadata | {"fastbp": text}}
    for wasteful in (json.dumps(described), json.dumps(header)[:-1] + f', "w": {text}}}'):
        (tmp_path / "a").write_bytes(file_fuzzer.join(wasteful.encode(), data))
        tracemalloc.start()
        with pytest.raises(ValueError, match="cannot be loaded") as caught:
            fastbp.load(tmp_path / "a", verify=False)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(str(caught.value)) < 1000
        assert peak <= file_fuzzer.SHARE * len(wasteful) + file_fuzzer.SPARE
