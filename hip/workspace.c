/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Workspaces: a piece of device memory, laid out once, and one of pinned host
 * memory.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gpu.h"

/* Experts whose logits are staged and whose scores are kept, at least: as many
 * as models have whose layers are spread over several devices. */
enum { STAGED_EXPERTS = 512 };

/* Gives n elements of size bytes the next place. */
static int
take(struct w4_gpu_workspace *own, uint64_t *place, uint64_t n, uint64_t size)
{
    return w4_lay_out(place, &own->n_bytes, n, size, W4_GPU_ALIGN);
}

static uint64_t
most_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What a call from host memory copies; expert maps may be of any length. */
static int
plan_staged(struct w4_gpu_workspace *own, const w4moe_workspace *ws)
{
    uint64_t n_slots = (uint64_t)ws->max_tokens * ws->top_k;
    uint64_t n_x = 0;
    uint64_t n_logits = 0;
    /* Of more there are no routers. */
    uint64_t n_experts = ws->n_experts_global <= W4_GPU_EXPERTS_MAX
                                 ? ws->n_experts_global
                                 : ws->n_experts;
    own->staged_experts = most_of(n_experts, STAGED_EXPERTS);
    if (!take(own, &own->ids, n_slots, 4) ||
            !take(own, &own->weights, n_slots, 4) ||
            !w4_mul(&n_x, ws->max_tokens, ws->hidden_size) ||
            !take(own, &own->x, n_x, 2) || !take(own, &own->out, n_x, 4) ||
            !w4_mul(&n_logits, ws->max_tokens, own->staged_experts) ||
            !take(own, &own->logits, n_logits, sizeof(float)) ||
            !take(own, &own->expert_map, W4_GPU_EXPERTS_MAX, 4) ||
            !take(own, &own->counts, W4_GPU_EXPERTS_MAX, 4)) {
        return 0;
    }
    own->n_pinned =
            own->n_bytes < W4_GPU_PINNED_MAX ? own->n_bytes : W4_GPU_PINNED_MAX;
    return take(own, &own->keys, n_logits, sizeof(uint64_t));
}

/* For slots of experts of which w2 is hidden x inter. */
static int
plan_slots(struct w4_gpu_workspace *own, struct w4_gpu_slots *slots,
        uint64_t n_slots, uint64_t n_experts, uint64_t hidden, uint64_t inter)
{
    uint64_t rows = w4_gpu_blocks_max(n_slots, n_experts, 64) * 64;
    uint64_t n_activated = 0;
    uint64_t n_sums = 0;
    return take(own, &slots->sorted_slots, rows, 4) &&
           take(own, &slots->expert_ids, n_slots, 4) &&
           take(own, &slots->n_padded, 1, 4) &&
           w4_mul(&n_activated, n_slots, inter) &&
           take(own, &slots->activated, n_activated, 2) &&
           w4_mul(&n_sums, n_slots, hidden) &&
           take(own, &slots->sums, n_sums, 4);
}

static w4moe_status
plan_workspace(struct w4_gpu_workspace *own, const w4moe_workspace *ws)
{
    uint64_t n_slots = (uint64_t)ws->max_tokens * ws->top_k;
    uint64_t n_shared = (uint64_t)ws->max_tokens * ws->n_shared;
    memset(own, 0, sizeof(*own));
    if (n_shared > INT32_MAX || !plan_staged(own, ws) ||
            !plan_slots(own, &own->routed, n_slots, ws->n_experts,
                    ws->hidden_size, ws->intermediate_size) ||
            !take(own, &own->gates, n_shared, sizeof(float)) ||
            !plan_slots(own, &own->shared, n_shared, ws->n_shared,
                    ws->hidden_size, ws->shared_intermediate)) {
        return w4_fail(w4_ctx_err(ws->ctx), W4MOE_INVALID,
                "workspace for %" PRIu64 " slots: beyond the address space",
                n_slots + n_shared);
    }
    return W4MOE_OK;
}

w4moe_status
w4_gpu_workspace_size(const w4moe_workspace *ws, uint64_t *bytes)
{
    struct w4_gpu_workspace own;
    w4moe_status status = plan_workspace(&own, ws);
    if (status == W4MOE_OK) {
        *bytes = own.n_bytes + own.n_pinned;
    }
    return status;
}

static void
free_workspace(const w4moe_ctx *ctx, struct w4_gpu_workspace *own)
{
    w4_gpu_free(ctx, own->device, own->n_bytes);
    w4_gpu_free_pinned(ctx, own->pinned, own->n_pinned);
    free(own);
}

static w4moe_status
allocate(const w4moe_ctx *ctx, struct w4_gpu_workspace *own)
{
    void *device = NULL;
    void *pinned = NULL;
    w4moe_status status = w4_gpu_alloc(ctx, &device, own->n_bytes, "workspace");
    if (status == W4MOE_OK) {
        status = w4_gpu_alloc_pinned(ctx, &pinned, own->n_pinned, "workspace");
    }
    own->device = device;
    own->pinned = pinned;
    return status;
}

w4moe_status
w4_gpu_workspace_open(w4moe_workspace *ws, const w4moe_layer *layer)
{
    (void)layer;
    const struct w4_gpu *gpu = w4_gpu_of(ws->ctx);
    struct w4_gpu_workspace *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        return w4_fail(
                w4_ctx_err(ws->ctx), W4MOE_NOMEM, "no memory for a workspace");
    }
    int before = gpu->device;
    w4moe_status status = plan_workspace(own, ws);
    if (status == W4MOE_OK) {
        status = w4_gpu_enter(w4_ctx_err(ws->ctx), gpu, &before);
    }
    if (status == W4MOE_OK) {
        status = allocate(ws->ctx, own);
    }
    if (status != W4MOE_OK) {
        free_workspace(ws->ctx, own);
    } else {
        ws->memory = own;
    }
    w4_gpu_leave(gpu, before);
    return status;
}

void
w4_gpu_workspace_close(w4moe_workspace *ws)
{
    const struct w4_gpu *gpu = w4_gpu_of(ws->ctx);
    int before = gpu->device;
    /* Released in any case; a failure has nobody to go to. */
    (void)w4_gpu_enter(NULL, gpu, &before);
    free_workspace(ws->ctx, ws->memory);
    w4_gpu_leave(gpu, before);
}
