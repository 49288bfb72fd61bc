/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The operators on the CPU. */
#include <inttypes.h>
#include <string.h>

#include "base/half.h"
#include "base/parallel.h"
#include "kernel/sum_rows.h"
#include "runtime/cpu_backend.h"

/* Checks what the blocks hold. */
static w4moe_status
check_blocks(struct w4_err *err, const w4moe_gemm_args *args)
{
    int32_t n_padded = *args->n_padded;
    if (n_padded < 0 || (size_t)n_padded > args->capacity ||
            (size_t)n_padded % args->block_size != 0) {
        return w4_fail(err, W4MOE_INVALID,
                "gemm: n_padded %" PRId32 " (a multiple of the block size %zu, "
                "at most the capacity %zu)",
                n_padded, args->block_size, args->capacity);
    }
    for (size_t r = 0; r < (size_t)n_padded; r++) {
        int32_t expert = args->expert_ids[r / args->block_size];
        int32_t slot = args->sorted_slots[r];
        if (expert < -1 || expert >= (int32_t)args->b->n_experts || slot < 0) {
            return w4_fail(err, W4MOE_INVALID,
                    "gemm: expert %" PRId32 " of %zu, slot %" PRId32
                    " at row %zu",
                    expert, args->b->n_experts, slot, r);
        }
    }
    return W4MOE_OK;
}

/* Rows of slots in no block are zero. */
static void
clear_rows(const w4moe_gemm_args *args)
{
    size_t n_slots = args->n_rows * args->top_k;
    size_t element = w4moe_dtype_size(args->dtype);
    for (size_t slot = 0; slot < n_slots; slot++) {
        memset((char *)args->c + slot * args->c_stride * element, 0,
                args->b->n_out * element);
    }
}

/* The sums in fp32. The product fits: a row's bytes times the slots were
 * checked. */
uint64_t
w4_cpu_gemm_workspace(const w4moe_gemm_args *args)
{
    uint64_t n_slots = (uint64_t)args->n_rows * args->top_k;
    return args->output_topk != 0 ? n_slots / args->output_topk *
                                            sizeof(float) * args->b->n_out
                                  : 0;
}

w4moe_status
w4_cpu_gemm(const w4moe_ctx *ctx, const w4moe_gemm_args *args)
{
    struct w4_err *err = w4_ctx_err(ctx);
    size_t n_slots = args->n_rows * args->top_k;
    if (args->stream != NULL) {
        return w4_fail(err, W4MOE_INVALID, "gemm: backend cpu has no streams");
    }
    w4moe_status status = w4_matrix_check_data(err, args->b, "gemm: b");
    if (status == W4MOE_OK) {
        status = check_blocks(err, args);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    struct w4_block_gemm gemm = {
            .kernels = w4_cpu_kernels(ctx),
            .team = ctx->state->team,
            .matrix = args->b,
            .blocks =
                    {
                            .sorted_slots = args->sorted_slots,
                            .expert_ids = args->expert_ids,
                            .n_padded = (size_t)*args->n_padded,
                            .block_size = args->block_size,
                            .n_slots = n_slots,
                    },
            .a = args->a,
            .a_stride = args->a_stride,
            .top_k = args->top_k,
            .dtype = args->dtype,
            .slot_weights = args->topk_weights,
            .out = args->c,
            .out_stride = args->c_stride,
            .out_dtype = args->dtype,
    };
    if (args->output_topk != 0) {
        struct w4_combine combine = {
                .n_tokens = n_slots / args->output_topk,
                .k = args->output_topk,
                .sums = args->workspace,
        };
        w4_block_gemm_combined(&gemm, &combine);
    } else {
        clear_rows(args);
        w4_block_gemm(&gemm, NULL);
    }
    return W4MOE_OK;
}

/* Elements of a row that are activated together. */
enum { RUN = 256 };

/* A call of w4_cpu_activate(). */
struct activate {
    w4_act_fn *act;
    const w4moe_activation *activation;
    void *out;
    size_t out_stride;
    const void *in;
    size_t in_stride;
    w4moe_dtype dtype;
    size_t n_out;
};

static void
activate_row(const void *activate, size_t r)
{
    const struct activate *job = activate;
    size_t element = w4moe_dtype_size(job->dtype);
    int gated = w4moe_activation_gated(job->activation->kind);
    const char *row = (const char *)job->in + r * job->in_stride * element;
    char *out = (char *)job->out + r * job->out_stride * element;
    for (size_t first = 0; first < job->n_out; first += RUN) {
        size_t n = job->n_out - first < RUN ? job->n_out - first : RUN;
        float gate[RUN];
        float up[RUN];
        for (size_t i = 0; i < n; i++) {
            gate[i] = w4_load_float(row, job->dtype, first + i);
            if (gated) {
                up[i] = w4_load_float(row, job->dtype, job->n_out + first + i);
            }
        }
        job->act(out + first * element, job->dtype, gate, gated ? up : NULL, n,
                job->activation);
    }
}

w4moe_status
w4_cpu_activate(const w4moe_ctx *ctx, void *out, size_t out_stride,
        const void *in, size_t in_stride, w4moe_dtype dtype, size_t n_rows,
        size_t n_out, const w4moe_activation *activation)
{
    struct activate job = {
            .act = w4_cpu_kernels(ctx)->act,
            .activation = activation,
            .out = out,
            .out_stride = out_stride,
            .in = in,
            .in_stride = in_stride,
            .dtype = dtype,
            .n_out = n_out,
    };
    w4_parallel(ctx->state->team, n_rows, activate_row, &job);
    return W4MOE_OK;
}

w4moe_status
w4_cpu_combine(const w4moe_ctx *ctx, const w4moe_combine_args *args)
{
    struct w4_err *err = w4_ctx_err(ctx);
    if (args->stream != NULL) {
        return w4_fail(
                err, W4MOE_INVALID, "combine: host memory has no streams");
    }
    size_t n_ids = args->row_ids != NULL ? args->n_tokens * args->k : 0;
    for (size_t i = 0; i < n_ids; i++) {
        int32_t row = args->row_ids[i];
        if (row < -1 || row >= (int32_t)args->n_rows) {
            return w4_fail(err, W4MOE_INVALID,
                    "combine: row %" PRId32
                    " of token %zu, place %zu is not in -1 .. %" PRId64,
                    row, i / args->k, i % args->k, (int64_t)args->n_rows - 1);
        }
    }
    w4_sum_rows(ctx->state->team, args, (args->flags & W4MOE_ACCUMULATE) != 0);
    return W4MOE_OK;
}
