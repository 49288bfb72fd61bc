/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "layer_case.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hip_context.h"
#include "hip_kernels.h"
#include "router_model.h"

/* -------------------------------------------------------------------- layer */

static size_t
n_global(const struct layer_case *c)
{
    return c->what.n_global != 0 ? c->what.n_global : c->what.routed.n_experts;
}

static w4moe_dtype
out_type(const struct layer_case *c)
{
    return c->what.out_dtype != W4MOE_DTYPE_NONE ? c->what.out_dtype
                                                 : c->what.routed.dtype;
}

static size_t
out_size(const struct layer_case *c)
{
    return w4moe_dtype_size(out_type(c));
}

/* Words that the rows of out take. */
static size_t
out_words(const struct layer_case *c)
{
    size_t n = c->what.routed.n_tokens * c->p.out_stride;
    return (n * out_size(c) + 3) / 4;
}

/* n numbers that are small whole numbers times step. */
static void *
draw(w4moe_dtype dtype, size_t n, double step, struct oracle_rng *rng)
{
    if (dtype == W4MOE_DTYPE_NONE) {
        return NULL;
    }
    void *array = oracle_alloc(n, 4);
    for (size_t i = 0; i < n; i++) {
        oracle_store(
                array, dtype, i, step * ((double)oracle_below(rng, 9) - 4));
    }
    return array;
}

static void
make_shared(struct layer_case *c)
{
    const struct layer_what *w = &c->what;
    int gated = w4moe_activation_gated(w->routed.kind);
    struct oracle_spec w13 = {
            .seed = w->routed.seed + 2,
            .n_experts = w->n_shared,
            .n_out = w->shared_inter * (gated ? 2 : 1),
            .n_in = w->routed.hidden,
            .group_size = w->routed.w13_group,
            .gated = gated,
    };
    struct oracle_spec w2 = {
            .seed = w->routed.seed + 3,
            .n_experts = w->n_shared,
            .n_out = w->routed.hidden,
            .n_in = w->shared_inter,
            .group_size = w->shared_inter,
    };
    weight_form_set(&w13, (enum weight_form)w->routed.form);
    weight_form_set(&w2, (enum weight_form)w->routed.form);
    oracle_make(&c->shared_w13, &w13);
    oracle_make(&c->shared_w2, &w2);
}

static void
draw_arrays(struct layer_case *c, struct oracle_rng *rng)
{
    const w4moe_router *router = &c->what.router;
    size_t hidden = c->what.routed.hidden;
    size_t n = n_global(c);
    c->weight = draw(router->weight_dtype, n * hidden, 0.25, rng);
    c->bias = draw(router->bias_dtype, n, 0.03125, rng);
    c->correction_bias = draw(router->correction_bias_dtype, n, 0.0625, rng);
    c->gate = draw(c->what.gate_dtype, c->what.n_shared * hidden, 0.0625, rng);
}

/* Tokens of which products with the router's weight are exact; ids of all
 * experts of the model. */
static void
draw_call(struct layer_case *c, struct oracle_rng *rng)
{
    struct forward_problem *p = &c->p;
    for (size_t i = 0; i < p->what.n_tokens * p->what.hidden; i++) {
        p->x[i] = ((double)oracle_below(rng, 17) - 8) / 8;
    }
    forward_store_rows(p);
    for (size_t i = 0; i < p->what.n_tokens * p->what.top_k; i++) {
        p->ids[i] = (int32_t)oracle_below(rng, n_global(c));
    }
}

static void
create(struct layer_case *c, const w4moe_ctx *ctx)
{
    const struct layer_what *w = &c->what;
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &c->packed[0],
            .w2 = &c->packed[1],
            .activation = c->p.activation,
            .router = w->router,
            .first_expert = w->first_expert,
            .n_experts_global = w->n_global,
            .shared_gate = c->gate,
            .shared_gate_dtype = w->gate_dtype,
            .shared_scale = w->shared_scale,
    };
    oracle_pack(&c->packed[0], &c->p.w13, W4MOE_ORDER_TILE);
    oracle_pack(&c->packed[1], &c->p.w2, W4MOE_ORDER_TILE);
    if (w->n_shared != 0) {
        oracle_pack(&c->packed[2], &c->shared_w13, W4MOE_ORDER_TILE);
        oracle_pack(&c->packed[3], &c->shared_w2, W4MOE_ORDER_RDNA3);
        desc.shared_w13 = &c->packed[2];
        desc.shared_w2 = &c->packed[3];
    }
    desc.router.struct_size = sizeof(desc.router);
    desc.router.weight = c->weight;
    desc.router.bias = c->bias;
    desc.router.correction_bias = c->correction_bias;
    w4moe_status status = w4moe_layer_create(ctx, &c->layer, &desc, 0);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
}

