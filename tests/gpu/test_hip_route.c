/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels of the HIP backend that choose experts, by themselves, against
 * float64: w4_logits, and w4_route with every kind of router. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../hip/kernels/params.h"
#include "../kernel/oracle.h"
#include "../tol.h"
#include "hip_context.h"
#include "hip_kernels.h"
#include "router_model.h"

static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};

static const w4moe_router_kind kinds[] = {W4MOE_ROUTER_SOFTMAX_TOPK,
        W4MOE_ROUTER_TOPK_SOFTMAX, W4MOE_ROUTER_SIGMOID,
        W4MOE_ROUTER_SIGMOID_TOP1, W4MOE_ROUTER_SQRT_SOFTPLUS};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* ------------------------------------------------------------------- route */

struct route_case {
    size_t n_tokens;
    size_t n_experts;
    size_t top_k;
    w4moe_dtype dtype;
    /** Its correction_bias is in host memory. */
    w4moe_router router;
    /** [T][E], as they are passed, and their values. */
    void *logits;
    double *values;
    /** [E]; NULL without. */
    void *bias;
    double *bias_values;
};

static int
has_scores(const struct route_case *c)
{
    return c->router.kind == W4MOE_ROUTER_SIGMOID ||
           c->router.kind == W4MOE_ROUTER_SQRT_SOFTPLUS;
}

static struct route_case
route_case_of(w4moe_router_kind kind, size_t n_tokens, size_t n_experts,
        size_t top_k, unsigned i)
{
    struct route_case c = {
            .n_tokens = n_tokens,
            .n_experts = n_experts,
            .top_k = top_k,
            .dtype = types[i % 3],
            .router = {.struct_size = sizeof(c.router),
                    .kind = kind,
                    .renormalize = i % 2,
                    .scale = i % 4 < 2 ? 1 : 2.5f,
                    .correction_bias_dtype = types[i / 2 % 3]},
            .logits = oracle_alloc(n_tokens * n_experts, 4),
            .values = oracle_alloc(n_tokens * n_experts, sizeof(double)),
    };
    if (has_scores(&c) && i % 4 != 3) {
        c.bias = oracle_alloc(n_experts, 4);
        c.bias_values = oracle_alloc(n_experts, sizeof(double));
    }
    return c;
}

static void
route_case_free(struct route_case *c)
{
    free(c->logits);
    free(c->values);
    free(c->bias);
    free(c->bias_values);
}

static void
set_logit(struct route_case *c, size_t i, double v)
{
    oracle_store(c->logits, c->dtype, i, v);
    c->values[i] = oracle_load(c->logits, c->dtype, i);
}

static void
set_bias(struct route_case *c, size_t e, double v)
{
    w4moe_dtype dtype = c->router.correction_bias_dtype;
    oracle_store(c->bias, dtype, e, v);
    c->bias_values[e] = oracle_load(c->bias, dtype, e);
}

/* Kept groups have enough experts. */
static void
set_groups(struct route_case *c, uint32_t n_group, struct oracle_rng *rng)
{
    if (!has_scores(c) || c->n_experts % n_group != 0) {
        return;
    }
    size_t length = c->n_experts / n_group;
    size_t least = (c->top_k + length - 1) / length;
    if (least <= n_group) {
        c->router.n_group = n_group;
        c->router.topk_group =
                (uint32_t)(least + oracle_below(rng, n_group - least + 1));
    }
}

/* Numbers of which no two that differ have scores, or sums of scores, that only
 * rounding tells apart: those that are near 1 are 1. */
enum numbers { PLAIN, STEPS, WIDE, EQUAL, GONE, TINY, ONE_GROUP, N_NUMBERS };

