/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Forward on the CPU, in four steps: ids (given, or from the router), slots
 * grouped by expert, w13 with the activation, w2 with the weighted sum.
 */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "runtime/cpu_backend.h"

/* Rows of a block: as many as the kernels take, or as there are tokens. Padding
 * is not multiplied, but it is looked at. */
static size_t
block_size(size_t n_tokens)
{
    return n_tokens < W4_ROWS_MAX ? n_tokens : W4_ROWS_MAX;
}

/* ------------------------------------------------------------- workspaces */

/* Where the arrays of a workspace stand, in bytes from its start. */
struct plan {
    uint64_t ids;
    uint64_t weights;
    uint64_t slot_experts;
    uint64_t sorted_slots;
    uint64_t expert_ids;
    uint64_t first_slot;
    uint64_t activated;
    uint64_t sums;
    uint64_t n_bytes;
};

/* Gives n elements of size bytes the next place. */
static int
take(struct plan *plan, uint64_t *place, uint64_t n, uint64_t size)
{
    return w4_lay_out(place, &plan->n_bytes, n, size, W4_MEM_ALIGN);
}

static w4moe_status
plan_workspace(struct plan *plan, const w4moe_workspace *ws)
{
    uint64_t n_slots = (uint64_t)ws->max_tokens * ws->top_k;
    size_t capacity;
    /* One expert more: the one that stands for all that are not here. */
    w4moe_status status = w4moe_align_capacity(ws->ctx, &capacity,
            (size_t)n_slots, ws->n_experts + 1, W4_ROWS_MAX);
    if (status != W4MOE_OK) {
        return status;
    }
    /* Fewer tokens have smaller blocks: a block less full for each choice, and
     * up to one block's rows, may come on top. */
    size_t n_rows = capacity + W4_ROWS_MAX;
    size_t n_blocks = capacity / W4_ROWS_MAX + ws->top_k;
    uint64_t n_activated = 0;
    uint64_t n_sums = 0;
    memset(plan, 0, sizeof(*plan));
    if (!take(plan, &plan->ids, n_slots, 4) ||
            !take(plan, &plan->weights, n_slots, 4) ||
            !take(plan, &plan->slot_experts, n_slots, 4) ||
            !take(plan, &plan->sorted_slots, n_rows, 4) ||
            !take(plan, &plan->expert_ids, n_blocks, 4) ||
            !take(plan, &plan->first_slot, (uint64_t)ws->n_experts + 2, 4) ||
            !w4_mul(&n_activated, n_slots, ws->intermediate_size) ||
            !w4_mul(&n_sums, ws->max_tokens, ws->hidden_size) ||
            !take(plan, &plan->activated, n_activated, 2) ||
            !take(plan, &plan->sums, n_sums, 4)) {
        return w4_fail(w4_ctx_err(ws->ctx), W4MOE_INVALID,
                "workspace for %" PRIu64 " slots: beyond the address space",
                n_slots);
    }
    return W4MOE_OK;
}

w4moe_status
w4_cpu_workspace_size(const w4moe_workspace *ws, uint64_t *bytes)
{
    struct plan plan;
    w4moe_status status = plan_workspace(&plan, ws);
    if (status == W4MOE_OK) {
        *bytes = plan.n_bytes;
    }
    return status;
}

w4moe_status
w4_cpu_workspace_open(w4moe_workspace *ws, const w4moe_layer *layer)
{
    (void)layer;
    return w4_mem_alloc(w4_ctx_mem(ws->ctx), w4_ctx_err(ws->ctx), &ws->memory,
            ws->n_bytes, "workspace");
}

void
w4_cpu_workspace_close(w4moe_workspace *ws)
{
    w4_mem_free(w4_ctx_mem(ws->ctx), ws->memory, ws->n_bytes);
}

/* ---------------------------------------------------------------- forward */

/* One call: arguments, and the workspace's arrays. */
struct call {
    const w4moe_layer *layer;
    const w4moe_forward_args *args;
    size_t n_slots;
    /* Given or routed. */
    const int32_t *ids;
    const float *weights;
    /* Local expert of each slot; n_experts for one that is not here. */
    int32_t *slot_experts;
    int32_t *routed_ids;
    float *routed_weights;
    int32_t *sorted_slots;
    int32_t *expert_ids;
    int32_t *first_slot;
    void *activated;
    float *sums;
    struct w4_blocks blocks;
};

