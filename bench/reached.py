"""Accuracies that training reaches, beside the peers: a section of bench/README.md.

``bench.recipe`` and ``bench.tabular`` measure, and pass their results to ``keep``. ``page`` renders
the two JSON files and measures nothing.
"""

import json
from pathlib import Path
from statistics import mean, median

from bench import machine, table
from bench.results import OURS

HERE = Path(__file__).parent


def path_of(name):
    return HERE / f"{name}.json"


def load(name):
    """The results of a command; empty before it has run."""
    path = path_of(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def keep(name, found, threads):
    """Write the results of a command, print the tables, and render the section."""
    whole = found | {"machine": machine.facts(threads)}
    path_of(name).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(*(f"{title}\n{table.plain(rows)}" for title, rows in sections()), sep="\n\n")
    table.insert(table.PAGE, page(), table.REACHED)


def sections():
    """(title, rows) of each table that has been measured."""
    recipe, tabular = load("recipe"), load("tabular")
    if recipe:
        sizes = "-".join(map(str, recipe["sizes"]))
        yield f"MNIST, {sizes}{where(recipe)}", recipe_rows(recipe)
    if tabular:
        yield f"Numbers and categories{where(tabular)}", tabular_rows(tabular)


def where(found):
    """The processor and threads that results were measured on."""
    machine = found["machine"]
    return f" (cpu {machine['cpu']}, {machine['threads']} threads)"


def page():
    """The text between the markers of the section."""
    return "\n\n".join(f"**{title}**\n\n{table.markdown(rows)}" for title, rows in sections())


def ratio(seconds, name):
    """Time of a side over time of fastbp: the median of the ratios of neighboring windows."""
    return median(b / a for a, b in zip(seconds[OURS], seconds[name], strict=True))


def spread(values, form):
    """The mean of values, with their range."""
    low, high = min(values), max(values)
    return f"{mean(values):{form}} ({low:{form}} to {high:{form}})"


def recipe_rows(found):
    head = ["", "test accuracy, %", "epochs", "s to 98%", "s in all", "s an epoch", "ratio"]
    rows = []
    for name, runs in found["runs"].items():
        seconds = found["seconds"]
        rows.append(
            [
                name,
                ", ".join(f"{100 * run['accuracy']:.2f}" for run in runs),
                ", ".join(str(run["epochs"]) for run in runs),
                f"{median(run['seconds to 98%'] for run in runs):.1f}",
                f"{median(run['seconds'] for run in runs):.1f}",
                f"{median(seconds[name]):.2f}",
                "" if name == OURS else f"{ratio(seconds, name):.2f}x",
            ]
        )
    return [head, *rows]


def tabular_rows(found):
    head = ["", "network", "score", "fastbp", "scikit-learn", "fastbp s", "scikit-learn s", "ratio"]
    rows = []
    for name, problem in found["problems"].items():
        times = [f"{median(problem['seconds'][side]):.2f}" for side in (OURS, "scikit-learn")]
        times.append(f"{ratio(problem['seconds'], 'scikit-learn'):.1f}x")
        for score in problem["scores"][OURS][0]:
            values = [
                spread([seed[score] for seed in problem["scores"][side]], ".4f")
                for side in (OURS, "scikit-learn")
            ]
            network = "-".join(map(str, problem["sizes"]))
            rows.append([name, network, score, *values, *times])
            times = [""] * len(times)
    return [head, *rows]
