/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Forward on the device. Launches only: nothing is allocated or waited for,
 * unless the caller's arrays are host memory.
 */
#include "call.h"

/* Slots up to which a workgroup looks its slot's expert up itself. */
enum { SLOTS_INLINE = 64 };

/* Experts, routed or shared, and the slots that they are for. */
struct share {
    /* As the caller described them, and in device memory. */
    const struct w4_experts *experts;
    const struct w4_gpu_experts *gpu;
    const struct w4_gpu_slots *places;
    uint32_t n_slots;
    /* Slots of a token. */
    uint32_t per_token;
    /* NULL for shared experts. */
    const int32_t *ids;
    /* Factors of the results of w13, and of w2; NULL: 1. */
    const float *weights_in;
    const float *weights_out;
    /* Rows of a block; 0 without blocks. */
    uint32_t rows;
};

/* ---------------------------------------------------------------- products */

static uint64_t
n_blocks(const struct share *share)
{
    return share->rows == 0
                   ? share->n_slots
                   : w4_gpu_blocks_max(share->n_slots,
                             share->experts->w13.n_experts, share->rows);
}

/* What both products have in common. */
static struct w4_gpu_gemm
product(const struct w4_gpu_call *call, const struct share *share)
{
    struct w4_gpu_gemm p = {
            .n_slots = share->n_slots,
            .ids = share->ids,
            .local = w4_gpu_local_of(call),
            .n_shared = w4_gpu_divisor(share->per_token),
            .block_size = w4_gpu_divisor(share->rows != 0 ? share->rows : 1),
    };
    if (share->rows != 0) {
        p.sorted_slots = w4_gpu_at(call, share->places->sorted_slots);
        p.expert_ids = w4_gpu_at(call, share->places->expert_ids);
        p.n_padded = w4_gpu_at(call, share->places->n_padded);
    }
    return p;
}

/* Starts it with the kernel for blocks. */
static w4moe_status
multiply(const struct w4_gpu_call *call, const struct share *share,
        const w4moe_matrix *m, struct w4_gpu_gemm *p, int aligned)
{
    const w4moe_ctx *ctx = call->layer->ctx;
    w4moe_dtype dtype = call->args.dtype;
    struct w4_gpu_product use = w4_gpu_choose(w4_gpu_of(ctx), m, aligned, dtype,
            share->rows != 0 ? share->rows : 1);
    return w4_gpu_multiply(
            ctx, use.family, m, p, dtype, n_blocks(share), call->stream);
}

/* w13 and the activation. */
static w4moe_status
multiply_w13(const struct w4_gpu_call *call, const struct share *share)
{
    const w4moe_forward_args *args = &call->args;
    struct w4_gpu_gemm p = product(call, share);
    p.b = share->gpu->w13;
    p.a = args->x;
    p.a_stride = args->x_stride;
    p.top_k = w4_gpu_divisor(share->per_token);
    p.gather = !call->aligned || p.b.perm != NULL;
    p.result = W4_GPU_ACTIVATED;
    p.slot_weights = share->weights_in;
    p.out = w4_gpu_at(call, share->places->activated);
    p.out_stride = share->experts->w2.n_in;
    w4_gpu_activation_set(&p.activation, &call->layer->activation);
    return multiply(call, share, &share->experts->w13, &p, call->aligned);
}

/* w2, with its result as said; out and the kernel are the caller's. */
static struct w4_gpu_gemm
product_w2(const struct w4_gpu_call *call, const struct share *share)
{
    struct w4_gpu_gemm p = product(call, share);
    p.b = share->gpu->w2;
    p.a = w4_gpu_at(call, share->places->activated);
    p.a_stride = share->experts->w2.n_in;
    p.top_k = w4_gpu_divisor(1);
    p.gather = p.b.perm != NULL;
    p.slot_weights = share->weights_out;
    return p;
}

/* w2 with the sum over each token's slots, at once. */
static w4moe_status
multiply_w2_tokens(const struct w4_gpu_call *call, const struct share *share)
{
    const w4moe_forward_args *args = &call->args;
    const w4moe_ctx *ctx = call->layer->ctx;
    struct w4_gpu_gemm p = product_w2(call, share);
    p.result = W4_GPU_TOKENS;
    p.out = args->out;
    p.out_stride = args->out_stride;
    p.choices = share->per_token;
    p.accumulate = (args->flags & W4MOE_ACCUMULATE) != 0;
    p.out_type = args->out_dtype;
    return w4_gpu_multiply(ctx,
            w4_gpu_choose_token(
                    w4_gpu_of(ctx), &share->experts->w2, 1, args->dtype),
            &share->experts->w2, &p, args->dtype, args->n_tokens, call->stream);
}

