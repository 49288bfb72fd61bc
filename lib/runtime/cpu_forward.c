/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Forward on the CPU, in four steps: ids (given, or from the router), slots
 * grouped by expert, w13 with the activation, w2 with the weighted sum. The
 * shared experts' slots have groups of their own.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernel/logits.h"
#include "runtime/cpu_workspace.h"

#define W4_ROUTE_INLINE static inline
#define W4_ROUTE_SQRT sqrt
#include "route/scores.h"

/* One call: arguments, and the workspace's arrays. */
struct call {
    const w4moe_layer *layer;
    const w4moe_forward_args *args;
    size_t n_slots;
    /* Given or routed. */
    const int32_t *ids;
    const float *weights;
    struct w4_cpu_arrays arrays;
    struct w4_blocks blocks;
    struct w4_blocks shared_blocks;
};

/* ------------------------------------------------------------------ experts */

/* x times a matrix of floats, [n_out][H]. */
static void
multiply_floats(const struct call *call, float *out, const void *weight,
        w4moe_dtype weight_dtype, size_t n_out, const void *bias,
        w4moe_dtype bias_dtype)
{
    const w4moe_layer *layer = call->layer;
    const struct w4_logits_job job = {
            .kernels = w4_cpu_kernels(layer->ctx),
            .team = layer->ctx->state->team,
            .x = call->args->x,
            .x_stride = call->args->x_stride,
            .dtype = call->args->dtype,
            .n_tokens = call->args->n_tokens,
            .weight = weight,
            .weight_dtype = weight_dtype,
            .bias = bias,
            .bias_dtype = bias_dtype,
            .n_out = n_out,
            .n_in = w4_layer_hidden(layer),
            .out = out,
    };
    w4_logits(&job);
}

/* Sets ids and weights: the caller's, or the router's of the caller's logits or
 * of its own. */
static w4moe_status
choose_experts(struct call *call)
{
    const w4moe_forward_args *args = call->args;
    const w4moe_layer *layer = call->layer;
    const w4moe_router *router = &layer->router;
    const void *logits = args->router_logits;
    w4moe_dtype dtype = args->logits_dtype;
    call->ids = args->ids;
    call->weights = args->weights;
    if (args->ids != NULL) {
        return W4MOE_OK;
    }
    if (logits == NULL) {
        multiply_floats(call, call->arrays.logits, router->weight,
                router->weight_dtype, layer->n_experts_global, router->bias,
                router->bias_dtype);
        logits = call->arrays.logits;
        dtype = W4MOE_F32;
    }
    call->ids = call->arrays.ids;
    call->weights = call->arrays.routed.weights;
    return w4moe_route(layer->ctx, call->arrays.ids,
            call->arrays.routed.weights, logits, dtype, 0, args->n_tokens,
            args->n_experts_global, args->top_k, router);
}

/* The local expert of a global one that is in range: E if it is not here. What
 * the caller's map says is checked later. */
static inline int64_t
local_of(const struct call *call, int32_t id)
{
    if (call->args->expert_map != NULL) {
        return call->args->expert_map[id];
    }
    int64_t n_experts = (int64_t)w4_layer_experts(call->layer);
    int64_t local = id - (int64_t)call->layer->first_expert;
    return local >= 0 && local < n_experts ? local : -1;
}

/* Global ids to local ones, checked. */
static w4moe_status
localise(struct call *call)
{
    const w4moe_forward_args *args = call->args;
    struct w4_err *err = w4_ctx_err(call->layer->ctx);
    int32_t n_experts = (int32_t)w4_layer_experts(call->layer);
    for (size_t slot = 0; slot < call->n_slots; slot++) {
        int32_t id = call->ids[slot];
        if (id < 0 || (size_t)id >= args->n_experts_global) {
            return w4_fail(err, W4MOE_INVALID,
                    "forward: expert id %" PRId32
                    " of token %zu, choice %zu is "
                    "not in 0 .. %zu",
                    id, slot / args->top_k, slot % args->top_k,
                    args->n_experts_global - 1);
        }
        int64_t local = local_of(call, id);
        if (local < -1 || local >= n_experts) {
            return w4_fail(err, W4MOE_INVALID,
                    "forward: expert_map sends %" PRId32 " to %" PRId64
                    ", the layer has %" PRId32 " experts",
                    id, local, n_experts);
        }
        call->arrays.slot_experts[slot] =
                local == -1 ? n_experts : (int32_t)local;
    }
    return W4MOE_OK;
}

