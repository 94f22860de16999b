"""Breaks of sparse data, in the kernels and in fastbp."""

from .row import Break

GATHER = "tests/unit/test_gather.py::"
ROWS = "tests/unit/test_csr.py::"
SPARSE = "tests/api/test_sparse.py::"

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
)
