"""Breaks of tables that are larger than memory, and of trainings that are gone on with."""

from .row import Break

MEMBERS = "tests/tabular/test_members.py::"
STORED = "tests/command/test_stored.py::"

LARGE_TABLES = (
    Break(
        "a_member_that_goes_on_forgets_its_best_epoch",
        "fastbp/tabular/watch.py",
        '"layers": [list(layer) for layer in self._layers],',
        '"layers": [],',
        MEMBERS + "test_a_member_that_was_killed_ends_with_the_bits_of_one_that_was_not",
    ),
    Break(
        "the_learning_rate_without_its_schedule",
        "fastbp/tabular/watch.py",
        "lr=[state.trainer.scheduled_lr]",
        "lr=[state.trainer.lr]",
        MEMBERS + "test_the_history_has_the_learning_rate_at_the_end_of_each_epoch",
    ),
    Break(
        "checkpoints_of_another_fit_are_taken",
        "fastbp/tabular/kept.py",
        'about = f"{self._fingerprint[:16]}-{epochs}"',
        'about = f"{epochs}"',
        MEMBERS + "test_checkpoints_of_another_training_and_damaged_ones_are_not_taken",
    ),
    Break(
        "checkpoints_after_every_epoch",
        "fastbp/tabular/bookmarks.py",
        "if at_once or now - self._written >= SECONDS:",
        "if now >= self._written:",
        MEMBERS + "test_checkpoints_come_after_some_seconds",
    ),
    Break(
        "a_stop_is_not_kept",
        "fastbp/tabular/watch.py",
        "at_once=is_over)",
        "at_once=False)",
        MEMBERS + "test_what_was_stopped_goes_on_from_there",
    ),
    Break(
        "rows_that_are_held_out_are_drawn",
        "fastbp/tabular/members.py",
        "others = np.delete(np.arange(len(self.data.y)), member.held)",
        "others = np.arange(len(self.data.y))",
        MEMBERS + "test_some_rows_are_learned_from_where_the_time_is_less_than_an_epoch_takes",
    ),
    Break(
        "an_epoch_in_any_case",
        "fastbp/tabular/members.py",
        "        self._rows = some\n",
        "",
        MEMBERS + "test_some_rows_are_learned_from_where_the_time_is_less_than_an_epoch_takes",
    ),
    Break(
        "folds_of_any_size",
        "fastbp/tabular/holdouts.py",
        "    folds = max(folds, -(-len(spare) // MOST_ROWS))\n",
        "",
        MEMBERS + "test_folds_of_many_rows_are_bounded",
    ),
    Break(
        "rows_in_a_file_without_the_last_ones",
        "fastbp/tabular/mapped_rows.py",
        "    file.flush()\n",
        "",
        "tests/tabular/test_mapped_rows.py::test_rows_in_a_file_are_those_in_memory",
    ),
    Break(
        "labels_by_their_first_rows",
        "fastbp/tabular/text_labels.py",
        "order[np.asarray(encoded.indices.drop_null())].astype(np.int64)",
        "np.asarray(encoded.indices.drop_null()).astype(np.int64)",
        "tests/tabular/test_targets.py::test_columns_of_text_are_labels_as_lists_are",
    ),
    Break(
        "columns_that_begin_empty_are_text",
        "fastbp/command/csv_types.py",
        "    if types.is_null(kind):\n        return other\n",
        "",
        STORED + "test_types_are_those_of_all_rows",
    ),
    Break(
        "all_rows_are_taken",
        "fastbp/command/stored.py",
        "random.random(part.num_rows) < share)",
        "random.random(part.num_rows) < 1)",
        STORED + "test_of_more_rows_some_are_drawn",
    ),
    Break(
        "rows_without_weight_are_stored",
        "fastbp/command/training_rows.py",
        "target.weights_of(weights, columns.weight) > 0",
        "target.weights_of(weights, columns.weight) >= 0",
        STORED + "test_rows_that_teach_nothing_are_not_stored",
    ),
    Break(
        "a_report_of_the_first_rows",
        "fastbp/command/reporting.py",
        "    kept = numbers < limit\n",
        "    kept = np.arange(len(numbers)) < limit * len(numbers)\n",
        STORED + "test_exactly_so_many_rows_are_drawn_for_a_report",
    ),
    Break(
        "a_file_is_read_at_once",
        "fastbp/command/csv_file.py",
        "block_size=max(BLOCK,",
        "block_size=max(2**27,",
        STORED + "test_the_memory_of_predictions_does_not_grow_with_the_file",
    ),
    Break(
        "a_table_is_read_into_memory",
        "fastbp/command/stored.py",
        "ipc.open_stream(pa.memory_map(str(path)))",
        "ipc.open_stream(path.read_bytes())",
        STORED + "test_the_memory_of_a_training_table_is_that_of_its_targets",
    ),
)
