"""Breaks of the command, and of what is kept for it."""

from .row import Break

ARGUMENTS = "tests/command/test_arguments.py::"
READING = "tests/command/test_reading.py::"
TRAIN = "tests/command/test_train.py::"
PREDICT = "tests/command/test_predict.py::"
EVALUATE = "tests/command/test_evaluate.py::"
INFO = "tests/command/test_info.py::"

COMMAND = (
    Break(
        "the_file_of_options_goes_before_the_command_line",
        "fastbp/command/config.py",
        "{**found, **given}",
        "{**given, **found}",
        ARGUMENTS + "test_a_file_gives_options_and_the_command_line_goes_before_it",
    ),
    Break(
        "a_delimiter_by_the_most_fields_alone",
        "fastbp/command/dialect.py",
        "    return len(rows[0]) * share if share > 0.5 else 0.0\n",
        "    return float(max(counts))\n",
        READING + "test_text_with_other_delimiters_does_not_mislead",
    ),
    Break(
        "decimal_commas_beside_points",
        "fastbp/command/dialect.py",
        "if commas and not points",
        "if commas",
        READING + "test_points_are_no_commas",
    ),
    Break(
        "lines_are_counted_by_records",
        "fastbp/command/diagnosis.py",
        "first = reader.line_num + 1",
        "first = first + 1",
        READING + "test_a_record_of_another_width_is_named_by_its_line",
    ),
    Break(
        "the_rest_of_stdin_without_its_beginning",
        "fastbp/command/sources.py",
        "self._start.read(len(buffer)) or self._stream.read(len(buffer))",
        "self._stream.read(len(buffer))",
        READING + "test_stdin_is_read_once_or_kept",
    ),
    Break(
        "classes_of_few_rows_each",
        "fastbp/command/target.py",
        "distinct * ROWS_OF_A_CLASS <= n",
        "distinct <= n",
        TRAIN + "test_the_task_is_told_by_the_values",
    ),
    Break(
        "a_class_of_one_row_is_held_out",
        "fastbp/command/rows.py",
        "np.floor(share",
        "np.ceil(share",
        TRAIN + "test_every_class_has_its_share_of_rows_held_out",
    ),
    Break(
        "networks_of_another_fit_are_taken",
        "fastbp/tabular/kept.py",
        '            if about["fingerprint"] != self._fingerprint:\n',
        "            if not self._fingerprint:\n",
        TRAIN + "test_networks_of_another_training_are_not_taken",
    ),
    Break(
        "networks_that_are_done_are_not_taken",
        "fastbp/tabular/members.py",
        "        if done is not None:\n",
        "        if done is not None and self._stop.is_set():\n",
        TRAIN + "test_a_killed_training_goes_on",
    ),
    Break(
        "reading_takes_no_time",
        "fastbp/command/training.py",
        "max(limit - spent, LEAST_SECONDS)",
        "max(limit, LEAST_SECONDS)",
        TRAIN + "test_the_limit_of_time_counts_reading",
    ),
    Break(
        "ctrl_c_is_not_told",
        "fastbp/command/interrupts.py",
        "        self.pressed = True\n",
        "",
        TRAIN + "test_ctrl_c_leaves_the_best_networks_so_far",
    ),
    Break(
        "a_pipe_is_read_as_a_file",
        "fastbp/command/sources.py",
        "self.path = None if keep is None else _copied(stream, keep)",
        "self.path = None",
        READING + "test_a_named_pipe_is_read_once_or_kept",
    ),
    Break(
        "a_first_line_is_cut",
        "fastbp/command/sources.py",
        '    return b"\\n" in head or b"\\r" in head\n',
        "    return True\n",
        READING + "test_a_first_line_of_many_names",
    ),
    Break(
        "text_of_polars_stays_a_view",
        "fastbp/tabular/views.py",
        "        return pa.large_string()\n",
        "        return kind\n",
        READING + "test_files_of_polars",
    ),
    Break(
        "an_open_quote_swallows_rows",
        "fastbp/command/csv_file.py",
        "            if quotes.count % 2:\n",
        "            if quotes.count < 0:\n",
        READING + "test_a_quote_that_is_open_at_the_end",
    ),
    Break(
        "the_model_replaces_the_table",
        "fastbp/command/training.py",
        '    writing.check_apart(str(path), "--model", *read)\n',
        "",
        TRAIN + "test_what_is_read_is_not_replaced",
    ),
    Break(
        "a_class_for_every_row",
        "fastbp/command/target.py",
        "            _check_repeats(column, name, distinct)\n",
        "            pass\n",
        TRAIN + "test_text_among_the_numbers_of_a_target_is_shown",
    ),
    Break(
        "errors_of_rows_without_their_file",
        "fastbp/command/predictions.py",
        '        raise DataError(f"{file}: {error}") from error\n',
        "        raise\n",
        EVALUATE + "test_rows_that_do_not_fit",
    ),
    Break(
        "ids_lose_their_zeros",
        "fastbp/command/predicting.py",
        "    types |= {name: pa.string() for name in kept if name not in inputs.needed(model)}\n",
        "    types |= {name: pa.int64() for name in kept if name == 'id'}\n",
        PREDICT + "test_what_is_kept_is_as_it_was_written",
    ),
    Break(
        "text_with_quotes_is_written_as_it_is",
        "fastbp/command/writing.py",
        'style = "needed" if any(map(_needs_quotes, table.columns)) else "none"',
        'style = "none"',
        PREDICT + "test_what_is_kept_is_as_it_was_written",
    ),
    Break(
        "scores_without_weights",
        "fastbp/command/scores.py",
        '"log_loss": mean(surprise(y, p), w)[0]',
        '"log_loss": mean(surprise(y, p), np.ones(len(w)))[0]',
        EVALUATE + "test_weights_and_a_target_of_another_name",
    ),
    Break(
        "info_trusts_the_checksum",
        "fastbp/command/information.py",
        "kinds, verify=True",
        "kinds, verify=False",
        INFO + "test_a_damaged_file",
    ),
)
