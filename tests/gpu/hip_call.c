/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "hip_call.h"

#include <check.h>
#include <stdlib.h>

#include "hip_context.h"

/* A copy on the device that lives as long as the call. */
static void *
keep(struct hip_arrays *arrays, const void *host, size_t n_bytes)
{
    void *p = hip_copy_of(host, n_bytes);
    if (p != NULL) {
        ck_assert_int_lt(arrays->n, HIP_CALL_ARRAYS);
        arrays->p[arrays->n++] = p;
    }
    return p;
}

static void
release(struct hip_arrays *arrays)
{
    for (int i = 0; i < arrays->n; i++) {
        HIP_OK(hipFree(arrays->p[i]));
    }
}

/* ----------------------------------------------------------------- forward */

void
hip_forward_open(struct hip_forward *call, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p)
{
    size_t n_slots = p->what.n_tokens * p->what.top_k;
    struct hip_arrays *arrays = &call->arrays;
    arrays->n = 0;
    forward_open(&call->host, layer, ws, p);
    w4moe_forward_args *args = &call->args;
    *args = call->host.args;
    size_t guard = (size_t)((unsigned char *)args->out - call->host.guarded);
    call->guarded_size = 2 * guard + 2 * p->what.n_tokens * p->out_stride;
    call->guarded = keep(arrays, call->host.guarded, call->guarded_size);
    args->out = (unsigned char *)call->guarded + guard;
    args->x = keep(arrays, p->x_rows, 2 * p->what.n_tokens * p->x_stride);
    args->ids = keep(arrays, args->ids, n_slots * sizeof(*args->ids));
    args->weights =
            keep(arrays, args->weights, n_slots * sizeof(*args->weights));
    args->expert_map = keep(arrays, args->expert_map,
            args->n_experts_global * sizeof(*args->expert_map));
    args->router_logits = keep(arrays, args->router_logits,
            p->what.n_tokens * p->what.n_experts *
                    w4moe_dtype_size(args->logits_dtype));
}

void
hip_forward_again(const struct hip_forward *call)
{
    hip_store(call->guarded, call->host.guarded, call->guarded_size);
}

void *
hip_forward_close(struct hip_forward *call)
{
    HIP_OK(hipDeviceSynchronize());
    HIP_OK(hipMemcpy(call->host.guarded, call->guarded, call->guarded_size,
            hipMemcpyDeviceToHost));
    release(&call->arrays);
    return forward_close(&call->host);
}

void *
hip_forward_run(const w4moe_ctx *ctx, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p,
        hipStream_t stream)
{
    struct hip_forward call;
    hip_forward_open(&call, layer, ws, p);
    call.args.stream = stream;
    w4moe_status status = w4moe_forward(layer, call.host.ws, &call.args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    return hip_forward_close(&call);
}

/* -------------------------------------------------------------------- gemm */

/* The matrix with its arrays on the device. */
static w4moe_matrix
keep_matrix(
        struct hip_arrays *arrays, const w4moe_ctx *ctx, const w4moe_matrix *b)
{
    w4moe_matrix_sizes sizes = {.struct_size = sizeof(sizes)};
    w4moe_matrix m = *b;
    ck_assert_msg(w4moe_matrix_measure(ctx, &sizes, b) == W4MOE_OK, "%s",
            w4moe_ctx_error(ctx));
    m.qweight = keep(arrays, b->qweight, sizes.qweight);
    m.scales = keep(arrays, b->scales, sizes.scales);
    m.qzeros = keep(arrays, b->qzeros, sizes.qzeros);
    m.offsets = keep(arrays, b->offsets, sizes.offsets);
    m.perm = keep(arrays, b->perm, sizes.perm);
    m.bias = keep(arrays, b->bias, sizes.bias);
    return m;
}

/* Bytes of the output with its guards, which are as long as each other. */
static size_t
guarded_bytes(const struct gemm_call *call)
{
    const struct gemm_problem *p = call->p;
    size_t guard = (size_t)((unsigned char *)call->args.c - call->guarded);
    return 2 * guard + 2 * p->c_rows * p->c_stride;
}

/* The arguments with all arrays on the device. */
static w4moe_gemm_args
keep_gemm(struct hip_arrays *arrays, const struct gemm_call *call)
{
    const struct gemm_problem *p = call->p;
    w4moe_gemm_args args = call->args;
    size_t guard = (size_t)((unsigned char *)args.c - call->guarded);
    size_t a_stride = p->what.spec.n_in + p->what.a_pad;
    args.c = (unsigned char *)keep(arrays, call->guarded, guarded_bytes(call)) +
             guard;
    args.a = keep(arrays, p->a_rows, 2 * p->what.n_rows * a_stride);
    args.sorted_slots = keep(arrays, p->sorted_slots, args.capacity * 4);
    args.expert_ids =
            keep(arrays, p->expert_ids, args.capacity / args.block_size * 4);
    args.n_padded = keep(arrays, &p->n_padded, 4);
    args.topk_weights = keep(arrays, args.topk_weights, p->n_slots * 4);
    args.workspace = keep(arrays, args.workspace, args.workspace_size);
    return args;
}

void *
hip_gemm_run(const w4moe_ctx *ctx, const struct gemm_problem *p,
        const w4moe_matrix *b, hipStream_t stream)
{
    struct gemm_call call;
    struct hip_arrays arrays = {.n = 0};
    w4moe_matrix m = keep_matrix(&arrays, ctx, b);
    gemm_open(&call, ctx, p, b);
    w4moe_gemm_args args = keep_gemm(&arrays, &call);
    args.b = &m;
    args.stream = stream;
    w4moe_status status = w4moe_gemm(ctx, &args);
    ck_assert_msg(
            status == W4MOE_OK, "%s: %s", gemm_text(p), w4moe_ctx_error(ctx));
    HIP_OK(hipDeviceSynchronize());
    HIP_OK(hipMemcpy(call.guarded,
            (unsigned char *)args.c -
                    ((unsigned char *)call.args.c - call.guarded),
            guarded_bytes(&call), hipMemcpyDeviceToHost));
    release(&arrays);
    return gemm_close(&call);
}
