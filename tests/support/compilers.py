"""The compilers that this machine has, and programs made by them. Tests without one are skipped."""

import shutil
import subprocess

import pytest

STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")
C99 = (*STRICT, "-std=c99")
FAST = ("-O3", "-march=native", "-ffp-contract=fast")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def _needs(name):
    return pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")


def each_c(test):
    """Run the test with each C compiler, as far as they are installed."""
    found = [pytest.param(name, marks=_needs(name), id=name) for name in ("gcc", "clang")]
    return pytest.mark.parametrize("compiler", found)(test)


needs_gcc, needs_cpp, needs_gfortran = map(_needs, ("gcc", "g++", "gfortran"))


def build(compiler, folder, output, *arguments):
    """Run a compiler in a folder, and return what it said."""
    command = [compiler, *arguments, "-lm", "-o", output]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stderr


def call(folder, program, *arguments):
    """(exit code, what it printed) of a program in a folder."""
    command = [f"./{program}", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