static double
draw_logit(enum numbers numbers, size_t e, const struct route_case *c,
        struct oracle_rng *rng)
{
    double v = oracle_uniform(rng, -6, 6);
    size_t n_group = c->router.n_group != 0 ? c->router.n_group : 4;
    switch (numbers) {
    case STEPS:
        return 0.25 + 0.75 * floor(v);
    case WIDE:
        return v > 5 ? 10 * v : v > 0 ? 2 * v : 15 * v;
    case EQUAL:
        return 1.5;
    case GONE:
        return e != 0 && oracle_below(rng, 3) == 0 ? (double)-INFINITY : v;
    case TINY:
        /* Scores are subnormal in float64 where they are not divided. */
        return c->router.renormalize ? v - 680 : 6 * v - 720;
    case ONE_GROUP:
        return e * n_group / c->n_experts == 1 ? v + 20 : v;
    default:
        return v;
    }
}

static void
draw_numbers(struct route_case *c, enum numbers numbers, struct oracle_rng *rng)
{
    int is_f16 = c->dtype == W4MOE_F16;
    for (size_t i = 0; i < c->n_tokens * c->n_experts; i++) {
        double v = draw_logit(numbers, i % c->n_experts, c, rng);
        set_logit(c, i, is_f16 && numbers == TINY ? floor(v) : v);
    }
    for (size_t e = 0; e < c->n_experts && c->bias != NULL; e++) {
        set_bias(c, e,
                numbers == TINY    ? 100 + (double)oracle_below(rng, 9)
                : numbers == EQUAL ? 0.25
                                   : oracle_uniform(rng, -0.5, 0.5));
    }
}

/* Runs it; ids and weights for free(). */
static void
run_route(const struct route_case *c, int32_t **ids, float **weights)
{
    size_t n_slots = c->n_tokens * c->top_k;
    size_t n = c->n_tokens * c->n_experts;
    void *logits = hip_copy_of(c->logits, n * w4moe_dtype_size(c->dtype));
    void *bias = hip_copy_of(c->bias,
            c->n_experts * w4moe_dtype_size(c->router.correction_bias_dtype));
    int32_t *words = hip_words(n_slots);
    int32_t *keys = hip_words(has_scores(c) ? 2 * n : 0);
    struct w4_gpu_route p = {
            .ids = hip_words(n_slots),
            .weights = (float *)(void *)words,
            .logits = logits,
            .correction_bias = bias,
            .keys = (uint64_t *)(void *)keys,
            .kind = c->router.kind,
            .logits_type = c->dtype,
            .correction_bias_type = c->router.correction_bias_dtype,
            .n_tokens = (uint32_t)c->n_tokens,
            .n_experts = (uint32_t)c->n_experts,
            .top_k = (uint32_t)c->top_k,
            .n_group = c->router.n_group,
            .topk_group = c->router.topk_group,
            .renormalize = c->router.renormalize != 0,
            .scale = c->router.scale,
    };
    unsigned per_block = W4_GPU_THREADS / 32;
    hip_kernel_run("w4_route", (p.n_tokens + per_block - 1) / per_block,
            W4_GPU_THREADS, &p);
    *ids = hip_words_back(p.ids, n_slots);
    *weights = (float *)(void *)hip_words_back(words, n_slots);
    keys = hip_words_back(keys, has_scores(c) ? 2 * n : 0);
    ck_assert(hip_words_intact(*ids, n_slots, n_slots));
    ck_assert(hip_words_intact((int32_t *)(void *)*weights, n_slots, n_slots));
    ck_assert(hip_words_intact(
            keys, has_scores(c) ? 2 * n : 0, has_scores(c) ? 2 * n : 0));
    free(keys);
    HIP_OK(hipFree(logits));
    HIP_OK(hipFree(bias));
}

