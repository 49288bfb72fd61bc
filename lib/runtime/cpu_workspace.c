/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "runtime/cpu_workspace.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

size_t
w4_cpu_block_size(size_t n_tokens)
{
    return n_tokens < W4_ROWS_MAX ? n_tokens : W4_ROWS_MAX;
}

/* Where the arrays stand, in bytes from the start of the workspace. */
struct slots_plan {
    uint64_t sorted_slots;
    uint64_t expert_ids;
    uint64_t activated;
    uint64_t weights;
};

struct plan {
    uint64_t logits;
    uint64_t ids;
    uint64_t slot_experts;
    uint64_t first_slot;
    struct slots_plan routed;
    struct slots_plan shared;
    uint64_t sums;
    uint64_t n_bytes;
};

/* Gives n elements of size bytes the next place. */
static int
take(struct plan *plan, uint64_t *place, uint64_t n, uint64_t size)
{
    return w4_lay_out(place, &plan->n_bytes, n, size, W4_MEM_ALIGN);
}

static int
take_slots(struct plan *plan, struct slots_plan *slots, uint64_t n_slots,
        uint64_t n_rows, uint64_t n_blocks, uint64_t intermediate)
{
    uint64_t n_activated = 0;
    return take(plan, &slots->sorted_slots, n_rows, 4) &&
           take(plan, &slots->expert_ids, n_blocks, 4) &&
           w4_mul(&n_activated, n_slots, intermediate) &&
           take(plan, &slots->activated, n_activated, 2) &&
           take(plan, &slots->weights, n_slots, 4);
}

/* Shared experts have all tokens each: so their blocks are full but for the
 * last, which has up to one block's rows more. */
static int
take_shared(struct plan *plan, const w4moe_workspace *ws)
{
    uint64_t n_rows = 0;
    uint64_t n_slots = 0;
    return w4_mul(&n_slots, ws->max_tokens, ws->n_shared) &&
           w4_mul(&n_rows, (uint64_t)ws->max_tokens + W4_ROWS_MAX,
                   ws->n_shared) &&
           take_slots(plan, &plan->shared, n_slots, n_rows,
                   n_rows / W4_ROWS_MAX + ws->n_shared,
                   ws->shared_intermediate);
}

static w4moe_status
make_plan(struct plan *plan, const w4moe_workspace *ws)
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
    uint64_t n_logits = 0;
    uint64_t n_sums = 0;
    memset(plan, 0, sizeof(*plan));
    if (!w4_mul(&n_logits, ws->max_tokens, ws->n_logits) ||
            !take(plan, &plan->logits, n_logits, 4) ||
            !take(plan, &plan->ids, n_slots, 4) ||
            !take(plan, &plan->slot_experts, n_slots, 4) ||
            !take(plan, &plan->first_slot, (uint64_t)ws->n_experts + 2, 4) ||
            !take_slots(plan, &plan->routed, n_slots, n_rows, n_blocks,
                    ws->intermediate_size) ||
            !take_shared(plan, ws) ||
            !w4_mul(&n_sums, ws->max_tokens, ws->hidden_size) ||
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
    w4moe_status status = make_plan(&plan, ws);
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

static void
set_slots(struct w4_cpu_slots *slots, char *memory, const struct slots_plan *at)
{
    slots->sorted_slots = (int32_t *)(void *)(memory + at->sorted_slots);
    slots->expert_ids = (int32_t *)(void *)(memory + at->expert_ids);
    slots->activated = memory + at->activated;
    slots->weights = (float *)(void *)(memory + at->weights);
}

void
w4_cpu_workspace_arrays(struct w4_cpu_arrays *arrays, const w4moe_workspace *ws)
{
    struct plan plan;
    char *memory = ws->memory;
    /* It fitted when the workspace was made. */
    (void)make_plan(&plan, ws);
    arrays->logits = (float *)(void *)(memory + plan.logits);
    arrays->ids = (int32_t *)(void *)(memory + plan.ids);
    arrays->slot_experts = (int32_t *)(void *)(memory + plan.slot_experts);
    arrays->first_slot = (int32_t *)(void *)(memory + plan.first_slot);
    set_slots(&arrays->routed, memory, &plan.routed);
    set_slots(&arrays->shared, memory, &plan.shared);
    arrays->sums = (float *)(void *)(memory + plan.sums);
}
