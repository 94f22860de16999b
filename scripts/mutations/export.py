"""Breaks of what is written for other programs."""

from .row import Break

C = "tests/export/test_c.py::"
FILES = "tests/export/test_files.py::"
FORTRAN = "tests/export/test_fortran.py::test_a_program_of_fortran_gets_what_fastbp_predicts"
PREDICTIONS = C + "test_predictions_agree_with_those_of_fastbp"
DERIVATIVES = C + "test_derivatives_agree_with_the_formulas"
REFUSALS = C + "test_what_cannot_be_right_is_refused_by_a_code"
NUMBERS = C + "test_a_file_of_numbers_is_read_or_refused"

EXPORT = (
    Break(
        "c_leaves_out_the_last_inputs",
        "fastbp/export/c_layers.py",
        "for (i = fours; i < inputs; i++)",
        "for (i = fours; i + 1 < inputs; i++)",
        PREDICTIONS,
    ),
    Break(
        "c_normalizes_by_one_unit_less",
        "fastbp/export/c_layers.py",
        "variance = dot(z, z, count) / (real)units - rest * rest;",
        "variance = dot(z, z, count) / (real)(units - 1) - rest * rest;",
        PREDICTIONS,
    ),
    Break(
        "c_exp_has_another_coefficient",
        "fastbp/export/c_math.py",
        "4.1665795894e-2R",
        "4.1765795894e-2R",
        C + "test_activations_are_as_close_as_the_bounds_take_them_for",
    ),
    Break(
        "c_loses_nan_in_a_clamp",
        "fastbp/export/c_math.py",
        "    x = choose(x > high, high, x);\n    return choose(x < low, low, x);",
        "    x = choose(x < high, x, high);\n    return choose(x < low, low, x);",
        C + "test_nan_in_a_row_makes_its_results_nan",
    ),
    Break(
        "c_rounds_by_a_branch",
        "fastbp/export/c_math.py",
        "return (int32_t)choose(away == away, away, 0.0R);",
        "return (int32_t)(away == away ? away : 0.0R);",
        C + "test_gcc_makes_vectors_of_every_activation",
    ),
    Break(
        "c_forgets_the_error_past_a_residual_layer",
        "fastbp/export/c_network.py",
        "    if layer.adds_inputs:\n        code.copy(below, error, padded(units))\n    else:",
        "    if True:",
        DERIVATIVES,
    ),
    Break(
        "c_gradient_is_not_in_raw_units",
        "fastbp/export/c_network.py",
        'code.call("times", "out", at("w", design.packed.inputs[1]), design.inputs)',
        "pass",
        DERIVATIVES,
    ),
    Break(
        "the_self_test_of_c_forgets_the_scale_of_outputs",
        "fastbp/export/rounding.py",
        "e = _scaled(e, double(content.outputs[0]), u)",
        "pass",
        DERIVATIVES,
    ),
    Break(
        "c_needs_no_init",
        "fastbp/export/c_calls.py",
        "if (context->model != {upper}_MODEL)",
        "if (rows != rows)",
        REFUSALS,
    ),
    Break(
        "c_may_overlap",
        "fastbp/export/c_layers.py",
        "return a < b + other_count * sizeof(real) && b < a + one_count * sizeof(real);",
        "return a < b && b < a + one_count;",
        REFUSALS,
    ),
    Break(
        "c_takes_any_number_of_rows",
        "fastbp/export/c_calls.py",
        "return rows > SIZE_MAX / sizeof(real) / {most} ? {upper}_TOO_MANY_ROWS : {upper}_OK;",
        "return {upper}_OK;",
        REFUSALS,
    ),
    Break(
        "c_inits_a_context_of_another_header",
        "fastbp/export/c_calls.py",
        "if (size != sizeof *context || model != {upper}_MODEL)",
        "if (model != {upper}_MODEL)",
        C + "test_init_refuses_a_context_of_another_header",
    ),
    Break(
        "c_reads_a_file_that_goes_on",
        "fastbp/export/c_calls.py",
        " && fgetc(file) == EOF",
        "",
        NUMBERS,
    ),
    Break(
        "c_compares_no_checksum",
        "fastbp/export/c_calls.py",
        "crc32_of(bytes, sizeof weights->numbers) == head[2])",
        "crc32_of(bytes, sizeof weights->numbers) != 0)",
        NUMBERS,
    ),
    Break(
        "c_tells_networks_apart_by_depth_alone",
        "fastbp/export/design.py",
        "kinds = [layer.about for layer in self.content.layers]",
        "kinds = len(self.content.layers)",
        NUMBERS,
    ),
    Break(
        "c_has_decimal_numbers",
        "fastbp/export/c_numbers.py",
        "_shortened(float(number).hex())",
        'f"{number:.6e}"',
        FILES + "test_numbers_are_exact_in_any_locale",
    ),
    Break(
        "c_has_parameters_that_are_not_finite",
        "fastbp/export/content.py",
        "        _check_finite(layer, number)\n",
        "        pass\n",
        FILES + "test_parameters_that_are_not_finite_are_refused",
    ),
    Break(
        "the_self_test_of_c_always_passes",
        "fastbp/export/self_test.py",
        "    return failures > 0;",
        "    return 0;",
        C + "test_the_self_test_sees_another_number",
    ),
    Break(
        "fortran_takes_any_shape",
        "fastbp/export/fortran_module.py",
        "        if ({condition}) return\n",
        "",
        FORTRAN,
    ),
)
