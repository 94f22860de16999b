"""Breaks of sparse data, in the kernels and in fastbp."""

from .row import Break

GATHER = "tests/unit/test_gather.py::"
ROWS = "tests/unit/test_csr.py::"
SPARSE = "tests/api/test_sparse.py::"
NONZEROS = "tests/laws/test_nonzeros.py::"

SPARSE_DATA = (
    Break(
        "sparse_gather_leaves_what_was_there",
        "kernels/primitives/csr.py",
        "range(0, -(-columns // n_lanes) * panel, n_lanes)",
        "range(0, columns // n_lanes * panel, n_lanes)",
        GATHER + "test_gather_of_sparse_rows_equals_indexing[f8-int32-float32]",
    ),
    Break(
        "sparse_gather_takes_a_column_beyond_the_matrix",
        "kernels/primitives/csr.py",
        "column <= before or column >= columns",
        "column <= before or column > columns",
        GATHER + "test_gather_reports_what_is_wrong_in_sparse_rows[column 20]",
    ),
    Break(
        "sparse_gather_takes_columns_twice",
        "kernels/primitives/csr.py",
        "column <= before or",
        "column < before or",
        GATHER + "test_gather_reports_what_is_wrong_in_sparse_rows[the same column]",
    ),
    Break(
        "sparse_gather_reads_beyond_the_values",
        "kernels/primitives/csr.py",
        "end > record[N_VALUES]",
        "end > record[N_VALUES] + 1",
        GATHER + "test_gather_reads_no_values_beyond_the_matrix[starts0]",
    ),
    Break(
        "sparse_gather_misses_nan",
        "kernels/primitives/csr.py",
        "get(here, 0) - get(here, 0) != 0.0",
        "get(here, 0) - get(here, 0) > 0.0",
        GATHER + "test_gather_reports_what_is_wrong_in_sparse_rows[nan]",
    ),
    Break(
        "sparse_columns_twice_are_not_added_up",
        "fastbp/data/csr.py",
        "if not data.has_canonical_format:",
        "if not data.has_sorted_indices:",
        ROWS + "test_a_copy_is_put_in_order_and_the_matrix_stays",
    ),
    Break(
        "sparse_starts_are_not_checked",
        "fastbp/data/csr.py",
        "starts[-1] > stored or",
        "starts[-1] > stored + 1 or",
        ROWS + "test_what_does_not_fit_is_refused[starts beyond]",
    ),
    Break(
        "sparse_part_begins_at_the_first_row",
        "fastbp/data/csr.py",
        "self.starts[start : stop + 1]",
        "self.starts[: stop - start + 1]",
        ROWS + "test_a_part_lies_in_place_and_taken_rows_are_a_copy",
    ),
    Break(
        "sparse_moments_forget_zeros",
        "fastbp/data/moments.py",
        " + zeros * np.square(mean)",
        "",
        SPARSE + "test_standardizing_equals_that_of_dense_rows[standardize]",
    ),
    Break(
        "sparse_memory_is_not_compared_with_out",
        "fastbp/model/network_checks.py",
        "for part in x.memory)",
        "for part in x.memory[1:])",
        SPARSE + "test_outputs_in_the_memory_of_a_matrix_are_refused",
    ),
    Break(
        "nonzeros_gather_misses_nan",
        "kernels/stages/sparse_layer.py",
        "get(values, at) - get(values, at) != 0.0",
        "get(values, at) - get(values, at) > 0.0",
        SPARSE + "test_a_value_that_is_not_finite_is_named_by_row_and_column[numba-301-fit]",
    ),
    Break(
        "nonzeros_leave_what_others_left",
        "kernels/stages/sparse_layer.py",
        "    for i in range(_SPANS):\n        put(spans, i, _ZERO)\n",
        "",
        SPARSE + "test_rows_after_one_that_is_refused_are_not_read",
    ),
    Break(
        "unsigned_starts_may_descend",
        "fastbp/data/csr.py",
        "(starts[1:] < starts[:-1]).any()",
        "(np.diff(starts) < 0).any()",
        ROWS + "test_what_does_not_fit_is_refused[unsigned starts descend]",
    ),
    Break(
        "nonzeros_gather_takes_a_column_beyond_the_matrix",
        "kernels/stages/sparse_layer.py",
        "column >= plan[1, P.INPUTS]",
        "column > plan[1, P.INPUTS]",
        SPARSE + "test_a_column_beyond_the_matrix_is_named_by_its_row[301]",
    ),
    Break(
        "nonzeros_forget_the_bias_of_the_fourth_panel",
        "kernels/stages/sparse_layer.py",
        "store(z, 3 * panel, s3 + load(bias, 3 * n_lanes))",
        "store(z, 3 * panel, s3)",
        NONZEROS + "test_every_optimizer_has_the_bits_of_dense_rows[sgd-1]",
    ),
    Break(
        "nonzeros_of_padded_rows_are_none",
        "kernels/stages/sparse_layer.py",
        "put(spans, 2 * r + 1, get(spans, 1))",
        "put(spans, 2 * r + 1, get(spans, 0))",
        NONZEROS + "test_padded_rows_are_a_row_again",
    ),
    Break(
        "nonzeros_of_many_rows_are_one_chain",
        "kernels/stages/sparse_layer.py",
        "for row in range(0, rows, SUM_ROWS):",
        "for row in range(0, rows, 4 * SUM_ROWS):",
        NONZEROS + "test_sums_over_many_rows_are_made_in_blocks[adam-clip0]",
    ),
    Break(
        "nonzeros_leave_rows_that_decay",
        "kernels/stages/sparse_layer.py",
        "no_decay = hyper[codes.WEIGHT_DECAY] == 0.0",
        "no_decay = hyper[codes.WEIGHT_DECAY] >= 0.0",
        NONZEROS + "test_every_optimizer_has_the_bits_of_dense_rows[decay-1]",
    ),
    Break(
        "nonzeros_leave_rows_of_an_average",
        "kernels/stages/sparse_layer.py",
        "has_penalty(hyper) or plan[0, P.AVERAGE] >= 0",
        "has_penalty(hyper)",
        NONZEROS + "test_every_option_has_the_bits_of_dense_rows[ema_decay-sgd]",
    ),
    Break(
        "nonzeros_update_frozen_layers",
        "kernels/stages/sparse_layer.py",
        "if mode != ACCUMULATE and is_frozen(plan, 1, hyper):",
        "if mode == ACCUMULATE and is_frozen(plan, 1, hyper):",
        NONZEROS + "test_every_option_has_the_bits_of_dense_rows[frozen-adam]",
    ),
    Break(
        "nonzeros_skip_a_chunk",
        "kernels/stages/sparse_layer.py",
        "_least(nexts, rows) // NONZERO_CHUNK * NONZERO_CHUNK",
        "_least(nexts, rows)",
        NONZEROS + "test_columns_far_apart_are_found",
    ),
    Break(
        "nonzeros_of_too_many_rows_fit",
        "kernels/stages/sparse_layer.py",
        "        if count > room:\n            return False\n",
        "",
        NONZEROS + "test_batches_with_rows_that_are_full_are_made_dense",
    ),
    Break(
        "nonzeros_take_scaled_rows",
        "fastbp/runtime/nonzeros.py",
        " or spec.scaling or",
        " or",
        NONZEROS + "test_few_inputs_rows_and_zeros_go_dense",
    ),
)
