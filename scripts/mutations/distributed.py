"""Breaks of training on several ranks."""

from .row import Break

BITS = "tests/distributed/test_bits.py::test_one_hash_for_one_to_eight_ranks"
GRADIENT = "tests/distributed/test_bits.py::test_gradients_are_those_of_one_trainer"
TREE = "tests/distributed/test_cuts.py::test_the_exchange_adds_in_the_order_of_the_tree"
TRAINER = "tests/distributed/test_trainer.py::"
GROUP = "tests/distributed/test_group.py::"
LOCAL = "tests/distributed/test_local.py::"
SHARES = "tests/distributed/test_shares.py::"

DISTRIBUTED = (
    Break(
        "as_many_parts_as_ranks",
        "fastbp/distributed/engine.py",
        "cuts.shared(rows, self._lanes, self._parts, group.rank, group.size)",
        "cuts.shared(rows, self._lanes, group.size, group.rank, group.size)",
        BITS + "[clipped]",
    ),
    Break(
        "dropout_by_the_row_of_a_rank",
        "fastbp/distributed/stages.py",
        "self._plan[0, layout.FIRST_ROW] = cut.first",
        "self._plan[0, layout.FIRST_ROW] = 0",
        BITS + "[dropout]",
    ),
    Break(
        "update_without_penalties",
        "fastbp/distributed/stages.py",
        "hyper[settings.PENALTY_SCALE] = 1.0",
        "hyper[settings.PENALTY_SCALE] = 0.0",
        GRADIENT + "[penalty-ordered]",
    ),
    Break(
        "part_in_place_of_a_sum",
        "kernels/stages/part_gradients.py",
        "ADD if kind == ADD_LEAF or row > first else WRITE",
        "ADD if row > first else WRITE",
        GRADIENT + "[plain-ordered]",
    ),
    Break(
        "biases_without_a_part",
        "kernels/stages/part_gradients.py",
        "load(c, 0) + total if kind == ADD_LEAF else total",
        "total",
        GRADIENT + "[plain-ordered]",
    ),
    Break(
        "owner_forgets_what_came_first",
        "fastbp/distributed/exchange.py",
        "    add(left, right)\n    return left\n",
        "    return right\n",
        TREE + "[messages-100-3]",
    ),
    Break(
        "one_rank_cannot_stop_the_others",
        "fastbp/training/agreement.py",
        "told[:, 0].any()",
        "told[0, 0]",
        TRAINER + "test_one_rank_stops_all",
    ),
    Break(
        "a_learning_rate_of_each_rank",
        "fastbp/training/agreement.py",
        "told[0, 2].view(np.float64)",
        "told[core.group.rank, 2].view(np.float64)",
        TRAINER + "test_the_learning_rate_is_that_of_rank_0",
    ),
    Break(
        "parameters_of_each_rank",
        "fastbp/training/joining.py",
        "    group.comm.Bcast(core.net.arrays.parameters, 0)\n",
        "",
        TRAINER + "test_parameters_and_seed_are_those_of_rank_0",
    ),
    Break(
        "metrics_of_each_rank",
        "fastbp/distributed/group.py",
        "found = compute() if self.rank == 0 else None",
        "found = compute()",
        TRAINER + "test_metrics_are_computed_on_rank_0_alone",
    ),
    Break(
        "depth_of_a_failure_forgotten",
        "fastbp/distributed/group.py",
        "if depth < self._settled:",
        "if depth > 0:",
        GROUP + "test_ranks_may_be_at_different_depths_when_one_fails[before]",
    ),
    Break(
        "mean_of_the_means_of_ranks",
        "fastbp/distributed/gradients.py",
        "rows / total",
        "1 / group.size",
        TRAINER + "test_gradients_of_all_ranks_are_averaged_by_their_rows",
    ),
    Break(
        "classes_balanced_on_each_rank",
        "fastbp/training/row_weights.py",
        "core.summed(counts)",
        "counts",
        LOCAL + "test_classes_are_balanced_over_all_rows",
    ),
    Break(
        "every_rank_takes_all_its_rows",
        "fastbp/distributed/local_job.py",
        "ends = (begins(counts, each, batches) for each in (number, number + 1))",
        "ends = ([0] * len(counts), counts)",
        LOCAL + "test_an_epoch_sees_every_row_once",
    ),
    Break(
        "all_ranks_round_their_rows_alike",
        "fastbp/distributed/local_job.py",
        "+ rank * batches)",
        "+ 0 * rank)",
        LOCAL + "test_updates_of_ranks_with_few_rows_each",
    ),
    Break(
        "a_part_of_an_epoch_with_whole_batches",
        "fastbp/training/array_loop.py",
        "rows = max(1, self._taken())",
        "rows = cursor.row",
        LOCAL + "test_the_loss_of_a_part_of_an_epoch_is_the_mean_over_its_rows",
    ),
    Break(
        "targets_of_no_rows_have_a_shape",
        "fastbp/training/membership.py",
        "[each for each in told if len(each)] or told[:1]",
        "told",
        LOCAL + "test_metrics_of_labels_where_a_rank_has_none",
    ),
    Break(
        "weights_of_validation_on_each_rank",
        "fastbp/training/membership.py",
        "return self.joined(None if weights is None else np.array([weights.any()]))",
        "return None if weights is None else np.array([weights.any()])",
        LOCAL + "test_validation_rows_of_a_rank_may_have_no_weight",
    ),
    Break(
        "weights_of_a_rank_without_rows_are_resumed",
        "fastbp/training/resume.py",
        '*("X", "y", "sample_weight"),',
        '*("X", "y"),',
        LOCAL + "test_weights_are_resumed_where_a_rank_has_no_rows",
    ),
    Break(
        "calls_within_one_that_has_ended",
        "fastbp/distributed/group.py",
        "if len(self._calls) < self._settled:",
        "if self._settled > 0:",
        GROUP + "test_nothing_begins_in_a_call_that_has_ended",
    ),
    Break(
        "a_group_for_each_trainer",
        "fastbp/distributed/group.py",
        "if found is None or found.comm != comm:",
        "if found is None or found.comm == comm:",
        GROUP + "test_trainers_on_one_communicator_have_one_group",
    ),
    Break(
        "keyboard_interrupt_of_a_programs_own_handler",
        "fastbp/distributed/interrupts.py",
        "not callable(usual):",
        "usual is not signal.default_int_handler:",
        GROUP + "test_ctrl_c_is_kept_from_a_handler_of_the_programs_own",
    ),
    Break(
        "a_second_ctrl_c_waits",
        "fastbp/distributed/group.py",
        "        if self._interrupts.again:\n            self._settled = 0\n",
        "",
        GROUP + "test_a_second_ctrl_c_waits_for_no_meeting",
    ),
    Break(
        "an_error_of_one_rank_in_on_fit_end",
        "fastbp/training/fitting.py",
        'with self.watch, self.core.together("the updates of a fit"):',
        "with self.watch:",
        TRAINER + "test_all_ranks_have_an_error_before_on_fit_end",
    ),
    Break(
        "other_arguments_of_fit_on_a_rank",
        "fastbp/training/fitting.py",
        "check_alike(self.core, self.asked | self._events())",
        "check_alike(self.core, {})",
        TRAINER + "test_other_arguments_of_fit_are_told_apart[shuffle]",
    ),
    Break(
        "parameters_that_a_rank_has_set",
        "fastbp/training/agreement.py",
        '"the checksum of the parameters": int(bits)',
        '"the checksum of the parameters": 0 * int(bits)',
        TRAINER + "test_parameters_that_one_rank_has_set",
    ),
    Break(
        "processors_for_the_ranks_of_a_communicator_alone",
        "fastbp/distributed/hosts.py",
        "max(len(peers), others)",
        "len(peers)",
        SHARES + "test_ranks_outside_the_communicator_count_too",
    ),
    Break(
        "each_rank_has_the_whole_quota",
        "fastbp/distributed/hosts.py",
        "granted // _ranks_here()",
        "granted",
        SHARES + "test_a_quota_is_divided",
    ),
)