static void
check_token(const struct route_case *c, size_t token, const int32_t *ids,
        const float *weights, enum numbers numbers)
{
    int32_t want_ids[W4_GPU_TOP_K_MAX];
    double want[W4_GPU_TOP_K_MAX];
    router_model(want_ids, want, c->values + token * c->n_experts,
            c->bias_values, c->n_experts, c->top_k, &c->router);
    for (size_t j = 0; j < c->top_k; j++) {
        const char *name = w4moe_router_name(c->router.kind);
        ck_assert_msg(ids[j] == want_ids[j],
                "%s, %zu of %zu, %u of %u groups, %s, numbers %d: choice %zu "
                "of token %zu is %d, not %d",
                name, c->top_k, c->n_experts, c->router.topk_group,
                c->router.n_group, w4moe_dtype_name(c->dtype), (int)numbers, j,
                token, ids[j], want_ids[j]);
        double off = fabs((double)weights[j] - want[j]);
        ck_assert_msg(off <= TOL_ROUTE_64 * fabs(want[j]) + 0x1p-149,
                "%s, %zu of %zu, numbers %d: weight %zu of token %zu is %a, "
                "not %a",
                name, c->top_k, c->n_experts, (int)numbers, j, token,
                (double)weights[j], want[j]);
    }
}

static void
check_route(const struct route_case *c, enum numbers numbers)
{
    int32_t *ids;
    float *weights;
    run_route(c, &ids, &weights);
    for (size_t t = 0; t < c->n_tokens; t++) {
        check_token(c, t, ids + t * c->top_k, weights + t * c->top_k, numbers);
    }
    free(ids);
    free(weights);
}

START_TEST(every_kind)
{
    static const size_t experts[] = {1, 2, 8, 31, 32, 33, 60, 128, 256, 520};
    static const size_t choices[] = {1, 2, 3, 8, 10, 32, 33, 64};
    static const uint32_t groups[] = {2, 4, 8, 32};
    struct oracle_rng rng = {0x8200};
    unsigned n = 0;
    hip_kernels_load(hip_archs[_i]);
    for (size_t e = 0; e < 10; e++) {
        for (size_t k = 0; k < 8 && choices[k] <= experts[e]; k++) {
            for (int i = 0; i < N_KINDS; i++, n++) {
                struct route_case c = route_case_of(
                        kinds[i], 1 + n % 9, experts[e], choices[k], n);
                enum numbers numbers = (enum numbers)(n / 2 % N_NUMBERS);
                if (n % 3 != 0) {
                    set_groups(&c, groups[n / 3 % 4], &rng);
                }
                draw_numbers(&c, numbers, &rng);
                check_route(&c, numbers);
                route_case_free(&c);
            }
        }
    }
    hip_kernels_unload();
}
END_TEST

/* Groups of every length, with all numbers. */
START_TEST(groups_of_experts)
{
    static const size_t experts[] = {8, 32, 96, 256};
    static const uint32_t groups[] = {2, 4, 8, 32};
    struct oracle_rng rng = {0x8240};
    unsigned n = (unsigned)_i;
    hip_kernels_load(hip_archs[_i]);
    for (size_t e = 0; e < 4; e++) {
        for (size_t g = 0; g < 4 && groups[g] <= experts[e]; g++) {
            for (int i = 0; i < N_NUMBERS; i++, n++) {
                struct route_case c = route_case_of(
                        kinds[2 + n % 2 * 2], 5, experts[e], 1 + n % 8, n);
                set_groups(&c, groups[g], &rng);
                draw_numbers(&c, (enum numbers)i, &rng);
                check_route(&c, (enum numbers)i);
                route_case_free(&c);
            }
        }
    }
    hip_kernels_unload();
}
END_TEST

START_TEST(many_experts)
{
    static const size_t experts[N_HIP_ARCHS] = {2048, 3000, 4096};
    struct oracle_rng rng = {0x8280};
    hip_kernels_load(hip_archs[_i]);
    for (unsigned n = 0; n < 2 * N_KINDS; n++) {
        struct route_case c = route_case_of(
                kinds[n % N_KINDS], 2, experts[_i], W4_GPU_TOP_K_MAX, n);
        enum numbers numbers = n < N_KINDS ? PLAIN : STEPS;
        if (n >= N_KINDS) {
            set_groups(&c, 8, &rng);
        }
        draw_numbers(&c, numbers, &rng);
        check_route(&c, numbers);
        route_case_free(&c);
    }
    hip_kernels_unload();
}
END_TEST

