"""Breaks of what is written of models of tables, ensembles and estimators for other programs."""

from .row import Break

TABLE_ONNX = "tests/export/test_table_onnx.py::"
TABLE_C = "tests/export/test_table_c.py::"
TABLE_FORTRAN = "tests/export/test_table_fortran.py::"
ENSEMBLES = "tests/export/test_ensembles.py::"
SKLEARN = "tests/export/test_sklearn_onnx.py::"
TORCH = "tests/export/test_torch_file.py::"
COLUMNS = "fastbp/tabular/export/onnx_columns.py"
ENCODER = "fastbp/tabular/export/c_encoder.py"

EXPORTED_TABLES = (
    Break(
        "onnx_members_share_their_first_layers",
        "fastbp/export/onnx_nodes.py",
        "        key = formula, tuple(inputs)\n",
        "        key = formula, tuple(inputs[:1])\n",
        ENSEMBLES + "test_the_onnx_file_gives_the_mean",
    ),
    Break(
        "onnx_adds_members",
        "fastbp/export/onnx_writer.py",
        'op("Div", total, float(len(found)))',
        'op("Div", total, 1.0)',
        ENSEMBLES + "test_the_onnx_file_gives_the_mean",
    ),
    Break(
        "onnx_outputs_may_have_the_names_of_columns",
        "fastbp/export/onnx_writer.py",
        "        made[name] = nodes.free(one.name)\n",
        "        made[name] = one.name\n",
        TABLE_ONNX + "test_a_regressor",
    ),
    Break(
        "onnx_missing_numbers_are_0",
        COLUMNS,
        'op("Where", op("IsNaN", x), part.median, finite)',
        'op("Where", op("IsNaN", x), 0.0, finite)',
        TABLE_ONNX + "test_the_encoder",
    ),
    Break(
        "onnx_infinite_numbers_stay",
        COLUMNS,
        'op("Where", op("Greater", op("Abs", x), LARGEST), finite, x)',
        'op("Where", op("Greater", op("Abs", x), LARGEST), x, x)',
        TABLE_ONNX + "test_the_encoder",
    ),
    Break(
        "onnx_has_a_leap_year_in_each_century",
        COLUMNS,
        '((4.0, "Add"), (100.0, "Sub"), (400.0, "Add"))',
        '((4.0, "Add"), (100.0, "Mul"), (400.0, "Add"))',
        TABLE_ONNX + "test_dates_of_all_years",
    ),
    Break(
        "onnx_takes_the_next_year_late",
        COLUMNS,
        'op("LessOrEqual", _first_day(op("Add", year, 1.0)), days)',
        'op("Less", _first_day(op("Add", year, 1.0)), days)',
        TABLE_ONNX + "test_dates_of_all_years",
    ),
    Break(
        "onnx_weeks_begin_on_thursday",
        COLUMNS,
        'op("Add", _days(seconds), float(THURSDAY))',
        'op("Add", _days(seconds), 0.0)',
        TABLE_ONNX + "test_the_encoder",
    ),
    Break(
        "onnx_missing_text_is_another_level",
        COLUMNS,
        "        known = levels | dict.fromkeys(MISSING, missing)\n",
        "        known = levels\n",
        TABLE_ONNX + "test_the_encoder",
    ),
    Break(
        "onnx_forgets_the_temperature",
        "fastbp/tabular/export/onnx_table.py",
        'op("Div", op("Log", op("Max", Z, SMALLEST)), t)',
        'op("Div", op("Log", op("Max", Z, SMALLEST)), 1.0)',
        TABLE_ONNX + "test_a_classifier",
    ),
    Break(
        "onnx_predicts_beyond_the_range",
        "fastbp/tabular/export/onnx_table.py",
        '_RESTORED = op("Min", op("Max", _RESTORED, Named("low")), Named("high"))',
        '_RESTORED = op("Max", _RESTORED, Named("low"))',
        TABLE_ONNX + "test_a_regressor",
    ),
    Break(
        "onnx_of_one_class_has_two_labels",
        "fastbp/sklearn/onnx_file.py",
        "np.repeat(classes, 2) if len(classes) == 1",
        "np.array([0, 1]) if len(classes) == 1",
        SKLEARN + "test_a_classifier",
    ),
    Break(
        "onnx_of_poisson_has_logarithms",
        "fastbp/sklearn/regressor.py",
        'self.net_, self.out_activation_ == "exp")',
        "self.net_, False)",
        SKLEARN + "test_a_regressor",
    ),
    Break(
        "c_adds_members",
        "fastbp/export/c_ensemble.py",
        "out[j] *= 1.0R / {len(of.designs)}.0R;",
        "out[j] *= 1.0R;",
        ENSEMBLES + "test_the_c_code_gives_the_mean",
    ),
    Break(
        "c_compares_the_beginning_of_levels",
        ENCODER,
        "return found != 0 ? found : other[length] == '\\\\0' ? 0 : -1;",
        "return found;",
        TABLE_C + "test_texts_are_read_as_the_encoder_reads_them",
    ),
    Break(
        "c_keeps_spaces_behind_text",
        ENCODER,
        "while (length > 0 && is_space(text[length - 1]))",
        "while (length > 99 && is_space(text[length - 1]))",
        TABLE_C + "test_texts_are_read_as_the_encoder_reads_them",
    ),
    Break(
        "c_takes_nan_for_a_number_with_fast_math",
        ENCODER,
        "    return (bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;",
        "    (void)bits;\n    return x != x;",
        TABLE_C + "test_the_self_test_passes_without_fma_and_with_fast_math",
    ),
    Break(
        "c_sorts_levels_by_characters",
        ENCODER,
        "    texts = sorted(levels, key=str.encode)\n",
        "    texts = sorted(levels, key=lambda text: text[::-1])\n",
        TABLE_C + "test_the_encoder",
    ),
    Break(
        "c_takes_the_next_year_late",
        ENCODER,
        "first_day(year + 1.0) <= days ? 1.0 : 0.0;",
        "first_day(year + 1.0) < days ? 1.0 : 0.0;",
        TABLE_C + "test_dates_of_all_years",
    ),
    Break(
        "c_writes_over_the_table",
        "fastbp/tabular/export/c_table.py",
        "    if (overlap(table, rows, out))\n        return {upper}_OVERLAP;\n",
        "",
        TABLE_C + "test_what_cannot_be_right_is_refused_by_a_code",
    ),
    Break(
        "fortran_has_zeros_for_missing_numbers",
        "fastbp/tabular/export/fortran_table.py",
        '        "number": ("real(c_double)", f"{of.name}_missing"),\n',
        '        "number": ("real(c_double)", "0"),\n',
        TABLE_FORTRAN + "test_a_program_of_fortran_gets_what_fastbp_predicts",
    ),
    Break(
        "torch_forgets_the_range",
        "fastbp/export/torch_file.py",
        "return torch.minimum(torch.maximum(values, self.low), self.high)",
        "return values",
        TORCH + "test_models_of_tables_without_their_encoders",
    ),
)
