"""Writes every page and figure from the files of results, and measures nothing."""

from bench import reached, report, results, side_by_side, sweep, table, tables_page

FIGURES = table.PAGE.parent / "figures"


def load():
    """{name of a processor: (its Results, the points of its sweep)}."""
    return {name: (r, sweep.load(sweep.path_of(name))) for name, r in results.load_all().items()}


def texts(everything):
    """{(page, section): text}; section None: the whole page."""
    found = {
        (table.PAGE, table.BENCH): side_by_side.page(everything, FIGURES),
        (table.PAGE, table.STAGES): side_by_side.stages(everything),
        (table.PAGE, table.COMPANY): side_by_side.in_company(everything),
        (table.PAGE, table.SCALING): side_by_side.on_ranks(everything, FIGURES),
        (table.PAGE, table.REACHED): reached.page(),
        (table.PAGE, table.TABLES): tables_page.page(),
        (table.FRONT, table.SUMMARY): side_by_side.summary(everything, FIGURES),
    }
    for name, (r, points) in everything.items():
        text = report.page(r, points, FIGURES / name, f"../figures/{name}")
        found[results.FOLDER / f"{name}.md", None] = text
    return found


def check():
    """Raise SystemExit where a page lacks a marker."""
    for page, section in texts({}):
        table.around_markers(page, section)


def render():
    """Draw the figures, and write the pages."""
    from bench import plots

    everything = load()
    for name, (r, points) in everything.items():
        plots.draw(r, points, FIGURES / name)
    plots.draw_steps(side_by_side.raced(everything), FIGURES / side_by_side.FIGURE)
    for (page, section), text in texts(everything).items():
        if section is None:
            page.write_text(text, encoding="utf-8")
        else:
            table.insert(page, text, section)
