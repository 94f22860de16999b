"""Breaks of kernels/primitives."""

from .row import Break

KERNELS = "tests/unit/test_kernels.py::"
ENGINES = "tests/laws/test_engines.py::"
GATHER = "tests/unit/test_gather.py::"
ROWS = "tests/unit/test_small_batch.py::"

PRIMITIVES = (
    Break(
        "tanh_derivative_sign",
        "kernels/primitives/elementwise.py",
        "return fma(-a, a, 1.0)",
        "return fma(a, a, 1.0)",
        KERNELS + "test_activation_and_slope_equal_their_twins[tanh-float32]",
    ),
    Break(
        "leaky_relu_without_its_slope",
        "kernels/primitives/elementwise.py",
        "select(z < 0.0, z * LEAKY_SLOPE, z)",
        "select(z < 0.0, z * 0.0, z)",
        KERNELS + "test_activation_and_slope_equal_their_twins[leaky_relu-float32]",
    ),
    Break(
        "relu_loses_nan",
        "kernels/primitives/elementwise.py",
        "return select(z < 0.0, 0.0, z)",
        "return select(z > 0.0, z, 0.0)",
        KERNELS + "test_nan_passes_through_activation_and_slope[relu-float32]",
    ),
    Break(
        "gelu_derivative_without_density",
        "kernels/primitives/elementwise.py",
        "return fma(z, _normal_density(z), _normal_cdf(z))",
        "return _normal_cdf(z)",
        KERNELS + "test_activation_and_slope_equal_their_twins[gelu-float32]",
    ),
    Break(
        "exp_clamp_loses_nan",
        "kernels/primitives/elementwise.py",
        "_reduced(select(x > 89.0, 89.0, select(x < -104.0, -104.0, x)))",
        "_reduced(select(x < 89.0, select(x < -104.0, -104.0, x), 89.0))",
        KERNELS + "test_nan_passes_through_activation_and_slope[sigmoid-float32]",
    ),
    Break(
        "expm1_clamp_loses_nan",
        "kernels/primitives/elementwise.py",
        "_reduced(select(x < -87.0, -87.0, x))",
        "_reduced(select(x > -87.0, x, -87.0))",
        KERNELS + "test_nan_passes_through_activation_and_slope[tanh-float32]",
    ),
    Break(
        "sum_skips_the_last_vector",
        "kernels/primitives/elementwise.py",
        "if (stop - start) % 2 == 1:",
        "if (stop - start) % 2 == 2:",
        ENGINES + "test_engines_agree_on_outputs_loss_and_gradients[batch of one-float32]",
    ),
    Break(
        "product_overwrites_its_blocks",
        "kernels/primitives/gemm.py",
        "mode = CONTINUE if k > 0 else WRITE",
        "mode = WRITE",
        KERNELS + "test_multiply_across_equals_its_twin[1-float32]",
    ),
    Break(
        "a_block_starts_from_zero",
        "kernels/primitives/tile.py",
        "phi.add_incoming(value, inside)",
        "phi.add_incoming(zero, inside)",
        KERNELS + "test_multiply_across_equals_its_twin[1-float32]",
    ),
    Break(
        "product_adds_the_bias_twice",
        "kernels/primitives/gemm.py",
        "(ADD_BIAS if k + some >= steps else WRITE)",
        "ADD_BIAS",
        KERNELS + "test_multiply_down_equals_its_twin[1-float32]",
    ),
    Break(
        "product_drops_the_bias",
        "kernels/primitives/tile.py",
        "item = ir_splat(at, at.load(at.gep(bias, [I64(r)])), self.kind.count)",
        "item = ir.Constant(self.kind, None)",
        KERNELS + "test_multiply_down_equals_its_twin[1-float32]",
    ),
    Break(
        "product_skips_the_last_steps",
        "kernels/primitives/gemm.py",
        "for k in range(0, steps, some):\n            mode = CONTINUE if",
        "for k in range(0, steps - 1, some):\n            mode = CONTINUE if",
        KERNELS + "test_multiply_across_equals_its_twin[2-float32]",
    ),
    Break(
        "rows_share_one_factor",
        "kernels/primitives/gemv.py",
        '"fmuladd", factors[r], vectors[p]',
        '"fmuladd", factors[0], vectors[p]',
        ROWS + "test_multiply_rows_equals_its_twin[2-float32]",
    ),
    Break(
        "rows_skip_the_last_row",
        "kernels/primitives/gemv.py",
        "while r < rows:",
        "while r < rows - 1:",
        ROWS + "test_multiply_rows_equals_its_twin[3-float32]",
    ),
    Break(
        "rows_back_write_one_row",
        "kernels/primitives/gemv.py",
        "offset(e, panel * e_stride + r * ",
        "offset(e, p * e_stride + 0 * ",
        ROWS + "test_multiply_rows_back_equals_its_twin[2-float32]",
    ),
    Break(
        "fold_adds_a_lane_twice",
        "kernels/primitives/gemv.py",
        "for by in (0, run)]",
        "for by in (0, 0)]",
        ROWS + "test_multiply_rows_back_equals_its_twin[1-float32]",
    ),
    Break(
        "gather_drops_the_last_column",
        "kernels/primitives/gather.py",
        "columns - c)\n",
        "columns - c - 1)\n",
        GATHER + "test_gather_equals_indexing[f8-as it lies-float32]",
    ),
    Break(
        "gather_ignores_the_order",
        "kernels/primitives/gather.py",
        "return job[data + ADDRESS] + row * job[data + ROW_BYTES]",
        "return job[data + ADDRESS] + place * job[data + ROW_BYTES]",
        GATHER + "test_gather_equals_indexing[f8-as it lies-float32]",
    ),
    Break(
        "gather_misses_nan_in_whole_vectors",
        "kernels/primitives/gather.py",
        "return bad_vectors or any_lane(bad)",
        "return any_lane(bad)",
        GATHER + "test_gather_reports_what_is_not_finite[f4-nan-float32]",
    ),
    Break(
        "gather_leaves_padded_rows",
        "kernels/primitives/gather.py",
        "in range(valid, ",
        "in range(valid + 1, ",
        GATHER + "test_gather_equals_indexing[f8-as it lies-float32]",
    ),
    Break(
        "shuffle_ignores_the_epoch",
        "kernels/primitives/shuffle.py",
        "+ types.uint64(epoch))",
        "+ types.uint64(epoch) * types.uint64(0))",
        KERNELS + "test_shuffle_equals_its_twin",
    ),
    Break(
        "shuffle_never_moves_the_first_row",
        "kernels/primitives/shuffle.py",
        "range(n - 1, 0, -1)",
        "range(n - 1, 1, -1)",
        KERNELS + "test_shuffle_equals_its_twin",
    ),
    Break(
        "selu_derivative_without_alpha",
        "kernels/primitives/elementwise.py",
        "a + SELU_SCALE * SELU_ALPHA)",
        "a + SELU_SCALE)",
        KERNELS + "test_activation_and_slope_equal_their_twins[selu-float32]",
    ),
    Break(
        "mish_derivative_without_its_second_term",
        "kernels/primitives/elementwise.py",
        "return n / (n + 2.0) + (x * e * 4.0",
        "return n / (n + 2.0) + (x * e * 0.0",
        KERNELS + "test_activation_and_slope_equal_their_twins[mish-float32]",
    ),
)