/* w2 slot by slot. */
static w4moe_status
multiply_w2_slots(const struct w4_gpu_call *call, const struct share *share)
{
    struct w4_gpu_gemm p = product_w2(call, share);
    p.result = W4_GPU_SUMS;
    p.out = w4_gpu_at(call, share->places->sums);
    p.out_stride = share->experts->w2.n_out;
    return multiply(call, share, &share->experts->w2, &p, 1);
}

/* ------------------------------------------------------------------- steps */

static int
is_invariant(const struct w4_gpu_call *call)
{
    return (call->args.flags & W4MOE_BATCH_INVARIANT) != 0;
}

/* Rows of the blocks of a share; 0: few slots need none. */
static uint32_t
block_rows(const struct w4_gpu_call *call, const struct share *share)
{
    const w4moe_matrix *const matrices[] = {
            &share->experts->w13, &share->experts->w2};
    if (share->n_slots <= SLOTS_INLINE && !is_invariant(call)) {
        return 0;
    }
    return w4_gpu_block_rows(w4_gpu_of(call->layer->ctx), matrices, 2,
            call->aligned, call->args.dtype, share->n_slots,
            is_invariant(call));
}

static struct share
routed_share(const struct w4_gpu_call *call)
{
    const w4moe_forward_args *args = &call->args;
    int on_input = (args->flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0;
    struct share share = {
            .experts = &call->layer->routed,
            .gpu = &call->gpu->routed,
            .places = &call->ws->routed,
            .n_slots = call->n_slots,
            .per_token = (uint32_t)args->top_k,
            .ids = args->ids,
            .weights_in = on_input ? args->weights : NULL,
            .weights_out = on_input ? NULL : args->weights,
    };
    share.rows = block_rows(call, &share);
    return share;
}

/* Their factors are those of w4_reduce. */
static struct share
shared_share(const struct w4_gpu_call *call)
{
    struct share share = {
            .experts = &call->layer->shared,
            .gpu = &call->gpu->shared,
            .places = &call->ws->shared,
            .n_slots = (uint32_t)call->args.n_tokens * call->n_shared,
            .per_token = call->n_shared,
    };
    share.rows = block_rows(call, &share);
    return share;
}

/* The sums of each token's slots, rounded to the output's type. */
static w4moe_status
reduce(const struct w4_gpu_call *call)
{
    const w4moe_forward_args *args = &call->args;
    size_t hidden = w4_layer_hidden(call->layer);
    struct w4_gpu_reduce p = {
            .out = args->out,
            .out_stride = args->out_stride,
            .sums = w4_gpu_at(call, call->ws->routed.sums),
            .ids = args->ids,
            .local = w4_gpu_local_of(call),
            .n_experts = (uint32_t)w4_layer_experts(call->layer),
            .choices = (uint32_t)args->top_k,
            .n_columns = (uint32_t)hidden,
            .type = args->out_dtype,
            .accumulate = (args->flags & W4MOE_ACCUMULATE) != 0,
            .n_shared = call->n_shared,
            .shared_sums = w4_gpu_at(call, call->ws->shared.sums),
            .shared_factor = call->layer->shared_scale,
    };
    if (call->gpu->shared_gate != NULL) {
        p.shared_factors = w4_gpu_at(call, call->ws->gates);
    }
    return w4_gpu_launch(call->err, w4_gpu_of(call->layer->ctx)->reduce,
            args->n_tokens,
            (hidden + 4 * W4_GPU_THREADS - 1) / (4 * W4_GPU_THREADS),
            W4_GPU_THREADS, &p, call->stream);
}

/* The routed experts: their sums, or all of it if nothing else is to be
 * added. */
static w4moe_status
compute_routed(const struct w4_gpu_call *call, int *is_done)
{
    struct share share = routed_share(call);
    w4moe_status status = W4MOE_OK;
    *is_done = share.rows == 0 && call->n_shared == 0;
    if (share.rows != 0) {
        status = w4_gpu_align_slots(call, share.rows);
    }
    if (status == W4MOE_OK) {
        status = multiply_w13(call, &share);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    return *is_done ? multiply_w2_tokens(call, &share)
                    : multiply_w2_slots(call, &share);
}

static w4moe_status
compute_shared(const struct w4_gpu_call *call)
{
    struct share share = shared_share(call);
    w4moe_status status = W4MOE_OK;
    if (share.rows != 0) {
        status = w4_gpu_spread_slots(call, share.rows);
    }
    if (status == W4MOE_OK) {
        status = multiply_w13(call, &share);
    }
    return status == W4MOE_OK ? multiply_w2_slots(call, &share) : status;
}

static w4moe_status
compute(struct w4_gpu_call *call)
{
    int is_done = 0;
    w4moe_status status = w4_gpu_route_tokens(call);
    if (status == W4MOE_OK) {
        status = compute_routed(call, &is_done);
    }
    if (status == W4MOE_OK && call->n_shared != 0) {
        status = compute_shared(call);
    }
    return status == W4MOE_OK && !is_done ? reduce(call) : status;
}

/* -------------------------------------------------------------------- call */

/* Kernels count slots in 26 bits: see struct w4_gpu_divisor. */
static w4moe_status
check_sizes(const struct w4_gpu_call *call)
{
    const w4moe_forward_args *args = &call->args;
    size_t most = args->top_k > call->n_shared ? args->top_k : call->n_shared;
    if ((uint64_t)args->n_tokens * most > UINT32_MAX / 64 ||
            args->top_k > W4_GPU_TOP_K_MAX) {
        return w4_fail(call->err, W4MOE_UNSUPPORTED,
                "forward: %zu tokens of %zu experts each; backend hip takes "
                "%d slots, and %d experts of a token",
                args->n_tokens, most, (int)(UINT32_MAX / 64), W4_GPU_TOP_K_MAX);
    }
    return W4MOE_OK;
}

/* With the device entered. */
static w4moe_status
run(struct w4_gpu_call *call, const w4moe_forward_args *callers)
{
    int host = w4_gpu_from_host(call);
    int chooses = call->chosen_ids != NULL;
    w4moe_status status = host ? w4_gpu_stage(call) : W4MOE_OK;
    call->aligned =
            (uintptr_t)call->args.x % 16 == 0 && call->args.x_stride % 8 == 0;
    if (status == W4MOE_OK) {
        status = chooses ? w4_gpu_route_tokens(call) : compute(call);
    }
    if (status == W4MOE_OK && host) {
        status = chooses ? w4_gpu_return_choice(call)
                         : w4_gpu_return(call, callers);
    }
    if (status != W4MOE_OK && host) {
        /* The pinned memory is the next call's. */
        (void)hipStreamSynchronize(call->stream);
    }
    return status;
}

/* ids and weights are NULL in a forward call. */
static w4moe_status
make_call(const w4moe_layer *layer, const w4moe_workspace *ws, int32_t *ids,
        float *weights, const w4moe_forward_args *args)
{
    const struct w4_gpu *gpu = w4_gpu_of(layer->ctx);
    const struct w4_gpu_workspace *own = ws->memory;
    int no_shared = (args->flags & W4MOE_NO_SHARED) != 0;
    struct w4_gpu_call call = {
            .layer = layer,
            .gpu = layer->device,
            .err = w4_ctx_err(layer->ctx),
            .args = *args,
            .chosen_ids = ids,
            .chosen_weights = weights,
            .stream = args->stream,
            .n_slots = (uint32_t)(args->n_tokens * args->top_k),
            .n_shared = no_shared ? 0 : (uint32_t)w4_layer_shared(layer),
            .ws = own,
            .transfer = {.err = w4_ctx_err(layer->ctx),
                    .stream = args->stream,
                    .pinned = own->pinned,
                    .size = own->n_pinned},
    };
    int before = 0;
    w4moe_status status = check_sizes(&call);
    if (status == W4MOE_OK) {
        status = w4_gpu_enter(call.err, gpu, &before);
    }
    if (status != W4MOE_OK) {
        return status;
    }
    status = run(&call, args);
    w4_gpu_leave(gpu, before);
    return status;
}

w4moe_status
w4_gpu_forward(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *args)
{
    return make_call(layer, ws, NULL, NULL, args);
}

w4moe_status
w4_gpu_choose_experts(const w4moe_layer *layer, w4moe_workspace *ws,
        int32_t *ids, float *weights, const w4moe_forward_args *args)
{
    /* Ids are the model's, wherever their experts are. */
    w4moe_forward_args own = *args;
    own.flags = (args->flags & W4MOE_HOST_IO) | W4MOE_NO_SHARED;
    own.expert_map = NULL;
    return make_call(layer, ws, ids, weights, &own);
}
