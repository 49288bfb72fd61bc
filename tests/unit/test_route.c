/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_route() against a float64 model that sorts whole rows, computes scores
 * by libm and decodes 16-bit numbers on its own, over ordinary and ill-natured
 * logits, for all kinds of routers. */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <w4moe/route.h>

#include "base/half.h"
#include "test_ctx.h"

/* Half a unit in the last place of a fp32 number, relative to it. */
#define HALF_ULP 0x1p-24

enum {
    GUARD = 16,
    MAX_LOGITS = 1 << 19,
    MAX_SLOTS = 1 << 19,
    MAX_EXPERTS = 4096,
    MAX_GROUPS = 256
};

enum pattern {
    NORMAL,
    TIES,        /* few values, and zeros of both signs */
    EQUAL,       /* one value for all */
    MOSTLY_INF,  /* -Inf but for about one in ten */
    HUGE_SPREAD, /* to the ends of the type's range */
    DENORMAL,
    ASCENDING, /* the worst case for a list of the best */
    SATURATED, /* sigmoids that are 1 in fp32, and in part in float64 */
    TINY,      /* sigmoids down to denormal ones in fp32 and float64 */
    DOMINANT,  /* one run of experts far above the others */
    N_PATTERNS
};

struct problem {
    uint64_t seed;
    enum pattern pattern;
    w4moe_dtype dtype;
    size_t T, E, k, stride;
    w4moe_router router;
};

/* Correction biases. */
enum bias { NO_BIAS, SMALL_BIAS, LARGE_BIAS, FEW_BIASES, N_BIASES };

struct entry {
    double by;
    int32_t id;
};

static w4moe_ctx *ctx;
static uint64_t rng_state;
/* Fixed buffers, each with a guard after what a case uses of it. */
static _Alignas(float) unsigned char logits[MAX_LOGITS * sizeof(float)];
static _Alignas(float) unsigned char biases[MAX_EXPERTS * sizeof(float)];
static int32_t ids[MAX_SLOTS + GUARD], ids_again[MAX_SLOTS];
static float weights[MAX_SLOTS + GUARD], weights_again[MAX_SLOTS];

static void
setup(void)
{
    ctx = test_ctx(1);
}

static void
teardown(void)
{
    test_ctx_free(ctx);
}

/* SplitMix64. */
static uint64_t
rng(void)
{
    uint64_t z = rng_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Uniform in [-1, 1). */
static double
uniform(void)
{
    return (double)(rng() >> 11) * 0x1p-52 - 1;
}

static float
draw(const struct problem *p, size_t e)
{
    double largest = p->dtype == W4MOE_F16 ? 65504 : 3.38e38;
    double smallest = p->dtype == W4MOE_F16 ? 0x1p-24 : 0x1p-133;
    double gauss = uniform() + uniform() + uniform() + uniform();
    switch (p->pattern) {
    case TIES:
        return rng() % 4 == 0 ? -0.0f : (float)(rng() % 5) - 2;
    case EQUAL:
        return -3.25f;
    case MOSTLY_INF:
        return rng() % 10 != 0 ? -INFINITY : (float)gauss;
    case HUGE_SPREAD:
        return rng() % 2 == 0 ? (float)(uniform() * largest)
                              : (float)(60 * gauss);
    case DENORMAL:
        return (float)(smallest * (double)(rng() % 64) - 32 * smallest);
    case ASCENDING:
        return (float)e / 8 - 100;
    case SATURATED:
        return (float)(28 + 14 * uniform());
    case TINY:
        return (float)(-380 + 370 * uniform());
    case DOMINANT:
        return (float)gauss + (e / 4 % 8 == p->seed % 8 ? 30.0f : 0.0f);
    case NORMAL:
    case N_PATTERNS:
        break;
    }
    return (float)(4 * gauss);
}

/* Rows of logits with NaN between them; each has a finite one. */
static void
fill(const struct problem *p)
{
    rng_state = p->seed;
    ck_assert_uint_le(p->T * p->stride, MAX_LOGITS);
    for (size_t t = 0; t < p->T; t++) {
        for (size_t e = 0; e < p->stride; e++) {
            float v = e < p->E ? draw(p, e) : NAN;
            w4_store_float(logits, p->dtype, t * p->stride + e, v);
        }
        size_t finite = (size_t)(rng() % p->E);
        if (p->pattern == MOSTLY_INF) {
            w4_store_float(logits, p->dtype, t * p->stride + finite, 0.5f);
        }
    }
}

static void
fill_biases(const struct problem *p, enum bias kind)
{
    for (size_t e = 0; e < p->E; e++) {
        double b = uniform() / 8;
        b = kind == LARGE_BIAS ? 100 + 8 * b : b;
        b = kind == FEW_BIASES ? (double)(rng() % 3) : b;
        w4_store_float(biases, p->router.correction_bias_dtype, e, (float)b);
    }
}

/* A number, decoded by the definition of its type. */
static double
decode(const unsigned char *array, w4moe_dtype dtype, size_t i)
{
    if (dtype == W4MOE_F32) {
        float v;
        memcpy(&v, array + i * sizeof(v), sizeof(v));
        return v;
    }
    uint16_t bits;
    memcpy(&bits, array + i * sizeof(bits), sizeof(bits));
    int n_mantissa = dtype == W4MOE_F16 ? 10 : 7;
    int bias = dtype == W4MOE_F16 ? 15 : 127;
    int max_exponent = dtype == W4MOE_F16 ? 31 : 255;
    int exponent = bits >> n_mantissa & max_exponent;
    int mantissa = bits & ((1 << n_mantissa) - 1);
    double magnitude;
    if (exponent == max_exponent) {
        magnitude = mantissa != 0 ? (double)NAN : (double)INFINITY;
    } else if (exponent == 0) {
        magnitude = ldexp(mantissa, 1 - bias - n_mantissa);
    } else {
        magnitude = ldexp(
                mantissa + (1 << n_mantissa), exponent - bias - n_mantissa);
    }
    return bits >> 15 != 0 ? -magnitude : magnitude;
}

static int
compare(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->by != b->by) {
        return a->by > b->by ? -1 : 1;
    }
    return a->id < b->id ? -1 : a->id > b->id;
}

