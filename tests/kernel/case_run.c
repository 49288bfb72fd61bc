/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "case_run.h"

#include <check.h>
#include <string.h>

/* Bytes of a problem's rows, up to the last element of the last. */
static size_t
rows_bytes(const struct case_problem *p, size_t pad)
{
    size_t n_in = p->what->n_in;
    return 2 * ((p->n_rows - 1) * (n_in + pad) + n_in);
}

static void
place_gemm(struct case_place *place, const struct case_problem *p)
{
    struct fence *fence = &place->fence;
    w4moe_gemm_args *args = &place->gemm.args;
    size_t n_padded = (size_t)p->gemm.n_padded;
    place->gemm = p->gemm;
    args->a = fence_copy(fence, args->a, rows_bytes(p, p->gemm.what.a_pad));
    args->sorted_slots =
            fence_copy(fence, args->sorted_slots, n_padded * sizeof(int32_t));
    args->expert_ids = fence_copy(fence, args->expert_ids,
            n_padded / args->block_size * sizeof(int32_t));
    args->n_padded = fence_copy(fence, args->n_padded, sizeof(int32_t));
    args->topk_weights = fence_copy(
            fence, args->topk_weights, p->gemm.n_slots * sizeof(float));
    /* What is beyond *n_padded cannot be read. */
    args->capacity = n_padded;
}

static void
place_forward(struct case_place *place, const struct case_problem *p)
{
    struct fence *fence = &place->fence;
    w4moe_forward_args *args = &place->forward.args;
    size_t n_slots = p->n_rows * p->what->top_k;
    place->forward = p->forward;
    args->x = fence_copy(fence, args->x, rows_bytes(p, p->forward.what.x_pad));
    args->ids = fence_copy(fence, args->ids, n_slots * sizeof(int32_t));
    args->weights = fence_copy(fence, args->weights, n_slots * sizeof(float));
}

void
case_place(struct case_place *place, const struct case_problem *p,
        const w4moe_ctx *ctx, enum fence_side side)
{
    memset(place, 0, sizeof(*place));
    place->what = p->what;
    place->fence.side = side;
    for (size_t i = 0; i < p->n_matrices; i++) {
        w4moe_matrix packed;
        oracle_pack(&packed, p->matrices[i], p->what->order);
        place->matrices[i] = fence_matrix(&place->fence, ctx, &packed);
        oracle_pack_free(&packed);
    }
    if (p->what->op == OP_GEMM) {
        place_gemm(place, p);
    } else {
        place_forward(place, p);
    }
}

void
case_place_free(struct case_place *place)
{
    fence_free(&place->fence);
}

void
case_open(struct case_run *run, const w4moe_ctx *ctx,
        const struct case_place *place)
{
    memset(run, 0, sizeof(*run));
    run->place = place;
    run->ctx = ctx;
    if (place->what->op == OP_GEMM) {
        gemm_open(&run->gemm, ctx, &place->gemm, &place->matrices[0]);
        return;
    }
    run->layer = forward_create(
            ctx, &place->forward, &place->matrices[0], &place->matrices[1], 0);
    forward_open(&run->forward, run->layer, NULL, &place->forward);
}

w4moe_status
case_call(struct case_run *run)
{
    if (run->place->what->op == OP_GEMM) {
        return w4moe_gemm(run->ctx, &run->gemm.args);
    }
    return w4moe_forward(run->layer, run->forward.ws, &run->forward.args);
}

void *
case_close(struct case_run *run)
{
    if (run->place->what->op == OP_GEMM) {
        return gemm_close(&run->gemm);
    }
    void *out = forward_close(&run->forward);
    w4moe_layer_destroy(run->layer);
    return out;
}

void *
case_results(const w4moe_ctx *ctx, const struct case_place *place)
{
    struct case_run run;
    case_open(&run, ctx, place);
    w4moe_status status = case_call(&run);
    const char *label = place->what->op == OP_GEMM ? place->gemm.label
                                                   : place->forward.label;
    ck_assert_msg(status == W4MOE_OK, "%s: %s", label, w4moe_ctx_error(ctx));
    return case_close(&run);
}