static void
expect_in_range(const struct route_case *c, const int32_t *ids)
{
    for (size_t i = 0; i < c->n_tokens * c->top_k; i++) {
        ck_assert_int_ge(ids[i], 0);
        ck_assert_int_lt(ids[i], (int)c->n_experts);
    }
}

/* With NaN among a token's logits its weights are NaN and its ids experts; with
 * nothing but NaN, too. Other tokens do not notice. */
START_TEST(logits_that_are_nan)
{
    struct oracle_rng rng = {0x8300};
    hip_kernels_load(hip_archs[_i]);
    for (unsigned n = 0; n < 6 * N_KINDS; n++) {
        struct route_case c = route_case_of(kinds[n % N_KINDS], 3, 40, 8, n);
        int32_t *ids[2];
        float *weights[2];
        if (n % 2 == 0) {
            set_groups(&c, 4, &rng);
        }
        draw_numbers(&c, n % 4 == 3 ? GONE : PLAIN, &rng);
        run_route(&c, &ids[0], &weights[0]);
        size_t n_nans = n % 3 == 0 ? 40 : n % 3 == 1 ? 35 : 1;
        for (size_t i = 0; i < n_nans; i++) {
            set_logit(&c, 40 + (7 * i + n) % 40, (double)NAN);
        }
        run_route(&c, &ids[1], &weights[1]);
        expect_in_range(&c, ids[1]);
        for (size_t i = 0; i < 24; i++) {
            int is_second = i / 8 == 1;
            ck_assert(is_second ? isnan(weights[1][i])
                                : weights[1][i] == weights[0][i] &&
                                          ids[1][i] == ids[0][i]);
        }
        for (int i = 0; i < 2; i++) {
            free(ids[i]);
            free(weights[i]);
        }
        route_case_free(&c);
    }
    hip_kernels_unload();
}
END_TEST

/* Infinite logits, and nothing but -Inf: ids are experts, whatever else. */
START_TEST(logits_that_are_infinite)
{
    struct oracle_rng rng = {0x8340};
    hip_kernels_load(hip_archs[_i]);
    for (unsigned n = 0; n < 4 * N_KINDS; n++) {
        struct route_case c = route_case_of(kinds[n % N_KINDS], 2, 64, 9, n);
        int32_t *ids;
        float *weights;
        set_groups(&c, 8, &rng);
        draw_numbers(&c, PLAIN, &rng);
        for (size_t i = 0; i < 64; i++) {
            double v = n < 2 * N_KINDS ? (double)-INFINITY : (double)INFINITY;
            if (n % 2 == 0 || oracle_below(&rng, 4) == 0) {
                set_logit(&c, i, v);
            }
        }
        run_route(&c, &ids, &weights);
        expect_in_range(&c, ids);
        check_token(&c, 1, ids + 9, weights + 9, PLAIN);
        free(ids);
        free(weights);
        route_case_free(&c);
    }
    hip_kernels_unload();
}
END_TEST

/* ------------------------------------------------------------------ logits */

/* Rows of weights of w4_logits. */
struct rows {
    size_t n;
    w4moe_dtype dtype;
    void *weight;
    /** NULL without. */
    void *bias;
};

struct logits_case {
    size_t n_tokens;
    size_t hidden;
    size_t x_stride;
    w4moe_dtype x_dtype;
    uint16_t *x;
    struct rows router;
    struct rows gate;
    float factor;
};

static void
draw(void *array, w4moe_dtype dtype, size_t n, double most,
        struct oracle_rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        oracle_store(array, dtype, i, oracle_uniform(rng, -most, most));
    }
}

