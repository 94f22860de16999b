"""Tests for a night: each is a program of tests/support/, and the tests run a small part of it.

scripts/nightly files --count 100000
scripts/nightly kill --count 200
scripts/nightly ranks --count 50
scripts/nightly soak --seconds 3600
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"


def files(options):
    """Damaged and lying model files."""
    return "file_fuzzer", "--count", options.count, "--seed", options.seed


def kill(options):
    """A training process, killed at random moments and resumed."""
    return "killing", "--count", options.count, "--seed", options.seed


def ranks(options):
    """A training on several ranks, one of which is killed at random moments, and resumed."""
    return "killing_ranks", "--count", options.count, "--seed", options.seed


def soak(options):
    """Everything at many sizes, for so long: memory flat, no drift."""
    return "soak", "--seconds", options.seconds, "--seed", options.seed


COUNTED = {files: 100_000, kill: 200, ranks: 50}
"""How many of each, unless --count says so."""


def parser():
    top = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for program in (files, kill, ranks, soak):
        command = commands.add_parser(program.__name__, help=program.__doc__)
        command.add_argument("--seed", type=int, default=0, help="another seed, other cases")
        command.set_defaults(program=program)
        if program in COUNTED:
            command.add_argument("--count", type=int, default=COUNTED[program], help="how many")
        else:
            command.add_argument("--seconds", type=float, default=3600.0, help="how long")
    return top


def main():
    options = parser().parse_args()
    program, *arguments = map(str, options.program(options))
    command = [sys.executable, "-W", "error", "-m", f"support.{program}", *arguments]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(TESTS)}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
