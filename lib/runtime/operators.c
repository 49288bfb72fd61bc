/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The public operators: checks, then the backend. */
#include <inttypes.h>

#include "base/abi.h"
#include "base/size.h"
#include "kernel/kernel.h"
#include "runtime/backend.h"
#include "runtime/cpu_backend.h"

static int
is_float(w4moe_dtype dtype)
{
    return dtype == W4MOE_F32 || dtype == W4MOE_F16 || dtype == W4MOE_BF16;
}

static w4moe_status
check_gemm_sizes(struct w4_err *err, const w4moe_gemm_args *args)
{
    uint64_t n_slots;
    if (args->top_k == 0 || !w4_mul(&n_slots, args->n_rows, args->top_k) ||
            n_slots > INT32_MAX) {
        return w4_fail(err, W4MOE_INVALID,
                "gemm: %zu rows of top_k %zu slots (top_k at least 1, at most "
                "2^31 - 1 slots)",
                args->n_rows, args->top_k);
    }
    if (args->block_size == 0 || args->block_size > W4_ROWS_MAX) {
        return w4_fail(err, W4MOE_INVALID, "gemm: block size %zu (1 to %d)",
                args->block_size, W4_ROWS_MAX);
    }
    if (args->output_topk != 0 && n_slots % args->output_topk != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "gemm: output_topk %zu does not divide %" PRIu64 " slots",
                args->output_topk, n_slots);
    }
    if (args->dtype != W4MOE_BF16 && args->dtype != W4MOE_F16) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "gemm: activations of type %s (BF16 or F16)",
                w4moe_dtype_name(args->dtype));
    }
    if (args->a_stride < args->b->n_in || args->c_stride < args->b->n_out ||
            args->a_stride > PTRDIFF_MAX / 4 / (n_slots + 1) ||
            args->c_stride > PTRDIFF_MAX / 4 / (n_slots + 1)) {
        return w4_fail(err, W4MOE_INVALID,
                "gemm: a_stride %zu, c_stride %zu for %zu inputs and %zu "
                "outputs",
                args->a_stride, args->c_stride, args->b->n_in, args->b->n_out);
    }
    return W4MOE_OK;
}

/* Takes the arguments and their matrix in, with defaults, and checks sizes. */
static w4moe_status
take_gemm(const w4moe_ctx *ctx, w4moe_gemm_args *own, w4moe_matrix *matrix,
        const w4moe_gemm_args *args)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_status status =
            ctx == NULL ? W4MOE_INVALID
                        : w4_struct_in(err, own, sizeof(*own), sizeof(*own),
                                  args, "w4moe_gemm_args");
    if (status == W4MOE_OK) {
        status = w4_struct_in(err, matrix, sizeof(*matrix), sizeof(*matrix),
                own->b, "w4moe_gemm_args.b");
    }
    if (status == W4MOE_OK) {
        status = w4_matrix_check(err, matrix, "gemm: b");
    }
    if (status != W4MOE_OK) {
        return status;
    }
    own->b = matrix;
    own->a_stride = own->a_stride != 0 ? own->a_stride : matrix->n_in;
    own->c_stride = own->c_stride != 0 ? own->c_stride : matrix->n_out;
    return check_gemm_sizes(err, own);
}

w4moe_status
w4moe_gemm_workspace(
        const w4moe_ctx *ctx, uint64_t *n_bytes, const w4moe_gemm_args *args)
{
    w4moe_gemm_args own;
    w4moe_matrix matrix;
    w4moe_status status = take_gemm(ctx, &own, &matrix, args);
    if (status == W4MOE_OK && n_bytes == NULL) {
        status = w4_fail(w4_ctx_err(ctx), W4MOE_INVALID, "n_bytes is NULL");
    }
    if (status == W4MOE_OK) {
        *n_bytes = ctx->backend->ops->gemm_workspace(&own);
    }
    return status;
}

w4moe_status
w4moe_gemm(const w4moe_ctx *ctx, const w4moe_gemm_args *args)
{
    w4moe_gemm_args own;
    w4moe_matrix matrix;
    w4moe_status status = take_gemm(ctx, &own, &matrix, args);
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_err *err = w4_ctx_err(ctx);
    if (own.c == NULL || own.a == NULL || own.sorted_slots == NULL ||
            own.expert_ids == NULL || own.n_padded == NULL) {
        return w4_fail(err, W4MOE_INVALID, "gemm: %s is NULL",
                own.c == NULL              ? "c"
                : own.a == NULL            ? "a"
                : own.sorted_slots == NULL ? "sorted_slots"
                : own.expert_ids == NULL   ? "expert_ids"
                                           : "n_padded");
    }
    uint64_t needed = ctx->backend->ops->gemm_workspace(&own);
    if (own.workspace_size < needed || (own.workspace == NULL && needed != 0)) {
        return w4_fail(err, W4MOE_INVALID,
                "gemm: a workspace of %" PRIu64 " bytes is needed, %" PRIu64
                " are given",
                needed, own.workspace == NULL ? 0 : own.workspace_size);
    }
    return ctx->backend->ops->gemm(ctx, &own);
}

