"""Breaks of what C and Fortran call."""

from .row import Break

HANDLES = "tests/capi/test_handles.py::"
PROGRAMS = "tests/capi/test_programs.py::"
PAGES = "tests/capi/test_pages_agree.py::"
FORTRAN = "tests/capi/test_fortran_program.py::test_a_program_of_fortran_trains_to_the_bit"
REFUSED = HANDLES + "test_what_cannot_be_right_is_refused_by_a_code"
C_CALLS = "kernels/entry/c_calls.py"

C_INTERFACE = (
    Break(
        "c_takes_null_for_an_array",
        C_CALLS,
        "    if address == 0:\n        return NULL_POINTER\n",
        "",
        REFUSED + "[predict-out=None-NULL_POINTER]",
    ),
    Break(
        "c_takes_any_address",
        C_CALLS,
        "return OK if address % size == 0 else MISALIGNED",
        "return OK",
        HANDLES + "test_a_misaligned_address_is_refused",
    ),
    Break(
        "c_takes_labels_for_floats",
        C_CALLS,
        "_WORD if y[1] == LABELS else itemsize",
        "itemsize",
        HANDLES + "test_misaligned_labels_are_refused",
    ),
    Break(
        "c_takes_the_other_type",
        C_CALLS,
        "return OK if itemsize == words[ITEMSIZE] else WRONG_TYPE",
        "return OK",
        REFUSED + "[predict-itemsize=8-WRONG_TYPE]",
    ),
    Break(
        "c_calls_any_memory",
        C_CALLS,
        "    if words[VERSION] != INTERFACE:\n        return NO_MODEL\n",
        "",
        HANDLES + "test_any_memory_is_told_from_a_model",
    ),
    Break(
        "c_calls_take_any_number_of_rows",
        C_CALLS,
        "    if rows < 1 or rows > words[MOST_ROWS]:\n        return WRONG_ROWS\n",
        "",
        REFUSED,
    ),
    Break(
        "c_trains_a_network_without_a_trainer",
        C_CALLS,
        "    if not _only_reads(task) and words[TARGETS] == 0:\n        return NO_TRAINER\n",
        "",
        HANDLES + "test_a_network_does_not_train",
    ),
    Break(
        "c_takes_labels_for_derivatives",
        C_CALLS,
        "if y_columns == LABELS and not _takes_targets(task) and not _only_reads(task):",
        "if False:",
        HANDLES + "test_labels_go_with_classes_alone",
    ),
    Break(
        "c_takes_any_length_of_a_jacobian",
        C_CALLS,
        "outputs if out[1] == outputs * inputs else _ZERO, inputs",
        "outputs, inputs",
        REFUSED,
    ),
    Break(
        "a_network_without_derivatives_is_stale",
        C_CALLS,
        "            return S.NO_CODE, math.nan\n",
        "            return S.NO_MODEL, math.nan\n",
        HANDLES + "test_a_network_that_embeds_numbers_has_no_jacobian",
    ),
    Break(
        "jacobians_of_c_wait_for_training",
        C_CALLS,
        "return task == PREDICT or task == JACOBIAN",
        "return task == PREDICT",
        HANDLES + "test_one_thread_trains_and_others_are_told",
    ),
    Break(
        "c_has_no_code_of_jacobians",
        "fastbp/capi/handle.py",
        "    jacobians_handle.attach(header)  # a program of C cannot ask for it later\n",
        "",
        HANDLES + "test_a_network_has_jacobians_of_any_number_of_rows",
    ),
    Break(
        "c_trains_in_two_threads",
        C_CALLS,
        "    if not try_acquire(flag):\n        return BUSY_NOW\n",
        "    try_acquire(flag)\n",
        HANDLES + "test_one_thread_trains_and_others_are_told",
    ),
    Break(
        "c_never_trains_again",
        C_CALLS,
        "    release(flag)\n",
        "",
        HANDLES + "test_one_thread_trains_and_others_are_told",
    ),
    Break(
        "c_uses_kernels_that_do_not_scale",
        C_CALLS,
        "    if handle[S.HERE] != words[HANDLE]:\n        return S.NO_MODEL, math.nan\n",
        "",
        HANDLES + "test_a_handle_from_before_the_first_scaling_is_stale",
    ),
    Break(
        "c_blames_x_for_y",
        C_CALLS,
        "return INVALID_Y if found == J.BAD_TARGET else NOT_FINITE",
        "return NOT_FINITE",
        HANDLES + "test_a_value_that_is_not_valid_is_refused",
    ),
    Break(
        "c_has_the_loss_of_a_refused_step",
        C_CALLS,
        "    if loss != 0 and loss % 8 == 0:\n",
        "    if False:\n",
        REFUSED,
    ),
    Break(
        "traps_stay_on_in_kernels",
        "kernels/ir/denormals.py",
        "_I64(_FTZ_DAZ | _MASKS if _X86 else _FZ)",
        "_I64(_FTZ_DAZ if _X86 else _FZ)",
        PROGRAMS + "test_a_program_that_starts_python_trains_to_the_bit",
    ),
    Break(
        "a_handle_does_not_close_at_its_end",
        "fastbp/capi/handle.py",
        "self._finalizer = finalize(self, _close, self._words)",
        "self._finalizer = lambda: None",
        HANDLES + "test_a_handle_that_is_gone_leaves_a_struct_that_says_so",
    ),
    Break(
        "a_network_scales_unseen_by_c",
        "fastbp/capi/handle.py",
        "        net.arrays.followers.add(watch)\n",
        "",
        HANDLES + "test_a_handle_from_before_the_first_scaling_is_stale[network]",
    ),
    Break(
        "a_forked_child_waits_for_its_parent",
        "fastbp/capi/handle.py",
        "        self._words[c_calls.BUSY] = 0\n",
        "        pass\n",
        HANDLES + "test_a_forked_child_goes_on",
    ),
    Break(
        "c_counts_columns_of_outputs_as_targets",
        "fastbp/capi/handle.py",
        "core.loss.n_targets(net.sizes[-1])",
        "net.sizes[-1]",
        HANDLES + "test_the_loss_has_targets_of_its_own",
    ),
    Break(
        "the_header_has_another_order_of_fields",
        "fastbp/capi/fastbp.h",
        "    int64_t inputs;     /* columns of X */\n    int64_t outputs; ",
        "    int64_t outputs;     /* columns of X */\n    int64_t inputs; ",
        PAGES + "test_the_fields_are_those_of_the_kernel",
    ),
    Break(
        "python_takes_the_signals_of_the_program",
        "fastbp/capi/fastbp.c",
        "    sigaction(SIGINT, &interrupt, NULL); ",
        "",
        PROGRAMS + "test_a_program_that_starts_python_trains_to_the_bit",
    ),
    Break(
        "fortran_takes_fewer_rows_of_out",
        "fastbp/capi/fastbp_calls.inc",
        "        if (size(X, 2) /= size(out, 2)) return\n",
        "",
        FORTRAN,
    ),
    Break(
        "fortran_takes_a_jacobian_turned",
        "fastbp/capi/fastbp_calls.inc",
        "        if (size(X, 1) /= size(J, 1)) return\n",
        "",
        FORTRAN,
    ),
)
