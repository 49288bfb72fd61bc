/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "whole_layer.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const w4moe_dtype whole_floats[3] = {W4MOE_F32, W4MOE_BF16, W4MOE_F16};

struct forward_case
whole_usual(uint64_t seed)
{
    struct forward_case what = {
            .seed = seed,
            .n_experts = WHOLE_E,
            .hidden = WHOLE_HIDDEN,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .form = (unsigned)(seed % N_WEIGHT_FORMS),
            .dtype = seed % 2 != 0 ? W4MOE_F16 : W4MOE_BF16,
            .n_tokens = WHOLE_T,
            .top_k = WHOLE_K,
            .x_pad = 3,
            .out_pad = 5,
    };
    return what;
}

void
whole_open(struct whole *w, const struct forward_case *what, w4moe_order order)
{
    memset(w, 0, sizeof(*w));
    forward_make(&w->p, what);
    oracle_pack(&w->w13, &w->p.w13, order);
    oracle_pack(&w->w2, &w->p.w2, order);
    w->desc = (w4moe_layer_desc){
            .struct_size = sizeof(w->desc),
            .w13 = &w->w13,
            .w2 = &w->w2,
            .activation = w->p.activation,
    };
}

void
whole_close(struct whole *w)
{
    oracle_pack_free(&w->w13);
    oracle_pack_free(&w->w2);
    forward_free(&w->p);
    if (w->desc.shared_w13 != NULL) {
        oracle_pack_free(&w->shared_w13);
        oracle_pack_free(&w->shared_w2);
        forward_free(&w->shared);
    }
}

w4moe_layer *
whole_create(const struct whole *w, const w4moe_ctx *ctx, unsigned flags)
{
    w4moe_layer *layer = NULL;
    w4moe_status status = w4moe_layer_create(ctx, &layer, &w->desc, flags);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    return layer;
}

void *
whole_run(const struct whole *w, const w4moe_ctx *ctx, unsigned flags)
{
    w4moe_layer *layer = whole_create(w, ctx, flags);
    void *out = forward_run(ctx, layer, NULL, &w->p);
    w4moe_layer_destroy(layer);
    return out;
}

/* n numbers between -bound and bound as they can be stored. */
static void
draw(void *array, double *values, w4moe_dtype dtype, size_t n,
        struct oracle_rng *rng, double bound)
{
    for (size_t i = 0; i < n; i++) {
        oracle_store(array, dtype, i, oracle_uniform(rng, -bound, bound));
        values[i] = oracle_load(array, dtype, i);
    }
}

void
whole_add_router(struct whole *w, w4moe_router_kind kind, w4moe_dtype dtype)
{
    struct oracle_rng rng = {w->p.what.seed + 1};
    double ignored[WHOLE_E];
    w4moe_router *router = &w->desc.router;
    draw(w->weight, w->weight_values, dtype, (size_t)WHOLE_E * WHOLE_HIDDEN,
            &rng, 0.4);
    draw(w->bias, w->bias_values, dtype, WHOLE_E, &rng, 1);
    draw(w->correction, ignored, dtype, WHOLE_E, &rng, 0.3);
    *router = (w4moe_router){
            .struct_size = sizeof(*router),
            .kind = kind,
            .renormalize = 1,
            .scale = 1.5f,
            .weight = w->weight,
            .weight_dtype = dtype,
            .bias = w->bias,
            .bias_dtype = dtype,
    };
    if (kind == W4MOE_ROUTER_SIGMOID || kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        router->correction_bias = w->correction;
        router->correction_bias_dtype = dtype;
        router->n_group = 3;
        router->topk_group = 2;
    }
}

void
whole_logits(float *logits, const struct whole *w)
{
    for (size_t t = 0; t < WHOLE_T; t++) {
        for (size_t e = 0; e < WHOLE_E; e++) {
            double sum = w->bias_values[e];
            for (size_t h = 0; h < WHOLE_HIDDEN; h++) {
                sum += w->p.x[t * WHOLE_HIDDEN + h] *
                       w->weight_values[e * WHOLE_HIDDEN + h];
            }
            logits[t * WHOLE_E + e] = (float)sum;
        }
    }
}

void
whole_add_shared(
        struct whole *w, size_t n_shared, size_t inter, w4moe_order order)
{
    struct forward_case what = w->p.what;
    what.seed += 999;
    what.n_experts = n_shared;
    what.inter = inter;
    what.top_k = 1;
    what.w13_group = 40;
    what.w2_group = 16;
    what.form = (unsigned)((what.form + 5) % N_WEIGHT_FORMS);
    forward_make(&w->shared, &what);
    oracle_pack(&w->shared_w13, &w->shared.w13, order);
    oracle_pack(&w->shared_w2, &w->shared.w2, order);
    w->desc.shared_w13 = &w->shared_w13;
    w->desc.shared_w2 = &w->shared_w2;
    for (size_t i = 0; i < WHOLE_T * n_shared; i++) {
        w->shared_weights[i] = 1;
    }
}

void
whole_add_gate(struct whole *w, w4moe_dtype dtype, float scale)
{
    size_t n_shared = w->shared_w13.n_experts;
    struct oracle_rng rng = {w->p.what.seed + 2};
    w->desc.shared_scale = scale;
    if (dtype != W4MOE_DTYPE_NONE) {
        draw(w->gate, w->gate_values, dtype, n_shared * WHOLE_HIDDEN, &rng,
                0.4);
        w->desc.shared_gate = w->gate;
        w->desc.shared_gate_dtype = dtype;
    }
    for (size_t i = 0; i < WHOLE_T * n_shared; i++) {
        double sum = 0;
        for (size_t h = 0; h < WHOLE_HIDDEN; h++) {
            sum += w->p.x[i / n_shared * WHOLE_HIDDEN + h] *
                   w->gate_values[i % n_shared * WHOLE_HIDDEN + h];
        }
        w->shared_weights[i] =
                dtype != W4MOE_DTYPE_NONE ? 1 / (1 + exp(-sum)) : 1;
        w->shared_weights[i] *= scale != 0 ? (double)scale : 1;
    }
}