static w4moe_status
place_arrays(struct call *call, const w4moe_workspace *ws)
{
    struct plan plan;
    w4moe_status status = plan_workspace(&plan, ws);
    if (status != W4MOE_OK) {
        return status;
    }
    char *memory = ws->memory;
    call->routed_ids = (int32_t *)(void *)(memory + plan.ids);
    call->routed_weights = (float *)(void *)(memory + plan.weights);
    call->slot_experts = (int32_t *)(void *)(memory + plan.slot_experts);
    call->sorted_slots = (int32_t *)(void *)(memory + plan.sorted_slots);
    call->expert_ids = (int32_t *)(void *)(memory + plan.expert_ids);
    call->first_slot = (int32_t *)(void *)(memory + plan.first_slot);
    call->activated = memory + plan.activated;
    call->sums = (float *)(void *)(memory + plan.sums);
    return W4MOE_OK;
}

/* Sets ids and weights: the caller's, or the router's. */
static w4moe_status
choose_experts(struct call *call)
{
    const w4moe_forward_args *args = call->args;
    const w4moe_layer *layer = call->layer;
    call->ids = args->ids;
    call->weights = args->weights;
    if (args->ids != NULL) {
        return W4MOE_OK;
    }
    call->ids = call->routed_ids;
    call->weights = call->routed_weights;
    return w4moe_route(layer->ctx, call->routed_ids, call->routed_weights,
            args->router_logits, args->logits_dtype, 0, args->n_tokens,
            args->n_experts_global, args->top_k, &layer->router);
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
        int32_t local = args->expert_map != NULL ? args->expert_map[id] : id;
        if (local < -1 || local >= n_experts) {
            return w4_fail(err, W4MOE_INVALID,
                    "forward: expert_map sends %" PRId32 " to %" PRId32
                    ", the layer has %" PRId32 " experts",
                    id, local, n_experts);
        }
        call->slot_experts[slot] = local == -1 ? n_experts : local;
    }
    return W4MOE_OK;
}

/* Groups the slots; those of the expert that is not here come last and are cut
 * off. */
static w4moe_status
group_slots(struct call *call)
{
    size_t n_experts = w4_layer_experts(call->layer);
    int32_t n_padded;
    w4moe_status status = w4moe_align(call->layer->ctx, call->sorted_slots,
            call->expert_ids, &n_padded, call->first_slot, call->slot_experts,
            call->n_slots, NULL, n_experts + 1,
            block_size(call->args->n_tokens));
    if (status == W4MOE_OK) {
        call->blocks = (struct w4_blocks){
                .sorted_slots = call->sorted_slots,
                .expert_ids = call->expert_ids,
                .n_padded = (size_t)call->first_slot[n_experts],
                .block_size = block_size(call->args->n_tokens),
                .n_slots = call->n_slots,
        };
    }
    return status;
}

static void
compute(const struct call *call)
{
    const w4moe_layer *layer = call->layer;
    const w4moe_forward_args *args = call->args;
    int on_input = (args->flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0;
    struct w4_block_gemm w13 = {
            .kernels = w4_cpu_kernels(layer->ctx),
            .team = layer->ctx->state->team,
            .matrix = &layer->routed.w13,
            .blocks = call->blocks,
            .a = args->x,
            .a_stride = args->x_stride,
            .top_k = args->top_k,
            .dtype = args->dtype,
            .slot_weights = on_input ? call->weights : NULL,
            .out = call->activated,
            .out_stride = w4_layer_intermediate(layer),
            .out_dtype = args->dtype,
    };
    w4_block_gemm(&w13, &layer->activation);
    struct w4_block_gemm w2 = w13;
    w2.matrix = &layer->routed.w2;
    w2.a = call->activated;
    w2.a_stride = w4_layer_intermediate(layer);
    w2.top_k = 1;
    w2.slot_weights = on_input ? NULL : call->weights;
    w2.out = args->out;
    w2.out_stride = args->out_stride;
    struct w4_combine combine = {
            .n_tokens = args->n_tokens,
            .k = args->top_k,
            .accumulate = (args->flags & W4MOE_ACCUMULATE) != 0,
            .sums = call->sums,
    };
    w4_block_gemm_combined(&w2, &combine);
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
    w4moe_status status = W4MOE_OK;
    if (args->stream != NULL) {
        status = w4_fail(w4_ctx_err(layer->ctx), W4MOE_INVALID,
                "forward: backend cpu has no streams");
    }
    if (status == W4MOE_OK) {
        status = place_arrays(&call, ws);
    }
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
        compute(&call);
    }
    return status;
}
