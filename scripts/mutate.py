"""Mutation testing: applies each break of mutations/, alone, to a scratch copy; see main.

The copy has its own cache of kernels. Kernels that a break leaves alone are compiled once; those of
a broken source are compiled anew (kernels/base/code_stamp.py).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mutations import BREAKS, Break

ROOT = Path(__file__).parents[1]
FOLDERS = ("fastbp", "kernels", "tests", "bench", "scripts")
SECONDS = 600
"""Of one test, at most. A test that takes longer has not turned red."""

RED, GREEN = 1, 0
"""Exit codes of pytest. Any other one says that the test did not run."""


def misplaced(root=ROOT):
    """The breaks whose old text does not occur exactly once, or whose test is not there."""
    wrong = []
    for one in BREAKS:
        count = (root / one.file).read_text(encoding="utf-8").count(one.old)
        if count != 1:
            wrong.append(f"{one.name}: {count} times in {one.file}: {one.old!r}")
        file, _, test = one.test.partition("::")
        name = test.partition("[")[0]
        path = root / file
        if not path.is_file() or f"def {name}(" not in path.read_text(encoding="utf-8"):
            wrong.append(f"{one.name}: there is no test {one.test}")
    return wrong


class Copy:
    """A scratch copy of the checkout."""

    def __init__(self, folder, cache):
        self.root, self.cache = folder, cache
        folder.mkdir()
        junk = shutil.ignore_patterns("__pycache__", ".*")
        for name in FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=junk, symlinks=True)
        for path in ROOT.glob("*.*"):
            if path.is_file():
                shutil.copy(path, folder)
        # As installed. Otherwise the editable install would lead to the checkout's own kernels.
        (folder / "fastbp" / "kernels").symlink_to(folder / "kernels", target_is_directory=True)

    def run(self, tests):
        """(exit code of pytest, output)."""
        settings = {
            "NUMBA_CACHE_DIR": str(self.cache),
            "PYTHONDONTWRITEBYTECODE": "1",  # an edit within a second would go unnoticed
            "OMP_WAIT_POLICY": "passive",
            "PYTHONPATH": str(self.root),
        }
        options = ("-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider")
        command = [sys.executable, "-m", "pytest", *options, *tests]
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=os.environ | settings,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS * len(tests),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, f"more than {SECONDS} s"
        return done.returncode, done.stdout

    def run_broken(self, one):
        """The same with one break."""
        path = self.root / one.file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(one.old, one.new), encoding="utf-8")
        try:
            return self.run([one.test])
        finally:
            path.write_text(text, encoding="utf-8")


def outcome(code, reason):
    """What an exit code says of a break."""
    if code == RED:
        return "red"
    if code == GREEN:
        return f"survives, known: {reason}" if reason else "SURVIVES"
    return "DID NOT RUN"


def try_all(breaks, jobs, folder):
    """Print the outcome of each; the names of those that survive or did not run."""
    copies, failed = SimpleQueue(), []
    for i in range(jobs):
        copies.put(Copy(folder / f"copy{i}", folder / "cache"))

    def attempt(one):
        copy, started = copies.get(), time.monotonic()
        try:
            code, output = copy.run_broken(one)
        finally:
            copies.put(copy)
        result = outcome(code, one.reason)
        print(f"{result:10} {time.monotonic() - started:5.0f} s  {one.name}", flush=True)
        if result[0].isupper():
            failed.append(one.name)
            if code not in (RED, GREEN):
                print(output[-2000:], flush=True)

    copy = copies.get()
    code, output = copy.run(sorted({one.test for one in breaks}))
    copies.put(copy)
    if code != GREEN:
        sys.exit(f"{output[-4000:]}\nThe tests are not green without a break: none was tried.")
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(attempt, breaks))
    return failed


def main():
    """0 if every break turns its test red, or survives for a reason that the table gives."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", help="breaks to try: all, if none is named")
    parser.add_argument("--list", action="store_true", help="print the table and try nothing")
    parser.add_argument("--jobs", type=int, default=2, help="breaks at a time")
    given = parser.parse_args()
    known = {one.name for one in BREAKS}
    if unknown := set(given.names) - known:
        parser.error(f"there is no break {min(unknown)!r}: see --list")
    breaks: list[Break] = [one for one in BREAKS if not given.names or one.name in given.names]
    if given.list:
        for one in breaks:
            print(f"{one.name:40} {one.file:40} {one.test}")
        return 0
    if wrong := misplaced():
        print(*wrong, sep="\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="fastbp-mutate-") as folder:
        failed = try_all(breaks, given.jobs, Path(folder))
    print(f"{len(breaks) - len(failed)} of {len(breaks)} breaks are noticed")
    print(*failed, sep="\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
