"""fastbp against NumPy, and with ``--torch`` torch: one table, everything measured in one run.

``python -m bench.compare --help`` lists the options.
"""

import argparse
import json
import os
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

from bench import environment, table
from bench.cases import CASES, LEARNING_RATES

README = Path(__file__).parents[1] / "README.md"


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def parse():
    cpus = environment.available_cpus()
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    add = parser.add_argument
    add("--torch", action="store_true", help="add torch, where it is installed")
    add("--cases", nargs="+", choices=CASES, default=list(CASES))
    add("--optimizers", nargs="+", choices=LEARNING_RATES, default=list(LEARNING_RATES))
    add("--threads", type=positive, default=cpus, help=f"of every side (default: {cpus})")
    add("--pairs", type=positive, default=15, help="windows of each side (default: 15)")
    add("--json", metavar="FILE", help="write every window there")
    add("--markdown", action="store_true", help="print a Markdown table")
    add("--update-readme", action="store_true", help="put that table into README.md")
    options = parser.parse_args()
    if options.threads > cpus:
        parser.error(f"--threads {options.threads}: this process may use {cpus} CPUs")
    return options


def measure(options):
    """Yield one result after the other. Imports NumPy and fastbp: not before run_in."""
    from bench.race import race

    for case in options.cases:
        for optimizer in options.optimizers:
            yield race(CASES[case], optimizer, options.threads, options.torch, options.pairs)


def machine(options):
    """What the figures depend on."""
    import llvmlite.binding as llvm

    libraries = ["numpy", "numba", *["torch"] * options.torch]
    return {
        "cpu": llvm.get_host_cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": options.threads,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def caption(about, results, pairs):
    """One paragraph that says what the table shows, and how to have it again."""
    peaks = sorted(top for result in results for top in result.peaks)
    facts = ", ".join(f"{name} {value}" for name, value in about.items())
    return (
        f"One training step, medians of {pairs} pairs of windows in one run; a ratio above 1 says "
        f"that fastbp is faster. tiny: per update of a full-batch fit. Measured FMA peak "
        f"{peaks[len(peaks) // 2]:.0f} GFLOP/s. {facts}.\n\n"
        f"Command: `{shlex.join(['python', '-m', 'bench.compare', *sys.argv[1:]])}`"
    )


def as_json(about, results):
    rows = [
        {
            "case": result.case.name,
            "optimizer": result.optimizer,
            "seconds": result.seconds,
            "peak_gflops": result.peaks,
            "share_of_peak": result.share_of_peak("fastbp"),
            "ratio": {n: result.ratio(n) for n in result.seconds if n != "fastbp"},
        }
        for result in results
    ]
    return json.dumps({"machine": about, "results": rows}, indent=1)


def main():
    options = parse()
    environment.run_in(environment.fair(os.environ, options.threads), "bench.compare")
    if options.update_readme:
        table.around_markers(README)  # fails now and not after minutes of measuring
    results = []
    for result in measure(options):
        results.append(result)
        print(f"{result.case.name} with {result.optimizer} done", file=sys.stderr, flush=True)
    names = list(results[0].seconds)
    rows = [table.columns(names), *(table.row(result, names) for result in results)]
    about = machine(options)
    note = caption(about, results, options.pairs)
    page = f"{table.markdown(rows)}\n\n{note}"
    print(page if options.markdown else f"{table.plain(rows)}\n\n{note}")
    if options.json:
        Path(options.json).write_text(as_json(about, results), encoding="utf-8")
    if options.update_readme:
        table.insert(README, page)


if __name__ == "__main__":
    main()
