/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "forward_case.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements before and after an output, and their bytes. */
enum { GUARD = 64, GUARD_BYTE = 0xA5 };

static const char *
text_of(const struct forward_problem *p)
{
    static char text[400];
    const struct forward_case *what = &p->what;
    snprintf(text, sizeof(text),
            "%s: seed %#llx: %zu experts, H %zu, I %zu, g %zu and %zu, %s, "
            "form %u, exact %d, %s, %zu tokens of %zu, flags %#x, pads %zu "
            "%zu",
            p->label != NULL ? p->label : "forward",
            (unsigned long long)what->seed, what->n_experts, what->hidden,
            what->inter, what->w13_group, what->w2_group,
            w4moe_activation_name(what->kind), what->form, what->exact,
            w4moe_dtype_name(what->dtype), what->n_tokens, what->top_k,
            what->flags, what->x_pad, what->out_pad);
    return text;
}

/* Codes near 8 and scales of 1, so that even squares stay small. */
static void
make_exact(struct oracle_matrix *m)
{
    size_t rows = m->spec.n_experts * m->spec.n_out;
    for (size_t i = 0; i < rows * m->spec.n_in; i++) {
        m->codes[i] = (uint8_t)(4 + m->codes[i] % 9);
    }
    for (size_t i = 0; i < rows * m->n_groups; i++) {
        m->scales[i] = 1;
    }
    oracle_finish(m);
}

static void
make_layer(struct forward_problem *p)
{
    const struct forward_case *what = &p->what;
    int gated = w4moe_activation_gated(what->kind);
    struct oracle_spec w13 = {
            .seed = what->seed,
            .n_experts = what->n_experts,
            .n_out = what->inter * (gated ? 2 : 1),
            .n_in = what->hidden,
            .group_size = what->w13_group,
            .gated = gated,
    };
    struct oracle_spec w2 = {
            .seed = what->seed + 1,
            .n_experts = what->n_experts,
            .n_out = what->hidden,
            .n_in = what->inter,
            .group_size = what->w2_group,
    };
    weight_form_set(&w13, (enum weight_form)what->form);
    weight_form_set(&w2, (enum weight_form)what->form);
    oracle_make(&p->w13, &w13);
    oracle_make(&p->w2, &w2);
    if (what->exact) {
        make_exact(&p->w13);
        make_exact(&p->w2);
    }
    p->activation = (w4moe_activation){
            .struct_size = sizeof(p->activation), .kind = what->kind};
    if (what->kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE) {
        p->activation.limit = 1.5f;
        p->activation.beta = 0.5f;
    } else if (what->kind == W4MOE_ACT_SITU) {
        p->activation.beta = 2;
        p->activation.linear_beta = 1.5f;
    }
}

/* Between the rows stands NaN. */
void
forward_store_rows(struct forward_problem *p)
{
    size_t hidden = p->what.hidden;
    memset(p->x_rows, 0xFF, p->what.n_tokens * p->x_stride * 2);
    for (size_t i = 0; i < p->what.n_tokens * hidden; i++) {
        oracle_store(p->x_rows, p->what.dtype,
                i / hidden * p->x_stride + i % hidden, p->x[i]);
    }
}

static void
draw_tokens(struct forward_problem *p, struct oracle_rng *rng)
{
    const struct forward_case *what = &p->what;
    size_t n = what->n_tokens * what->hidden;
    size_t n_slots = what->n_tokens * what->top_k;
    p->x = oracle_alloc(n, sizeof(double));
    p->before = oracle_alloc(n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        double v = oracle_uniform(rng, -1, 1);
        p->x[i] = what->exact ? (double)oracle_below(rng, 3) - 1
                              : oracle_round(what->dtype, v);
        p->before[i] = oracle_round(what->dtype, oracle_uniform(rng, -1, 1));
    }
    p->x_rows = oracle_alloc(what->n_tokens * p->x_stride, 2);
    forward_store_rows(p);
    p->ids = oracle_alloc(n_slots, sizeof(int32_t));
    p->weights = oracle_alloc(n_slots, sizeof(float));
    if (what->rows != NULL) {
        oracle_deal(rng, p->ids, n_slots, what->rows, what->n_experts);
    }
    for (size_t slot = 0; slot < n_slots; slot++) {
        if (what->rows == NULL) {
            p->ids[slot] = (int32_t)oracle_below(rng, what->n_experts);
        }
        p->weights[slot] = what->exact
                                   ? 0.5f * (float)(1 + oracle_below(rng, 3))
                                   : (float)oracle_uniform(rng, 0.1, 0.9);
    }
}

