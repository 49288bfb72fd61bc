/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_quantize() against its rule in float64: scales, zero points, and every
 * weight. Words, scales and zero points are read here by the layout of order
 * rdna3; order tile must mean the same weights. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "any_float.h"
#include "test_random.h"

enum { N_RANDOM = 300, N_GRIDS = 120, E = 2, EXPERT = 1 };

static const w4moe_dtype types[] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};
static w4moe_ctx *ctx;

static void
setup(void)
{
    ck_assert_int_eq(w4moe_ctx_create(&ctx, NULL), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

static void
ok(w4moe_status status)
{
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
}

/* ---------------------------------------------------------------- a problem */

/* A weight [n_out][n_in], as numbers that its type has and as an array, and
 * the matrix that it goes into: columns first_out on of EXPERT. */
struct problem {
    struct test_random random;
    w4moe_matrix m;
    int asymmetric;
    double *numbers;
    unsigned char *bytes;
    int32_t *order;
    w4moe_float_weight src;
    size_t first_out;
};

static void *
filled(size_t n, int byte)
{
    void *p = malloc(n);
    ck_assert_ptr_nonnull(p);
    memset(p, byte, n);
    return p;
}

static void
matrix_new(w4moe_matrix *m, int asymmetric)
{
    w4moe_matrix_sizes sizes = {.struct_size = sizeof(sizes)};
    ok(w4moe_matrix_measure(ctx, &sizes, m));
    m->qweight = filled((size_t)sizes.qweight, 0);
    m->scales = filled((size_t)sizes.scales, 0);
    m->qzeros = asymmetric ? filled((size_t)sizes.qzeros, 0) : NULL;
}

static void
matrix_free(w4moe_matrix *m)
{
    free(m->qweight);
    free(m->scales);
    free(m->qzeros);
}

static size_t
below(struct problem *p, size_t n)
{
    return test_random_below(&p->random, n);
}

/* Nearly normally distributed, of variance 1. */
static double
random_normal(struct problem *p)
{
    double sum = -6.0;
    for (int i = 0; i < 12; i++) {
        sum += ldexp((double)(test_random(&p->random) >> 11), -53);
    }
    return sum;
}

/* Sizes and types by the seed; numbers [n_out][n_in] are the caller's to
 * set. */
static void
problem_make(struct problem *p, uint64_t seed)
{
    static const size_t n_ins[] = {8, 24, 64, 136, 264};
    memset(p, 0, sizeof(*p));
    p->random.counter = seed;
    p->asymmetric = (int)(seed % 2);
    size_t n_out = 8 * (1 + below(p, 20));
    size_t n_in = n_ins[below(p, sizeof(n_ins) / sizeof(n_ins[0]))];
    p->first_out = 8 * below(p, 4);
    p->m = (w4moe_matrix){.struct_size = sizeof(p->m),
            .order = W4MOE_ORDER_RDNA3,
            .code = W4MOE_CODE_INT4,
            .n_experts = E,
            .n_out = p->first_out + n_out + 8 * below(p, 3),
            .n_in = n_in,
            .group_size = 8 * (1 + below(p, n_in / 8)),
            .scale_dtype = types[below(p, 3)]};
    p->src = (w4moe_float_weight){.struct_size = sizeof(p->src),
            .n_out = n_out,
            .n_in = n_in,
            .dtype = types[below(p, 3)]};
    p->numbers = filled(n_out * n_in * sizeof(*p->numbers), 0);
    matrix_new(&p->m, p->asymmetric);
}

/* Makes the array of the numbers: plain, with room between the rows, or
 * transposed; at any address. */
static void
problem_store(struct problem *p)
{
    w4moe_float_weight *src = &p->src;
    size_t size = w4moe_dtype_size(src->dtype);
    size_t n_out = src->n_out;
    size_t n_in = src->n_in;
    size_t shift = below(p, 3);
    size_t row = n_in + below(p, 2) * 3;
    size_t column = 1;
    if (below(p, 3) == 0) {
        row = 1 + below(p, 2);
        column = row * n_out + below(p, 2);
    }
    size_t end = (n_out - 1) * row + (n_in - 1) * column + 1;
    p->bytes = filled(end * size + shift, 0xFF);
    for (size_t i = 0; i < n_out * n_in; i++) {
        size_t place = i / n_in * row + i % n_in * column;
        any_float_put(
                p->bytes + shift + place * size, src->dtype, p->numbers[i]);
    }
    src->weights = p->bytes + shift;
    src->row_stride = row == n_in ? 0 : row;
    src->column_stride = column == 1 ? 0 : column;
    if (below(p, 2) != 0) {
        p->order = filled(n_out * sizeof(*p->order), 0);
        for (size_t i = 0; i < n_out; i++) {
            size_t j = below(p, i + 1);
            p->order[i] = p->order[j];
            p->order[j] = (int32_t)i;
        }
    }
    src->output_order = p->order;
}

static w4moe_status
quantize(struct problem *p)
{
    return w4moe_quantize(ctx, &p->m, &p->src, EXPERT, p->first_out);
}

static void
problem_free(struct problem *p)
{
    matrix_free(&p->m);
    free(p->numbers);
    free(p->bytes);
    free(p->order);
}

/* ---------------------------------------------------------------- the rule */

/* One group as it was and as it was packed. */
struct group {
    const struct problem *p;
    size_t column;
    size_t first;
    size_t n;
    const double *numbers;
    double scale;
    int zero;
};

static int
code_at(const struct group *g, size_t i)
{
    const w4moe_matrix *m = &g->p->m;
    size_t k = g->first + i;
    size_t row = EXPERT * (m->n_in / 8) + k / 8;
    uint32_t word = m->qweight[row * m->n_out + g->column];
    unsigned j = (unsigned)(k % 8);
    return (int)(word >> (j % 2 == 0 ? 2 * j : 2 * j + 14) & 15u);
}

static void
group_read(struct group *g, const struct problem *p, size_t row, size_t index)
{
    const w4moe_matrix *m = &p->m;
    size_t n_groups = (m->n_in + m->group_size - 1) / m->group_size;
    size_t source = p->order != NULL ? (size_t)p->order[row] : row;
    size_t place = EXPERT * n_groups + index;
    g->p = p;
    g->column = p->first_out + row;
    g->first = index * m->group_size;
    g->n = m->n_in - g->first < m->group_size ? m->n_in - g->first
                                              : m->group_size;
    g->numbers = p->numbers + source * m->n_in + g->first;
    g->scale = any_float_get(
            m->scales, m->scale_dtype, place * m->n_out + g->column);
    g->zero = 8;
    if (m->qzeros != NULL) {
        uint32_t word = m->qzeros[(place * m->n_out + g->column) / 8];
        g->zero = (int)(((word >> 4 * (g->column % 8)) + 1) & 15u);
    }
}

/* The code nearest to a number by a scale and a zero point. */
static double
nearest(double x, double scale, int zero)
{
    double code = rint(x / scale) + zero;
    return code < 0.0 ? 0.0 : code > 15.0 ? 15.0 : code;
}

static double
squared_error(const struct group *g, double scale, int zero)
{
    double sum = 0.0;
    for (size_t i = 0; i < g->n; i++) {
        double x = g->numbers[i];
        double error = x - (nearest(x, scale, zero) - zero) * scale;
        sum += error * error;
    }
    return sum;
}

static void
check_scale(const struct group *g)
{
    w4moe_dtype dtype = g->p->m.scale_dtype;
    double min = 0.0;
    double max = 0.0;
    for (size_t i = 0; i < g->n; i++) {
        double x = g->numbers[i];
        min = x < min ? x : min;
        max = x > max ? x : max;
    }
    if (g->p->asymmetric) {
        double scale = any_float_scale((max - min) / 15.0, dtype);
        ck_assert_double_eq(g->scale, scale);
        ck_assert_int_le(abs(g->zero - (int)rint(-min / scale)), 1);
        ck_assert_double_le(fabs(-min / scale - g->zero), 0.50001);
        return;
    }
    double e = max > -min ? max : min;
    const double list[] = {e / -8.0, e / -8.5, fabs(e) / 7.0};
    double least = INFINITY;
    int known = 0;
    for (int i = 0; i < 3; i++) {
        double scale = any_float_scale(list[i], dtype);
        known |= scale == g->scale;
        double sum = squared_error(g, scale, 8);
        least = sum < least ? sum : least;
    }
    ck_assert_msg(known, "scale %a, extreme %a", g->scale, e);
    /* The sums differ by the roundings of fp32. */
    ck_assert_double_le(squared_error(g, g->scale, 8),
            least * 1.001 + 1e-9 * g->scale * g->scale);
}

static void
check_group(const struct group *g)
{
    double step = fabs(g->scale);
    int any = 0;
    for (size_t i = 0; i < g->n; i++) {
        any |= g->numbers[i] != 0.0;
    }
    if (!any) {
        ck_assert_msg(g->scale == 0.0 && !signbit(g->scale) && g->zero == 8,
                "scale %a, zero %d of a group of zeros", g->scale, g->zero);
    } else {
        ck_assert(step > 0.0 && isfinite(step));
        check_scale(g);
    }
    for (size_t i = 0; i < g->n; i++) {
        double x = g->numbers[i];
        int code = code_at(g, i);
        double error = fabs((code - g->zero) * g->scale - x);
        double least = INFINITY;
        for (int c = 0; c < 16; c++) {
            double distance = fabs((c - g->zero) * g->scale - x);
            least = distance < least ? distance : least;
        }
        if (!any) {
            ck_assert_int_eq(code, 8);
        } else if (least <= 0.5 * step) {
            ck_assert_double_le(error, 0.50001 * step);
        }
        ck_assert_double_le(error, least * 1.0001);
    }
}

static void
check_problem(const struct problem *p)
{
    const w4moe_matrix *m = &p->m;
    for (size_t row = 0; row < p->src.n_out; row++) {
        for (size_t i = 0; i * m->group_size < m->n_in; i++) {
            struct group g;
            group_read(&g, p, row, i);
            check_group(&g);
        }
    }
}

/* The same weight in order tile, gated where its sizes allow, means the same
 * weights. */
static void
check_tile(struct problem *p)
{
    w4moe_matrix tile = p->m;
    tile.order = W4MOE_ORDER_TILE;
    tile.gated = tile.n_out % 16 == 0;
    matrix_new(&tile, p->asymmetric);
    ok(w4moe_quantize(ctx, &tile, &p->src, EXPERT, p->first_out));
    size_t n = tile.n_out * tile.n_in * sizeof(float);
    float *got = filled(n, 0);
    float *expected = filled(n, 0);
    ok(w4moe_dequantize(ctx, got, &tile, EXPERT));
    ok(w4moe_dequantize(ctx, expected, &p->m, EXPERT));
    ck_assert_mem_eq(got, expected, n);
    free(got);
    free(expected);
    matrix_free(&tile);
}

/* ------------------------------------------------------------------- tests */

/* Normally distributed rows of all magnitudes that the types have, with groups
 * of zeros and groups of one sign among them. */
START_TEST(random_weights)
{
    struct problem p;
    problem_make(&p, (uint64_t)_i);
    w4moe_dtype dtype = p.src.dtype;
    int low = dtype == W4MOE_F16 ? -22 : -145;
    int high = dtype == W4MOE_F16             ? 12
               : p.m.scale_dtype == W4MOE_F16 ? 14
                                              : 118;
    for (size_t n = 0; n < p.src.n_out; n++) {
        int exponent = low + (int)below(&p, (size_t)(high - low));
        exponent = below(&p, 2) != 0 ? exponent : -6;
        for (size_t k = 0; k < p.src.n_in; k++) {
            double x = random_normal(&p);
            size_t kind = (n + k / p.m.group_size) % 5;
            x = kind == 0 ? 0.0 : kind == 1 ? -fabs(x) : x;
            p.numbers[n * p.src.n_in + k] =
                    any_float_round(ldexp(x, exponent), dtype);
        }
    }
    problem_store(&p);
    ok(quantize(&p));
    check_problem(&p);
    check_tile(&p);
    problem_free(&p);
}
END_TEST

/* Weights that have been of 4 bits: bit for bit, whatever the scale is. */
START_TEST(grids)
{
    struct problem p;
    problem_make(&p, (uint64_t)_i);
    /* What q * scale takes must fit the weights' type. */
    int spare = any_float_bits(p.src.dtype) - 4;
    int bits = any_float_bits(p.m.scale_dtype) < spare
                       ? any_float_bits(p.m.scale_dtype)
                       : spare;
    for (size_t i = 0; i < p.src.n_out * p.src.n_in; i += 8) {
        /* The first word of a group has its extremes. */
        static double scale;
        static int zero;
        static int least;
        int begins = i % p.src.n_in % p.m.group_size == 0;
        if (begins) {
            double m = (double)(1 + below(&p, ((size_t)1 << bits) - 1));
            scale = ldexp(m, -12 - (int)below(&p, 3));
            zero = p.asymmetric ? (int)below(&p, 16) : 8;
            least = p.asymmetric ? 0 : (int)below(&p, 2);
        }
        for (size_t j = 0; j < 8; j++) {
            int code = least + (int)below(&p, (size_t)(16 - least));
            code = begins && j == 0 ? 15 : begins && j == 1 ? least : code;
            p.numbers[i + j] = (code - zero) * scale;
        }
    }
    problem_store(&p);
    ok(quantize(&p));
    float *out = filled(p.m.n_out * p.m.n_in * sizeof(*out), 0);
    ok(w4moe_dequantize(ctx, out, &p.m, EXPERT));
    for (size_t i = 0; i < p.src.n_out * p.src.n_in; i++) {
        size_t row = i / p.m.n_in;
        size_t source = p.order != NULL ? (size_t)p.order[row] : row;
        double x = p.numbers[source * p.m.n_in + i % p.m.n_in];
        double got = (double)out[p.first_out * p.m.n_in + i];
        ck_assert_msg(got == x, "seed %d: %a, not %a", _i, got, x);
    }
    free(out);
    problem_free(&p);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("quantize");
    TCase *tc = tcase_create("quantize");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, random_weights, 0, N_RANDOM);
    tcase_add_loop_test(tc, grids, 0, N_GRIDS);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
