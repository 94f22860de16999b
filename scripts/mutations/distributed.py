"""Breaks of training on several ranks."""

from .row import Break

BITS = "tests/distributed/test_bits.py::test_one_hash_for_one_to_eight_ranks"
GRADIENT = "tests/distributed/test_bits.py::test_gradients_are_those_of_one_trainer"
TREE = "tests/distributed/test_cuts.py::test_the_exchange_adds_in_the_order_of_the_tree"
TRAINER = "tests/distributed/test_trainer.py::"
GROUP = "tests/distributed/test_group.py::"
LOCAL = "tests/distributed/test_local.py::"
ROUNDED = "tests/distributed/test_rounded.py::"
OVERLAP = "tests/distributed/test_overlap.py::"

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
        "return cuts.part(here, number, count)",
        "return 0, here",
        LOCAL + "test_an_epoch_sees_every_row_once",
    ),
    Break(
        "bfloat16_cuts_digits_off",
        "kernels/ir/bfloat16.py",
        "builder.add(builder.add(digits, _all(HALF, n)), odd)",
        "builder.add(digits, odd)",
        ROUNDED + "test_a_number_goes_to_the_nearest[kernel]",
    ),
    Break(
        "half_goes_up",
        "kernels/ir/bfloat16.py",
        "builder.add(builder.add(digits, _all(HALF, n)), odd)",
        "builder.add(digits, _all(HALF + 1, n))",
        ROUNDED + "test_half_goes_to_even[kernel]",
    ),
    Break(
        "nothing_is_left_over",
        "kernels/stages/rounding.py",
        "finite_or_zero(exact - near)",
        "0.0",
        ROUNDED + "test_without_what_is_left_the_same_is_lost_in_every_update[rank]",
    ),
    Break(
        "nan_becomes_zero_on_the_way",
        "kernels/ir/bfloat16.py",
        "builder.select(is_nan, _all(NOT_A_NUMBER, n), near)",
        "near",
        ROUNDED + "test_what_is_not_finite_stays_so_and_leaves_nothing[kernel]",
    ),
    Break(
        "the_sum_loses_what_its_owner_has_left",
        "fastbp/distributed/rounded.py",
        "self._of_sum[number].round(total, mine)",
        "Rounding(last - first).round(total, mine)",
        ROUNDED + "test_without_what_is_left_the_same_is_lost_in_every_update[owner]",
    ),
    Break(
        "exchanged_before_it_is_computed",
        "fastbp/distributed/overlap.py",
        "number = len(self._begun)",
        "number = -1 - len(self._begun)",
        OVERLAP + "test_overlap_changes_no_bit[clipped]",
    ),
    Break(
        "a_layer_of_another_portion",
        "kernels/stages/part_gradients.py",
        "range(layers[1] - 1, layers[0] - 1, -1)",
        "range(layers[1] - 1, layers[0], -1)",
        GRADIENT + "[plain-ordered]",
    ),
)