static struct rows
draw_rows(size_t n, size_t hidden, w4moe_dtype dtype, int with_bias,
        struct oracle_rng *rng)
{
    struct rows rows = {.n = n, .dtype = dtype};
    rows.weight = oracle_alloc(n * hidden, 4);
    draw(rows.weight, dtype, n * hidden, 1, rng);
    if (with_bias) {
        rows.bias = oracle_alloc(n, 4);
        draw(rows.bias, dtype, n, 2, rng);
    }
    return rows;
}

static struct w4_gpu_dots
dots_of(const struct logits_case *c, const struct rows *rows)
{
    size_t size = w4moe_dtype_size(rows->dtype);
    return (struct w4_gpu_dots){
            .out = (float *)(void *)hip_words(c->n_tokens * rows->n),
            .weight = hip_copy_of(rows->weight, rows->n * c->hidden * size),
            .bias = hip_copy_of(rows->bias, rows->n * size),
            .weight_type = rows->dtype,
            .bias_type = rows->dtype,
            .n_rows = (uint32_t)rows->n,
    };
}

/* The result, for free(); releases what dots_of() made. */
static float *
result_of(const struct logits_case *c, const struct w4_gpu_dots *dots)
{
    size_t n = c->n_tokens * dots->n_rows;
    int32_t *words = hip_words_back((int32_t *)(void *)dots->out, n);
    ck_assert(hip_words_intact(words, n, n));
    HIP_OK(hipFree((void *)(uintptr_t)dots->weight));
    HIP_OK(hipFree((void *)(uintptr_t)dots->bias));
    return (float *)(void *)words;
}

/* Of x from `shift` elements behind the begin of device memory on, with so many
 * rows of weights in a wave. */
static void
run_logits(const struct logits_case *c, size_t shift, uint32_t wave_rows,
        float *out[2])
{
    size_t n_x = c->n_tokens * c->x_stride;
    uint16_t *shifted = oracle_alloc(n_x + shift, 2);
    memcpy(shifted + shift, c->x, n_x * 2);
    uint16_t *x = hip_copy_of(shifted, (n_x + shift) * 2);
    struct w4_gpu_logits p = {
            .x = x + shift,
            .x_stride = c->x_stride,
            .x_type = c->x_dtype,
            .aligned = shift % 8 == 0 && c->x_stride % 8 == 0,
            .n_tokens = (uint32_t)c->n_tokens,
            .n_columns = (uint32_t)c->hidden,
            .wave_rows = wave_rows,
            .router = dots_of(c, &c->router),
            .gate = dots_of(c, &c->gate),
    };
    p.gate.is_gate = 1;
    p.gate.factor = c->factor;
    size_t n_waves = (c->router.n + wave_rows - 1) / wave_rows +
                     (c->gate.n + wave_rows - 1) / wave_rows;
    hip_kernel_run_grid("w4_logits",
            (unsigned)(c->n_tokens + W4_GPU_LOGITS_TOKENS - 1) /
                    W4_GPU_LOGITS_TOKENS,
            (unsigned)(n_waves + W4_GPU_THREADS / 32 - 1) /
                    (W4_GPU_THREADS / 32),
            W4_GPU_THREADS, &p);
    out[0] = result_of(c, &p.router);
    out[1] = result_of(c, &p.gate);
    HIP_OK(hipFree(x));
    free(shifted);
}

