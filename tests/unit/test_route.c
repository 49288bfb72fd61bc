/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_route() against a float64 model that sorts whole rows and decodes
 * 16-bit logits on its own, over ordinary and ill-natured logits. */
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

enum { GUARD = 16, MAX_LOGITS = 1 << 19, MAX_SLOTS = 1 << 19 };

enum pattern {
    NORMAL,
    TIES,        /* few values, and zeros of both signs */
    EQUAL,       /* one value for all */
    MOSTLY_INF,  /* -Inf but for about one in ten */
    HUGE_SPREAD, /* to the ends of the type's range */
    DENORMAL,
    ASCENDING, /* the worst case for a list of the best */
    N_PATTERNS
};

struct problem {
    uint64_t seed;
    enum pattern pattern;
    w4moe_dtype dtype;
    size_t T, E, k, stride;
    w4moe_router router;
};

struct entry {
    double logit;
    int32_t id;
};

static w4moe_ctx *ctx;
static uint64_t rng_state;
/* Fixed buffers, each with a guard after what a case uses of it. */
static _Alignas(float) unsigned char logits[MAX_LOGITS * sizeof(float)];
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
        size_t finite = rng() % p->E;
        if (p->pattern == MOSTLY_INF) {
            w4_store_float(logits, p->dtype, t * p->stride + finite, 0.5f);
        }
    }
}

/* A logit, decoded by the definition of its type. */
static double
decode(const struct problem *p, size_t i)
{
    if (p->dtype == W4MOE_F32) {
        float v;
        memcpy(&v, logits + i * sizeof(v), sizeof(v));
        return v;
    }
    uint16_t bits;
    memcpy(&bits, logits + i * sizeof(bits), sizeof(bits));
    int n_mantissa = p->dtype == W4MOE_F16 ? 10 : 7;
    int bias = p->dtype == W4MOE_F16 ? 15 : 127;
    int max_exponent = p->dtype == W4MOE_F16 ? 31 : 255;
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
    if (a->logit != b->logit) {
        return a->logit > b->logit ? -1 : 1;
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

/* One token against the model.
 *
 * The bound, in half ulp u: the difference d to the maximum is rounded, which
 * turns exp(d) by |d| u; so does it each term of the denominator, together
 * their mean weighted by the terms, D; expf() errs by less than 1 ulp, in both
 * places, 4 u; the compensated sum by 2 u, division and scale by 1 u each.
 * Products of these are far below the ninth u. Below the normal numbers each
 * of three roundings errs by up to 2^-149 instead. */
static void
check_token(const struct problem *p, size_t t)
{
    static struct entry row[2048];
    for (size_t e = 0; e < p->E; e++) {
        row[e].logit = decode(p, t * p->stride + e);
        row[e].id = (int32_t)e;
    }
    qsort(row, p->E, sizeof(row[0]), compare);
    double max = row[0].logit;
    double sum = 0, spread = 0;
    for (size_t i = 0; i < (p->router.renormalize ? p->k : p->E); i++) {
        double term = exp(row[i].logit - max);
        sum += term;
        spread += term > 0 ? term * (max - row[i].logit) : 0;
    }
    double scale = p->router.scale != 0 ? (double)p->router.scale : 1;
    double total = 0;
    for (size_t j = 0; j < p->k; j++) {
        double d = row[j].logit - max;
        double expected = exp(d) / sum * scale;
        double relative = expected > 0 ? 9 - d + spread / sum : 0;
        if (ids[t * p->k + j] != row[j].id) {
            ck_abort_msg("seed %" PRIu64 ", %s, pattern %d, E %zu, k %zu, "
                         "token %zu, choice %zu: expert %" PRId32
                         " instead of %" PRId32,
                    p->seed, w4moe_dtype_name(p->dtype), (int)p->pattern, p->E,
                    p->k, t, j, ids[t * p->k + j], row[j].id);
        }
        check_weight(p, t, j, expected,
                isinf(d) ? 0
                         : relative * HALF_ULP * expected +
                                   3 * 0x1p-149 * fmax(scale, 1));
        total += (double)weights[t * p->k + j];
    }
    /* Here the errors of exp() cancel: the sum's 2 u, and division's and
     * scale's. */
    if (p->router.renormalize &&
            !(fabs(total - scale) <= 5 * HALF_ULP * scale)) {
        ck_abort_msg("seed %" PRIu64 ": weights of token %zu sum to %.9g",
                p->seed, t, total);
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
    p.stride = E + (seed % 2 != 0 ? seed % 37 : 0);
    p.router.struct_size = sizeof(p.router);
    p.router.kind = W4MOE_ROUTER_SOFTMAX_TOPK;
    p.router.renormalize = (int)(seed / N_PATTERNS / 3 % 2);
    p.router.scale = scales[seed % 3];
    return p;
}

/* Every pattern, type and kind of normalisation, for each E and k. */
START_TEST(all_patterns)
{
    static const size_t experts[] = {1, 2, 7, 128, 513, 2048};
    static const size_t choices[] = {1, 2, 6, 8, 64, 0};
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            size_t k = choices[j] != 0 ? choices[j] : experts[i];
            for (uint64_t s = 0; k <= experts[i] && s < 42; s++) {
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
        for (uint64_t s = 100; s < 121; s++) {
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

START_TEST(what_is_not_implemented)
{
    static const char *const names[] = {NULL, NULL, "topk_softmax", "sigmoid",
            "sigmoid_top1", "sqrt_softplus"};
    struct problem p = problem(0, 1, 8, 2);
    fill(&p);
    for (int kind = 0; kind < 6; kind++) {
        if (names[kind] != NULL) {
            char text[80];
            snprintf(text, sizeof(text),
                    "router kind \"%s\" is not implemented", names[kind]);
            p.router.kind = (w4moe_router_kind)kind;
            expect(&p, W4MOE_UNSUPPORTED, text);
            ck_assert_str_eq(w4moe_router_name(p.router.kind), names[kind]);
        }
    }
    p.router.kind = (w4moe_router_kind)6;
    expect(&p, W4MOE_UNSUPPORTED, "router kind 6 is not known");
    ck_assert_ptr_null(w4moe_router_name((w4moe_router_kind)-1));
    p.router.kind = W4MOE_ROUTER_SOFTMAX_TOPK;
    ck_assert_str_eq(w4moe_router_name(p.router.kind), "softmax_topk");
    p.router.n_group = 4;
    expect(&p, W4MOE_UNSUPPORTED,
            "router kind \"softmax_topk\" with groups: only \"sigmoid\" and "
            "\"sqrt_softplus\" have it");
    p.router.n_group = 1;
    p.router.scale = NAN;
    ck_assert_int_eq(route(ctx, &p, ids, weights), W4MOE_INVALID);
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

int
main(void)
{
    TCase *tc = tcase_create("route");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, all_patterns);
    tcase_add_test(tc, every_k);
    tcase_add_test(tc, same_bytes_for_any_threads);
    tcase_add_test(tc, bad_logits_are_named);
    tcase_add_test(tc, first_bad_token_is_named);
    tcase_add_test(tc, bad_sizes_are_named);
    tcase_add_test(tc, missing_pointers_are_named);
    tcase_add_test(tc, what_is_not_implemented);
    Suite *suite = suite_create("route");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
