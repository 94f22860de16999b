"""Breaks of training on several ranks."""

from .row import Break

BITS = "tests/distributed/test_bits.py::test_one_hash_for_one_to_eight_ranks"
GRADIENT = "tests/distributed/test_bits.py::test_gradients_are_those_of_one_trainer"
TREE = "tests/distributed/test_cuts.py::test_the_exchange_adds_in_the_order_of_the_tree"
TRAINER = "tests/distributed/test_trainer.py::"
GROUP = "tests/distributed/test_group.py::"
LOCAL = "tests/distributed/test_local.py::"
SCALARS = "tests/distributed/test_scalars.py::"
LBFGS = "tests/distributed/test_lbfgs.py::"
TABLES = "tests/tabular/test_ranks.py::"
COMMAND = "tests/command/test_ranks.py::"

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
        "scalars_of_each_rank",
        "fastbp/distributed/scalars.py",
        "self._bits[:] = bits",
        "self._bits[:] = self._bits",
        SCALARS + "test_the_bits_are_those_of_rank_0[radam]",
    ),
    Break(
        "rates_of_dropout_of_each_rank",
        "fastbp/distributed/scalars.py",
        "self._hyper[settings.STEP_DROPOUT] = self._group.first(rate)",
        "self._group.first(rate)",
        SCALARS + "test_the_bits_are_those_of_rank_0[adam]",
    ),
    Break(
        "scalars_stay_given",
        "fastbp/distributed/scalars.py",
        "        finally:\n            self._hyper[settings.ARE_GIVEN] = 0.0\n",
        "        finally:\n            pass\n",
        SCALARS + "test_they_are_worked_out_anew_after_a_call",
    ),
    Break(
        "rates_are_tried_on_own_rows",
        "fastbp/training/lr_finder.py",
        "order = local_rows.order_of(core, order)",
        "local_rows.order_of(core, order)",
        LOCAL + "test_find_lr_is_over_all_rows",
    ),
    Break(
        "means_about_the_first_row_of_another",
        "fastbp/data/moments.py",
        "other.mean + (other.first - self.first)",
        "other.mean",
        LOCAL + "test_mean_and_scale_are_of_all_rows[False]",
    ),
    Break(
        "no_rank_may_be_without_rows",
        "fastbp/data/moments.py",
        "if self._takes_none and are_none(X):",
        "if False:",
        LOCAL + "test_mean_and_scale_are_of_all_rows[True]",
    ),
    Break(
        "a_last_part_without_weight_loses_the_penalty",
        "fastbp/training/lbfgs_ranks.py",
        "job.weights[0] = 1.0",
        "job.weights[0] = 0.0",
        LBFGS + "test_gradients_are_those_of_one_trainer[True-3]",
    ),
    Break(
        "ranks_forget_the_last_iteration",
        "fastbp/training/lbfgs_ranks.py",
        "kept[:] = parameters",
        "pass",
        LBFGS + "test_one_hash_for_one_to_eight_ranks[plain]",
    ),
    Break(
        "gradients_of_a_rank_alone",
        "fastbp/training/lbfgs_ranks.py",
        "sums.add(*found)",
        "pass",
        LBFGS + "test_gradients_are_those_of_one_trainer[False-1]",
    ),
    Break(
        "one_ctrl_c_is_two",
        "fastbp/distributed/interrupts.py",
        "self._taken < SECONDS_OF_ONE",
        "self._taken < 0.0",
        GROUP + "test_ctrl_c_that_comes_a_moment_later_is_the_same",
    ),
    Break(
        "every_rank_trains_every_network",
        "fastbp/tabular/ranks.py",
        "members[self.rank :: self.size]",
        "members",
        TABLES + "test_each_network_is_trained_once",
    ),
    Break(
        "a_callback_stops_its_rank_alone",
        "fastbp/tabular/ranks.py",
        "bool(told[:, 1].any())",
        "stops",
        TABLES + "test_a_callback_of_one_rank_stops_all",
    ),
    Break(
        "every_rank_does_what_one_should",
        "fastbp/command/main.py",
        "return 0 if rank else _exit_code(arguments)",
        "return _exit_code(arguments)",
        COMMAND + "test_what_is_not_shared_out_rank_0_does",
    ),
    Break(
        "every_rank_prints",
        "fastbp/command/main.py",
        "with ranks.silenced() if rank else nullcontext():",
        "with nullcontext():",
        COMMAND + "test_the_model_is_that_of_one_process",
    ),
)
