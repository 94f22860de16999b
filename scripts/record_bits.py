"""Record the bits of short training runs, tests/data/bits.json: python scripts/record_bits.py.

On an x86-64 processor with AVX2 or AVX-512: a width that it lacks is computed by narrower
instructions, to the same bits. The sets without fused multiply-add are those of an older processor.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
PROGRAM = "import json, test_bits as t; print(json.dumps([t.machine(), t.digests()]))"
OLD = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": ""}


def recorded(bits: str, processor: dict[str, str]) -> tuple[str, dict[str, str]]:
    """(kind of machine, digests of the runs) of a process with these settings."""
    settings = {
        "FASTBP_VECTOR_BITS": bits,
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS / 'laws'}",
    } | processor
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | settings,
        check=True,
        stdout=subprocess.PIPE,
    )
    machine, digests = json.loads(answer.stdout)
    print(f"{machine}: {len(digests)} runs", flush=True)
    return machine, digests


def main() -> None:
    """Write the record."""
    record = dict(
        recorded(bits, processor) for bits in ("512", "256", "128") for processor in ({}, OLD)
    )
    text = json.dumps(record, indent=1, sort_keys=True)
    (TESTS / "data" / "bits.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
