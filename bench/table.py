"""The results as a table: plain text for the terminal, Markdown for README."""

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def columns(names):
    """The headings, for the sides that ran."""
    others = [name for name in names if name != "fastbp"]
    return [
        "case",
        "optimizer",
        *(f"{name} µs" for name in names),
        "GFLOP/s",
        *(f"vs {name}" for name in others),
        "% of FMA peak",
    ]


def row(result, names):
    """One line of cells: medians, microseconds a step, the last columns about fastbp."""
    return [
        result.case.name,
        result.optimizer,
        *(significant(result.microseconds(name)) for name in names),
        significant(result.gflops("fastbp")),
        *(f"{result.ratio(name):.2f}x" for name in names if name != "fastbp"),
        f"{100 * result.share_of_peak('fastbp'):.1f}",
    ]


def significant(value):
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def plain(rows):
    """Columns padded to equal widths, the first two to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in rows
    )


def markdown(rows):
    """The same as a Markdown table."""
    rule = ["---"] * 2 + ["---:"] * (len(rows[0]) - 2)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [rows[0], rule, *rows[1:]])


def around_markers(path):
    """What stands before and after the two marker comments of a file."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{path.name} needs the lines {BEGIN} and {END}, in this order")
    return before, after


def insert(path, text):
    """Put text between the markers, in place of what stands there."""
    before, after = around_markers(path)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