static w4moe_status
route(const w4moe_ctx *with, const struct problem *p, int32_t *out_ids,
        float *out_weights)
{
    return w4moe_route(with, out_ids, out_weights, logits, p->dtype,
            p->stride == p->E ? 0 : p->stride, p->T, p->E, p->k, &p->router);
}

static void
check_weight(const struct problem *p, size_t t, size_t j, double expected,
        double bound)
{
    size_t slot = t * p->k + j;
    if (!(fabs(weights[slot] - expected) <= bound)) {
        ck_abort_msg("seed %" PRIu64 ", %s, pattern %d, E %zu, k %zu, token "
                     "%zu, choice %zu: weight %.9g, expected %.9g +- %.2g",
                p->seed, w4moe_dtype_name(p->dtype), (int)p->pattern, p->E,
                p->k, t, j, (double)weights[slot], expected, bound);
    }
}

/* What the model says of a token: what experts are chosen by, and scores. */
struct model {
    double c[MAX_EXPERTS];
    double s[MAX_EXPERTS];
    struct entry order[MAX_EXPERTS];
};

static int
has_scores(w4moe_router_kind kind)
{
    return kind == W4MOE_ROUTER_SIGMOID || kind == W4MOE_ROUTER_SQRT_SOFTPLUS;
}

/* By the formulas as they are written. */
static double
score_of(w4moe_router_kind kind, double logit)
{
    if (kind == W4MOE_ROUTER_SQRT_SOFTPLUS) {
        return logit > 40 ? sqrt(logit) : sqrt(log1p(exp(logit)));
    }
    /* exp(-logit) may overflow where the score is small, but not 0. */
    return logit < -700 ? exp(logit) : 1 / (1 + exp(-logit));
}

/* The groups that are not kept lose their experts. Each group's place among all
 * is counted. */
static void
model_groups(struct model *m, const struct problem *p)
{
    double value[MAX_GROUPS];
    size_t n = p->router.n_group, size = p->E / n;
    for (size_t g = 0; g < n; g++) {
        for (size_t e = 0; e < size; e++) {
            m->order[e].by = m->c[g * size + e];
            m->order[e].id = (int32_t)e;
        }
        qsort(m->order, size, sizeof(m->order[0]), compare);
        value[g] = m->order[0].by + (size > 1 ? m->order[1].by : 0);
    }
    for (size_t g = 0; g < n; g++) {
        size_t n_better = 0;
        for (size_t h = 0; h < n; h++) {
            n_better += value[h] > value[g] || (value[h] == value[g] && h < g);
        }
        for (size_t e = 0; e < size && n_better >= p->router.topk_group; e++) {
            m->c[g * size + e] = -INFINITY;
        }
    }
}