void
forward_make(struct forward_problem *p, const struct forward_case *what)
{
    struct oracle_rng rng = {what->seed ^ 0x70CE5};
    memset(p, 0, sizeof(*p));
    p->what = *what;
    p->x_stride = what->hidden + what->x_pad;
    p->out_stride = what->hidden + what->out_pad;
    make_layer(p);
    draw_tokens(p, &rng);
    p->args.struct_size = sizeof(p->args);
    p->args.out_stride = what->out_pad != 0 ? p->out_stride : 0;
    p->args.x = p->x_rows;
    p->args.x_stride = what->x_pad != 0 ? p->x_stride : 0;
    p->args.dtype = what->dtype;
    p->args.n_tokens = what->n_tokens;
    p->args.top_k = what->top_k;
    p->args.ids = p->ids;
    p->args.weights = p->weights;
    p->args.flags = what->flags;
}

void
forward_free(struct forward_problem *p)
{
    oracle_free(&p->w13);
    oracle_free(&p->w2);
    free(p->x);
    free(p->x_rows);
    free(p->before);
    free(p->ids);
    free(p->weights);
}

w4moe_layer *
forward_create(const w4moe_ctx *ctx, const struct forward_problem *p,
        const w4moe_matrix *w13, const w4moe_matrix *w2, unsigned flags)
{
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = w13,
            .w2 = w2,
            .activation = p->activation,
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .renormalize = 1,
                    .scale = 1.5f},
    };
    w4moe_layer *layer = NULL;
    w4moe_status status = w4moe_layer_create(ctx, &layer, &desc, flags);
    ck_assert_msg(
            status == W4MOE_OK, "%s: %s", text_of(p), w4moe_ctx_error(ctx));
    return layer;
}

w4moe_layer *
forward_layer(const w4moe_ctx *ctx, const struct forward_problem *p,
        w4moe_matrix *w13, w4moe_matrix *w2, w4moe_order order, unsigned flags)
{
    oracle_pack(w13, &p->w13, order);
    oracle_pack(w2, &p->w2, order);
    return forward_create(ctx, p, w13, w2, flags);
}

/* Whether byte i of the guarded output belongs to a row. */
static int
is_result(const struct forward_problem *p, size_t i)
{
    size_t at = i / 2;
    if (at < GUARD || at - GUARD >= p->what.n_tokens * p->out_stride) {
        return 0;
    }
    return (at - GUARD) % p->out_stride < p->what.hidden;
}

/* Bytes of the guarded output, and of the rows of x. */
static size_t
guarded_bytes(const struct forward_problem *p)
{
    return 2 * (2 * GUARD + p->what.n_tokens * p->out_stride);
}

static size_t
x_bytes(const struct forward_problem *p)
{
    return 2 * p->what.n_tokens * p->x_stride;
}

void
forward_open(struct forward_call *call, const w4moe_layer *layer,
        w4moe_workspace *ws, const struct forward_problem *p)
{
    size_t hidden = p->what.hidden;
    size_t n_tokens = p->what.n_tokens;
    call->p = p;
    call->guarded = oracle_alloc(guarded_bytes(p), 1);
    memset(call->guarded, GUARD_BYTE, guarded_bytes(p));
    call->args = p->args;
    call->args.out = call->guarded + 2 * (size_t)GUARD;
    for (size_t i = 0; i < n_tokens * hidden; i++) {
        oracle_store(call->args.out, p->what.dtype,
                i / hidden * p->out_stride + i % hidden, p->before[i]);
    }
    call->x = oracle_alloc(x_bytes(p), 1);
    memcpy(call->x, p->x_rows, x_bytes(p));
    call->ws = ws;
    call->owns_ws = ws == NULL;
    if (call->owns_ws) {
        ck_assert_int_eq(w4moe_workspace_create(layer, &call->ws,
                                 n_tokens != 0 ? n_tokens : 1, p->args.top_k),
                W4MOE_OK);
    }
}

