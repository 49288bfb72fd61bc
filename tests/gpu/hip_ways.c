/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "hip_ways.h"

#include <check.h>
#include <stdlib.h>

const struct hip_way hip_ways[N_HIP_WAYS] = {
        {160, 96, 32, 4, 9, 3, FORM_ZEROS_F32_BIAS},
        {160, 96, 32, 30, 40, 3, FORM_OFFSETS_F32_BIAS},
        {160, 96, 32, 20, 40, 3, FORM_ZEROS},
        {320, 96, 64, 3, 40, 3, FORM_ZEROS_F32_BIAS},
        {160, 160, 32, 2, 70, 2, FORM_MXFP4_BIAS},
        {80, 72, 24, 4, 9, 3, FORM_ZEROS_PERM2},
        {80, 72, 24, 4, 40, 3, FORM_ZEROS},
};

void
hip_way_open(struct hip_open_way *open, const w4moe_ctx *ctx,
        const struct hip_way *way, unsigned flags)
{
    struct forward_case what = {
            .seed = 0x6000 + way->hidden + way->n_experts,
            .n_experts = way->n_experts,
            .hidden = way->hidden,
            .inter = way->inter,
            .w13_group = way->group,
            .w2_group = way->group,
            .kind = W4MOE_ACT_SILU,
            .form = way->form,
            .dtype = way->form % 2 == 0 ? W4MOE_BF16 : W4MOE_F16,
            .n_tokens = way->n_tokens,
            .top_k = way->top_k,
            .flags = flags,
            .out_pad = 5,
    };
    open->logits = NULL;
    forward_make(&open->p, &what);
    open->layer = forward_layer(
            ctx, &open->p, &open->w13, &open->w2, W4MOE_ORDER_TILE, 0);
    ck_assert_int_eq(w4moe_workspace_create(
                             open->layer, &open->ws, what.n_tokens, what.top_k),
            W4MOE_OK);
}

void
hip_way_use_logits(struct hip_open_way *open)
{
    const struct forward_case *what = &open->p.what;
    size_t n = what->n_tokens * what->n_experts;
    struct oracle_rng rng = {what->seed};
    open->logits = oracle_alloc(n, sizeof(*open->logits));
    for (size_t i = 0; i < n; i++) {
        open->logits[i] = (float)oracle_uniform(&rng, -4, 4);
    }
    open->p.args.ids = NULL;
    open->p.args.weights = NULL;
    open->p.args.router_logits = open->logits;
    open->p.args.logits_dtype = W4MOE_F32;
}

void
hip_way_close(struct hip_open_way *open)
{
    w4moe_workspace_destroy(open->ws);
    w4moe_layer_destroy(open->layer);
    oracle_pack_free(&open->w13);
    oracle_pack_free(&open->w2);
    forward_free(&open->p);
    free(open->logits);
}
