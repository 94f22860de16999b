"""Tests for a night: each is a program of tests/, of which the tests themselves run a small part.

scripts/nightly files --count 100000
"""

import argparse
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"


def files(asked):
    """Damaged and lying model files."""
    return "mutations.py", "--count", asked.count, "--seed", asked.seed


def parser():
    top = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("files", help=files.__doc__)
    command.add_argument("--count", type=int, default=100_000, help="files to try")
    command.add_argument("--seed", type=int, default=0, help="another seed, other files")
    command.set_defaults(program=files)
    return top


def main():
    asked = parser().parse_args()
    program, *arguments = map(str, asked.program(asked))
    command = [sys.executable, "-W", "error", str(TESTS / program), *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