/* What the call's tokens chose; all ids are in range. */
static void
count_experts(const struct call *call)
{
    int32_t *counts = call->args->expert_counts;
    if (counts == NULL) {
        return;
    }
    memset(counts, 0, call->args->n_experts_global * sizeof(counts[0]));
    for (size_t slot = 0; slot < call->n_slots; slot++) {
        counts[call->ids[slot]]++;
    }
}

/* ------------------------------------------------------------------- groups */

/* Groups the slots; those of the expert that is not here come last and are cut
 * off. */
static w4moe_status
group_slots(struct call *call)
{
    const struct w4_cpu_slots *slots = &call->arrays.routed;
    size_t n_experts = w4_layer_experts(call->layer);
    size_t block_size = w4_cpu_block_size(call->args->n_tokens);
    int32_t n_padded;
    w4moe_status status = w4moe_align(call->layer->ctx, slots->sorted_slots,
            slots->expert_ids, &n_padded, call->arrays.first_slot,
            call->arrays.slot_experts, call->n_slots, NULL, n_experts + 1,
            block_size);
    if (status == W4MOE_OK) {
        call->blocks = (struct w4_blocks){
                .sorted_slots = slots->sorted_slots,
                .expert_ids = slots->expert_ids,
                .n_padded = (size_t)call->arrays.first_slot[n_experts],
                .block_size = block_size,
                .n_slots = call->n_slots,
        };
    }
    return status;
}

/* Slot t * S + s is token t at shared expert s, which has all tokens. */
static void
group_shared(struct call *call, size_t n_shared)
{
    const struct w4_cpu_slots *slots = &call->arrays.shared;
    size_t n_tokens = call->args->n_tokens;
    size_t block_size = w4_cpu_block_size(n_tokens);
    size_t n_blocks = (n_tokens + block_size - 1) / block_size;
    int32_t n_slots = (int32_t)(n_tokens * n_shared);
    int32_t *next = slots->sorted_slots;
    for (size_t s = 0; s < n_shared; s++) {
        for (size_t b = 0; b < n_blocks; b++) {
            slots->expert_ids[s * n_blocks + b] = (int32_t)s;
        }
        for (size_t t = 0; t < n_blocks * block_size; t++) {
            *next++ = t < n_tokens ? (int32_t)(t * n_shared + s) : n_slots;
        }
    }
    call->shared_blocks = (struct w4_blocks){
            .sorted_slots = slots->sorted_slots,
            .expert_ids = slots->expert_ids,
            .n_padded = n_shared * n_blocks * block_size,
            .block_size = block_size,
            .n_slots = (size_t)n_slots,
    };
}

/* How many times the shared experts' results count; NULL: once. */
static const float *
weigh_shared(const struct call *call, size_t n_shared)
{
    const w4moe_layer *layer = call->layer;
    float *weights = call->arrays.shared.weights;
    size_t n = call->args->n_tokens * n_shared;
    if (layer->shared_gate == NULL && layer->shared_scale == 1.0f) {
        return NULL;
    }
    if (layer->shared_gate != NULL) {
        multiply_floats(call, weights, layer->shared_gate,
                layer->shared_gate_dtype, n_shared, NULL, W4MOE_DTYPE_NONE);
    }
    for (size_t i = 0; i < n; i++) {
        double gate = layer->shared_gate != NULL
                              ? w4_route_sigmoid((double)weights[i])
                              : 1.0;
        weights[i] = (float)(gate * (double)layer->shared_scale);
    }
    return weights;
}

/* ----------------------------------------------------------------- products */

