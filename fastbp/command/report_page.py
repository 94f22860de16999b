"""The parts of an HTML page that stands alone: text, tables, pictures, sections, the style."""

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

LONGEST = 120
"""Characters of a name that are shown."""

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that no HTML file may have."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load: nothing from elsewhere, and no script."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1d2430; --faint: #566070; --line: #d7dde5; --panel: #f4f6f9;
  --mark: #2468b4; --warm: #b4501a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f; --ink: #e4e8ee; --faint: #a0abb9; --line: #343c49; --panel: #1c222c;
    --mark: #6cabf0; --warm: #f09a5c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
footer { padding-bottom: 2rem; color: var(--faint); font-size: .9rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.25rem; line-height: 1.3; margin: 2.5rem 0 .75rem; padding-top: .75rem;
  border-top: 1px solid var(--line);
}
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .5rem 0 1rem; overflow-wrap: anywhere; }
a { color: var(--mark); }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; }
.tiles {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .75rem;
  margin: 1rem 0;
}
.tiles div { background: var(--panel); border-radius: .5rem; padding: .75rem 1rem; }
.tiles dt { color: var(--faint); font-size: .9rem; }
.tiles dd { margin: 0; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tiles small { display: block; color: var(--faint); font-size: .8rem; line-height: 1.3; }
.box { overflow-x: auto; margin: .75rem 0 1.25rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding-bottom: .4rem; }
caption span { position: sticky; left: 0; display: inline-block; max-width: min(46rem, 92vw); }
th, td {
  padding: .35rem .75rem; text-align: right; vertical-align: top; white-space: nowrap;
  border-bottom: 1px solid var(--line);
}
thead th { vertical-align: bottom; font-weight: 600; }
thead th, tbody th { max-width: 14rem; white-space: normal; }
th bdi {
  display: inline-block; width: max-content; max-width: 9rem; overflow-wrap: anywhere;
}
thead th bdi { max-width: 5.5rem; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
tbody th { font-weight: 500; min-width: 5rem; }
th.words, td.words { text-align: left; white-space: normal; overflow-wrap: anywhere; }
td.words { min-width: 14rem; max-width: 34rem; }
td small { color: var(--faint); }
td.shade {
  text-align: center;
  background: color-mix(in srgb, var(--mark) calc(var(--share) * 45%), transparent);
}
td.shade small { display: block; color: inherit; }
td.right { font-weight: 600; }
td.bar { width: 45%; min-width: 9rem; vertical-align: middle; }
td.bar svg { display: block; width: 100%; height: 1rem; }
.pictures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 1.25rem; margin: 1rem 0;
}
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 0 2rem; align-items: start;
}
.pair > * { min-width: 0; }
figure { margin: 0; max-width: 34rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption { color: var(--faint); font-size: .9rem; overflow-wrap: anywhere; }
@media print { nav { display: none; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


class Picture(NamedTuple):
    """An image as a data URI, what it shows for who cannot see it, and its caption, both text."""

    uri: str
    alt: str
    caption: str


class Section(NamedTuple):
    """A part of the page. key: its anchor. body: HTML."""

    key: str
    title: str
    body: str


def text(value: Any) -> str:
    """As HTML: nothing in it is a tag, and what HTML cannot hold is marked."""
    return html.escape(CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(value)))


def name(value: Any) -> str:
    """The name of a column, a class or a file, shortened, and of its own direction of writing."""
    whole = str(value)
    shown = whole if len(whole) <= LONGEST else whole[: LONGEST - 1] + "…"
    return f"<bdi>{text(shown)}</bdi>"


def number(value: float | None, digits: int = 4) -> str:
    """So many digits, without an exponent where that is readable; a dash for None and NaN.

    >>> from fastbp.command.report_page import number
    >>> [number(x) for x in (12345.678, 0.98765432, 3, 1.5e-7, None)]
    ['12,346', '0.9877', '3', '1.5e-07', '-']
    >>> number(0.012345, digits=2)
    '0.012'
    """
    if value is None or math.isnan(value):
        return "-"
    size = abs(value)
    if size < 1e15 and (size >= 1e4 or value == int(value)):
        return f"{value:,.0f}"
    if 1e-4 <= size < 1e4:
        return f"{value:.{max(0, digits - 1 - math.floor(math.log10(size)))}f}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """A share of 1, with a digit after the point where it is small.

    >>> from fastbp.command.report_page import percent
    >>> [percent(x) for x in (0.5, 0.012, 0, 1, 0.9999)]
    ['50%', '1.2%', '0%', '100%', '>99.9%']
    """
    if math.isnan(share):
        return "-"
    if 0.999 < share < 1:
        return ">99.9%"
    if 0 < share < 0.001:
        return "<0.1%"
    digits = 1 if 0 < share < 0.0995 or 0.9 < share < 1 else 0
    return f"{100 * share:.{digits}f}%"


def paragraph(*sentences: str) -> str:
    """Sentences that are HTML already."""
    return f"<p>{' '.join(sentences)}</p>\n"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], words: str = "") -> str:
    """A table that scrolls in a box of its own.

    Args:
        caption: HTML, a sentence.
        head: HTML of the heads of the columns. The first column names its row.
        rows: HTML of the cells; one that begins with ``<td`` is a cell already.
        words: a character for each column: "w" where it has words, which may wrap.

    """
    kinds = [' class="words"' if kind == "w" else "" for kind in words.ljust(len(head))]
    heads = "".join(f'<th scope="col"{k}>{h}</th>' for k, h in zip(kinds, head, strict=True))
    body = "\n".join(f"<tr>{_cells(row, kinds)}</tr>" for row in rows)
    label = re.sub("<[^>]*>", "", caption).replace('"', "&quot;")
    return (
        f'<div class="box" role="region" tabindex="0" aria-label="{label}">'
        f"<table><caption><span>{caption}</span></caption>\n"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _cells(row: Sequence[str], kinds: Sequence[str]) -> str:
    first, *others = row
    cells = (
        cell if cell.startswith("<td") else f"<td{kind}>{cell}</td>"
        for kind, cell in zip(kinds[1:], others, strict=True)
    )
    return f'<th scope="row">{first}</th>{"".join(cells)}'


def pictures(found: Iterable[Picture]) -> str:
    """Figures side by side, as many as there is room for."""
    figures = "".join(
        f'<figure><img src="{one.uri}" alt="{text(one.alt)}">'
        f"<figcaption>{text(one.caption)}</figcaption></figure>\n"
        for one in found
    )
    return f'<div class="pictures">\n{figures}</div>\n'


def tiles(facts: Iterable[tuple[str, str, str]]) -> str:
    """Large figures: what, how much and a remark, all HTML."""
    inner = "".join(
        f"<div><dt>{what}</dt><dd>{value}<small>{remark}</small></dd></div>\n"
        for what, value, remark in facts
    )
    return f'<dl class="tiles">\n{inner}</dl>\n'


def bar(low: float, value: float, high: float, ends: tuple[float, float]) -> str:
    """A cell with a bar from 0 to ``value`` and a whisker from ``low`` to ``high``.

    ends: the numbers at the left and the right edge of the cell, with 0 between them.
    """
    left, right = ends
    scale = 100 / (right - left) if right > left else 0.0
    zero, at, start, stop = ((x - left) * scale for x in (0.0, value, low, high))
    return (
        '<td class="bar"><svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="{min(zero, at):.2f}" y="1" width="{abs(at - zero):.2f}" height="8" '
        'fill="var(--mark)"/>'
        f'<path d="M{start:.2f} 5H{stop:.2f}" stroke="var(--warm)" stroke-width="2" '
        'vector-effect="non-scaling-stroke"/></svg></td>'
    )


def page(title: str, intro: str, sections: Sequence[Section], foot: str) -> str:
    """The whole page. title: text. intro, foot: HTML."""
    links = "".join(f'<li><a href="#{one.key}">{text(one.title)}</a></li>' for one in sections)
    body = "\n".join(
        f'<section id="{one.key}" aria-labelledby="{one.key}-title">\n'
        f'<h2 id="{one.key}-title">{text(one.title)}</h2>\n{one.body}</section>'
        for one in sections
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{text(title)}</h1>
{intro}
<nav aria-label="Sections"><ul>{links}</ul></nav>
</header>
<main>
{body}
</main>
<footer>{foot}</footer>
</body>
</html>
"""
