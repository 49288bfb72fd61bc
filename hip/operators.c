/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The operators on the device. All pointers are in its memory. */
#include "gpu.h"

uint64_t
w4_gpu_gemm_workspace(const w4moe_gemm_args *args)
{
    uint64_t n_slots = (uint64_t)args->n_rows * args->top_k;
    return args->output_topk != 0 ? n_slots * args->b->n_out * sizeof(float)
                                  : 0;
}

/* Rows of slots that are in no block are 0. */
static w4moe_status
clear(const w4moe_ctx *ctx, void *out, size_t stride, size_t n_rows,
        size_t n_columns, w4moe_dtype type, hipStream_t stream)
{
    struct w4_gpu_clear p = {
            .out = out,
            .out_stride = stride,
            .n_columns = (uint32_t)n_columns,
            .type = type,
    };
    return w4_gpu_launch(w4_ctx_err(ctx), w4_gpu_of(ctx)->clear, n_rows,
            (n_columns + W4_GPU_THREADS - 1) / W4_GPU_THREADS, W4_GPU_THREADS,
            &p, stream);
}

static w4moe_status
multiply(const w4moe_ctx *ctx, const w4moe_gemm_args *args, void *out,
        size_t out_stride)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    uint32_t n_slots = (uint32_t)(args->n_rows * args->top_k);
    int sums = args->output_topk != 0;
    int aligned = (uintptr_t)args->a % 16 == 0 && args->a_stride % 8 == 0;
    struct w4_gpu_gemm p = {
            .a = args->a,
            .a_stride = args->a_stride,
            .top_k = w4_gpu_divisor((uint32_t)args->top_k),
            .n_slots = n_slots,
            .gather = !aligned || args->b->perm != NULL,
            .sorted_slots = args->sorted_slots,
            .expert_ids = args->expert_ids,
            .n_padded = args->n_padded,
            .block_size = w4_gpu_divisor((uint32_t)args->block_size),
            .result = sums ? W4_GPU_SUMS : W4_GPU_ROWS,
            .slot_weights = args->topk_weights,
            .out = out,
            .out_stride = out_stride,
    };
    w4moe_status status =
            w4_gpu_matrix_set(w4_ctx_err(ctx), &p.b, args->b, "gemm: b");
    if (status == W4MOE_OK) {
        status = clear(ctx, out, out_stride, n_slots, args->b->n_out,
                sums ? W4MOE_F32 : args->dtype, args->stream);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_gpu_product use = w4_gpu_choose(
            gpu, args->b, aligned, args->dtype, (uint32_t)args->block_size);
    return w4_gpu_multiply(ctx, use.family, args->b, &p, args->dtype,
            args->capacity / use.rows, args->stream);
}

static w4moe_status
add_rows(const w4moe_ctx *ctx, const w4moe_combine_args *args)
{
    struct w4_gpu_combine p = {
            .out = args->out,
            .out_stride = args->out_stride,
            .rows = args->rows,
            .row_stride = args->row_stride,
            .row_ids = args->row_ids,
            .n_rows = (uint32_t)args->n_rows,
            .k = (uint32_t)args->k,
            .n_columns = (uint32_t)args->n_columns,
            .out_type = args->out_dtype,
            .row_type = args->row_dtype,
            .accumulate = (args->flags & W4MOE_ACCUMULATE) != 0,
    };
    const uint64_t columns = 4 * W4_GPU_THREADS;
    return w4_gpu_launch(w4_ctx_err(ctx), w4_gpu_of(ctx)->combine,
            args->n_tokens, (args->n_columns + columns - 1) / columns,
            W4_GPU_THREADS, &p, args->stream);
}

static w4moe_status
sum_up(const w4moe_ctx *ctx, const w4moe_gemm_args *args)
{
    size_t n_slots = args->n_rows * args->top_k;
    const w4moe_combine_args sums = {
            .out = args->c,
            .out_stride = args->c_stride,
            .out_dtype = args->dtype,
            .rows = args->workspace,
            .row_stride = args->b->n_out,
            .row_dtype = W4MOE_F32,
            .n_rows = n_slots,
            .n_tokens = n_slots / args->output_topk,
            .k = args->output_topk,
            .n_columns = args->b->n_out,
            .stream = args->stream,
    };
    return add_rows(ctx, &sums);
}

w4moe_status
w4_gpu_gemm(const w4moe_ctx *ctx, const w4moe_gemm_args *args)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    struct w4_err *err = w4_ctx_err(ctx);
    if ((uint64_t)args->n_rows * args->top_k >
            UINT32_MAX / (args->top_k > 64 ? args->top_k : 64)) {
        return w4_fail(err, W4MOE_UNSUPPORTED,
                "gemm: %zu rows of top_k %zu slots are too many for backend "
                "hip",
                args->n_rows, args->top_k);
    }
    if (args->n_rows == 0) {
        return W4MOE_OK;
    }
    int before = 0;
    w4moe_status status = w4_gpu_enter(err, gpu, &before);
    if (status != W4MOE_OK) {
        return status;
    }
    if (args->output_topk == 0) {
        status = multiply(ctx, args, args->c, args->c_stride);
    } else {
        status = multiply(ctx, args, args->workspace, args->b->n_out);
        if (status == W4MOE_OK) {
            status = sum_up(ctx, args);
        }
    }
    w4_gpu_leave(gpu, before);
    return status;
}

w4moe_status
w4_gpu_activate(const w4moe_ctx *ctx, void *out, size_t out_stride,
        const void *in, size_t in_stride, w4moe_dtype dtype, size_t n_rows,
        size_t n_out, const w4moe_activation *activation)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    struct w4_err *err = w4_ctx_err(ctx);
    struct w4_gpu_activate p = {
            .out = out,
            .out_stride = out_stride,
            .in = in,
            .in_stride = in_stride,
            .n_columns = (uint32_t)n_out,
            .type = dtype,
            .gated = w4moe_activation_gated(activation->kind) != 0,
    };
    w4_gpu_activation_set(&p.activation, activation);
    int before = 0;
    w4moe_status status = w4_gpu_enter(err, gpu, &before);
    if (status == W4MOE_OK) {
        status = w4_gpu_launch(err, gpu->activate, n_rows,
                (n_out + W4_GPU_THREADS - 1) / W4_GPU_THREADS, W4_GPU_THREADS,
                &p, NULL);
        w4_gpu_leave(gpu, before);
    }
    return status;
}

w4moe_status
w4_gpu_combine(const w4moe_ctx *ctx, const w4moe_combine_args *args)
{
    const struct w4_gpu *gpu = w4_gpu_of(ctx);
    int before = 0;
    w4moe_status status = w4_gpu_enter(w4_ctx_err(ctx), gpu, &before);
    if (status == W4MOE_OK) {
        status = add_rows(ctx, args);
        w4_gpu_leave(gpu, before);
    }
    return status;
}
