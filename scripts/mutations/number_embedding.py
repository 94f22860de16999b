"""Breaks of learned embeddings of numbers."""

from .row import Break

CODE = "kernels/stages/embedded_numbers.py"
LAWS = "tests/laws/test_number_embedding.py::"
API = "tests/api/test_number_embedding.py::"
GRADIENTS = LAWS + "test_gradients_equal_central_differences"
THREADS = LAWS + "test_the_bits_do_not_depend_on_the_threads_with_every_feature[some columns]"

NUMBER_EMBEDDING = (
    Break(
        "sine_of_an_odd_quarter_has_the_other_sign",
        "kernels/primitives/periodic.py",
        "select(is_odd, c * quarter, s * (1.0 - size))",
        "select(is_odd, c * -quarter, s * (1.0 - size))",
        "tests/unit/test_periodic.py::test_quarters_of_a_turn[float32]",
    ),
    Break(
        "many_turns_have_any_cosine",
        "kernels/primitives/periodic.py",
        "    t = select(fabs(t) > _MOST32, t - t, t)\n",
        "",
        "tests/unit/test_periodic.py::test_many_turns_stay_in_bounds[float32]",
    ),
    Break(
        "an_embedding_of_the_first_columns",
        CODE,
        "return typed_pointer_at(plan[0, P.NUMBER_COLUMNS], types.int64)[number]",
        "return number",
        LAWS + "test_an_embedding_is_its_formula[some columns]",
    ),
    Break(
        "phases_in_turns",
        CODE,
        "get(own, wide + h) * _PER_TURN",
        "get(own, wide + h)",
        LAWS + "test_an_embedding_is_its_formula[some columns]",
    ),
    Break(
        "embeddings_leave_their_padding",
        CODE,
        "        store(inputs, i, splat(inputs, 0.0))\n",
        "        pass\n",
        LAWS + "test_padding_is_zero_whatever_was_there_before[one frequency-float32]",
    ),
    Break(
        "slope_of_a_frequency_without_a_turn",
        CODE,
        "put(scratch, h, _sum_of_lanes(totals) * _TURN)",
        "put(scratch, h, _sum_of_lanes(totals))",
        GRADIENTS + "[odd-numba]",
    ),
    Break(
        "gradient_of_the_last_rows_alone",
        CODE,
        "store(totals, i, load(totals, i) + load(sums, i))",
        "store(totals, i, load(sums, i))",
        GRADIENTS + "[many rows-numba]",
    ),
    Break(
        "sums_of_a_frequency_go_on_in_the_next",
        CODE,
        "        _clear(totals, size)\n    for first",
        "        pass\n    for first",
        GRADIENTS + "[odd-numba]",
    ),
    Break(
        "inputs_pass_embeddings_by",
        "kernels/stages/backward.py",
        "    add_to_error(plan, params, work, first, last)\n",
        "",
        LAWS + "test_input_gradients_equal_central_differences[odd]",
    ),
    Break(
        "errors_of_embeddings_from_the_first_input_on",
        "kernels/stages/backward.py",
        "offset(params, plan[1, P.WEIGHTS] + low * n_lanes)",
        "offset(params, plan[1, P.WEIGHTS])",
        GRADIENTS + "[many columns-numba]",
    ),
    Break(
        "embeddings_at_the_rate_of_the_layers",
        CODE,
        "hyper[H.STEP_LR] * hyper[H.EMBEDDING_LR]",
        "hyper[H.STEP_LR] * 1.0",
        LAWS + "test_the_rate_of_embeddings_is_their_own[numba]",
    ),
    Break(
        "norm_without_embeddings",
        "kernels/stages/regularization.py",
        "_SQUARES_OF_GRADIENT, plan[0, P.NUMBERS])",
        "_SQUARES_OF_GRADIENT, _NO_MORE)",
        LAWS + "test_a_clipped_norm_is_that_of_layers_and_embedding[numba]",
    ),
    Break(
        "stored_gradients_of_embeddings_are_not_applied",
        "kernels/stages/extended_stages.py",
        "        apply_numbers(plan, (params, moments, gradient), hyper, worker, workers)\n",
        "",
        LAWS + "test_a_gradient_that_is_applied_is_a_step[numba]",
    ),
    Break(
        "workers_update_the_numbers_of_others",
        "kernels/stages/number_updates.py",
        "        ask(plan, arenas, hyper, GRADIENT + mode, number, vectors, worker)\n",
        "        ask(plan, arenas, hyper, GRADIENT + mode, number - worker, vectors, worker)\n",
        LAWS + "test_the_bits_do_not_depend_on_the_threads[some columns]",
    ),
    Break(
        "weights_of_embeddings_in_the_order_of_the_arena",
        "kernels/entry/embed_numbers.py",
        "get(own, o * wide + h * words + word)",
        "get(own, h * wide + o * words + word)",
        LAWS + "test_an_embedded_model_is_the_trainer",
    ),
    Break(
        "models_of_other_columns_are_copied",
        "kernels/entry/embed_numbers.py",
        "        if one[i] != two[i]:\n",
        "        if False:\n",
        API + "test_models_are_copied_between_networks_that_embed_alike",
    ),
    Break(
        "twin_of_the_gradient_without_the_sine",
        "kernels/reference/embedding.py",
        'dangles = -np.sin(angles) * np.einsum("rke,khe->rkh", error, V)\n    dw',
        'dangles = np.einsum("rke,khe->rkh", error, V)\n    dw',
        GRADIENTS + "[odd-numpy]",
    ),
    Break(
        "files_forget_the_embedding",
        "fastbp/model/model_io.py",
        "    names.append(_names_of_embedding())\n",
        "",
        API + "test_a_saved_network_predicts_the_same_bits",
    ),
    Break(
        "frozen_embeddings_are_averaged",
        "fastbp/training/inference.py",
        "        starts.insert(-1, plan[0, layout.EMBEDDING])\n",
        "        starts.insert(-1, len(parameters))\n",
        LAWS + "test_the_average_of_a_frozen_embedding_is_itself",
    ),
    Break(
        "best_weights_without_the_embedding",
        "fastbp/model/network_arrays.py",
        "            self.set_embedding(layers[-1])\n",
        "            pass\n",
        API + "test_the_best_weights_of_an_early_stop_are_those_of_the_embedding_too",
    ),
    Break(
        "frequencies_of_any_size",
        "fastbp/components/number_embedding.py",
        "self.sigma * random.standard_normal",
        "random.standard_normal",
        API + "test_an_embedding_begins_as_realmlps",
    ),
)