void *
forward_close(struct forward_call *call)
{
    const struct forward_problem *p = call->p;
    size_t row_bytes = 2 * p->what.hidden;
    size_t stride_bytes = 2 * p->out_stride;
    ck_assert_int_eq(memcmp(call->x, p->x_rows, x_bytes(p)), 0);
    for (size_t i = 0; i < guarded_bytes(p); i++) {
        if (!is_result(p, i) && call->guarded[i] != GUARD_BYTE) {
            ck_abort_msg("%s: byte %td beside the rows of out was written",
                    text_of(p), (ptrdiff_t)i - 2 * GUARD);
        }
    }
    unsigned char *packed = oracle_alloc(p->what.n_tokens, row_bytes);
    for (size_t t = 0; t < p->what.n_tokens; t++) {
        memcpy(packed + t * row_bytes,
                (unsigned char *)call->args.out + t * stride_bytes, row_bytes);
    }
    if (call->owns_ws) {
        w4moe_workspace_destroy(call->ws);
    }
    free(call->x);
    free(call->guarded);
    return packed;
}

void *
forward_run(const w4moe_ctx *ctx, const w4moe_layer *layer, w4moe_workspace *ws,
        const struct forward_problem *p)
{
    struct forward_call call;
    forward_open(&call, layer, ws, p);
    w4moe_status status = w4moe_forward(layer, call.ws, &call.args);
    ck_assert_msg(
            status == W4MOE_OK, "%s: %s", text_of(p), w4moe_ctx_error(ctx));
    return forward_close(&call);
}

void *
forward_once(const w4moe_ctx *ctx, const struct forward_problem *p,
        w4moe_order order)
{
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_layer *layer = forward_layer(ctx, p, &w13, &w2, order, 0);
    void *out = forward_run(ctx, layer, NULL, p);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    return out;
}

void
forward_expect(double *exact, double *ideal, const struct forward_problem *p)
{
    struct oracle_call oracle = {
            .w13 = &p->w13,
            .w2 = &p->w2,
            .activation = p->activation,
            .dtype = p->what.dtype,
            .x = p->x,
            .n_tokens = p->what.n_tokens,
            .top_k = p->what.top_k,
            .ids = p->args.ids,
            .weights = p->args.weights,
            .expert_map = p->args.expert_map,
            .flags = p->args.flags,
            .before = p->before,
    };
    oracle_forward(exact, ideal, &oracle);
}

void
forward_judge_by(const struct forward_problem *p, const double *exact,
        const double *ideal, const void *out)
{
    size_t n = p->what.n_tokens * p->what.hidden;
    struct oracle_score score = {.noise = p->noise};
    oracle_score_row(&score, out, p->what.dtype, exact, ideal, n);
    ck_assert_msg(oracle_accept(&score),
            "%s: ratio %g, %zu of %zu results of a wrong class", text_of(p),
            oracle_ratio(&score), score.n_wrong, score.n);
    for (size_t i = 0; i < n && p->what.exact; i++) {
        double got = oracle_load(out, p->what.dtype, i);
        if (got != ideal[i]) {
            ck_abort_msg("%s: result %zu of token %zu is %a, not %a",
                    text_of(p), i % p->what.hidden, i / p->what.hidden, got,
                    ideal[i]);
        }
    }
}

void
forward_judge(const struct forward_problem *p, const void *out)
{
    size_t n = p->what.n_tokens * p->what.hidden;
    double *exact = oracle_alloc(n, sizeof(double));
    double *ideal = oracle_alloc(n, sizeof(double));
    forward_expect(exact, ideal, p);
    forward_judge_by(p, exact, ideal, out);
    free(exact);
    free(ideal);
}

void
forward_same(const struct forward_problem *p, const void *out,
        const void *other, const char *what)
{
    size_t n_bytes = p->what.n_tokens * p->what.hidden * 2;
    ck_assert_msg(memcmp(out, other, n_bytes) == 0, "%s: other bytes %s",
            text_of(p), what);
}
