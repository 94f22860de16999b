"""Breaks of what makes inputs of tables."""

from .row import Break

ROOM = "fastbp/tabular/"
FRAMES = "tests/tabular/test_table_frames.py::"
SCHEMA = "tests/tabular/test_schema.py::"
SCALES = "tests/tabular/test_scales.py::"
LEVELS = "tests/tabular/test_categories.py::"
ENCODER = "tests/tabular/test_table_encoder.py::"

ENCODERS = (
    Break(
        "a_name_that_is_there_twice_is_taken",
        ROOM + "frames.py",
        "names.count(one) > 1",
        "names.count(one) > 2",
        FRAMES + "test_names_that_are_there_twice",
    ),
    Break(
        "whole_floats_among_objects_keep_their_fraction",
        ROOM + "objects.py",
        "return str(int(value))",
        "return str(value)",
        FRAMES + "test_objects_of_several_types_are_text",
    ),
    Break(
        "infinity_is_scaled_by_itself",
        ROOM + "numbers.py",
        "np.clip(x, self.low, self.high), x)",
        "x, x)",
        SCALES + "test_missing_and_infinite_numbers",
    ),
    Break(
        "the_clip_of_robust_numbers_is_wider",
        ROOM + "scales.py",
        "SMOOTH_CLIP = 3.0",
        "SMOOTH_CLIP = 4.0",
        SCALES + "test_robust_is_realmlps",
    ),
    Break(
        "equal_quantiles_have_the_first_level",
        ROOM + "scales.py",
        "np.bincount(place, levels) / np.bincount(place)",
        "levels[np.unique(place, return_index=True)[1]]",
        SCALES + "test_equal_numbers_lie_in_the_middle_of_their_rows",
    ),
    Break(
        "an_edge_belongs_to_the_bin_below",
        ROOM + "scales.py",
        "np.minimum(place, self.width - 1)",
        "np.minimum(place, self.width - 2)",
        SCALES + "test_piecewise_by_hand",
    ),
    Break(
        "a_tree_sees_the_targets_of_other_rows",
        ROOM + "numbers.py",
        "None if y is None else y[rows]",
        "None if y is None else y[: len(rows)]",
        SCALES + "test_a_tree_sees_the_targets_of_the_rows_that_are_not_missing",
    ),
    Break(
        "every_column_has_the_same_frequencies",
        ROOM + "scales.py",
        "np.random.default_rng((0, column))",
        "np.random.default_rng((0, 0 * column))",
        SCALES + "test_frequencies_are_drawn_by_the_column_alone",
    ),
    Break(
        "a_count_of_rows_is_a_number",
        ROOM + "inference.py",
        "return int(np.count_nonzero(seen)) == rows",
        "return int(np.count_nonzero(seen)) > rows",
        SCHEMA + "test_what_is_dropped",
    ),
    Break(
        "the_day_after_the_last_of_a_month_is_a_date",
        ROOM + "date_text.py",
        '(days.astype("M8[M]") == months)',
        '(days.astype("M8[M]") >= months)',
        LEVELS + "test_dates_of_each_form",
    ),
    Break(
        "the_row_of_a_bad_value_is_counted_from_its_block",
        ROOM + "encoder.py",
        "table.slice(start, rows), first=first + start)",
        "table.slice(start, rows), first=first)",
        ENCODER + "test_bad_values_are_named_with_their_rows",
    ),
    Break(
        "an_unknown_level_is_the_first",
        ROOM + "categories.py",
        "np.where(places == NO_INPUT, 0, 2 * places - 1)",
        "np.where(places == NO_INPUT, -1, 2 * places - 1)",
        LEVELS + "test_two_levels_are_one_input",
    ),
    Break(
        "sparse_inputs_of_levels_forget_their_column",
        ROOM + "encoder.py",
        "astype(np.float32), start + places))",
        "astype(np.float32), places))",
        ENCODER + "test_sparse_inputs_are_the_dense_ones",
    ),
)
