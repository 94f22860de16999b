"""Breaks of training on derivatives."""

from .row import Break

LAWS = "tests/laws/test_derivatives.py::"
API = "tests/api/test_derivatives.py::"
GRADIENTS = LAWS + "test_gradients_equal_central_differences"
AGREE = LAWS + "test_engines_agree"
FORWARD, BACKWARD, LOSS, NORM, UPDATE = (
    f"kernels/stages/tangent_{name}.py"
    for name in ("forward", "backward", "loss", "norm", "update")
)

ADJOINTS = "kernels/stages/adjoints.py"

DERIVATIVES = (
    Break(
        "no_bend_of_hidden_activations",
        BACKWARD,
        "error = fma(dot * load(zdot, i), bend, error)",
        "pass",
        GRADIENTS + "[more outputs-jacobian-numba]",
    ),
    Break(
        "no_bend_of_the_output",
        LOSS,
        "error = fma(rate * zdot, second, error)",
        "pass",
        GRADIENTS + "[no hidden layer-jacobian-numba]",
    ),
    Break(
        "softmax_without_what_its_sum_gives_back",
        LOSS,
        "of_p = of_p - mass * s",
        "of_p = of_p",
        GRADIENTS + "[classes-jacobian-numba]",
    ),
    Break(
        "biases_have_gradients_of_tangents",
        UPDATE,
        "mode, span, vectors * n_lanes)",
        "mode, span, whole * n_lanes)",
        GRADIENTS + "[odd-jacobian-numba]",
    ),
    Break(
        "weights_have_no_gradients_of_tangents",
        UPDATE,
        "scratch, coef, mode, span, whole)",
        "scratch, coef, mode, span, vectors)",
        GRADIENTS + "[odd-directions-numba]",
    ),
    Break(
        "gains_have_no_gradients_of_tangents",
        UPDATE,
        "        add_gains_of_tangents(plan, arenas[2], layer, panel, (vectors, whole), scratch)\n",
        "",
        GRADIENTS + "[normalized-jacobian-numba]",
    ),
    Break(
        "norm_of_tangents_without_the_change_of_deviation",
        NORM,
        "x = fma(load(n, i), -along, load(z, i) - mean) * inverse",
        "x = (load(z, i) - mean) * inverse",
        AGREE + "[normalized-jacobian-float64]",
    ),
    Break(
        "norm_back_without_the_way_through_the_deviation",
        NORM,
        "mean, along = mean * (1.0 / units), fma(along, 1.0 / units, radial)",
        "mean, along = mean * (1.0 / units), along * (1.0 / units)",
        GRADIENTS + "[normalized-jacobian-numba]",
    ),
    Break(
        "tangents_of_residual_layers_without_their_inputs",
        FORWARD,
        "        _add_inputs(plan, table, layer, block, d)\n",
        "",
        AGREE + "[residual-jacobian-float64]",
    ),
    Break(
        "tangents_go_around_the_first_layer_at_another_unit",
        FORWARD,
        "store(a, direction * n_lanes, load(a, direction * n_lanes) + 1.0)",
        "store(a, 0, load(a, 0) + 1.0)",
        AGREE + "[residual-jacobian-float64]",
    ),
    Break(
        "tangents_take_the_first_row_of_weights",
        FORWARD,
        "w = offset(params, panel + d * n_lanes)",
        "w = offset(params, panel)",
        AGREE + "[more outputs-jacobian-float64]",
    ),
    Break(
        "weights_of_inputs_have_no_gradients_of_tangents",
        UPDATE,
        "                _add_tangents(plan, arenas[2], tile, counts, g, apart)\n",
        "                pass\n",
        GRADIENTS + "[more outputs-jacobian-numba]",
    ),
    Break(
        "weights_of_inputs_are_not_updated_by_tangents",
        UPDATE,
        "                _add_tangents(plan, arenas[2], tile, counts, scratch, size)\n",
        "",
        LAWS + "test_a_step_is_its_gradients[both-jacobian-float64]",
    ),
    Break(
        "gradients_of_inputs_take_one_vector_of_rows",
        UPDATE,
        "for start in range(0, blocks * apart * size, apart * size):",
        "for start in range(0, apart * size, apart * size):",
        GRADIENTS + "[more outputs-jacobian-numba]",
    ),
    Break(
        "errors_of_tangents_do_not_go_around",
        BACKWARD,
        "carry_error(plan, work, layer + 1, block, delta_of(plan, work, block, layer))",
        "carry_error(plan, work, layer + 1, vector, delta_of(plan, work, vector, layer))",
        GRADIENTS + "[residual-jacobian-numba]",
    ),
    Break(
        "tangents_drop_other_units",
        FORWARD,
        "counters = (counter(plan, vector * n_lanes, _ZERO, units), _ONE, units)",
        "counters = (counter(plan, vector * n_lanes + 1, _ZERO, units), _ONE, units)",
        LAWS + "test_engines_agree_on_options[both-jacobian-dropout]",
    ),
    Break(
        "directions_do_not_scale",
        FORWARD,
        "            to_raw_input_gradient(plan, x)  # a direction scales as the inputs do\n",
        "            pass\n",
        API + "test_derivatives_are_in_the_units_of_the_data[directions-both-numba]",
    ),
    Break(
        "an_infinite_derivative_is_taken",
        FORWARD,
        "if _has_infinity(y, table[T.TARGETS + N_COLUMNS]):",
        "if False:",
        API + "test_what_does_not_fit_is_refused[infinite-step-numba]",
    ),
    Break(
        "unknown_derivatives_are_zeros",
        LOSS,
        "return select(y == y, fma(y, -factor, pdot), pdot * 0.0)",
        "return select(y == y, fma(y, -factor, pdot), pdot)",
        API + "test_derivatives_that_are_not_known_count_for_nothing[numba]",
    ),
    Break(
        "rows_that_do_not_exist_have_derivatives",
        LOSS,
        "store(dots, i, select(exists, load(dots, i), 0.0))",
        "pass",
        GRADIENTS + "[more outputs-jacobian-numba]",
        "their weight, ROW_WEIGHT, is 0 already; it guards against a NaN times 0",
    ),
    Break(
        "adjoints_do_not_bend",
        ADJOINTS,
        "store(delta, i, fma(load(delta, i), load(rates, i), load(bend, i)))",
        "store(delta, i, load(delta, i) * load(rates, i))",
        GRADIENTS + "[odd-jacobian-numba]",
    ),
    Break(
        "the_last_output_alone_bends",
        ADJOINTS,
        "store(total, i, load(total, i) + some if k > 0 else some)",
        "store(total, i, some)",
        GRADIENTS + "[odd-jacobian-numba]",
    ),
    Break(
        "outputs_of_adjoints_do_not_bend",
        ADJOINTS,
        "            _bend_of_outputs(plan, work, v, vectors + v * count, count)\n",
        "            pass\n",
        GRADIENTS + "[fewer outputs-jacobian-numba]",
    ),
    Break(
        "adjoints_begin_at_the_first_output",
        ADJOINTS,
        "g, i = delta_of(plan, work, first + k, last), k * n_lanes",
        "g, i = delta_of(plan, work, first + k, last), _ZERO",
        AGREE + "[fewer outputs-jacobian-float64]",
    ),
    Break(
        "adjoints_drop_other_units",
        ADJOINTS,
        "counters = (counter(plan, vector * lanes(x), _ZERO, units), _ONE, units)",
        "counters = (counter(plan, vector * lanes(x) + 1, _ZERO, units), _ONE, units)",
        LAWS + "test_engines_agree_on_options[fewer outputs-jacobian-dropout]",
    ),
    Break(
        "errors_of_the_jacobian_end_at_the_first_layer",
        ADJOINTS,
        "store(q, i, x * load(rates, i))",
        "store(q, i, x * 0.0)",
        GRADIENTS + "[odd-jacobian-numba]",
    ),
    Break(
        "normalized_layers_have_adjoints",
        "fastbp/runtime/derivative_engine.py",
        "plain = not any(spec.normalized + spec.adds_inputs) and",
        "plain =",
        AGREE + "[normalized-jacobian-float64]",
    ),
    Break(
        "row_weights_do_not_reach_the_loss_of_derivatives",
        "kernels/entry/tangent_step.py",
        "weighted = loss * load(values, plan[0, P.ROW_WEIGHT])",
        "weighted = loss",
        API + "test_rows_have_weights_in_both_losses[numba]",
    ),
    Break(
        "twin_without_the_bend",
        "kernels/reference/tangents.py",
        "return error * first + bend, error_dots * first",
        "return error * first, error_dots * first",
        GRADIENTS + "[odd-jacobian-numpy]",
    ),
    Break(
        "second_derivative_of_tanh_with_the_wrong_sign",
        "kernels/primitives/elementwise.py",
        "return a * -2.0 * fma(-a, a, 1.0)",
        "return a * 2.0 * fma(-a, a, 1.0)",
        "tests/unit/test_kernels.py::test_second_derivative_equals_its_twin[tanh-float32]",
    ),
    Break(
        "derivatives_of_scaled_inputs_in_raw_units",
        "fastbp/runtime/arrays.py",
        "factors = factors / arrays.scales.input_factor",
        "factors = factors / np.ones_like(arrays.scales.input_factor)",
        API + "test_derivatives_are_in_the_units_of_the_data[jacobian-both-numpy]",
    ),
    Break(
        "held_out_rows_lose_their_derivatives",
        "fastbp/training/validation.py",
        "held_out = Dataset(data.x.take(others), y, data.names, weights, known)",
        "held_out = Dataset(data.x.take(others), y, data.names, weights)",
        API + "test_held_out_rows_have_their_derivatives[numpy]",
    ),
    Break(
        "a_resumed_fit_takes_other_derivatives",
        "fastbp/training/resume.py",
        "        **_of_derivatives(data),\n",
        "",
        API + "test_a_resumed_fit_has_the_bits_of_one_that_was_not_interrupted[jacobian-numpy]",
    ),
    Break(
        "activations_with_kinks_are_taken",
        "fastbp/training/derivatives.py",
        "if not activation.smooth:",
        "if False:",
        API + "test_activations_that_are_not_smooth_are_refused[relu]",
    ),
)
