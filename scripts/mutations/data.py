"""Breaks of what fastbp makes of the user's data."""

from .row import Break

METRICS = "tests/unit/test_metrics.py::"
NAMES = "tests/api/test_column_names.py::"
FRAMES = "tests/api/test_frames.py::"
STORED = "tests/api/test_stored_data.py::"
AGAIN = "tests/api/test_standardize_again.py::"
VALIDATION = "tests/api/test_validation.py::"

DATA = (
    Break(
        "outputs_of_a_metric_have_two_dimensions",
        "fastbp/components/metrics.py",
        "p = p.reshape(y.shape)",
        "p = p.reshape(p.shape)",
        METRICS + "test_a_mean_squared_error_of_flat_targets_is_the_loss",
    ),
    Break(
        "a_metric_may_broadcast",
        "fastbp/components/watched_arrays.py",
        "    if differ_as_given or math.prod(shape) > y.size:",
        "    if differ_as_given:",
        METRICS + "test_a_metric_that_broadcasts_is_refused_with_the_shapes",
    ),
    Break(
        "pairs_of_a_metric_are_refused",
        "fastbp/components/watched_arrays.py",
        "y.ndim != p.ndim and y.size == p.size",
        "y.size == p.size",
        METRICS + "test_other_arithmetic_is_that_of_plain_arrays",
    ),
    Break(
        "any_array_counts_as_y",
        "fastbp/components/watched_arrays.py",
        'getattr(x, "role", None): x',
        'getattr(x, "role", "y"): x',
        METRICS + "test_other_arithmetic_is_that_of_plain_arrays",
    ),
    Break(
        "a_metric_may_spoil_the_data_of_others",
        "fastbp/components/metrics.py",
        "y.copy(), p.copy()",
        "y, p",
        METRICS + "test_a_metric_may_write_to_its_data",
    ),
    Break(
        "shares_have_an_accuracy",
        "fastbp/training/inference.py",
        "has_accuracy = are_classes(data.y)",
        "has_accuracy = are_classes(data.y) or True",
        METRICS + "test_targets_between_0_and_1_have_no_accuracy",
    ),
    Break(
        "names_in_any_order",
        "fastbp/data/names.py",
        "or known == given:",
        "or set(known) == set(given):",
        NAMES + "test_other_names_are_refused",
    ),
    Break(
        "names_are_not_saved",
        "fastbp/model/model_io.py",
        "        **({} if names is None else {NAMES: list(names)}),\n",
        "",
        NAMES + "test_models_and_checkpoints_have_them",
    ),
    Break(
        "names_of_a_call_that_failed",
        "fastbp/training/undo.py",
        "        core.net.keep_names(self.names)\n",
        "",
        NAMES + "test_a_call_that_is_refused_keeps_no_names",
    ),
    Break(
        "missing_values_are_zeros",
        "fastbp/data/frames.py",
        "na_value=np.nan",
        "na_value=0",
        FRAMES + "test_missing_values_are_named_by_row_and_column[pandas_nullable]",
    ),
    Break(
        "parts_cut_chunks",
        "fastbp/data/sources.py",
        "return max(count // chunk, 1) * chunk",
        "return count",
        STORED + "test_parts_are_whole_chunks_of_the_file",
    ),
    Break(
        "rows_are_numbered_from_their_part",
        "fastbp/data/tables.py",
        "_replace(columns=columns, first=first)",
        "_replace(columns=columns, first=first and 64)",
        STORED + "test_a_bad_value_is_named_by_its_row_in_the_whole",
    ),
    Break(
        "data_are_read_before_they_are_checked",
        "fastbp/training/datasets.py",
        "if like_x is not X or like_y is not y:",
        "if False:",
        STORED + "test_shapes_are_checked_before_anything_is_read",
    ),
    Break(
        "folded_without_the_mean",
        "fastbp/model/folding.py",
        "bias + shift @ weights, *norms",
        "bias, *norms",
        AGAIN + "test_a_trained_network_keeps_its_function",
    ),
    Break(
        "the_average_is_not_folded",
        "fastbp/model/network_arrays.py",
        "trainer.fold_average(fold)",
        "trainer.fold_average(list)",
        AGAIN + "test_the_average_of_the_parameters_keeps_its_function",
    ),
    Break(
        "one_row_is_standardized",
        "fastbp/data/moments.py",
        "if self.rows < 2:",
        "if self.rows < 1:",
        AGAIN + "test_one_row_has_no_deviation",
    ),
    Break(
        "validation_data_are_checked_when_they_are_read",
        "fastbp/training/datasets.py",
        "    check_values(data, core.arrays)\n",
        "",
        VALIDATION + "test_bad_values_of_validation_data_are_found_before_the_first_epoch",
    ),
    Break(
        "equal_rows_are_all_checked_ahead",
        "fastbp/training/validation.py",
        "    if array.strides[0] == 0:\n        return 1\n",
        "",
        VALIDATION + "test_as_much_is_checked_ahead_as_is_in_memory",
    ),
)
