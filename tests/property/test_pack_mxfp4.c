/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Re-packing of MXFP4 weights: whatever goes in comes out of
 * w4moe_dequantize() with the bits of (-1)^s * 2^(e - 1) * (1 + m / 2), or
 * (-1)^s * m / 2 where e is 0, times 2^(byte - 127). */
#include <check.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <w4moe.h>

#include "test_random.h"

enum { N_RANDOM = 400, FILL_BYTE = 0xC3, MAX_STEP = 3 };

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

static void *
filled(uint64_t n, int byte)
{
    void *array = malloc((size_t)n);
    ck_assert_ptr_nonnull(array);
    memset(array, byte, (size_t)n);
    return array;
}

/* -------------------------------------------------------------- one source */

/* A weight as it stands in a file: `rows` rows, of which each row_step-th from
 * row_first on is its own, at any address. */
struct source {
    w4moe_mxfp4_weight weight;
    size_t n_groups;
    unsigned char *blocks;
    unsigned char *scales;
    int32_t *output_order;
};

/* Scales from both ends and the middle. */
static unsigned char
random_scale(struct test_random *random)
{
    static const unsigned char extremes[] = {0, 1, 2, 252, 253, 254};
    return test_random_below(random, 4) != 0
                   ? (unsigned char)(100 + test_random_below(random, 50))
                   : extremes[test_random_below(random, sizeof(extremes))];
}

static struct source
source_make(struct test_random *random, size_t n_out, size_t n_in)
{
    size_t step = 1 + test_random_below(random, MAX_STEP);
    size_t first = test_random_below(random, MAX_STEP);
    size_t rows = first + (n_out - 1) * step + 1;
    size_t shift = test_random_below(random, 4);
    struct source s = {.n_groups = (n_in + 31) / 32};
    s.blocks = filled(shift + rows * (n_in / 2), 0);
    s.scales = filled(shift + rows * s.n_groups, 0);
    for (size_t i = 0; i < rows * (n_in / 2); i++) {
        s.blocks[shift + i] = (unsigned char)test_random(random);
    }
    for (size_t i = 0; i < rows * s.n_groups; i++) {
        s.scales[shift + i] = random_scale(random);
    }
    /* What is not of the weight does not matter. */
    if (first > 0) {
        memset(s.scales + shift, 255, s.n_groups);
    }
    s.output_order = filled(n_out * sizeof(*s.output_order), 0);
    for (size_t i = 0; i < n_out; i++) {
        size_t j = test_random_below(random, i + 1);
        s.output_order[i] = s.output_order[j];
        s.output_order[j] = (int32_t)i;
    }
    s.weight = (w4moe_mxfp4_weight){.struct_size = sizeof(s.weight),
            .n_out = n_out,
            .n_in = n_in,
            .blocks = s.blocks + shift,
            .scales = s.scales + shift,
            .row_first = first,
            .row_step = step == 1 ? test_random_below(random, 2) : step};
    if (test_random_below(random, 2) != 0) {
        s.weight.output_order = s.output_order;
    }
    return s;
}

static void
source_free(struct source *s)
{
    free(s->blocks);
    free(s->scales);
    free(s->output_order);
}

/* The weight of packed row r and column k, by the definition. */
static float
source_at(const struct source *s, size_t r, size_t k)
{
    const w4moe_mxfp4_weight *w = &s->weight;
    size_t n = w->output_order != NULL ? (size_t)w->output_order[r] : r;
    size_t row = w->row_first + n * (w->row_step != 0 ? w->row_step : 1);
    const unsigned char *blocks = w->blocks;
    const unsigned char *scales = w->scales;
    unsigned byte = blocks[row * (w->n_in / 2) + k / 2];
    unsigned code = k % 2 == 0 ? byte % 16 : byte / 16;
    int exponent = (int)(code / 2 % 4);
    double mantissa = code % 2 / 2.0;
    double value =
            exponent == 0 ? mantissa : ldexp(1.0 + mantissa, exponent - 1);
    value = ldexp(value, scales[row * s->n_groups + k / 32] - 127);
    return (float)(code < 8 ? value : -value);
}

/* ------------------------------------------------------------ random cases */