void
layer_case_open(
        struct layer_case *c, const w4moe_ctx *ctx, const struct layer_what *w)
{
    struct oracle_rng rng = {w->routed.seed ^ 0x1A7E};
    memset(c, 0, sizeof(*c));
    c->what = *w;
    forward_make(&c->p, &w->routed);
    if (w->n_shared != 0) {
        make_shared(c);
    }
    draw_arrays(c, &rng);
    draw_call(c, &rng);
    create(c, ctx);
}

void
layer_case_close(struct layer_case *c)
{
    int n = c->what.n_shared != 0 ? 4 : 2;
    w4moe_layer_destroy(c->layer);
    for (int i = 0; i < n; i++) {
        oracle_pack_free(&c->packed[i]);
    }
    if (c->what.n_shared != 0) {
        oracle_free(&c->shared_w13);
        oracle_free(&c->shared_w2);
    }
    forward_free(&c->p);
    free(c->gate);
    free(c->weight);
    free(c->bias);
    free(c->correction_bias);
    free(c->counts);
}

/* ------------------------------------------------------------------- router */

/* Row r of an array [rows][H] times a token. */
static double
dot(const struct layer_case *c, const void *array, w4moe_dtype dtype, size_t r,
        size_t token)
{
    size_t hidden = c->what.routed.hidden;
    double sum = 0;
    for (size_t h = 0; h < hidden; h++) {
        sum += c->p.x[token * hidden + h] *
               oracle_load(array, dtype, r * hidden + h);
    }
    return sum;
}

void
layer_case_use_router(struct layer_case *c)
{
    const w4moe_router *router = &c->what.router;
    size_t n = n_global(c);
    size_t k = c->what.routed.top_k;
    double *logits = oracle_alloc(n, sizeof(*logits));
    double *bias = oracle_alloc(n, sizeof(*bias));
    double *weights = oracle_alloc(k, sizeof(*weights));
    for (size_t t = 0; t < c->what.routed.n_tokens; t++) {
        for (size_t e = 0; e < n; e++) {
            logits[e] = dot(c, c->weight, router->weight_dtype, e, t);
            if (c->bias != NULL) {
                logits[e] += oracle_load(c->bias, router->bias_dtype, e);
            }
            if (c->correction_bias != NULL) {
                bias[e] = oracle_load(
                        c->correction_bias, router->correction_bias_dtype, e);
            }
        }
        router_model(c->p.ids + t * k, weights, logits, bias, n, k, router);
        for (size_t j = 0; j < k; j++) {
            c->p.weights[t * k + j] = (float)weights[j];
        }
    }
    c->p.args.ids = NULL;
    c->p.args.weights = NULL;
    free(logits);
    free(bias);
    free(weights);
}

/* -------------------------------------------------------------------- calls */

/* Where the arrays of a call stand. */
static void
set_arrays(struct layer_case *c, w4moe_forward_args *args, int host)
{
    size_t n_slots = args->n_tokens * args->top_k;
    args->out_stride = c->p.out_stride;
    args->x_stride = c->p.x_stride;
    if (host) {
        args->flags |= W4MOE_HOST_IO;
        args->out = oracle_alloc(out_words(c), 4);
        args->expert_counts = oracle_alloc(n_global(c), 4);
    } else {
        args->x = hip_copy_of(c->p.x_rows, args->n_tokens * c->p.x_stride * 2);
        args->ids = hip_copy_of(args->ids, n_slots * 4);
        args->weights = hip_copy_of(args->weights, n_slots * 4);
        args->expert_map = hip_copy_of(args->expert_map, n_global(c) * 4);
        args->out = hip_words(out_words(c));
        args->expert_counts = hip_words(n_global(c));
    }
}

