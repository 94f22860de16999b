"""The section of bench/README.md on real tables, from bench/tables.json: it measures nothing.

The peers of a table are compared on the splits that all of them have, by the mean of the first
score. A peer that did not end within its limit on one of the splits comes last.
"""

import math
from collections import defaultdict
from statistics import mean, median, stdev

from bench import table, tables_results
from bench.tables_data import HALVES, TASKS

NOTHING = "-"


def by_table(results):
    """{table: {peer: {split: Result}}}, the tables in the order of TASKS."""
    found = {name: defaultdict(dict) for name in TASKS}
    for r in results:
        found[r.table][r.peer][r.split] = r
    return {name: compared(peers) for name, peers in found.items() if peers}


def compared(peers):
    """{peer: its Results of the splits that all peers have}; {} where there is no such split."""
    splits = set.intersection(*(set(runs) for runs in peers.values()))
    return {peer: [runs[i] for i in sorted(splits)] for peer, runs in peers.items() if splits}


def score(runs):
    """The mean of the first score; infinite where a run has none."""
    return mean(r.score for r in runs) if all(r.scores for r in runs) else math.inf


def ranks(scores):
    """{name: place}, 1 for the least; equal ones share the mean of their places."""
    values = list(scores.values())
    return {
        name: 1 + sum(v < value for v in values) + (values.count(value) - 1) / 2
        for name, value in scores.items()
    }


def mean_ranks(tables):
    """{peer: mean of its ranks} over {table: {peer: Results}}."""
    places = [ranks({p: score(runs) for p, runs in peers.items()}) for peers in tables.values()]
    return {peer: mean(place[peer] for place in places) for peer in places[0]} if places else {}


def complete(tables):
    """The tables on which every peer was tried that was tried on any, and one ended in time."""
    everyone = {peer for peers in tables.values() for peer in peers}
    return {
        name: peers
        for name, peers in tables.items()
        if set(peers) == everyone and min(map(score, peers.values())) < math.inf
    }


def spread(values, form):
    """The mean, and the standard deviation of more than one."""
    text = f"{mean(values):{form}}"
    return text if len(values) < 2 else f"{text} ± {stdev(values):{form}}"


def costs(runs):
    """Seconds of training and of a prediction, kilobytes: medians of the splits, as text.

    The seconds are those of the trials that ran alone.
    """
    alone = [r for r in runs if r.is_timed]
    seconds = [[r.train_seconds for r in alone], [r.predict_seconds for r in alone]]
    return [
        *(table.significant(median(values)) if values else NOTHING for values in seconds),
        table.significant(median(r.bytes for r in runs) / 1000),
    ]


COSTS = ["train s", "s per 10,000 rows", "kB"]


def table_rows(peers):
    """The rows of one table, the best peer first."""
    order = sorted(peers, key=lambda peer: score(peers[peer]))
    best = score(peers[order[0]])
    names = next((list(r.scores) for runs in peers.values() for r in runs if r.scores), ["score"])
    rows = [["", *names, "of the best", *COSTS]]
    for peer in order:
        runs = peers[peer]
        if score(runs) == math.inf:
            limit = max(r.limit_s for r in runs if not r.scores)
            empty = [NOTHING] * (len(names) + len(COSTS))
            rows.append([peer, f"none within {limit} s", *empty])
            continue
        values = [spread([r.scores[name] for r in runs], ".4f") for name in names]
        rows.append([peer, *values, f"{score(runs) / best:.3f}x", *costs(runs)])
    return rows


def summary_rows(tables):
    """Mean ranks of the halves and of all tables, the worst ratio to the best, and the costs."""
    halves = [{n: p for n, p in tables.items() if TASKS[n].half == half} for half in HALVES]
    columns = [mean_ranks(each) for each in (tables, *halves)]
    head = ["", "mean rank", *(f"{half} half" for half in HALVES), "farthest from the best", *COSTS]
    rows = [head]
    for peer in sorted(columns[0], key=columns[0].get):
        places = [f"{column[peer]:.2f}" if column else NOTHING for column in columns]
        worst = max(score(p[peer]) / min(map(score, p.values())) for p in tables.values())
        runs = [r for peers in tables.values() for r in peers[peer] if r.scores]
        rows.append(
            [
                peer,
                *places,
                f"{worst:.3f}x" if worst < math.inf else NOTHING,
                *(costs(runs) if runs else [NOTHING] * len(COSTS)),
            ]
        )
    return rows


def where(results):
    """The processors and threads that results were measured on."""
    cpus = sorted({r.cpu for r in results})
    threads = sorted({r.threads for r in results})
    note = "cpu " + cpus[0]
    if len(cpus) > 1:
        note = f"cpus {', '.join(cpus)}: seconds of different ones do not compare"
    return f"{note}, {', '.join(map(str, threads))} threads"


def title(name, peers):
    """What a table is, its half, splits and rows."""
    task, runs = TASKS[name], next(iter(peers.values()))
    rows = next((r.rows for runs in peers.values() for r in runs if r.scores), (0, 0))
    return (
        f"{name}, {task.half} half: {task.title} ({rows[0]:,} rows to train, {rows[1]:,} to test, "
        f"splits {', '.join(str(r.split) for r in runs)})"
    )


def sections(results):
    """(title, rows): all tables together, then each."""
    tables = {name: peers for name, peers in by_table(results).items() if peers}
    whole = complete(tables)
    if whole:
        yield f"Mean ranks on {', '.join(whole)} ({where(results)})", summary_rows(whole)
    for name, peers in tables.items():
        yield title(name, peers), table_rows(peers)


def plain(results):
    return [f"{title}\n{table.plain(rows)}" for title, rows in sections(results)]


def task_rows():
    """The tables: what is predicted, and which columns a model does not see, and why."""
    rows = [["table", "half", "predicted", "left out"]]
    for task in TASKS.values():
        columns = defaultdict(list)
        for name, why in (task.left_out | task.unread).items():
            columns[why].append(f"`{name}`")
        left_out = "; ".join(f"{', '.join(names)}: {why}" for why, names in columns.items())
        rows.append([f"`{task.name}`", task.half, task.title, left_out])
    return rows


def page():
    """The text between the markers of the section."""
    texts = [table.markdown(task_rows(), left=4)]
    found = list(sections(tables_results.load()))
    texts += [f"**{title}**\n\n{table.markdown(rows)}" for title, rows in found]
    return "\n\n".join(texts if found else [*texts, "Not measured yet."])