static void
model_order(struct model *m, const struct problem *p, size_t t)
{
    for (size_t e = 0; e < p->E; e++) {
        double logit = decode(logits, p->dtype, t * p->stride + e);
        m->s[e] = logit;
        m->c[e] = logit;
        if (has_scores(p->router.kind)) {
            m->s[e] = score_of(p->router.kind, logit);
            m->c[e] = m->s[e];
        }
        if (p->router.correction_bias != NULL) {
            m->c[e] += decode(biases, p->router.correction_bias_dtype, e);
        }
    }
    if (p->router.n_group > 1) {
        model_groups(m, p);
    }
    for (size_t e = 0; e < p->E; e++) {
        m->order[e].by = m->c[e];
        m->order[e].id = (int32_t)e;
    }
    qsort(m->order, p->E, sizeof(m->order[0]), compare);
}

/* Weight of a chosen expert before any division. */
static double
raw_weight(const struct model *m, const struct problem *p, size_t e)
{
    w4moe_router_kind kind = p->router.kind;
    if (has_scores(kind)) {
        return m->s[e];
    }
    return kind == W4MOE_ROUTER_SIGMOID_TOP1
                   ? score_of(kind, m->s[e])
                   : exp(m->s[e] - m->s[m->order[0].id]);
}

/* One token against the model: the same experts, and weights as a rounding to
 * fp32 of what is computed in float64 leaves them. */
static void
check_token(const struct problem *p, size_t t)
{
    static struct model m;
    model_order(&m, p, t);
    w4moe_router_kind kind = p->router.kind;
    int over_all = kind == W4MOE_ROUTER_SOFTMAX_TOPK && !p->router.renormalize;
    double sum = 0;
    for (size_t j = 0; j < (over_all ? p->E : p->k); j++) {
        sum += raw_weight(&m, p, (size_t)m.order[j].id);
    }
    if (!over_all && kind != W4MOE_ROUTER_TOPK_SOFTMAX &&
            !p->router.renormalize) {
        sum = 1;
    }
    double scale = p->router.scale != 0 ? (double)p->router.scale : 1;
    for (size_t j = 0; j < p->k; j++) {
        if (ids[t * p->k + j] != m.order[j].id) {
            ck_abort_msg("seed %" PRIu64 ", %s, pattern %d, kind %d, E %zu, k "
                         "%zu, token %zu, choice %zu: expert %" PRId32
                         " instead of %" PRId32,
                    p->seed, w4moe_dtype_name(p->dtype), (int)p->pattern,
                    (int)kind, p->E, p->k, t, j, ids[t * p->k + j],
                    m.order[j].id);
        }
        double expected = raw_weight(&m, p, (size_t)m.order[j].id);
        expected = sum != 0 ? expected / sum * scale : 0;
        /* The errors of the two in float64 are far below; see scores.h for the
         * smallest. */
        check_weight(p, t, j, expected,
                1.001 * HALF_ULP * fabs(expected) + 1.001 * 0x1p-150);
    }
}

static void
check_problem(const struct problem *p)
{
    fill(p);
    size_t n = p->T * p->k;
    ck_assert_uint_le(n, MAX_SLOTS);
    memset(ids, 0x5A, (n + GUARD) * sizeof(ids[0]));
    memset(weights, 0x5A, (n + GUARD) * sizeof(weights[0]));
    w4moe_status status = route(ctx, p, ids, weights);
    ck_assert_msg(status == W4MOE_OK, "seed %" PRIu64 ": %s", p->seed,
            test_ctx_text(ctx));
    for (size_t t = 0; t < p->T; t++) {
        check_token(p, t);
    }
    for (size_t i = n; i < n + GUARD; i++) {
        ck_assert(ids[i] == 0x5A5A5A5A);
        ck_assert(w4_bits_of_float(weights[i]) == 0x5A5A5A5A);
    }
}

