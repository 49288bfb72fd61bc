/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Weights that are rounded, inside the converter: which form they get beside
 * weights that are not, and that the comparison finds every code that is not
 * the nearest. How they are rounded is in test_quantize.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "any_float.h"
#include "packed_weight.h"
#include "st_helpers.h"
#include "test_random.h"

enum { H = 64, I = 32, N_EXPERTS = 2, N_WEIGHTS = N_EXPERTS * 3 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ------------------------------------------------------------------ joining */

/* One checkpoint: what some of its weights are, and what must become of it.
 * Types NONE: there are no such weights. */
struct join_case {
    const char *label;
    /* Down of all experts, and gate of expert 1: exact, with this length. */
    size_t exact_size;
    w4moe_dtype exact_type;
    int exact_zeros;
    w4moe_dtype exact_offset;
    /* The others. */
    w4moe_dtype rounded_type;
    size_t asked_size;
    int asymmetric;
    /* w13 and w2. */
    size_t sizes[2];
    w4moe_dtype scale_types[2];
    int has_zeros;
    w4moe_dtype offset_type;
};

#define NONE W4MOE_DTYPE_NONE
#define BF16 W4MOE_BF16
#define F16 W4MOE_F16
#define F32 W4MOE_F32

static const struct join_case joins[] = {
        {"all rounded", 0, NONE, 0, NONE, BF16, 0, 0, {32, 32}, {BF16, BF16}, 0,
                NONE},
        {"fp16", 0, NONE, 0, NONE, F16, 16, 1, {16, 16}, {F16, F16}, 1, NONE},
        {"fp32", 0, NONE, 0, NONE, F32, 48, 0, {48, 32}, {BF16, BF16}, 0, NONE},
        {"beside groups of 16", 16, F16, 0, NONE, BF16, 0, 0, {16, 16},
                {F16, F16}, 0, NONE},
        {"the exact ones' length, not that asked for", 16, F16, 0, NONE, BF16,
                32, 0, {16, 16}, {F16, F16}, 0, NONE},
        {"beside channels", SIZE_MAX, F32, 0, NONE, BF16, 0, 0, {32, 32},
                {F32, F32}, 0, NONE},
        {"beside zero points", 16, BF16, 1, NONE, F16, 0, 0, {16, 16},
                {BF16, BF16}, 1, NONE},
        {"asymmetric beside symmetric", 16, BF16, 0, NONE, BF16, 0, 1, {16, 16},
                {BF16, BF16}, 1, NONE},
        {"beside offsets", 16, F16, 0, F16, BF16, 0, 0, {16, 16}, {F16, F16}, 0,
                F32},
        {"asymmetric beside offsets", 16, F16, 0, F16, BF16, 0, 1, {16, 16},
                {F16, F16}, 0, F32},
};

static void
set_sizes(struct w4_weight *weight, size_t w)
{
    int down = w % W4_N_PROJECTIONS == W4_DOWN;
    memset(weight, 0, sizeof(*weight));
    weight->n_out = down ? H : I;
    weight->n_in = down ? I : H;
    weight->tensor_rows = weight->n_out;
    weight->row_step = 1;
}

static void
make_source(struct w4_source *source, struct w4_weight *weights,
        struct w4_source_layer *layer, const struct join_case *c)
{
    memset(source, 0, sizeof(*source));
    source->config.n_experts = N_EXPERTS;
    source->config.hidden_size = H;
    source->config.intermediate_size = I;
    source->layers = layer;
    source->n_layers = 1;
    source->weights = weights;
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        struct w4_weight *weight = &weights[w];
        set_sizes(weight, w);
        if (c->exact_type != NONE &&
                (w % W4_N_PROJECTIONS == W4_DOWN || w == W4_N_PROJECTIONS)) {
            weight->scheme = &w4_scheme_ct;
            weight->group_size =
                    c->exact_size < weight->n_in ? c->exact_size : weight->n_in;
            weight->scale_dtype = c->exact_type;
            weight->has_zeros = c->exact_zeros;
            weight->offset_dtype = c->exact_offset;
        } else {
            w4_float_set(weight, NULL, c->rounded_type, weight->n_in, 1);
        }
    }
}

START_TEST(form)
{
    const struct join_case *c = &joins[_i];
    struct w4_source_options options = {
            .group_size = c->asked_size, .asymmetric = c->asymmetric};
    struct w4_weight weights[N_WEIGHTS];
    struct w4_source_layer layer = {0};
    struct w4_source source;
    make_source(&source, weights, &layer, c);
    ST_CHECK_OK(w4_source_join(&st_err, &source, &options));
    const w4moe_matrix *matrices[2] = {&source.w13, &source.w2};
    size_t n_rounded = 0;
    for (size_t i = 0; i < 2; i++) {
        ck_assert_msg(matrices[i]->group_size == c->sizes[i] &&
                              matrices[i]->scale_dtype == c->scale_types[i] &&
                              matrices[i]->offset_dtype == c->offset_type,
                "%s: groups of %zu, scales %s, offsets %s", c->label,
                matrices[i]->group_size,
                w4moe_dtype_name(matrices[i]->scale_dtype),
                w4moe_dtype_name(matrices[i]->offset_dtype));
    }
    ck_assert_int_eq(source.has_zero_points, c->has_zeros);
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        size_t i = w % W4_N_PROJECTIONS == W4_DOWN;
        if (weights[w].scheme->rounded) {
            n_rounded++;
            ck_assert_uint_eq(weights[w].group_size, c->sizes[i]);
            ck_assert_int_eq(weights[w].scale_dtype, c->scale_types[i]);
            ck_assert_int_eq(weights[w].has_zeros, c->asymmetric);
        }
    }
    ck_assert_uint_eq(source.n_rounded, n_rounded);
}
END_TEST