w4moe_status
w4moe_activate(const w4moe_ctx *ctx, void *out, size_t out_stride,
        const void *in, size_t in_stride, w4moe_dtype dtype, size_t n_rows,
        size_t n_out, const w4moe_activation *activation)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_activation act;
    w4moe_status status = ctx == NULL
                                  ? W4MOE_INVALID
                                  : w4_activation_check(err, &act, activation);
    if (status != W4MOE_OK || n_rows == 0 || n_out == 0) {
        return status;
    }
    if (!is_float(dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "activate: type %s (BF16, F16 or F32)",
                w4moe_dtype_name(dtype));
    }
    uint64_t n_in;
    if (!w4_mul(&n_in, n_out, w4moe_activation_gated(act.kind) ? 2 : 1)) {
        n_in = UINT64_MAX;
    }
    out_stride = out_stride != 0 ? out_stride : n_out;
    in_stride = in_stride != 0 ? in_stride : (size_t)n_in;
    if (out == NULL || in == NULL || out_stride < n_out || in_stride < n_in ||
            out_stride > PTRDIFF_MAX / 4 / n_rows ||
            in_stride > PTRDIFF_MAX / 4 / n_rows) {
        return w4_fail(err, W4MOE_INVALID,
                "activate: out %s of stride %zu, in %s of stride %zu, %zu rows "
                "of %zu",
                out == NULL ? "NULL" : "given", out_stride,
                in == NULL ? "NULL" : "given", in_stride, n_rows, n_out);
    }
    return ctx->backend->ops->activate(
            ctx, out, out_stride, in, in_stride, dtype, n_rows, n_out, &act);
}

static w4moe_status
check_combine(struct w4_err *err, const w4moe_combine_args *args)
{
    const unsigned known = W4MOE_ACCUMULATE | W4MOE_HOST_IO;
    uint64_t n_ids;
    if (!is_float(args->out_dtype) || !is_float(args->row_dtype)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "combine: rows of type %s to %s (F32, F16 or BF16)",
                w4moe_dtype_name(args->row_dtype),
                w4moe_dtype_name(args->out_dtype));
    }
    if ((args->flags & ~known) != 0) {
        return w4_fail(err, W4MOE_UNSUPPORTED, "combine: unknown flags %#x",
                args->flags & ~known);
    }
    if (args->k == 0 || !w4_mul(&n_ids, args->n_tokens, args->k) ||
            n_ids > INT32_MAX || args->n_rows > INT32_MAX ||
            (args->row_ids == NULL && n_ids > args->n_rows)) {
        return w4_fail(err, W4MOE_INVALID,
                "combine: %zu tokens of k %zu rows each, of %zu rows (k at "
                "least 1, at most 2^31 - 1 of each)%s",
                args->n_tokens, args->k, args->n_rows,
                args->row_ids == NULL ? ", without row_ids" : "");
    }
    if (args->out == NULL || (args->rows == NULL && args->n_rows != 0)) {
        return w4_fail(err, W4MOE_INVALID, "combine: %s is NULL",
                args->out == NULL ? "out" : "rows");
    }
    if (args->out_stride < args->n_columns ||
            args->row_stride < args->n_columns ||
            args->out_stride > PTRDIFF_MAX / 4 / args->n_tokens ||
            args->row_stride > PTRDIFF_MAX / 4 / (args->n_rows + 1)) {
        return w4_fail(err, W4MOE_INVALID,
                "combine: out_stride %zu, row_stride %zu for rows of %zu",
                args->out_stride, args->row_stride, args->n_columns);
    }
    return W4MOE_OK;
}

w4moe_status
w4moe_combine(const w4moe_ctx *ctx, const w4moe_combine_args *args)
{
    struct w4_err *err = w4_ctx_err(ctx);
    w4moe_combine_args own;
    w4moe_status status =
            ctx == NULL ? W4MOE_INVALID
                        : w4_struct_in(err, &own, sizeof(own), sizeof(own),
                                  args, "w4moe_combine_args");
    if (status != W4MOE_OK || own.n_tokens == 0 || own.n_columns == 0) {
        return status;
    }
    own.out_stride = own.out_stride != 0 ? own.out_stride : own.n_columns;
    own.row_stride = own.row_stride != 0 ? own.row_stride : own.n_columns;
    status = check_combine(err, &own);
    if (status != W4MOE_OK) {
        return status;
    }
    return (own.flags & W4MOE_HOST_IO) != 0
                   ? w4_cpu_combine(ctx, &own)
                   : ctx->backend->ops->combine(ctx, &own);
}
