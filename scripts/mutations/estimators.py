"""Breaks of scikit-learn's estimators, and of what L-BFGS has for them."""

from .row import Break

OURS = "tests/api/test_sklearn_estimators.py::"
FULL_BATCH = OURS + "test_full_batches_train_as_scikit_learns"
LBFGS = "tests/api/test_lbfgs.py::"

ESTIMATORS = (
    Break(
        "biases_are_drawn_before_weights",
        "fastbp/sklearn/parts.py",
        "        weights.append(random.uniform(-bound, bound, (n_in, n_out)))\n"
        "        biases.append(random.uniform(-bound, bound, n_out))\n",
        "        biases.append(random.uniform(-bound, bound, n_out))\n"
        "        weights.append(random.uniform(-bound, bound, (n_in, n_out)))\n",
        OURS + "test_the_initial_weights_are_scikit_learns",
    ),
    Break(
        "logistic_layers_are_drawn_like_others",
        "fastbp/sklearn/parts.py",
        "2.0 if activation",
        "6.0 if activation",
        OURS + "test_the_initial_weights_are_scikit_learns",
    ),
    Break(
        "the_penalty_forgets_the_weights_of_rows",
        "fastbp/sklearn/parts.py",
        "given.alpha / (summed * mean_weight * scale)",
        "given.alpha / (summed * scale)",
        FULL_BATCH,
    ),
    Break(
        "lbfgs_has_the_penalty_of_a_batch",
        "fastbp/sklearn/parts.py",
        "summed = rows if is_full_batch(given) else batch_size",
        "summed = batch_size - 1 if is_full_batch(given) else batch_size",
        FULL_BATCH,
    ),
    Break(
        "sgd_takes_the_mean_over_labels",
        "fastbp/sklearn/parts.py",
        "SGD(given.learning_rate_init * scale,",
        "SGD(given.learning_rate_init,",
        FULL_BATCH,
    ),
    Break(
        "a_poisson_loss_without_its_constant",
        "fastbp/sklearn/objective.py",
        "loss * self.reported_scale + self.constant",
        "loss * self.reported_scale",
        FULL_BATCH,
    ),
    Break(
        "predictions_forget_what_was_written",
        "fastbp/sklearn/base.py",
        "            self._push()\n",
        "",
        OURS + "test_what_is_written_into_the_arrays_is_what_predicts",
    ),
    Break(
        "lists_go_stale",
        "fastbp/sklearn/coefficients.py",
        "if self._lists is None or not _same(now, self._as_given):",
        "if self._lists is None:",
        OURS + "test_lists_follow_the_network",
    ),
    Break(
        "the_last_weights_stay_after_early_stopping",
        "fastbp/sklearn/solvers.py",
        "self.net_.arrays.set_layers(self._best_layers)",
        "self._best_layers.clear()",
        OURS + "test_early_stopping_holds_out_the_same_rows",
    ),
    Break(
        "the_average_is_not_what_predicts",
        "fastbp/sklearn/solvers.py",
        "        elif self.ema_decay is not None:\n",
        "        elif self.ema_decay == 0:\n",
        OURS + "test_the_average_is_what_predicts",
    ),
    Break(
        "partial_fit_begins_anew",
        "fastbp/sklearn/solvers.py",
        "goes_on = task.incremental and",
        "goes_on = not task.incremental and",
        OURS + "test_parts_of_any_size_train_with_their_own_penalty",
    ),
    Break(
        "a_part_keeps_the_penalty_of_the_first",
        "fastbp/sklearn/solvers.py",
        "if arguments != self._arguments:",
        "if not arguments:",
        OURS + "test_parts_of_any_size_train_with_their_own_penalty",
    ),
    Break(
        "a_rate_that_falls_is_not_set",
        "fastbp/sklearn/epochs.py",
        "            state.trainer.lr = self._optimizer.learning_rate * objective.scale\n",
        "            pass\n",
        OURS + "test_learning_rates_follow_scikit_learns",
    ),
    Break(
        "every_epoch_counts_as_better",
        "fastbp/sklearn/epochs.py",
        "self.loss_ > self.best_loss_ - self.tol",
        "self.loss_ > self.best_loss_",
        OURS + "test_learning_rates_follow_scikit_learns",
    ),
    Break(
        "the_fast_path_takes_x_without_its_names",
        "fastbp/sklearn/base.py",
        'if "feature_names_in_" not in vars(self):',
        "if self._has_network:",
        OURS + "test_names_of_columns_are_compared",
    ),
    Break(
        "classes_of_words_are_not_sorted_out",
        "fastbp/sklearn/classifier.py",
        "np.searchsorted(self.classes_, y)",
        "np.searchsorted(self.classes_, y, side='right') % len(self.classes_)",
        FULL_BATCH,
    ),
    Break(
        "a_single_class_may_be_wrong",
        "fastbp/sklearn/classifier.py",
        " | (len(self.classes_) == 1)",
        "",
        OURS + "test_a_single_class_is_always_right",
    ),
    Break(
        "held_out_rows_are_a_part_of_the_loss",
        "fastbp/sklearn/solvers.py",
        "        task.objective = self._objective(task.rows)\n",
        "",
        OURS + "test_rows_that_are_held_out_are_no_part_of_the_loss",
    ),
    Break(
        "a_part_must_have_all_classes_with_weights",
        "fastbp/sklearn/classifier.py",
        "        if y.ndim > 1:\n",
        "        if y.ndim >= 1:\n",
        OURS + "test_parts_need_not_have_all_classes_that_have_weights",
    ),
    Break(
        "validation_data_may_have_other_classes",
        "fastbp/sklearn/base.py",
        "        self._check_validation_targets(y)\n",
        "",
        OURS + "test_classes_that_only_validation_data_have_are_named",
    ),
    Break(
        "rounded_lists_are_another_change",
        "fastbp/sklearn/coefficients.py",
        "np.asarray(array).astype(known.dtype, copy=False)",
        "np.asarray(array)",
        OURS + "test_lists_of_another_dtype_are_taken_once",
    ),
    Break(
        "a_part_copies_all_parameters",
        "fastbp/sklearn/base.py",
        "is_new = not self._has_parameters or",
        'is_new = not hasattr(self, "coefs_") or',
        OURS + "test_a_part_of_the_rows_trains_without_a_copy_of_the_parameters",
    ),
    Break(
        "threads_that_a_process_lacks_are_asked_for",
        "fastbp/sklearn/parts.py",
        "min(given.n_threads, threads.most())",
        "given.n_threads",
        OURS + "test_more_threads_than_a_process_has_are_all_of_them",
    ),
    Break(
        "a_gain_that_is_small_is_no_end",
        "fastbp/training/lbfgs_search.py",
        '"ftol": rule.loss_tolerance,',
        '"ftol": 0.0,',
        LBFGS + "test_an_iteration_that_gains_little_is_the_last",
    ),
    Break(
        "evaluations_have_no_limit",
        "fastbp/training/lbfgs_search.py",
        "rule.max_evaluations or _never_reached",
        "_never_reached",
        LBFGS + "test_evaluations_are_limited",
    ),
    Break(
        "the_end_of_an_earlier_search_stays",
        "fastbp/training/lbfgs_loop.py",
        "        self._fit.core.outcome = None\n",
        "",
        LBFGS + "test_fit_ends_with_stop_training",
    ),
)
