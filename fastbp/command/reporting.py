"""``fastbp report``: a page about a model, on rows with known targets."""

from argparse import Namespace
from pathlib import Path

from ..storage import atomic
from . import arrow, evaluating, inputs, predictions, target
from .messages import count, say


def run(options: Namespace) -> int:
    """Read the rows, and write the page."""
    output = getattr(options, "output", None) or f"{Path(options.model).stem}.html"
    atomic.target(output)  # before anything is read
    model = inputs.load(options.model)
    file = inputs.open_for(model, options)
    wanted = evaluating.wanted(model, file, options)
    parts = [part for _, part in evaluating.with_targets(file, wanted)]
    table = arrow.module("pyarrow").concat_tables(parts)
    task = target.CLASSIFICATION if predictions.is_classifier(model) else target.REGRESSION
    from . import report

    with predictions.naming(file.source.name, 0):
        report.write(
            model,
            table.select(inputs.needed(model)),
            target.values(table, wanted.names, task),
            output,
            source=file.source.name,
            weights=None if wanted.weight is None else target.weights_of(table, wanted.weight),
        )
    say(f"{file.source.name}: {file}, {count(table.num_rows, 'row')}")
    print(output)
    return 0
