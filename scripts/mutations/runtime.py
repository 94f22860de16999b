"""Breaks of threads and locks, of what is measured, and of the cache of kernels."""

from .row import Break

CACHE = "tests/runtime/test_cache.py::"
FAST_PATH = "tests/api/test_fast_path.py::"

RUNTIME = (
    Break(
        "a_lock_is_not_released",
        "fastbp/runtime/locking.py",
        "        yield\n    finally:\n        try:  # noqa: SIM105\n            lock.release()",
        "        yield\n    finally:\n        try:  # noqa: SIM105\n            pass",
        "tests/api/test_fit_batches.py"
        "::test_an_error_of_the_generator_reaches_the_caller_and_leaves_no_lock",
    ),
    Break(
        "a_second_thread_may_train",
        "fastbp/runtime/locking.py",
        "if not lock.acquire(blocking=False):",
        "if lock.acquire(blocking=False) is None:",
        "tests/runtime/test_locking.py::test_while_one_thread_trains_another_is_refused",
    ),
    Break(
        "the_users_threads_are_not_restored",
        "fastbp/runtime/threads.py",
        "            numba.set_num_threads(before)\n",
        "            pass\n",
        "tests/runtime/test_threads.py::test_the_users_setting_is_as_before_after_each_call",
    ),
    Break(
        "a_chunk_grows_without_limit",
        "fastbp/runtime/chunking.py",
        "min(64 * count, int(",
        "min(2**62, int(",
        "tests/runtime/test_chunking.py::test_a_pace_follows_the_clock_and_grows_step_by_step",
    ),
    Break(
        "the_twin_keeps_its_order",
        "fastbp/runtime/numpy_engine.py",
        "reference.shuffled(job[job_table.SEED], job[job_table.EPOCH], n)",
        "reference.shuffled(job[job_table.SEED], 0, n)",
        "tests/laws/test_determinism.py::test_fit_is_a_sequence_of_steps[odd-shuffled-numpy]",
    ),
    Break(
        "the_stamp_ignores_the_folders",
        "kernels/base/code_stamp.py",
        'KERNELS.rglob("*.py")',
        'KERNELS.glob("*.py")',
        CACHE + "test_kernels_are_compiled_anew_when_one_that_they_call_is_edited",
    ),
    Break(
        "one_room_serves_all_threads",
        "fastbp/runtime/compiled_engine.py",
        "        spare = _SPARE.pop()\n",
        "        spare = _SPARE[0]\n",
        FAST_PATH + "test_python_threads_predict_at_once",
    ),
    Break(
        "choices_share_their_cached_files",
        "kernels/base/kernel_cache.py",
        're.sub("[^0-9a-z]", "_", str(choices.current()))',
        '"any"',
        "tests/unit/test_choices.py::test_each_choice_has_cached_files_of_its_own",
    ),
    Break(
        "the_choice_is_the_first_candidate",
        "kernels/primitives/trial.py",
        "fastest if ratios[fastest] < 1 - MARGIN else default",
        "walks[0]",
        "tests/unit/test_choices.py::test_a_candidate_is_chosen_where_all_others_are_slow",
    ),
    Break(
        "openmp_spins",
        "fastbp/runtime/layer.py",
        "os.environ.update(settings)",
        "os.environ.update(dict.fromkeys(settings, '300000'))",
        "tests/runtime/test_limits.py::test_openmp_is_told_to_sleep_soon_and_nobody_else",
    ),
    Break(
        "the_affinity_is_that_of_the_import",
        "fastbp/runtime/limits.py",
        "_known = found if found < _at_import else NO_LIMIT",
        "_known = NO_LIMIT",
        "tests/runtime/test_limits.py::test_processors_that_are_taken_away_count",
    ),
    Break(
        "the_users_number_of_threads_is_ignored",
        "fastbp/runtime/limits.py",
        "int(numba.get_num_threads())",
        "NO_LIMIT",
        "tests/runtime/test_limits.py::test_the_users_own_number_counts",
    ),
    Break(
        "a_turn_counts_from_its_begin",
        "fastbp/runtime/pace.py",
        "if self._warm_up < TURN_SECONDS / 2:",
        "if self._warm_up < 0:",
        "tests/runtime/test_pace.py::test_what_a_change_of_workers_costs_at_first_does_not_count",
    ),
    Break(
        "a_break_counts_as_work",
        "fastbp/runtime/pace.py",
        "is_cold = idle > IDLE_SECONDS and",
        "is_cold = idle > 1e9 and",
        "tests/runtime/test_pace.py::test_short_work_after_a_break_does_not_count",
    ),
    Break(
        "the_slower_number_of_workers_stays",
        "fastbp/runtime/pace.py",
        "faster = trial.ratio() < FASTER",
        "faster = trial.ratio() > FASTER",
        "tests/runtime/test_pace.py::test_a_busy_processor_is_left_and_taken_again",
    ),
    Break(
        "a_region_goes_on_after_ctrl_c",
        "fastbp/runtime/pool.py",
        "while not done.cancel() and not done.done():",
        "while False:",
        "tests/runtime/test_limits.py::test_ctrl_c_leaves_no_region_on_the_pool_behind",
    ),
    Break(
        "regions_run_on_workqueue",
        "fastbp/runtime/compiled_engine.py",
        'if layer.start() == "workqueue":',
        'if layer.start() == "none":',
        "tests/runtime/test_limits.py::test_on_workqueue_the_users_parallel_code_runs_beside",
    ),
    Break(
        "the_stamp_ignores_the_width",
        "kernels/base/code_stamp.py",
        "repr((*_toolchain(), width.BITS))",
        "repr(_toolchain())",
        CACHE + "test_the_folder_is_stamped_with",
    ),
    Break(
        "a_users_file_is_not_stamped",
        "kernels/base/kernel_cache.py",
        "hashlib.sha256(own)",
        'hashlib.sha256(own[:0] + b"")',
        CACHE + "test_a_function_that_lives_elsewhere_is_stamped_with_its_own_file",
    ),
    Break(
        "folders_in_use_are_removed",
        "kernels/base/kernel_cache.py",
        "if folder.stat().st_mtime < oldest:",
        "if folder.stat().st_mtime > oldest:",
        CACHE + "test_folders_of_other_stamps_are_removed_when_long_unused",
    ),
    Break(
        "a_cache_of_any_folder_is_used",
        "kernels/base/kernel_cache.py",
        "if cache.cache_path != str(cache_folder()):",
        "if False:",
        "tests/runtime/test_fallback.py::test_a_cache_in_another_folder_is_not_used",
    ),
)