/* --------------------------------------------------------------- comparison */

/* Whether the comparison finds a word of another code. If not, the code must be
 * as near as the one before, so that the sum of squares stays. */
static int
is_found(struct packed_weight *p, uint32_t *word, uint32_t other, double error)
{
    uint32_t keep = *word;
    *word = other;
    w4moe_status status = packed_weight_compare(p);
    *word = keep;
    if (status == W4MOE_OK) {
        ck_assert_double_le(fabs(p->compare.error - error), 1e-6 * error);
    } else {
        ck_assert_int_eq(status, W4MOE_MISMATCH);
    }
    return status != W4MOE_OK;
}

/* What is packed is the nearest, in every form; any code one lower or higher
 * is found, but for the few that are equally near. */
START_TEST(other_codes)
{
    static const w4moe_dtype types[] = {BF16, F16, F32};
    enum { N = 24, K = 40 };
    unsigned char bytes[2 * N * K];
    struct test_random random = {(uint64_t)_i};
    struct w4_weight weight = {
            .n_out = N, .n_in = K, .row_step = 1, .tensor_rows = N};
    struct packed_weight p;
    for (size_t i = 0; i < sizeof(bytes); i += 2) {
        uint64_t bits = test_random(&random);
        bytes[i] = (unsigned char)bits;
        bytes[i + 1] = (unsigned char)(0x3C | (bits >> 8 & 0x81));
    }
    w4_float_set(&weight, bytes, BF16, K, 1);
    weight.group_size = 16;
    weight.scale_dtype = types[_i % 3];
    weight.has_zeros = _i / 3 % 2;
    packed_weight_make(&p, &weight,
            _i / 12 % 2 != 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3,
            _i / 6 % 2 != 0 ? F32 : NONE);
    ST_CHECK_OK(packed_weight_compare(&p));
    double error = p.compare.error;
    ck_assert(error > 0.0 && error < p.compare.total / 50);
    int n_changes = 0;
    int n_found = 0;
    for (size_t i = 0; i < N * K; i++) {
        uint32_t *word = &p.m.qweight[i / 8];
        unsigned at = 4 * (unsigned)(i % 8);
        if ((*word >> at & 15u) < 15) {
            n_changes++;
            n_found += is_found(&p, word, *word + (1u << at), error);
        }
        if ((*word >> at & 15u) > 0) {
            n_changes++;
            n_found += is_found(&p, word, *word - (1u << at), error);
        }
    }
    ck_assert_int_ge(n_found, n_changes - n_changes / 20);
    packed_weight_free(&p);
}
END_TEST

/* -------------------------------------------------------------- fused rows */

/* Rows of gate and up in one tensor, interleaved or one half after the other,
 * and transposed or not: each weight is where the tensor's layout says, and is
 * packed from there. */
START_TEST(fused_rows)
{
    enum { N = 40, K = 24, STRIDE = 2 * N + 1 };
    unsigned char bytes[2 * STRIDE * STRIDE];
    float row[K];
    int interleaved = _i & 1;
    int transposed = _i >> 1 & 1;
    size_t row_stride = transposed ? 1 : K + 1;
    size_t column_stride = transposed ? STRIDE : 1;
    /* Row r, column k holds K r + k. */
    for (size_t r = 0; r < 2 * N; r++) {
        for (size_t k = 0; k < K; k++) {
            size_t at = 2 * (r * row_stride + k * column_stride);
            any_float_put(bytes + at, F16, (double)(K * r + k));
        }
    }
    for (size_t half = 0; half < 2; half++) {
        struct w4_weight weight = {.n_out = N,
                .n_in = K,
                .row_first = interleaved ? half : half * N,
                .row_step = interleaved ? 2 : 1,
                .tensor_rows = 2 * N};
        struct packed_weight p;
        w4_float_set(&weight, bytes, F16, row_stride, column_stride);
        weight.group_size = 8;
        weight.has_zeros = _i >> 2 & 1;
        for (size_t n = 0; n < N; n++) {
            weight.scheme->read_row(&weight, n, row);
            size_t r = interleaved ? 2 * n + half : half * N + n;
            for (size_t k = 0; k < K; k++) {
                ck_assert_double_eq((double)row[k], (double)(K * r + k));
            }
        }
        packed_weight_make(&p, &weight, W4MOE_ORDER_RDNA3, NONE);
        ST_CHECK_OK(packed_weight_compare(&p));
        packed_weight_free(&p);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("rounded");
    TCase *tc = tcase_create("rounded");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
    tcase_add_loop_test(tc, form, 0, COUNT(joins));
    tcase_add_loop_test(tc, other_codes, 0, 24);
    tcase_add_loop_test(tc, fused_rows, 0, 8);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
