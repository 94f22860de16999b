"""Breaks of means and variances: their losses, ensembles of them, and figures of calibration."""

from .row import Break

LAW = "tests/laws/test_variances.py::"
ENSEMBLE = "tests/api/test_gaussian_ensemble.py::"
EMBEDDED = "tests/api/test_embed_ensemble.py::"
FIGURES = "tests/unit/test_calibration.py::"
MEAN_AND_STD = EMBEDDED + "test_mean_and_deviation_are_the_ensembles[1-plain-"

UNCERTAINTY = (
    Break(
        "beta_weighs_the_mean_alone",
        "kernels/stages/extended_losses.py",
        "by_s = (1.0 - excess) * (0.5 * scale) * weight",
        "by_s = (1.0 - excess) * (0.5 * scale)",
        LAW + "test_gradients_equal_central_differences[beta_nll-many]",
    ),
    Break(
        "an_unknown_target_trains_the_variance",
        "kernels/stages/extended_losses.py",
        "store(delta, half * n_lanes + i, select(unknown, 0.0, by_s))",
        "store(delta, half * n_lanes + i, by_s)",
        LAW + "test_an_entry_that_is_not_known_has_neither_loss_nor_gradient[numba]",
    ),
    Break(
        "a_weight_without_limit",
        "kernels/stages/extended_losses.py",
        "value = value + weight * 0.0  # NaN",
        "value = value  # NaN",
        LAW + "test_an_infinite_weight_of_the_gradient_changes_nothing[float64-numba]",
    ),
    Break(
        "an_infinite_target_is_unknown",
        "kernels/stages/losses.py",
        "bad = bad | (fabs(t) >= math.inf)",
        "bad = bad | (t < -math.inf)",
        LAW + "test_infinite_targets_are_refused_still[inf-float64-numba]",
    ),
    Break(
        "weights_of_rows_forget_the_unknown",
        "fastbp/components/losses.py",
        "            return self.ignores_nan\n        return not",
        "            return False\n        return not",
        LAW + "test_fit_equals_steps_with_weights_divided_by_the_mean_of_entries[float64-numba]",
    ),
    Break(
        "line_searches_take_a_weighted_gradient",
        "fastbp/training/setup.py",
        "        losses.check_has_objective(loss)\n",
        "",
        LAW + "test_a_search_along_lines_is_refused",
    ),
    Break(
        "variances_are_not_averaged",
        "fastbp/model/averaging.py",
        "sums.variances[:] += np.exp(",
        "sums.variances[:] = np.exp(",
        ENSEMBLE + "test_the_deviation_is_that_of_the_mixture[1.0-float64]",
    ),
    Break(
        "squares_of_single_precision",
        "fastbp/model/averaging.py",
        "d = p.astype(np.float64)",
        "d = p.copy()",
        ENSEMBLE + "test_the_deviation_is_that_of_the_mixture[1e-25-float32]",
    ),
    Break(
        "the_likelihood_is_lost_in_the_file",
        "fastbp/model/ensemble.py",
        "return cls(nets, likelihood)",
        "return cls(nets, None)",
        ENSEMBLE + "test_a_file_keeps_the_likelihood",
    ),
    Break(
        "an_embedded_ensemble_forgets_the_count",
        "kernels/entry/ensemble_server.py",
        "put(p, at, d / number)",
        "put(p, at, d / 2)",
        MEAN_AND_STD + "None-Python-float32]",
    ),
    Break(
        "an_embedded_ensemble_has_deviations_for_variances",
        "kernels/entry/ensemble_server.py",
        "put(sums, i, get(sums, i) + math.exp(s))",
        "put(sums, i, get(sums, i) + math.exp(0.5 * s))",
        MEAN_AND_STD + "gaussian-Python-float32]",
    ),
    Break(
        "std_may_lie_in_x",
        "kernels/entry/ensemble_server.py",
        "if shared or _overlap(request, _X, _Y, itemsize):",
        "if shared:",
        EMBEDDED + "test_arrays_that_share_memory_are_refused[Python]",
    ),
    Break(
        "a_model_survives_the_first_scaling",
        "fastbp/model/averaging.py",
        "            net.arrays.followers.add(follower)\n",
        "            pass\n",
        EMBEDDED + "test_a_network_that_begins_to_scale_ends_the_model",
    ),
    Break(
        "the_networks_of_a_model_are_freed",
        "fastbp/runtime/ensemble_handle.py",
        "    keep(header, members, networks)\n",
        "",
        EMBEDDED + "test_its_memory_is_freed_with_it",
    ),
    Break(
        "slots_of_an_ensemble_stay_busy_in_a_fork",
        "fastbp/runtime/ensemble_handle.py",
        "    enroll(header)\n",
        "",
        EMBEDDED + "test_slots_are_free_in_a_forked_process",
    ),
    Break(
        "an_ensemble_in_the_place_of_a_trainer",
        "kernels/entry/ensemble_server.py",
        "        status = NO_MODEL\n",
        "        pass\n",
        EMBEDDED + "test_a_header_in_the_place_of_a_trainers_is_refused",
    ),
    Break(
        "crps_without_its_constant",
        "fastbp/calibration.py",
        "(z * inside + density - 1 / math.sqrt(math.pi))",
        "(z * inside + density)",
        FIGURES + "test_crps_is_the_integral_of_the_squared_distance_of_the_distributions",
    ),
    Break(
        "intervals_of_one_side",
        "fastbp/calibration.py",
        "inv_cdf(0.5 + 0.5 * ",
        "inv_cdf(1.0 * ",
        FIGURES + "test_intervals_are_scipys",
    ),
)