static struct problem
problem(uint64_t seed, size_t T, size_t E, size_t k)
{
    static const w4moe_dtype dtypes[] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};
    static const float scales[] = {0, 1, 2.5f};
    struct problem p = {.seed = seed, .T = T, .E = E, .k = k};
    p.pattern = (enum pattern)(seed % N_PATTERNS);
    p.dtype = dtypes[seed / N_PATTERNS % 3];
    p.stride = E + (seed % 2 != 0 ? (size_t)seed % 37 : 0);
    p.router.struct_size = sizeof(p.router);
    p.router.kind = W4MOE_ROUTER_SOFTMAX_TOPK;
    p.router.renormalize = (int)(seed / N_PATTERNS / 3 % 2);
    p.router.scale = scales[seed % 3];
    return p;
}

/* The same with a kind of its own, and a bias and groups where it may have
 * them. */
static struct problem
any_problem(uint64_t seed, size_t T, size_t E, size_t k)
{
    static const uint32_t groups[] = {0, 1, 2, 4, 8, 32};
    static const w4moe_dtype dtypes[] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};
    struct problem p = problem(seed, T, E, k);
    w4moe_router *r = &p.router;
    rng_state = seed * 77 + E + k;
    r->kind = (w4moe_router_kind)(1 + rng() % 5);
    r->renormalize = (int)(rng() % 2);
    if (!has_scores(r->kind)) {
        return p;
    }
    r->n_group = groups[rng() % 6];
    if (r->n_group != 0 && E % r->n_group != 0) {
        r->n_group = 0;
    }
    if (r->n_group != 0) {
        size_t size = E / r->n_group;
        size_t least = (k + size - 1) / size;
        r->topk_group = (uint32_t)(least + rng() % (r->n_group - least + 1));
    }
    enum bias kind = (enum bias)(rng() % N_BIASES);
    if (kind != NO_BIAS) {
        r->correction_bias = biases;
        r->correction_bias_dtype = dtypes[rng() % 3];
        fill_biases(&p, kind);
    }
    return p;
}

/* Every kind of router, with every pattern and type. */
START_TEST(all_kinds)
{
    static const size_t experts[] = {1, 2, 8, 60, 64, 128, 256, 384, 2048};
    static const size_t choices[] = {1, 2, 6, 8, 22, 64};
    for (size_t i = 0; i < 9; i++) {
        for (size_t j = 0; j < 6 && choices[j] <= experts[i]; j++) {
            for (uint64_t s = 0; s < 300; s++) {
                struct problem p = any_problem(s, 2, experts[i], choices[j]);
                check_problem(&p);
            }
        }
    }
}
END_TEST

/* The most experts, and all of them chosen. */
START_TEST(as_many_as_can_be)
{
    for (uint64_t s = 0; s < 30; s++) {
        struct problem p = any_problem(s, 1, MAX_EXPERTS, 64);
        check_problem(&p);
        p = any_problem(s, 1, 600, 600);
        check_problem(&p);
    }
}
END_TEST

/* Every pattern, type and kind of normalisation, for each E and k. */
START_TEST(all_patterns)
{
    static const size_t experts[] = {1, 2, 7, 128, 513, 2048};
    static const size_t choices[] = {1, 2, 6, 8, 64, 0};
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            size_t k = choices[j] != 0 ? choices[j] : experts[i];
            for (uint64_t s = 0; k <= experts[i] && s < 60; s++) {
                struct problem p = problem(s, 3, experts[i], k);
                check_problem(&p);
            }
        }
    }
}
END_TEST

START_TEST(every_k)
{
    for (size_t k = 1; k <= 64; k++) {
        for (uint64_t s = 100; s < 130; s++) {
            struct problem p = problem(s + k, 2, 128, k);
            check_problem(&p);
        }
    }
}
END_TEST

/* Enough work for threads, and the same bytes whatever their number. */
START_TEST(same_bytes_for_any_threads)
{
    for (uint64_t s = 0; s < 12; s++) {
        struct problem p = problem(1000 + s, 1201, 128, 8);
        check_problem(&p);
        size_t n = p.T * p.k;
        for (unsigned n_threads = 2; n_threads <= 7; n_threads += 5) {
            w4moe_ctx *other = test_ctx(n_threads);
            ck_assert_int_eq(
                    route(other, &p, ids_again, weights_again), W4MOE_OK);
            ck_assert_mem_eq(ids_again, ids, n * sizeof(ids[0]));
            ck_assert_mem_eq(weights_again, weights, n * sizeof(weights[0]));
            test_ctx_free(other);
        }
    }
}
END_TEST

