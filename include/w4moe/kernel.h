/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The operators, for callers that bring their own loop. w4moe_forward() does
 * the same steps in one call.
 *
 * Included by <w4moe.h>. Pointers are in the memory of the context's backend.
 */
#ifndef W4MOE_KERNEL_H
#define W4MOE_KERNEL_H

#include <w4moe/base.h>
#include <w4moe/format.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Arguments of w4moe_gemm(). Zero in a field means default or absent. */
typedef struct w4moe_gemm_args {
    /** sizeof(w4moe_gemm_args). */
    size_t struct_size;

    /** Output rows of n_out elements of type dtype; see output_topk. */
    void *c;
    /** Distance of rows in elements; 0 means n_out. */
    size_t c_stride;

    /** Input rows, [n_rows][a_stride], of type dtype. */
    const void *a;
    /** Distance of rows in elements; 0 means n_in. */
    size_t a_stride;
    /** Rows of a. */
    size_t n_rows;
    /** W4MOE_BF16 or W4MOE_F16, of both a and c. */
    w4moe_dtype dtype;

    /** The weights. */
    const w4moe_matrix *b;

    /** Slots by block, as w4moe_align() writes them; a slot s reads row
     * s / top_k of a. Slots of n_rows * top_k and above are padding. */
    const int32_t *sorted_slots;
    /** Expert of each block, -1 for none here. */
    const int32_t *expert_ids;
    /** Rows in use of sorted_slots. */
    const int32_t *n_padded;
    /** Rows that sorted_slots has room for; *n_padded is not larger. */
    size_t capacity;
    /** Rows of a block, 1 to 64. */
    size_t block_size;

    /** Slots per row of a, at least 1 (w13: k; w2: 1). */
    size_t top_k;
    /** Not NULL: results are multiplied by topk_weights[slot],
     * [n_rows * top_k]. */
    const float *topk_weights;
    /** 0: c has a row for each slot, c[slot]. k: c has a row for each k slots,
     * the sum of theirs in the order of their blocks. Must divide
     * n_rows * top_k. */
    size_t output_topk;

    /** Memory for sums, of the size that w4moe_gemm_workspace() asks for;
     * aligned to 64 bytes. May be NULL if that is 0. */
    void *workspace;
    uint64_t workspace_size;

    /** Stream of the backend; the CPU backend has none: NULL. */
    void *stream;
} w4moe_gemm_args;

/**
 * Bytes of workspace that w4moe_gemm() needs for these arguments (of which
 * pointers are not looked at, except b).
 *
 * Out: *n_bytes, 0 if none is needed.
 * Returns: W4MOE_OK; W4MOE_INVALID.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_gemm_workspace(const w4moe_ctx *ctx,
        uint64_t *n_bytes, const w4moe_gemm_args *args) W4MOE_MUST_CHECK;

/**
 * The fused operator: for every slot of every block, the product of a row of
 * activations and the block's expert.
 *
 *   r[slot][n] = (sum_i a[slot / top_k][i] * w[e][n][i] + bias[e][n])
 *                * topk_weights[slot]
 *
 * The sum is fp32 in a fixed order; the result is rounded once, when it is
 * written. Every row of c is written: rows whose slots are in no block, or in
 * a block of expert -1, are 0 (with output_topk: add nothing). Columns of c
 * are in natural order, gate then up, in both orders of b.
 *
 * Returns: W4MOE_OK; W4MOE_INVALID (the values are in the text);
 *     W4MOE_UNSUPPORTED (types).
 * Threads: any, with different c and workspace.
 */
extern W4MOE_API w4moe_status w4moe_gemm(
        const w4moe_ctx *ctx, const w4moe_gemm_args *args) W4MOE_MUST_CHECK;

/**
 * Activation of rows; fp32 inside, one rounding at the end.
 *
 * Gated kinds, in [n_rows][2 n_out] with gate first (g) and up second (u):
 *   silu: g sigmoid(g) u; with a limit L first g = min(g, L), u = clamp(u, L)
 *   gelu: g (1 + erf(g / sqrt 2)) / 2 * u
 *   gelu_tanh: g (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))) / 2 * u
 *   swigluoai: g = min(g, L), u = clamp(u, L); (u + 1) g sigmoid(alpha g)
 *   swigluoai_uninterleave: the same with (u + beta)
 *   swiglustep: min(silu(g), L) * clamp(u, L)
 *   situ: beta tanh(g / beta) sigmoid(g) * (lb > 0 ? lb tanh(u / lb) : u)
 * The others, in [n_rows][n_out]: silu_no_mul, gelu_no_mul,
 *   gelu_tanh_no_mul, relu2_no_mul: max(x, 0)^2.
 * A NaN in an input makes a NaN in its output.
 *
 * Out: out [n_rows][out_stride], dtype W4MOE_BF16, W4MOE_F16 or W4MOE_F32.
 * In: in [n_rows][in_stride], the same dtype; may not overlap out.
 * Units: strides in elements; 0 means packed rows.
 * Returns: W4MOE_OK; W4MOE_INVALID (strides, parameters); W4MOE_UNSUPPORTED
 *     (kind, dtype).
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_activate(const w4moe_ctx *ctx, void *out,
        size_t out_stride, const void *in, size_t in_stride, w4moe_dtype dtype,
        size_t n_rows, size_t n_out,
        const w4moe_activation *activation) W4MOE_MUST_CHECK;

/** Arguments of w4moe_combine(). Zero in a field means default or absent. */
typedef struct w4moe_combine_args {
    /** sizeof(w4moe_combine_args). */
    size_t struct_size;

    /** Output, [n_tokens][out_stride], of type out_dtype. */
    void *out;
    /** Distance of rows in elements; 0 means n_columns. */
    size_t out_stride;
    /** W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
    w4moe_dtype out_dtype;

    /** Input, [n_rows][row_stride], of type row_dtype. */
    const void *rows;
    /** Distance of rows in elements; 0 means n_columns. */
    size_t row_stride;
    /** W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
    w4moe_dtype row_dtype;
    size_t n_rows;

    /** [n_tokens][k]: the rows of token t in the order of adding; -1 adds
     * nothing. NULL: rows t * k to t * k + k - 1. */
    const int32_t *row_ids;

    size_t n_tokens;
    /** Rows of a token, at least 1. */
    size_t k;
    size_t n_columns;

    /** W4MOE_ACCUMULATE, W4MOE_HOST_IO, or-ed. */
    unsigned flags;
    /** Stream of the backend; the CPU backend has none: NULL. */
    void *stream;
} w4moe_combine_args;

/**
 * Adds up rows, what w4moe_forward() does at its end:
 *
 *   out[t] = (out[t] if ACCUMULATE, else 0) + sum_j rows[row_ids[t][j]]
 *
 * in fp32, in the order of j, rounded once to out_dtype. With k = 1 it gathers
 * rows, or changes their type. out must not overlap rows. A GPU does not look
 * at row_ids before it uses them: rows that are not there add nothing.
 *
 * Returns: W4MOE_OK; W4MOE_INVALID (NULLs, strides, a row that is not there:
 *     the values are in the text); W4MOE_UNSUPPORTED (types, flags);
 *     W4MOE_DEVICE.
 * Threads: any.
 */
extern W4MOE_API w4moe_status w4moe_combine(
        const w4moe_ctx *ctx, const w4moe_combine_args *args) W4MOE_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
