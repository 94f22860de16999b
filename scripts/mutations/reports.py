"""Breaks of reports."""

from .row import Break

PAGE = "tests/command/test_report.py::"
NUMBERS = "tests/command/test_report_scores.py::"

REPORTS = (
    Break(
        "names_are_written_as_they_are",
        "fastbp/command/report_page.py",
        'return html.escape(CONTROLS.sub("\\N{REPLACEMENT CHARACTER}", str(value)))',
        "return str(value)",
        PAGE + "test_names_are_text_and_no_tags",
    ),
    Break(
        "characters_that_html_cannot_hold_stay",
        "fastbp/command/report_page.py",
        'CONTROLS.sub("\\N{REPLACEMENT CHARACTER}", str(value))',
        "str(value)",
        PAGE + "test_names_are_text_and_no_tags",
    ),
    Break(
        "pictures_say_where_matplotlib_comes_from",
        "fastbp/command/report_figures.py",
        ", metadata=nothing)",
        ")",
        PAGE + "test_a_classifier_has_every_section",
    ),
    Break(
        "pictures_stay_light_in_the_dark",
        "fastbp/command/report_figures.py",
        'svg = svg.replace(ink, f"var(--c{ink[1:]})")',
        "svg = svg.replace(ink, LIGHT[ink])",
        PAGE + "test_page_and_pictures_follow_light_and_dark",
    ),
    Break(
        "pictures_take_the_settings_of_the_user",
        "fastbp/command/report_figures.py",
        'matplotlib.style.context(["default", RC])',
        "matplotlib.style.context([RC])",
        PAGE + "test_settings_of_matplotlib_play_no_part_and_stay",
    ),
    Break(
        "other_classes_share_the_place_of_the_first_one",
        "fastbp/command/report_scores.py",
        "places = np.full(n_classes, size - 1)",
        "places = np.full(n_classes, 0)",
        NUMBERS + "test_the_confusion_matrix_is_scikit_learns",
    ),
    Break(
        "precision_is_of_the_true_rows",
        "fastbp/command/report_scores.py",
        "hits / said, hits / rows",
        "hits / rows, hits / said",
        NUMBERS + "test_precision_and_recall_are_scikit_learns",
    ),
    Break(
        "absent_classes_count_for_the_balanced_accuracy",
        "fastbp/command/report_scores.py",
        "recalls[there] / shares).mean()",
        "recalls[there] / shares).sum() / p.shape[1]",
        NUMBERS + "test_classes_without_rows_do_not_count",
    ),
    Break(
        "bins_forget_the_weights",
        "fastbp/command/report_scores.py",
        "(w, w * stated, w * came, w * w)",
        "(w, w * stated, came, w * w)",
        NUMBERS + "test_bins_of_the_reliability_diagram",
    ),
    Break(
        "a_quantile_holds_nothing_at_itself",
        "fastbp/command/report_scores.py",
        "(y <= q)",
        "(y < q)",
        NUMBERS + "test_quantiles_and_intervals_by_hand",
    ),
    Break(
        "each_shuffle_begins_anew",
        "fastbp/command/permutation.py",
        "        values = values.take(order)\n"
        "        yield table.set_column(place, table.field(place), values)\n",
        "        yield table.set_column(place, table.field(place), values.take(order))\n",
        NUMBERS + "test_importances_are_scikit_learns",
    ),
    Break(
        "another_column_is_shuffled",
        "fastbp/command/permutation.py",
        "place = table.column_names.index(column)",
        "place = table.column_names.index(column) - 1",
        NUMBERS + "test_shuffles_are_of_one_column_of_any_type",
    ),
    Break(
        "rows_of_weight_0_are_in_the_report",
        "fastbp/command/report_rows.py",
        "kept = known & (w > 0)",
        "kept = known",
        PAGE + "test_rows_without_a_target_or_weight_are_left_out",
    ),
)