static void
expect(const struct problem *p, w4moe_status status, const char *text)
{
    ck_assert_int_eq(route(ctx, p, ids, weights), status);
    ck_assert_str_eq(test_ctx_text(ctx), text);
}

START_TEST(bad_logits_are_named)
{
    for (uint64_t s = 0; s < 3; s++) {
        struct problem p = problem(s * N_PATTERNS, 5, 600, 4);
        fill(&p);
        w4_store_float(logits, p.dtype, 3 * p.stride + 599, NAN);
        expect(&p, W4MOE_INVALID, "token 3, expert 599: the logit is NaN");
        w4_store_float(logits, p.dtype, 2 * p.stride + 1, INFINITY);
        expect(&p, W4MOE_INVALID, "token 2, expert 1: the logit is +Inf");
        for (size_t e = 0; e < p.E; e++) {
            w4_store_float(logits, p.dtype, p.stride + e, -INFINITY);
        }
        expect(&p, W4MOE_INVALID, "token 1: all 600 logits are -Inf");
    }
}
END_TEST

/* The caller's thread gets one text, that of the first bad token, however many
 * threads meet one. */
START_TEST(first_bad_token_is_named)
{
    struct problem p = problem(0, 4000, 128, 8);
    fill(&p);
    for (size_t t = 123; t < p.T; t += 100) {
        w4_store_float(logits, p.dtype, t * p.stride + t % 128, NAN);
    }
    for (unsigned n_threads = 1; n_threads <= 7; n_threads += 3) {
        w4moe_ctx *other = test_ctx(n_threads);
        ck_assert_int_eq(route(other, &p, ids, weights), W4MOE_INVALID);
        ck_assert_str_eq(test_ctx_text(other),
                "token 123, expert 123: the logit is NaN");
        ck_assert_uint_eq(test_ctx_log_lines(other), 1);
        test_ctx_free(other);
    }
}
END_TEST

START_TEST(bad_sizes_are_named)
{
    struct problem p = problem(0, 2, 8, 0);
    fill(&p);
    expect(&p, W4MOE_INVALID, "top_k is 0, outside [1, 8]");
    p.k = 9;
    expect(&p, W4MOE_INVALID, "top_k is 9, outside [1, 8]");
    p.k = 2;
    p.stride = 7;
    expect(&p, W4MOE_INVALID, "stride is 7, less than the 8 experts of a row");
    p.stride = SIZE_MAX / 2;
    ck_assert_int_eq(route(ctx, &p, ids, weights), W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(test_ctx_text(ctx), "2 tokens"));
    p.stride = p.E = 0;
    expect(&p, W4MOE_INVALID, "n_experts is 0");
    p.stride = p.E = (size_t)INT32_MAX + 1;
    expect(&p, W4MOE_UNSUPPORTED,
            "2147483648 experts to choose from, at most 4096");
}
END_TEST

START_TEST(missing_pointers_are_named)
{
    w4moe_router router = problem(0, 1, 8, 2).router;
    ck_assert_int_eq(w4moe_route(NULL, ids, weights, logits, W4MOE_F32, 0, 1, 8,
                             2, &router),
            W4MOE_INVALID);
    static const char *const names[] = {"ids is NULL", "weights is NULL",
            "logits is NULL", "router is NULL"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(
                w4moe_route(ctx, i == 0 ? NULL : ids, i == 1 ? NULL : weights,
                        i == 2 ? NULL : logits, W4MOE_F32, 0, 1, 8, 2,
                        i == 3 ? NULL : &router),
                W4MOE_INVALID);
        ck_assert_str_eq(test_ctx_text(ctx), names[i]);
    }
    /* No tokens, and so no arrays. */
    ck_assert_int_eq(
            w4moe_route(ctx, NULL, NULL, NULL, W4MOE_F32, 0, 0, 8, 2, &router),
            W4MOE_OK);
}
END_TEST