/* w13 and the activation. */
static void
activate(const struct call *call, const struct w4_experts *experts,
        const struct w4_blocks *blocks, size_t k, const float *weights,
        void *activated)
{
    const w4moe_layer *layer = call->layer;
    const struct w4_block_gemm w13 = {
            .kernels = w4_cpu_kernels(layer->ctx),
            .team = layer->ctx->state->team,
            .matrix = &experts->w13,
            .blocks = *blocks,
            .a = call->args->x,
            .a_stride = call->args->x_stride,
            .top_k = k,
            .dtype = call->args->dtype,
            .slot_weights = weights,
            .out = activated,
            .out_stride = experts->w2.n_in,
            .out_dtype = call->args->dtype,
    };
    w4_block_gemm(&w13, &layer->activation);
}

/* w2 of those rows. */
static struct w4_block_gemm
product_w2(const struct call *call, const struct w4_experts *experts,
        const struct w4_blocks *blocks, const float *weights,
        const void *activated)
{
    const w4moe_layer *layer = call->layer;
    return (struct w4_block_gemm){
            .kernels = w4_cpu_kernels(layer->ctx),
            .team = layer->ctx->state->team,
            .matrix = &experts->w2,
            .blocks = *blocks,
            .a = activated,
            .a_stride = experts->w2.n_in,
            .top_k = 1,
            .dtype = call->args->dtype,
            .slot_weights = weights,
            .out = call->args->out,
            .out_stride = call->args->out_stride,
            .out_dtype = call->args->out_dtype,
    };
}

static void
compute(struct call *call)
{
    const w4moe_layer *layer = call->layer;
    const w4moe_forward_args *args = call->args;
    const struct w4_cpu_arrays *arrays = &call->arrays;
    int on_input = (args->flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0;
    size_t n_shared =
            (args->flags & W4MOE_NO_SHARED) != 0 ? 0 : w4_layer_shared(layer);
    struct w4_block_gemm shared;
    struct w4_combine combine = {
            .n_tokens = args->n_tokens,
            .k = args->top_k,
            .accumulate = (args->flags & W4MOE_ACCUMULATE) != 0,
            .sums = arrays->sums,
    };
    activate(call, &layer->routed, &call->blocks, args->top_k,
            on_input ? call->weights : NULL, arrays->routed.activated);
    struct w4_block_gemm routed =
            product_w2(call, &layer->routed, &call->blocks,
                    on_input ? NULL : call->weights, arrays->routed.activated);
    if (n_shared != 0) {
        group_shared(call, n_shared);
        activate(call, &layer->shared, &call->shared_blocks, n_shared, NULL,
                arrays->shared.activated);
        shared = product_w2(call, &layer->shared, &call->shared_blocks,
                weigh_shared(call, n_shared), arrays->shared.activated);
        combine.more = &shared;
        combine.more_k = n_shared;
    }
    w4_block_gemm_combined(&routed, &combine);
}

static w4moe_status
check_stream(const w4moe_layer *layer, const w4moe_forward_args *args)
{
    return args->stream == NULL
                   ? W4MOE_OK
                   : w4_fail(w4_ctx_err(layer->ctx), W4MOE_INVALID,
                             "forward: backend cpu has no streams");
}

w4moe_status
w4_cpu_choose(const w4moe_layer *layer, w4moe_workspace *ws, int32_t *ids,
        float *weights, const w4moe_forward_args *args)
{
    struct call call = {.layer = layer, .args = args};
    size_t n_slots = args->n_tokens * args->top_k;
    w4_cpu_workspace_arrays(&call.arrays, ws);
    w4moe_status status = check_stream(layer, args);
    if (status == W4MOE_OK) {
        status = choose_experts(&call);
    }
    if (status == W4MOE_OK) {
        memcpy(ids, call.ids, n_slots * sizeof(ids[0]));
        memcpy(weights, call.weights, n_slots * sizeof(weights[0]));
    }
    return status;
}

w4moe_status
w4_cpu_forward(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *args)
{
    struct call call = {
            .layer = layer,
            .args = args,
            .n_slots = args->n_tokens * args->top_k,
    };
    w4_cpu_workspace_arrays(&call.arrays, ws);
    w4moe_status status = check_stream(layer, args);
    if (status == W4MOE_OK) {
        status = choose_experts(&call);
    }
    if (status == W4MOE_OK) {
        status = localise(&call);
    }
    if (status == W4MOE_OK) {
        status = group_slots(&call);
    }
    if (status == W4MOE_OK) {
        count_experts(&call);
        compute(&call);
    }
    return status;
}
