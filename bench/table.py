"""Tables as plain text and as Markdown, and the markers between which README holds them."""

BENCH = "bench"
"""The section of README that scripts/bench writes."""


def significant(value):
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def widths(rows):
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def plain(rows, left=1):
    """Columns padded to equal widths, the first ``left`` to the left."""
    wide = widths(rows)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, wide, strict=True))
        ).rstrip()
        for cells in rows
    )


def markdown(rows, left=1):
    """The same as a Markdown table."""
    rule = ["---"] * left + ["---:"] * (len(rows[0]) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [rows[0], rule, *rows[1:]])


def markers(section):
    """The comments before and after what a program writes into README."""
    return f"<!-- {section}:begin -->", f"<!-- {section}:end -->"


def around_markers(path, section=BENCH):
    """What stands before and after the two marker comments of a file."""
    begin, end = markers(section)
    before, begun, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"{path.name} needs the lines {begin} and {end}, in this order")
    return before, after


def insert(path, text, section=BENCH):
    """Put text between the markers, in place of what stands there."""
    begin, end = markers(section)
    before, after = around_markers(path, section)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