static w4moe_matrix
random_matrix(struct test_random *random, int order)
{
    static const size_t n_outs[] = {16, 32, 48, 128, 144, 256, 320, 704};
    static const size_t n_ins[] = {8, 24, 32, 40, 64, 96, 136, 160, 264};
    w4moe_matrix m = {.struct_size = sizeof(m),
            .order = order % 2 != 0 ? W4MOE_ORDER_TILE : W4MOE_ORDER_RDNA3,
            .code = W4MOE_CODE_E2M1,
            .n_experts = 1 + test_random_below(random, 3),
            .n_out = n_outs[test_random_below(random, 8)],
            .n_in = n_ins[test_random_below(random, 9)],
            .gated = (int)test_random_below(random, 2),
            .scale_dtype = W4MOE_F8_E8M0};
    m.group_size = m.n_in < 32 ? m.n_in : 32;
    return m;
}

static void
matrix_new(w4moe_matrix *m, w4moe_matrix_sizes *sizes)
{
    sizes->struct_size = sizeof(*sizes);
    ok(w4moe_matrix_measure(ctx, sizes, m));
    m->qweight = filled(sizes->qweight, FILL_BYTE);
    m->scales = filled(sizes->scales, FILL_BYTE);
}

/* Frees an array after a look at the experts that were not packed. */
static void
check_and_free(void *array, uint64_t n_bytes, size_t n_experts, size_t expert)
{
    const unsigned char *bytes = array;
    size_t n = (size_t)n_bytes;
    for (size_t i = 0; i < n; i++) {
        if (i / (n / n_experts) != expert && bytes[i] != FILL_BYTE) {
            ck_abort_msg("byte %zu of %zu is not of expert %zu", i, n, expert);
        }
    }
    free(array);
}

START_TEST(random_weights)
{
    struct test_random random = {(uint64_t)_i};
    w4moe_matrix m = random_matrix(&random, _i);
    w4moe_matrix_sizes sizes;
    size_t expert = test_random_below(&random, m.n_experts);
    matrix_new(&m, &sizes);
    float *out = filled(m.n_out * m.n_in * sizeof(*out), 0);
    size_t n_pieces = m.gated ? 2 : 1;
    size_t n = m.n_out / n_pieces;
    struct source pieces[2];
    for (size_t i = 0; i < n_pieces; i++) {
        pieces[i] = source_make(&random, n, m.n_in);
        ok(w4moe_pack_mxfp4(ctx, &m, &pieces[i].weight, expert, i * n));
    }
    ok(w4moe_dequantize(ctx, out, &m, expert));
    for (size_t i = 0; i < m.n_out * m.n_in; i++) {
        size_t row = i / m.n_in;
        float expected = source_at(&pieces[row / n], row % n, i % m.n_in);
        if (memcmp(&out[i], &expected, sizeof(expected)) != 0) {
            ck_abort_msg("seed %d: weight [%zu][%zu] is %a, expected %a", _i,
                    row, i % m.n_in, (double)out[i], (double)expected);
        }
    }
    for (size_t i = 0; i < n_pieces; i++) {
        source_free(&pieces[i]);
    }
    check_and_free(m.qweight, sizes.qweight, m.n_experts, expert);
    check_and_free(m.scales, sizes.scales, m.n_experts, expert);
    free(out);
}
END_TEST

/* Codes and scales keep their bits; in order rdna3 the words are those of the
 * bytes, [N][K/8] turned to [K/8][N] and shuffled. */
