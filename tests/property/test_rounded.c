/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Weights that are rounded, inside the converter: which form they get beside
 * weights that are not, FP8 in blocks, and that the comparison finds every code
 * that is not the nearest. How they are rounded is in test_quantize.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "format/compare.h"
#include "format/parts.h"
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
    struct w4_source_options options = {c->asked_size, c->asymmetric};
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

/* Packs one weight into a matrix of one expert of its size, as w2. */
struct packed {
    w4moe_matrix m;
    struct w4_weight weights[W4_N_PROJECTIONS];
    struct w4_orders orders;
    struct w4_compare compare;
};

static void *
room(uint64_t n)
{
    void *p = malloc((size_t)n);
    ck_assert_ptr_nonnull(p);
    memset(p, 0, (size_t)n);
    return p;
}

static void
pack(struct packed *p, const struct w4_weight *weight, w4moe_order order,
        w4moe_dtype offset_dtype)
{
    memset(p, 0, sizeof(*p));
    p->weights[W4_DOWN] = *weight;
    p->m = (w4moe_matrix){.struct_size = sizeof(p->m),
            .order = order,
            .code = W4MOE_CODE_INT4,
            .n_experts = 1,
            .n_out = weight->n_out,
            .n_in = weight->n_in,
            .group_size = weight->group_size,
            .scale_dtype = weight->scale_dtype,
            .offset_dtype = offset_dtype};
    w4moe_matrix_sizes sizes;
    w4_matrix_sizes(&sizes, &p->m);
    p->m.qweight = room(sizes.qweight);
    p->m.scales = room(sizes.scales);
    p->m.offsets = offset_dtype != NONE ? room(sizes.offsets) : NULL;
    p->m.qzeros = weight->has_zeros && offset_dtype == NONE ? room(sizes.qzeros)
                                                            : NULL;
    struct w4_rows rows;
    struct w4_pack_target target = {.matrix = &p->m};
    ST_CHECK_OK(w4_rows_make(
            &st_err, &rows, weight->n_in, w4_weight_groups(weight)));
    ST_CHECK_OK(w4_pack_weight(&st_err, &target, weight, &rows));
    w4_rows_free(&rows);
    p->orders.inner_is_identity = 1;
    ST_CHECK_OK(w4_compare_make(&st_err, &p->compare, weight->n_in));
}

static w4moe_status
compare(struct packed *p)
{
    p->compare.error = p->compare.total = 0.0;
    return w4_compare_matrix(
            &p->compare, &p->m, p->weights, &p->orders, W4MOE_W2);
}

static void
packed_free(struct packed *p)
{
    w4_compare_free(&p->compare);
    free(p->m.qweight);
    free(p->m.scales);
    free(p->m.offsets);
    free(p->m.qzeros);
}

/* Random bytes as bf16 weights of a model's size, or as FP8 without NaN. */
static void
fill(unsigned char *bytes, size_t n, struct test_random *random, int bf16)
{
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)test_random(random);
        if (bf16 && i % 2 == 1) {
            bytes[i] = (unsigned char)(0x3C | (bytes[i] & 0x81));
        } else if (!bf16 && (bytes[i] & 0x7F) == 0x7F) {
            bytes[i] = 0;
        }
    }
}

/* Whether the comparison finds a word of another code. If not, the code must be
 * as near as the one before, so that the sum of squares stays. */
static int
is_found(struct packed *p, uint32_t *word, uint32_t other, double error)
{
    uint32_t keep = *word;
    *word = other;
    w4moe_status status = compare(p);
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
    struct packed p;
    fill(bytes, sizeof(bytes), &random, 1);
    w4_float_set(&weight, bytes, BF16, K, 1);
    weight.group_size = 16;
    weight.scale_dtype = types[_i % 3];
    weight.has_zeros = _i / 3 % 2;
    pack(&p, &weight, _i / 12 % 2 != 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3,
            _i / 6 % 2 != 0 ? F32 : NONE);
    ST_CHECK_OK(compare(&p));
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
    packed_free(&p);
}
END_TEST

/* ---------------------------------------------------------------------- FP8 */

/* A checkpoint's weight of FP8. */
struct fp8 {
    struct w4_tensor weight;
    struct w4_tensor scales;
    struct w4_parts parts;
    struct w4_model_config config;
    unsigned char codes[H * I];
    unsigned char factors[4 * H * I];
};

static void
tensor(struct w4_tensor *tensor, const char *name, w4moe_dtype dtype,
        uint64_t rows, uint64_t columns, const void *data)
{
    *tensor = (struct w4_tensor){.name = name,
            .dtype = dtype,
            .dtype_name = w4moe_dtype_name(dtype),
            .n_dims = 2,
            .shape = {rows, columns},
            .data = data};
}

/* Down of an expert; blocks of rows x columns, 0: what is usual. */
static void
fp8_make(struct fp8 *f, size_t rows, size_t columns, struct test_random *random)
{
    memset(f, 0, sizeof(*f));
    f->config.fp8_block[0] = rows;
    f->config.fp8_block[1] = columns;
    fill(f->codes, sizeof(f->codes), random, 0);
    fill(f->factors, sizeof(f->factors), random, 1);
    tensor(&f->weight, "x.weight", W4MOE_F8_E4M3, H, I, f->codes);
    tensor(&f->scales, "x.weight_scale_inv", BF16,
            w4_ceil_div(H, rows != 0 ? rows : 128),
            w4_ceil_div(I, columns != 0 ? columns : 128), f->factors);
    f->parts.tensors[W4_PART_WEIGHT] = &f->weight;
    f->parts.tensors[W4_PART_SCALE_INV] = &f->scales;
}

