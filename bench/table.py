"""Tables as plain text and as Markdown, and the markers between which a page holds them.

Programs write into two pages: ``PAGE`` has the tables of all processors, ``FRONT`` one of them.
"""

from pathlib import Path

PAGE = Path(__file__).with_name("README.md")
FRONT = Path(__file__).parents[1] / "README.md"

BENCH, STAGES, COMPANY, REACHED, TABLES = "bench", "stages", "company", "reached", "tables"
ENCODINGS, SCALING = "encodings", "scaling"
"""The sections of PAGE."""

SUMMARY = "summary"
"""The section of FRONT."""


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
    """The comments before and after the text that a program writes into a page."""
    return f"<!-- {section}:begin -->", f"<!-- {section}:end -->"


def around_markers(path, section=BENCH):
    """The text of a file before its begin marker and after its end marker."""
    begin, end = markers(section)
    before, begun, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"{path.name} needs the lines {begin} and {end}, in this order")
    return before, after


def insert(path, text, section=BENCH):
    """Replace the text between the two markers of a file."""
    begin, end = markers(section)
    before, after = around_markers(path, section)
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