/* A product in float64, and the sum of its terms' sizes. */
static double
exact_dot(const struct logits_case *c, const struct rows *rows, size_t token,
        size_t row, double *size)
{
    double sum =
            rows->bias != NULL ? oracle_load(rows->bias, rows->dtype, row) : 0;
    *size = fabs(sum);
    for (size_t h = 0; h < c->hidden; h++) {
        double term =
                oracle_load(c->x, c->x_dtype, token * c->x_stride + h) *
                oracle_load(rows->weight, rows->dtype, row * c->hidden + h);
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

static void
judge_logits(const struct logits_case *c, float *const out[2])
{
    /* A lane adds a 32nd of the terms, then come 5 sums of lanes. */
    double steps = (double)c->hidden / 32 + 8 + 7;
    for (size_t t = 0; t < c->n_tokens; t++) {
        double size;
        for (size_t r = 0; r < c->router.n; r++) {
            double want = exact_dot(c, &c->router, t, r, &size);
            double got = (double)out[0][t * c->router.n + r];
            ck_assert_msg(fabs(got - want) <= steps * TOL_HALF_ULP * size,
                    "token %zu, expert %zu: %a, not %a", t, r, got, want);
        }
        for (size_t r = 0; r < c->gate.n; r++) {
            double dot = exact_dot(c, &c->gate, t, r, &size);
            double want = (double)c->factor / (1 + exp(-dot));
            double got = (double)out[1][t * c->gate.n + r];
            ck_assert_msg(fabs(got - want) <= (steps * size + 2) *
                                                      TOL_HALF_ULP *
                                                      (double)c->factor,
                    "token %zu, gate %zu: %a, not %a", t, r, got, want);
        }
    }
}

static void
expect_same(const float *a, const float *b, size_t n, const char *what)
{
    ck_assert_msg(memcmp(a, b, n * sizeof(*a)) == 0, "other bytes: %s", what);
}

/* Each token alone gives the same bytes. */
static void
check_tokens_alone(const struct logits_case *c, float *const all[2])
{
    for (size_t t = 0; t < c->n_tokens; t++) {
        struct logits_case one = *c;
        float *out[2];
        one.n_tokens = 1;
        one.x = c->x + t * c->x_stride;
        run_logits(&one, 0, 1, out);
        expect_same(all[0] + t * c->router.n, out[0], c->router.n, "logits");
        expect_same(all[1] + t * c->gate.n, out[1], c->gate.n, "gates");
        free(out[0]);
        free(out[1]);
    }
}

static void
check_logits(struct logits_case *c, struct oracle_rng *rng)
{
    size_t n_x = c->n_tokens * c->x_stride;
    float *out[2];
    float *other[2];
    c->x = oracle_alloc(n_x, 2);
    draw(c->x, c->x_dtype, n_x, 1, rng);
    run_logits(c, 0, 1, out);
    judge_logits(c, out);
    for (size_t shift = 0; shift < 2; shift++) {
        run_logits(c, shift, W4_GPU_LOGITS_ROWS, other);
        expect_same(
                out[0], other[0], c->n_tokens * c->router.n, "several rows");
        expect_same(out[1], other[1], c->n_tokens * c->gate.n, "several rows");
        free(other[0]);
        free(other[1]);
    }
    check_tokens_alone(c, out);
    free(out[0]);
    free(out[1]);
    free(c->x);
    free(c->router.weight);
    free(c->router.bias);
    free(c->gate.weight);
    free(c->gate.bias);
}

START_TEST(logits)
{
    static const size_t hidden[] = {8, 256, 264, 1040, 512};
    struct oracle_rng rng = {0x8380};
    hip_kernels_load(hip_archs[_i]);
    for (unsigned n = (unsigned)_i; n < 30; n += 2) {
        struct logits_case c = {
                .n_tokens = 1 + n % 9,
                .hidden = hidden[n % 5],
                .x_stride = hidden[n % 5] + n % 3 * 4,
                .x_dtype = types[1 + n % 2],
                .factor = 2.5f,
        };
        c.router = draw_rows(n % 7 == 6 ? 0 : 1 + n % 20, c.hidden,
                types[n / 2 % 3], n % 4 < 2, &rng);
        c.gate = draw_rows(
                n % 7 == 6 ? 3 : n % 4, c.hidden, types[n % 3], 0, &rng);
        check_logits(&c, &rng);
    }
    hip_kernels_unload();
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {every_kind, groups_of_experts, many_experts,
            logits_that_are_nan, logits_that_are_infinite, logits};
    return hip_run_tests(
            "hip route", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