START_TEST(bad_routers_are_named)
{
    struct problem p = problem(0, 1, 8, 2);
    fill(&p);
    p.router.kind = W4MOE_ROUTER_NONE;
    expect(&p, W4MOE_UNSUPPORTED,
            "router kind \"none\": ids and weights must be given");
    p.router.kind = (w4moe_router_kind)6;
    expect(&p, W4MOE_UNSUPPORTED, "router kind 6 is not known");
    p.router.kind = W4MOE_ROUTER_SOFTMAX_TOPK;
    p.router.scale = NAN;
    expect(&p, W4MOE_INVALID, "router: scale is nan");
    p.router.scale = 1;
    p.dtype = W4MOE_F64;
    expect(&p, W4MOE_UNSUPPORTED,
            "logits of type F64 (4) are not supported, only F32, F16 and "
            "BF16");
    p.dtype = W4MOE_F32;
    p.router.struct_size = 8;
    ck_assert_int_eq(route(ctx, &p, ids, weights), W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(test_ctx_text(ctx), "struct_size is 8"));
}
END_TEST

START_TEST(bad_groups_and_biases_are_named)
{
    struct problem p = problem(0, 1, 8, 3);
    fill(&p);
    p.router.n_group = 4;
    p.router.topk_group = 1;
    expect(&p, W4MOE_UNSUPPORTED,
            "router kind \"softmax_topk\" with groups: only \"sigmoid\" and "
            "\"sqrt_softplus\" have it");
    p.router.kind = W4MOE_ROUTER_SIGMOID;
    expect(&p, W4MOE_INVALID, "top_k is 3, outside [1, 2]");
    p.router.topk_group = 5;
    expect(&p, W4MOE_INVALID, "router: 5 of 4 groups");
    p.router.n_group = 257;
    expect(&p, W4MOE_UNSUPPORTED, "router: 257 groups, at most 256");
    p.router.n_group = 3;
    p.router.topk_group = 2;
    expect(&p, W4MOE_INVALID, "router: 3 groups of 8 experts");
    p.router.n_group = 0;
    p.router.correction_bias = biases;
    p.router.correction_bias_dtype = W4MOE_F64;
    expect(&p, W4MOE_UNSUPPORTED,
            "router: correction_bias of type F64 (4) is not supported, only "
            "F32, F16 and BF16");
    p.router.correction_bias_dtype = W4MOE_BF16;
    fill_biases(&p, SMALL_BIAS);
    w4_store_float(biases, W4MOE_BF16, 7, -INFINITY);
    expect(&p, W4MOE_INVALID,
            "router: the correction bias of expert 7 is -inf");
    p.router.kind = W4MOE_ROUTER_TOPK_SOFTMAX;
    expect(&p, W4MOE_UNSUPPORTED,
            "router kind \"topk_softmax\" with a correction bias: only "
            "\"sigmoid\" and \"sqrt_softplus\" have it");
    p.router.correction_bias = NULL;
    p.router.bias = biases;
    expect(&p, W4MOE_INVALID, "router: a bias, but no weight for it");
}
END_TEST

START_TEST(kinds_have_names)
{
    static const char *const names[] = {"none", "softmax_topk", "topk_softmax",
            "sigmoid", "sigmoid_top1", "sqrt_softplus"};
    for (int kind = 0; kind < 6; kind++) {
        ck_assert_str_eq(
                w4moe_router_name((w4moe_router_kind)kind), names[kind]);
    }
    ck_assert_ptr_null(w4moe_router_name((w4moe_router_kind)6));
    ck_assert_ptr_null(w4moe_router_name((w4moe_router_kind)-1));
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("route");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, all_patterns);
    tcase_add_test(tc, all_kinds);
    tcase_add_test(tc, as_many_as_can_be);
    tcase_add_test(tc, every_k);
    tcase_add_test(tc, same_bytes_for_any_threads);
    tcase_add_test(tc, bad_logits_are_named);
    tcase_add_test(tc, first_bad_token_is_named);
    tcase_add_test(tc, bad_sizes_are_named);
    tcase_add_test(tc, missing_pointers_are_named);
    tcase_add_test(tc, bad_routers_are_named);
    tcase_add_test(tc, bad_groups_and_biases_are_named);
    tcase_add_test(tc, kinds_have_names);
    Suite *suite = suite_create("route");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
