"""Breaks of a learned scaling of the inputs."""

from .row import Break

LAWS = "tests/laws/test_learned_scaling.py::"
API = "tests/api/test_input_scaling.py::"
GRADIENTS = LAWS + "test_updates_of_s_and_of_w_are_by_their_gradients"
THREADS = LAWS + "test_the_bits_do_not_depend_on_the_threads"
NONZEROS = "tests/laws/test_nonzeros.py::test_every_option_has_the_bits_of_dense_rows"

INPUT_SCALING = (
    Break(
        "slope_of_a_scale_by_its_last_panel",
        "kernels/stages/input_scaling.py",
        "fma(load(w, i * n_lanes), slope, load(total, 0))",
        "load(w, i * n_lanes) * slope",
        GRADIENTS + "[many-plain-numba]",
    ),
    Break(
        "gradient_of_w_without_its_scale",
        "kernels/stages/input_scaling.py",
        "store(g, i * n_lanes, slope * get(scale, first + i))",
        "store(g, i * n_lanes, slope)",
        GRADIENTS + "[many-plain-numba]",
    ),
    Break(
        "scale_at_the_rate_of_the_weights",
        "kernels/stages/input_scaling.py",
        " * hyper[plan[1, P.SCALING_RATE]]",
        "",
        LAWS + "test_twenty_steps_follow_torch_with_a_layer_that_scales[adam-float32-numba]",
    ),
    Break(
        "scale_without_the_rate_of_its_layer",
        "kernels/stages/input_scaling.py",
        " * hyper[H.of_layer(_FIRST, H.LR_FACTOR)]",
        "",
        LAWS + "test_rates_of_layers_and_schedules_are_those_of_the_scale_too[numba]",
    ),
    Break(
        "slopes_of_the_update_before_are_kept",
        "kernels/stages/input_scaling.py",
        "            store(slopes, j, splat(slopes, 0.0))\n",
        "            pass\n",
        GRADIENTS + "[many-plain-numba]",
    ),
    Break(
        "changes_in_the_last_panel_alone_are_seen",
        "kernels/stages/input_scaling.py",
        "found + select(other, 1.0, 0.0)",
        "select(other, 1.0, 0.0)",
        API + "test_inputs_whose_weights_stay_keep_their_scale[0-numba]",
    ),
    Break(
        "a_scale_that_starts_anew_keeps_its_momentum",
        "kernels/stages/input_scaling.py",
        "for kind in range(1, _kept(plan)):",
        "for kind in range(2, _kept(plan)):",
        API + "test_moments_of_the_scale_start_anew_with_it[numba]",
    ),
    Break(
        "average_of_w_and_not_of_the_product",
        "kernels/stages/update.py",
        "if plan[0, P.AVERAGE] >= 0 and not scaled:",
        "if plan[0, P.AVERAGE] >= 0:",
        LAWS + "test_the_average_is_that_of_the_product[numba]",
    ),
    Break(
        "small_batches_share_the_inputs_of_a_scale",
        "kernels/stages/update.py",
        "if panels >= workers and not scales_inputs(plan, layer):",
        "if panels >= workers:",
        THREADS + "[sgd-at once]",
    ),
    Break(
        "workers_share_a_vector_of_scales",
        "kernels/stages/update.py",
        "    if not scales_inputs(plan, layer):\n        return part(",
        "    if True:\n        return part(",
        THREADS + "[sgd-at once]",
    ),
    Break(
        "stored_gradients_are_applied_by_panels_of_a_scale",
        "kernels/stages/update.py",
        "        if scales_inputs(plan, layer):\n            span, inputs",
        "        if False:\n            span, inputs",
        THREADS + "[sgd-stored]",
    ),
    Break(
        "nonzeros_write_the_product_too_early",
        "kernels/stages/sparse_layer.py",
        "if mode == UPDATE and (panels[0] + panels[1]) * lanes(g) >= plan[1, P.OUTPUTS]:",
        "if mode == UPDATE and panels[0] == 0:",
        NONZEROS + "[input_scaling-sgd]",
    ),
    Break(
        "twin_of_the_gradient_without_the_scale",
        "kernels/reference/factors.py",
        "(W * gradient).sum(axis=1), s[:, None] * gradient",
        "(W * gradient).sum(axis=1), gradient",
        LAWS + "test_gradients_of_factors_equal_central_differences",
    ),
    Break(
        "twin_keeps_a_scale_whose_weights_are_set",
        "fastbp/runtime/numpy_updates.py",
        "W[anew], s[anew] = weights[anew], 1",
        "W[anew] = weights[anew]",
        API + "test_weights_that_are_set_start_anew[numpy]",
    ),
    Break(
        "pickles_forget_the_scale",
        "fastbp/training/core.py",
        'input_scaling.restore(core, rest.pop("_input_scaling", None))',
        'rest.pop("_input_scaling", None)',
        API + "test_a_kept_trainer_goes_on_to_the_bit",
    ),
    Break(
        "files_forget_the_scale",
        "fastbp/training/checkpoints.py",
        "        input_scaling.restore(core, self.scaling)\n",
        "",
        API + "test_a_kept_trainer_goes_on_to_the_bit",
    ),
    Break(
        "a_snapshot_forgets_the_scale",
        "fastbp/training/snapshot.py",
        "arrays.moments, arrays.input_scaling, arrays.hyper",
        "arrays.moments, arrays.hyper",
        API + "test_a_batch_that_is_refused_brings_the_scale_back[numba]",
    ),
    Break(
        "a_replaced_trainer_forgets_the_scale",
        "fastbp/training/replacement.py",
        "    input_scaling.restore(new, input_scaling.state(core))\n",
        "",
        API + "test_a_replaced_trainer_keeps_its_scale[numba]",
    ),
    Break(
        "a_reset_optimizer_keeps_the_scale",
        "fastbp/training/core.py",
        "            input_scaling.begin(self)\n",
        "",
        API + "test_a_reset_optimizer_begins_anew[numba]",
    ),
)
