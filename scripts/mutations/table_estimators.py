"""Breaks of the estimators for tables."""

from .row import Break

MEMBERS = "tests/tabular/test_members.py::"
ESTIMATORS = "tests/tabular/test_estimators.py::"
CALIBRATION = "tests/tabular/test_calibration.py::"
FILE = "tests/tabular/test_table_file.py::"

TABLE_ESTIMATORS = (
    Break(
        "members_train_on_their_folds",
        "fastbp/tabular/members.py",
        "validation_rows=held,",
        "validation_data=held is not None and (data.X[held], data.y[held]) or data.validation,",
        MEMBERS + "test_rows_that_are_held_out_teach_nothing",
    ),
    Break(
        "the_first_of_equal_epochs_stays",
        "fastbp/tabular/watch.py",
        "if found <= self._best:",
        "if found < self._best:",
        MEMBERS + "test_a_member_is_a_fit_of_the_other_rows_with_the_best_epoch",
    ),
    Break(
        "the_last_epoch_stays",
        "fastbp/tabular/watch.py",
        "        if self._layers:\n",
        "        if self._layers and state.is_cut:\n",
        MEMBERS + "test_a_member_is_a_fit_of_the_other_rows_with_the_best_epoch",
    ),
    Break(
        "one_that_diverges_predicts_too",
        "fastbp/tabular/members.py",
        "if one.rank == best]",
        "if one.rank >= best]",
        MEMBERS + "test_one_that_diverges_does_not_stop_the_others",
    ),
    Break(
        "a_stop_is_for_one_member",
        "fastbp/tabular/members.py",
        "        except StopTraining:\n            self._stop.set()\n",
        "        except StopTraining:\n            raise\n",
        MEMBERS + "test_stop_training_ends_all_and_keeps_the_best",
    ),
    Break(
        "ctrl_c_loses_the_weights",
        "fastbp/tabular/members.py",
        "            except KeyboardInterrupt:\n                self.was_interrupted = True\n",
        "            except KeyboardInterrupt:\n                raise\n",
        MEMBERS + "test_ctrl_c_keeps_the_best_weights",
    ),
    Break(
        "later_rounds_have_all_the_time",
        "fastbp/tabular/clock.py",
        "seconds = PACE * self.left / rounds",
        "seconds = PACE * self.left",
        MEMBERS + "test_epochs_and_members_are_planned",
    ),
    Break(
        "folds_without_their_share_of_classes",
        "fastbp/tabular/holdouts.py",
        "np.lexsort((generator.random(len(spare)), kind[spare]))",
        "generator.permutation(len(spare))",
        MEMBERS + "test_folds_are_disjoint_and_stratified",
    ),
    Break(
        "the_only_row_of_a_class_is_held_out",
        "fastbp/tabular/holdouts.py",
        "counts[kind] > 1",
        "counts[kind] > 0",
        MEMBERS + "test_few_rows",
    ),
    Break(
        "first_weights_forget_what_inputs_are",
        "fastbp/tabular/recipe.py",
        "[max(1.0, task.square), *map(float, self.hidden)]",
        "[float(task.n_in), *map(float, self.hidden)]",
        "tests/tabular/test_recipe.py::test_the_first_layer_has_the_variance_of_ntk",
    ),
    Break(
        "a_temperature_that_ignores_weights",
        "fastbp/tabular/calibration.py",
        "axis=1) - meant / t, weights=weights))",
        "axis=1) - meant / t))",
        CALIBRATION + "test_no_other_temperature_is_better",
    ),
    Break(
        "few_rows_that_are_right_are_sure",
        "fastbp/tabular/calibration.py",
        "share = logs[np.arange(len(p)), codes], 1 / (len(p) + 1)",
        "share = logs[np.arange(len(p)), codes], 0",
        CALIBRATION + "test_rows_that_are_all_right_give_a_finite_temperature",
    ),
    Break(
        "probabilities_to_the_power_of_t",
        "fastbp/tabular/calibration.py",
        "dtype=np.float64)) / t",
        "dtype=np.float64)) * t",
        CALIBRATION + "test_no_other_temperature_is_better",
    ),
    Break(
        "quantiles_of_the_first_member",
        "fastbp/tabular/residuals.py",
        "part.reshape(members * POINTS, rows, targets)",
        "part[0].reshape(POINTS, rows, targets)",
        CALIBRATION + "test_quantiles_are_those_of_all_members_and_errors",
    ),
    Break(
        "a_deviation_of_members_alone",
        "fastbp/tabular/residuals.py",
        "dtype=np.float64) + self.squares)",
        "dtype=np.float64))",
        CALIBRATION + "test_the_deviation_has_both_parts",
    ),
    Break(
        "predictions_beyond_the_range",
        "fastbp/tabular/targets.py",
        "return self.clamped(outputs * self.scale + self.mean)",
        "return outputs * self.scale + self.mean",
        "tests/tabular/test_targets.py::test_units_standardize_and_restore",
    ),
    Break(
        "nan_in_text_is_a_label",
        "fastbp/tabular/targets.py",
        "np.array(y, object) if isinstance(y, list | tuple) else _from_package(y)",
        "_from_package(y)",
        "tests/tabular/test_targets.py::test_missing_labels_are_seen",
    ),
    Break(
        "rows_of_weight_0_stay",
        "fastbp/tabular/rows.py",
        "rows = rows.only(weights > 0)",
        "rows = rows.only(weights >= 0)",
        ESTIMATORS + "test_rows_of_weight_0_are_left_out",
    ),
    Break(
        "rows_are_counted_from_their_part",
        "fastbp/tabular/base.py",
        "table.slice(start, AT_ONCE), first=start)",
        "table.slice(start, AT_ONCE))",
        ESTIMATORS + "test_parts_of_a_table_do_not_matter",
    ),
    Break(
        "class_weights_forget_those_of_rows",
        "fastbp/tabular/rows.py",
        "factors if self.weights is None else self.weights * factors",
        "factors",
        ESTIMATORS + "test_class_weights_are_weights_of_rows",
    ),
    Break(
        "scores_of_rows_that_were_trained_on",
        "fastbp/tabular/left_out.py",
        "rows = [one.member.held for one in trained]",
        "rows = [np.arange(len(targets)) for one in trained]",
        ESTIMATORS + "test_validation_scores_are_of_rows_that_members_did_not_see",
    ),
    Break(
        "a_file_without_its_temperature",
        "fastbp/tabular/model_file.py",
        '{"temperature": model.temperature_}',
        '{"temperature": 1.0}',
        FILE + "test_a_classifier_comes_back",
    ),
    Break(
        "a_file_with_networks_of_another_size",
        "fastbp/tabular/model_file.py",
        "if (net.sizes[0], net.sizes[-1]) != wanted:",
        "if net.sizes[0] != wanted[0]:",
        FILE + "test_wrong_content_is_refused",
    ),
)