START_TEST(bits_are_kept)
{
    enum { N = 16, K = 72, ROW_WORDS = K / 8, G = 3 };
    struct test_random random = {(uint64_t)_i};
    struct source s = source_make(&random, N, K);
    w4moe_matrix m = {.struct_size = sizeof(m),
            .order = W4MOE_ORDER_RDNA3,
            .code = W4MOE_CODE_E2M1,
            .n_experts = 1,
            .n_out = N,
            .n_in = K,
            .group_size = 32,
            .scale_dtype = W4MOE_F8_E8M0};
    w4moe_matrix_sizes sizes;
    matrix_new(&m, &sizes);
    s.weight.output_order = NULL;
    ok(w4moe_pack_mxfp4(ctx, &m, &s.weight, 0, 0));
    size_t step = s.weight.row_step != 0 ? s.weight.row_step : 1;
    for (size_t n = 0; n < N; n++) {
        size_t row = s.weight.row_first + n * step;
        const unsigned char *bytes = s.weight.blocks;
        const unsigned char *scales = s.weight.scales;
        for (size_t k = 0; k < ROW_WORDS; k++) {
            const unsigned char *b = bytes + row * (K / 2) + 4 * k;
            uint32_t word = (uint32_t)b[0] | (uint32_t)b[1] << 8 |
                            (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
            w4moe_shuffle(&word, &word, 1);
            ck_assert_uint_eq(m.qweight[k * N + n], word);
        }
        for (size_t g = 0; g < G; g++) {
            ck_assert_uint_eq(((const uint8_t *)m.scales)[g * N + n],
                    scales[row * G + g]);
        }
    }
    source_free(&s);
    free(m.qweight);
    free(m.scales);
}
END_TEST

/* --------------------------------------------------------------- refusals */

enum { E = 2, N = 32, K = 72, G = 3, HALF = N / 2 };

static uint32_t qweight[E * N * K / 8];
static uint8_t scales[E * N * G];
static unsigned char src_blocks[N * K / 2];
static unsigned char src_scales[N * G];

static w4moe_matrix
good_matrix(void)
{
    w4moe_matrix m = {.struct_size = sizeof(m),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_E2M1,
            .n_experts = E,
            .n_out = N,
            .n_in = K,
            .group_size = 32,
            .gated = 1,
            .qweight = qweight,
            .scales = scales,
            .scale_dtype = W4MOE_F8_E8M0};
    return m;
}

static w4moe_mxfp4_weight
good_source(void)
{
    w4moe_mxfp4_weight src = {.struct_size = sizeof(src),
            .n_out = HALF,
            .n_in = K,
            .blocks = src_blocks,
            .scales = src_scales,
            .row_first = 1,
            .row_step = 2};
    return src;
}

static void
refused(w4moe_status got, w4moe_status expected, const char *text)
{
    ck_assert_msg(got == expected, "status %d, expected %d (\"%s\"): %s",
            (int)got, (int)expected, text, w4moe_ctx_error(ctx));
    ck_assert_msg(strstr(w4moe_ctx_error(ctx), text) != NULL,
            "\"%s\" is not in \"%s\"", text, w4moe_ctx_error(ctx));
}

/* Nothing may have been written. */
static void
invalid(const w4moe_matrix *dst, const w4moe_mxfp4_weight *src, size_t expert,
        size_t first_out, const char *text)
{
    memset(qweight, FILL_BYTE, sizeof(qweight));
    memset(scales, FILL_BYTE, sizeof(scales));
    w4moe_matrix m = *dst;
    refused(w4moe_pack_mxfp4(ctx, &m, src, expert, first_out), W4MOE_INVALID,
            text);
    for (size_t i = 0; i < sizeof(scales); i++) {
        ck_assert_uint_eq(scales[i], FILL_BYTE);
    }
    for (size_t i = 0; i < sizeof(qweight) / sizeof(qweight[0]); i++) {
        ck_assert_uint_eq(qweight[i], FILL_BYTE * 0x01010101u);
    }
}

START_TEST(sizes_refused)
{
    const w4moe_matrix m = good_matrix();
    w4moe_mxfp4_weight src = good_source();
    src.n_in = 64;
    invalid(&m, &src, 0, 0, "source of 64 inputs");
    src.n_in = 0;
    invalid(&m, &src, 0, 0, "source of 0 inputs");
    src = good_source();
    src.n_out = 0;
    invalid(&m, &src, 0, 0, "[0, 0 + 0)");
    src.n_out = 12;
    invalid(&m, &src, 0, 0, "[0, 0 + 12)");
    src.n_out = N + 8;
    invalid(&m, &src, 0, 0, "[0, 0 + 40)");
    src = good_source();
    invalid(&m, &src, E, 0, "expert 2");
    invalid(&m, &src, 0, 4, "[4, ");
    invalid(&m, &src, 0, HALF + 8, "[24, ");
    invalid(&m, &src, 0, SIZE_MAX - 7, "columns [");
    /* Rows beyond the address space, in each way. */
    src.row_step = SIZE_MAX / 8;
    invalid(&m, &src, 0, 0, "beyond the address space");
    src.row_step = SIZE_MAX / HALF;
    src.row_first = SIZE_MAX;
    invalid(&m, &src, 0, 0, "beyond the address space");
    src.row_step = 1;
    src.row_first = SIZE_MAX / K;
    invalid(&m, &src, 0, 0, "beyond the address space");
}
END_TEST

START_TEST(matrices_refused)
{
    w4moe_matrix m = good_matrix();
    w4moe_mxfp4_weight src = good_source();
    m.code = W4MOE_CODE_INT4;
    m.scale_dtype = W4MOE_BF16;
    invalid(&m, &src, 0, 0, "codes E2M1");
    m = good_matrix();
    m.scale_dtype = W4MOE_BF16;
    invalid(&m, &src, 0, 0, "F8_E8M0");
    m = good_matrix();
    m.group_size = 64;
    invalid(&m, &src, 0, 0, "group size 32");
    m.group_size = 16;
    invalid(&m, &src, 0, 0, "group size 32");
    m = good_matrix();
    m.qweight = NULL;
    invalid(&m, &src, 0, 0, "qweight");
    m = good_matrix();
    m.scales = NULL;
    invalid(&m, &src, 0, 0, "scales");
    m = good_matrix();
    src.blocks = NULL;
    invalid(&m, &src, 0, 0, "packed codes");
    src = good_source();
    src.scales = NULL;
    invalid(&m, &src, 0, 0, "scale");
    src = good_source();
    src.struct_size--;
    invalid(&m, &src, 0, 0, "struct_size");
    src = good_source();
    invalid(&m, NULL, 0, 0, "NULL");
    refused(w4moe_pack_mxfp4(ctx, NULL, &src, 0, 0), W4MOE_INVALID, "NULL");
    ck_assert_int_eq(w4moe_pack_mxfp4(NULL, &m, NULL, 0, 0), W4MOE_INVALID);
    /* Without a context it works all the same. */
    ck_assert_int_eq(w4moe_pack_mxfp4(NULL, &m, &src, 0, 0), W4MOE_OK);
}
END_TEST

START_TEST(orders_refused)
{
    static const int32_t wrong[] = {-1, HALF, INT32_MAX, INT32_MIN};
    const w4moe_matrix m = good_matrix();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[64];
        int32_t order[HALF] = {0};
        w4moe_mxfp4_weight src = good_source();
        src.output_order = order;
        order[HALF - 1] = wrong[i];
        snprintf(text, sizeof(text), "output_order: value %" PRId32, wrong[i]);
        invalid(&m, &src, 0, 0, text);
    }
}
END_TEST

/* Byte 255 is no number, wherever in the weight it is; beside it, it does not
 * matter, nor do 0 and 254. */
START_TEST(scales_refused)
{
    w4moe_matrix m = good_matrix();
    const w4moe_mxfp4_weight src = good_source();
    for (size_t i = 0; i < sizeof(src_scales); i++) {
        char text[64];
        src_scales[i] = 255;
        snprintf(text, sizeof(text), "row %zu, group %zu", i / G, i % G);
        w4moe_status status = w4moe_pack_mxfp4(ctx, &m, &src, 1, 0);
        if (i / G % 2 == 1) {
            refused(status, W4MOE_FORMAT, text);
        } else {
            ok(status);
        }
        src_scales[i] = i % 2 == 0 ? 254 : 0;
        ok(w4moe_pack_mxfp4(ctx, &m, &src, 1, 0));
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pack_mxfp4");
    TCase *tc = tcase_create("pack_mxfp4");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, random_weights, 0, N_RANDOM);
    tcase_add_loop_test(tc, bits_are_kept, 0, 8);
    tcase_add_test(tc, sizes_refused);
    tcase_add_test(tc, matrices_refused);
    tcase_add_test(tc, orders_refused);
    tcase_add_test(tc, scales_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