/* What out holds before. */
static void *
rows_before(const struct layer_case *c)
{
    size_t hidden = c->what.routed.hidden;
    void *rows = oracle_alloc(out_words(c), 4);
    for (size_t i = 0; i < c->what.routed.n_tokens * hidden; i++) {
        oracle_store(rows, out_type(c),
                i / hidden * c->p.out_stride + i % hidden, c->p.before[i]);
    }
    return rows;
}

/* The results in host memory; everything else is released. */
static void *
take_results(struct layer_case *c, w4moe_forward_args *args, int host)
{
    size_t n = n_global(c);
    if (host) {
        c->counts = args->expert_counts;
        return args->out;
    }
    HIP_OK(hipDeviceSynchronize());
    HIP_OK(hipFree((void *)(uintptr_t)args->x));
    HIP_OK(hipFree((void *)(uintptr_t)args->ids));
    HIP_OK(hipFree((void *)(uintptr_t)args->weights));
    HIP_OK(hipFree((void *)(uintptr_t)args->expert_map));
    c->counts = hip_words_back(args->expert_counts, n);
    ck_assert(hip_words_intact(c->counts, n, n));
    return hip_words_back(args->out, out_words(c));
}

void *
layer_case_run(
        struct layer_case *c, const w4moe_ctx *ctx, unsigned flags, int host)
{
    w4moe_workspace *ws = NULL;
    w4moe_forward_args args = c->p.args;
    size_t row_bytes = c->what.routed.hidden * out_size(c);
    size_t stride_bytes = c->p.out_stride * out_size(c);
    size_t n_bytes = args.n_tokens * stride_bytes;
    char *before = rows_before(c);
    free(c->counts);
    args.flags = flags;
    args.out_dtype = c->what.out_dtype;
    set_arrays(c, &args, host);
    if (host) {
        memcpy(args.out, before, n_bytes);
    } else {
        hip_store(args.out, before, n_bytes);
    }
    ck_assert_int_eq(
            w4moe_workspace_create(c->layer, &ws, args.n_tokens, args.top_k),
            W4MOE_OK);
    w4moe_status status = w4moe_forward(c->layer, ws, &args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    char *rows = take_results(c, &args, host);
    w4moe_workspace_destroy(ws);
    for (size_t t = 0; t < args.n_tokens; t++) {
        size_t at = t * stride_bytes;
        ck_assert_int_eq(memcmp(rows + at + row_bytes, before + at + row_bytes,
                                 stride_bytes - row_bytes),
                0);
        memmove(rows + t * row_bytes, rows + at, row_bytes);
    }
    free(before);
    return rows;
}

/* -------------------------------------------------------------------- model */

/* Sums of a token, without and with the first rounding. */
struct sums {
    double *exact;
    double *ideal;
};

/* Adds an expert's result; the factor of its input is that of its output where
 * the other is 1. */
static void
add_expert(const struct layer_case *c, struct sums *sums,
        const struct oracle_matrix *w13, const struct oracle_matrix *w2,
        size_t expert, size_t token, double in, double out)
{
    size_t hidden = c->what.routed.hidden;
    size_t inter = w2->spec.n_in;
    double *product = oracle_alloc(w13->spec.n_out, sizeof(double));
    double *rounded = oracle_alloc(inter, sizeof(double));
    double *y = oracle_alloc(2 * hidden, sizeof(double));
    oracle_product(product, w13, expert, c->p.x + token * hidden);
    for (size_t i = 0; i < inter; i++) {
        double up = w13->spec.gated ? product[inter + i] * in : 0;
        product[i] = oracle_activation(&c->p.activation, product[i] * in, up);
        rounded[i] = oracle_round(c->what.routed.dtype, product[i]);
    }
    oracle_product(y, w2, expert, product);
    oracle_product(y + hidden, w2, expert, rounded);
    for (size_t h = 0; h < hidden; h++) {
        sums->exact[h] += out * y[h];
        sums->ideal[h] += out * y[hidden + h];
    }
    free(product);
    free(rounded);
    free(y);
}

/* The layer's number of an expert; -1: not here. */
static int32_t
local_of(const struct layer_case *c, int32_t id)
{
    if (id < 0 || (size_t)id >= n_global(c)) {
        return -1;
    }
    int32_t local = c->p.args.expert_map != NULL
                            ? c->p.args.expert_map[id]
                            : id - (int32_t)c->what.first_expert;
    return local >= 0 && (size_t)local < c->what.routed.n_experts ? local : -1;
}

static void
add_routed(const struct layer_case *c, struct sums *sums, size_t token,
        unsigned flags)
{
    size_t k = c->what.routed.top_k;
    int on_input = (flags & W4MOE_ROUTER_WEIGHT_ON_INPUT) != 0;
    for (size_t slot = token * k; slot < (token + 1) * k; slot++) {
        int32_t expert = local_of(c, c->p.ids[slot]);
        double weight = (double)c->p.weights[slot];
        if (expert >= 0) {
            add_expert(c, sums, &c->p.w13, &c->p.w2, (size_t)expert, token,
                    on_input ? weight : 1, on_input ? 1 : weight);
        }
    }
}

static void
add_shared(const struct layer_case *c, struct sums *sums, size_t token)
{
    double scale = c->what.shared_scale != 0 ? (double)c->what.shared_scale : 1;
    for (size_t s = 0; s < c->what.n_shared; s++) {
        double gate = 1;
        if (c->gate != NULL) {
            gate = 1 /
                   (1 + exp(-dot(c, c->gate, c->what.gate_dtype, s, token)));
        }
        add_expert(c, sums, &c->shared_w13, &c->shared_w2, s, token, 1,
                scale * gate);
    }
}

static void
judge_counts(const struct layer_case *c)
{
    size_t n = n_global(c);
    int32_t *expected = oracle_alloc(n, 4);
    for (size_t i = 0; i < c->p.what.n_tokens * c->p.what.top_k; i++) {
        if (c->p.ids[i] >= 0 && (size_t)c->p.ids[i] < n) {
            expected[c->p.ids[i]]++;
        }
    }
    for (size_t e = 0; e < n; e++) {
        ck_assert_msg(c->counts[e] == expected[e],
                "seed %#llx: expert %zu is counted %d times, not %d",
                (unsigned long long)c->what.routed.seed, e, c->counts[e],
                expected[e]);
    }
    free(expected);
}

void
layer_case_judge(const struct layer_case *c, unsigned flags, const void *out)
{
    size_t hidden = c->what.routed.hidden;
    size_t n = c->what.routed.n_tokens * hidden;
    double *all = oracle_alloc(2 * n, sizeof(double));
    if (c->p.args.ids == NULL && c->what.router.weight_on_input) {
        flags |= W4MOE_ROUTER_WEIGHT_ON_INPUT;
    }
    for (size_t t = 0; t < c->what.routed.n_tokens; t++) {
        struct sums sums = {all + t * hidden, all + n + t * hidden};
        for (size_t h = 0; h < hidden && (flags & W4MOE_ACCUMULATE) != 0; h++) {
            sums.exact[h] = sums.ideal[h] = c->p.before[t * hidden + h];
        }
        add_routed(c, &sums, t, flags);
        if ((flags & W4MOE_NO_SHARED) == 0) {
            add_shared(c, &sums, t);
        }
        for (size_t h = 0; h < hidden; h++) {
            sums.ideal[h] = oracle_round(out_type(c), sums.ideal[h]);
        }
    }
    struct oracle_score score = {.noise = 0};
    oracle_score_row(&score, out, out_type(c), all, all + n, n);
    ck_assert_msg(oracle_accept(&score),
            "seed %#llx, flags %#x: ratio %g, %zu of %zu results of a wrong "
            "class",
            (unsigned long long)c->what.routed.seed, flags,
            oracle_ratio(&score), score.n_wrong, score.n);
    judge_counts(c);
    free(all);
}

void
layer_case_same(const struct layer_case *c, const void *a, const void *b,
        const char *what)
{
    size_t n = c->what.routed.n_tokens * c->what.routed.hidden;
    ck_assert_msg(memcmp(a, b, n * out_size(c)) == 0,
            "seed %#llx: other bytes %s",
            (unsigned long long)c->what.routed.seed, what);
}
