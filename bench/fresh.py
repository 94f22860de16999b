"""Runs a program in a fresh process, and reads the result that it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def answer(program, **environ):
    """The JSON on the last line that a fresh Python prints; None, and why on stderr, if it fails.

    program: its text. environ: what it finds in its environment beside our own. Sources may be
    kept compiled, as those of installed packages are.
    """
    own = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=own | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        print(f"{program.strip().splitlines()[-1]}: failed: {reason}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])
