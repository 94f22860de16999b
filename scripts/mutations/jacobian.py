"""Breaks of derivatives by the inputs, in the kernels and in fastbp."""

from .row import Break

LAWS = "tests/laws/test_jacobian.py::"
API = "tests/api/test_jacobian_calls.py::"
ROW = LAWS + "test_every_output_equals_central_differences[{}-{}]"

JACOBIANS = (
    Break(
        "jacobian_goes_the_dearer_way",
        "kernels/stages/jacobian_blocks.py",
        "return plan[last, P.OUTPUTS] * between <=",
        "return plan[last, P.OUTPUTS] * between >",
        API + "test_the_cheaper_way_is_taken[outputs go back]",
    ),
    Break(
        "jacobian_forgets_gains",
        "kernels/stages/jacobian_blocks.py",
        "            d = d * get(gain, u)\n",
        "            d = d * 1.0\n",
        LAWS + "test_every_kind_of_layer_equals_central_differences[outputs go back-layer_norm]",
    ),
    Break(
        "jacobian_takes_the_sum_of_a_residual_layer",
        "kernels/stages/jacobian_blocks.py",
        "plan[layer, P.Z] if plan[layer, P.RESIDUAL] == 1 else plan[layer, P.A]",
        "plan[layer, P.A]",
        LAWS + "test_every_kind_of_layer_equals_central_differences[outputs go back-residual]",
    ),
    Break(
        "jacobian_forgets_the_bypass",
        "kernels/stages/jacobian_items.py",
        "add_bypass = by_plan(None, _add_bypass)",
        "add_bypass = by_plan(None, None)",
        LAWS + "test_a_residual_first_layer_passes_its_inputs_on[few]",
    ),
    Break(
        "jacobian_of_norm_forgets_the_mean",
        "kernels/stages/jacobian_items.py",
        "-along, load(d, u) - mean) * inverse",
        "-along, load(d, u)) * inverse",
        LAWS + "test_every_kind_of_layer_equals_central_differences[outputs go back-layer_norm]",
    ),
    Break(
        "jacobian_lanes_have_the_derivative_of_the_first",
        "kernels/stages/jacobian_items.py",
        "put(scratch, i, get(x, (first + i) * n_lanes))",
        "put(scratch, i, get(x, first * n_lanes))",
        LAWS + "test_it_equals_its_twin[one row back-float64]",
    ),
    Break(
        "jacobian_of_softmax_is_diagonal",
        "kernels/stages/jacobian_reverse.py",
        "store(delta, u, -scaled * load(p, u))",
        "store(delta, u, 0.0 * load(p, u))",
        ROW.format("softmax", "many"),
    ),
    Break(
        "jacobian_of_softmax_is_not_in_raw_units",
        "kernels/stages/jacobian_reverse.py",
        "return chosen, chosen * output_factor(plan, p, direction)",
        "return chosen, chosen * 1.0",
        LAWS + "test_softmax_may_have_targets_in_raw_units[many]",
    ),
    Break(
        "tangents_are_not_in_raw_units",
        "kernels/stages/jacobian_forward.py",
        "        to_raw_input_gradient(plan, here)\n",
        "",
        LAWS + "test_derivatives_are_in_raw_units[identity-many]",
    ),
    Break(
        "gradients_are_not_in_raw_units",
        "kernels/stages/jacobian_reverse.py",
        "        to_raw_input_gradient(plan, offset(error, i * stride))\n",
        "        continue\n",
        LAWS + "test_derivatives_are_in_raw_units[identity-many]",
    ),
    Break(
        "products_with_vectors_take_a_nan",
        "kernels/stages/jacobian_forward.py",
        "                bad = True\n",
        "                bad = False\n",
        API + "test_bad_values_make_all_of_out_nan[inf-Python]",
    ),
    Break(
        "jacobian_writes_inputs_where_outputs_go",
        "kernels/stages/jacobian.py",
        "row * size + k * of_direction, size, of_unit",
        "row * size + k * of_unit, size, of_direction",
        LAWS + "test_it_equals_its_twin[outputs go back-float64]",
    ),
    Break(
        "jacobian_leaves_a_workers_last_item",
        "kernels/stages/jacobian.py",
        "high = min(last, stop * per)",
        "high = min(last, stop * per) - int(last < stop * per)",
        LAWS + "test_the_bits_do_not_depend_on_the_workers[outputs go back-float64]",
    ),
    Break(
        "jacobian_of_a_row_forgets_the_last_layers_slope",
        "kernels/stages/jacobian_row.py",
        "            put(delta, _place(delta, n, k, k), q)\n",
        "            put(delta, _place(delta, n, k, k), 1.0)\n",
        ROW.format("sigmoid", "one"),
    ),
    Break(
        "jacobian_of_a_row_forgets_a_panel",
        "kernels/stages/jacobian_row.py",
        "    for panel in range(_panels(units, n_lanes)):\n",
        "    for panel in range(max(1, _panels(units, n_lanes) - 1)):\n",
        LAWS + "test_it_equals_its_twin[few rows-float64]",
    ),
    Break(
        "tangents_of_a_row_are_not_in_raw_units",
        "kernels/stages/jacobian_row.py",
        "        to_raw_input_gradient_panel(plan, offset(x, u * n), n, u)\n",
        "        continue\n",
        LAWS + "test_derivatives_are_in_raw_units[identity-one]",
    ),
    Break(
        "a_slot_keeps_the_vectors_of_a_product",
        "kernels/entry/jacobian_server.py",
        "    job[_JOB_Y + ADDRESS] = 0  # a prediction in this slot has no y\n",
        "",
        API + "test_predictions_and_derivatives_take_turns",
    ),
    Break(
        "jacobians_may_have_their_axes_swapped",
        "kernels/entry/jacobian_server.py",
        "return whole and request[S.REQUEST_OUT + S.DEPTH] == inputs",
        "return whole",
        "tests/api/test_embed_refusals.py::test_wrong_shapes_are_refused[jacobian-J-shape101-Python]",
    ),
    Break(
        "jacobians_may_lie_over_their_rows",
        "kernels/entry/jacobian_server.py",
        "return start < out + size * itemsize and",
        "return start < out and",
        "tests/api/test_embed_refusals.py::"
        "test_outputs_in_the_memory_of_inputs_are_refused[Python]",
    ),
    Break(
        "new_models_have_no_code_for_derivatives",
        "fastbp/runtime/jacobians_handle.py",
        "    if _asked_for.is_set() or jacobian_server",
        "    if jacobian_server",
        API + "test_who_does_not_ask_for_derivatives_loads_and_compiles_none",
    ),
    Break(
        "memory_of_directions_is_never_freed",
        "fastbp/runtime/jacobians_handle.py",
        "            finalize(handle, _KEPT.pop, here, None).atexit = False\n",
        "",
        API + "test_memory_goes_with_the_model",
    ),
    Break(
        "rows_of_a_part_are_written_to_the_first",
        "fastbp/runtime/jacobians.py",
        "job.write_to(start, *results)",
        "job.write_to(0, *results)",
        API + "test_many_rows_go_in_parts",
    ),
    Break(
        "known_derivatives_are_a_wish_for_some",
        "fastbp/model/network.py",
        'if jacobian is not False and checks.flag(jacobian, "jacobian"):',
        "if jacobian is not False:",
        API + "test_known_derivatives_are_not_taken_for_the_wish_to_have_some",
    ),
)