static w4moe_status
resolve(const struct fp8 *f, struct w4_weight *weight)
{
    set_sizes(weight, W4_DOWN);
    return w4_parts_resolve(&st_err, weight, &f->parts, &f->config);
}

/* Every weight is code times factor; both ways of reading agree. */
START_TEST(fp8_blocks)
{
    static const size_t blocks[][2] = {
            {0, 0}, {8, 8}, {1, 32}, {48, 24}, {64, 1}, {3, 5}};
    struct test_random random = {(uint64_t)_i};
    const size_t *block = blocks[_i];
    struct fp8 f;
    struct w4_weight weight;
    struct packed p;
    float row[I];
    fp8_make(&f, block[0], block[1], &random);
    ST_CHECK_OK(resolve(&f, &weight));
    size_t n_rows = block[0] != 0 ? block[0] : 128;
    size_t n_columns = block[1] != 0 ? block[1] : 128;
    for (size_t n = 0; n < H; n++) {
        weight.scheme->read_row(&weight, n, row);
        for (size_t k = 0; k < I; k++) {
            size_t b = n / n_rows * w4_ceil_div(I, n_columns) + k / n_columns;
            unsigned code = f.codes[n * I + k];
            int e = (int)(code >> 3 & 15u);
            double x = ldexp(
                    (code & 7u) + (e > 0 ? 8.0 : 0.0), (e > 0 ? e : 1) - 10);
            x *= (double)w4_read_number(f.factors, BF16, b);
            ck_assert_double_eq((double)row[k], code >= 128 ? -x : x);
        }
    }
    weight.group_size = 16;
    weight.has_zeros = _i % 2;
    pack(&p, &weight, W4MOE_ORDER_TILE, NONE);
    ST_CHECK_OK(compare(&p));
    packed_free(&p);
}
END_TEST

static void
fp8_refused(const struct fp8 *f, w4moe_status status, const char *text)
{
    struct w4_weight weight;
    ck_assert_int_eq(resolve(f, &weight), status);
    ck_assert_msg(strstr(w4_err_text(&st_err), text) != NULL, "\"%s\": no %s",
            w4_err_text(&st_err), text);
}

START_TEST(fp8_refusals)
{
    struct test_random random = {0};
    struct fp8 good;
    struct fp8 f;
    fp8_make(&good, 16, 16, &random);
    f = good;
    f.parts.tensors[W4_PART_SCALE_INV] = NULL;
    fp8_refused(&f, W4MOE_FORMAT, "weight_scale_inv");
    f.parts.tensors[W4_PART_WEIGHT_SCALE] = &f.scales;
    fp8_refused(&f, W4MOE_UNSUPPORTED, "whole tensor");
    f = good;
    f.parts.tensors[W4_PART_ZERO_POINT] = &f.scales;
    fp8_refused(&f, W4MOE_UNSUPPORTED, "weight_zero_point");
    static const w4moe_dtype types[] = {W4MOE_F8_E5M2, W4MOE_U8, W4MOE_I8};
    for (size_t i = 0; i < COUNT(types); i++) {
        f = good;
        tensor(&f.weight, "x.weight", types[i], H, I, good.codes);
        f.parts.tensors[W4_PART_WEIGHT] = &f.weight;
        fp8_refused(&f, W4MOE_UNSUPPORTED, w4moe_dtype_name(types[i]));
        f.parts.tensors[W4_PART_SCALE_INV] = NULL;
        fp8_refused(&f, W4MOE_UNSUPPORTED, w4moe_dtype_name(types[i]));
    }
    f = good;
    tensor(&f.weight, "x.weight", W4MOE_F8_E4M3, I, H, good.codes);
    f.parts.tensors[W4_PART_WEIGHT] = &f.weight;
    fp8_refused(&f, W4MOE_FORMAT, "expected F8_E4M3 [64, 32]");
    f = good;
    tensor(&f.scales, "x.weight_scale_inv", BF16, 4, 3, good.factors);
    f.parts.tensors[W4_PART_SCALE_INV] = &f.scales;
    fp8_refused(&f, W4MOE_FORMAT, "expected BF16 [4, 2]");
    tensor(&f.scales, "x.weight_scale_inv", W4MOE_F8_E8M0, 4, 2, good.factors);
    fp8_refused(&f, W4MOE_FORMAT, "F8_E8M0");
}
END_TEST

/* A NaN is found when it is packed. */
START_TEST(fp8_nan)
{
    struct test_random random = {0};
    struct fp8 f;
    struct w4_weight weight;
    struct w4_rows rows;
    uint32_t index[2] = {7, 33};
    fp8_make(&f, 0, 0, &random);
    ST_CHECK_OK(resolve(&f, &weight));
    weight.group_size = 8;
    ST_CHECK_OK(w4_rows_make(&st_err, &rows, I, I / 8));
    ST_CHECK_OK(weight.scheme->rows(&st_err, &weight, index, 2, &rows));
    for (int i = 0; i < 2; i++) {
        f.codes[33 * I + 13] = i == 0 ? 0x7F : 0xFF;
        ck_assert_int_eq(weight.scheme->rows(&st_err, &weight, index, 2, &rows),
                W4MOE_FORMAT);
        ck_assert_ptr_nonnull(strstr(w4_err_text(&st_err),
                "\"x.weight\": the weight of row 33, column 13 is"));
    }
    w4_rows_free(&rows);
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
    tcase_add_loop_test(tc, fp8_blocks, 0, 6);
    tcase_add_test(tc, fp8_refusals);
    tcase_add_test(tc, fp8_nan);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
