/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What w4moe_pack_ct() refuses of a source, and w4moe_ct_order() against a
 * plain model: its input comes straight from a file. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { E = 2, N = 32, K = 24, G = 2, GROUP = 16 };

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
refused(w4moe_status got, w4moe_status expected, const char *text)
{
    ck_assert_msg(got == expected, "status %d, expected %d (\"%s\"): %s",
            (int)got, (int)expected, text, w4moe_ctx_error(ctx));
    ck_assert_msg(strstr(w4moe_ctx_error(ctx), text) != NULL,
            "\"%s\" is not in \"%s\"", text, w4moe_ctx_error(ctx));
}

/* A text with a number that is as large as size_t makes it. */
static const char *
text_of(char text[64], const char *before, size_t n, const char *after)
{
    snprintf(text, 64, "%s%zu%s", before, n, after);
    return text;
}

/* ----------------------------------------------------------------- sources */

static uint32_t qweight[E * N * K / 8];
static uint16_t scales[E * N * G];
static uint32_t qzeros[E * N / 8 * G];
static uint32_t packed[N * K / 8];
static uint16_t scale[N * G];
static uint32_t zero_point[N / 8 * G];

static w4moe_matrix
good_matrix(void)
{
    w4moe_matrix m = {.struct_size = sizeof(m),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = E,
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .gated = 1,
            .qweight = qweight,
            .scales = scales,
            .scale_dtype = W4MOE_BF16,
            .qzeros = qzeros};
    return m;
}

static w4moe_ct_weight
good_source(void)
{
    w4moe_ct_weight src = {.struct_size = sizeof(src),
            .n_out = N / 2,
            .n_in = K,
            .group_size = GROUP,
            .packed = packed,
            .scale = scale,
            .scale_dtype = W4MOE_BF16,
            .zero_point = zero_point};
    return src;
}

/* Nothing may have been written. */
static void
pack_refused(const w4moe_matrix *dst, const w4moe_ct_weight *src, size_t expert,
        size_t first_out, const char *text)
{
    memset(qweight, 0x3C, sizeof(qweight));
    memset(scales, 0x3C, sizeof(scales));
    memset(qzeros, 0x3C, sizeof(qzeros));
    w4moe_matrix m = *dst;
    refused(w4moe_pack_ct(ctx, &m, src, expert, first_out), W4MOE_INVALID,
            text);
    for (size_t i = 0; i < COUNT(qweight); i++) {
        ck_assert_uint_eq(qweight[i], 0x3C3C3C3Cu);
    }
    for (size_t i = 0; i < COUNT(scales); i++) {
        ck_assert_uint_eq(scales[i], 0x3C3C);
    }
    ck_assert_uint_eq(qzeros[0], 0x3C3C3C3Cu);
}

START_TEST(source_sizes)
{
    const w4moe_matrix m = good_matrix();
    w4moe_ct_weight src = good_source();
    char text[64];
    src.n_in = 16;
    pack_refused(&m, &src, 0, 0, "source of 16 inputs");
    src = good_source();
    src.n_in = K + 8;
    pack_refused(&m, &src, 0, 0, "source of 32 inputs");
    src = good_source();
    src.group_size = 8;
    pack_refused(&m, &src, 0, 0, "group size 8");
    src = good_source();
    src.group_size = 0;
    pack_refused(&m, &src, 0, 0, "group size 0");
    src = good_source();
    src.scale_dtype = W4MOE_F16;
    pack_refused(&m, &src, 0, 0, "scales F16");
    src = good_source();
    src.n_out = 0;
    pack_refused(&m, &src, 0, 0, "[0, 0 + 0)");
    src.n_out = 12;
    pack_refused(&m, &src, 0, 0, "[0, 0 + 12)");
    src.n_out = N + 8;
    pack_refused(&m, &src, 0, 0, "[0, 0 + 40)");
    src.n_out = SIZE_MAX - 7;
    pack_refused(
            &m, &src, 1, 16, text_of(text, "[16, 16 + ", SIZE_MAX - 7, ")"));
    src.n_out = N / 2;
    pack_refused(&m, &src, E, 0, "expert 2");
    pack_refused(&m, &src, SIZE_MAX, 0, text_of(text, "expert ", SIZE_MAX, ""));
    pack_refused(&m, &src, 0, 4, "[4, ");
    pack_refused(&m, &src, 0, N / 2 + 8, "[24, ");
    pack_refused(&m, &src, 0, N + 8, "[40, ");
    pack_refused(
            &m, &src, 0, SIZE_MAX - 7, text_of(text, "[", SIZE_MAX - 7, ", "));
}
END_TEST

START_TEST(source_pointers)
{
    w4moe_matrix m = good_matrix();
    w4moe_ct_weight src = good_source();
    src.packed = NULL;
    pack_refused(&m, &src, 0, 0, "packed");
    src = good_source();
    src.scale = NULL;
    pack_refused(&m, &src, 0, 0, "scale");
    src = good_source();
    m.qweight = NULL;
    pack_refused(&m, &src, 0, 0, "qweight");
    m = good_matrix();
    m.scales = NULL;
    pack_refused(&m, &src, 0, 0, "scales");
    m = good_matrix();
    m.code = W4MOE_CODE_E2M1;
    pack_refused(&m, &src, 0, 0, "INT4");
    m = good_matrix();
    m.qzeros = NULL;
    pack_refused(&m, &src, 0, 0, "zero points");
    m = good_matrix();
    src.struct_size--;
    pack_refused(&m, &src, 0, 0, "struct_size");
    src = good_source();
    refused(w4moe_pack_ct(ctx, NULL, &src, 0, 0), W4MOE_INVALID, "NULL");
    refused(w4moe_pack_ct(ctx, &m, NULL, 0, 0), W4MOE_INVALID, "NULL");
    ck_assert_int_eq(w4moe_pack_ct(NULL, &m, NULL, 0, 0), W4MOE_INVALID);
    /* Without a context it works all the same. */
    ck_assert_int_eq(w4moe_pack_ct(NULL, &m, &src, 0, 0), W4MOE_OK);
}
END_TEST

START_TEST(source_orders)
{
    static const int32_t wrong[] = {-1, K, INT32_MAX, INT32_MIN};
    const w4moe_matrix m = good_matrix();
    int32_t inputs[K];
    int32_t outputs[N / 2];
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char text[64];
        memset(inputs, 0, sizeof(inputs));
        memset(outputs, 0, sizeof(outputs));
        w4moe_ct_weight src = good_source();
        src.input_order = inputs;
        src.output_order = outputs;
        inputs[K - 1] = wrong[i];
        snprintf(text, sizeof(text), "input_order: value %" PRId32, wrong[i]);
        pack_refused(&m, &src, 0, 0, text);
        inputs[K - 1] = K - 1;
        outputs[3] = wrong[i];
        snprintf(text, sizeof(text), "output_order: value %" PRId32, wrong[i]);
        pack_refused(&m, &src, 0, 0, text);
    }
}
END_TEST

/* ------------------------------------------------------------------ orders */

enum { MAX_COLUMNS = 300 };

/* g_idx as a file has it, at an odd address. */
static unsigned char file_bytes[4 * MAX_COLUMNS + 1];

static const void *
as_in_file(const int32_t *g_idx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t b = 0; b < 4; b++) {
            file_bytes[1 + 4 * i + b] =
                    (unsigned char)((uint32_t)g_idx[i] >> 8 * b);
        }
    }
    return file_bytes + 1;
}

START_TEST(random_orders)
{
    struct test_random random = {(uint64_t)_i};
    size_t n_in = 1 + test_random_below(&random, MAX_COLUMNS);
    size_t g = 1 + test_random_below(&random, n_in + 8);
    int32_t order[MAX_COLUMNS + 1];
    struct ct_weight w =
            ct_weight_make(&random, 8, n_in, g, W4MOE_BF16, CT_ACT_ORDER);
    order[n_in] = 12345;
    ck_assert_int_eq(
            w4moe_ct_order(ctx, order, as_in_file(w.g_idx, n_in), n_in, g),
            W4MOE_OK);
    ck_assert_mem_eq(order, w.order, n_in * sizeof(*order));
    ck_assert_int_eq(order[n_in], 12345);

    /* One column in another group: neither has its number of members now. */
    size_t at = test_random_below(&random, n_in);
    int32_t group = w.g_idx[at];
    int32_t other = (int32_t)test_random_below(&random, w.n_groups);
    if (other != group) {
        w.g_idx[at] = other;
        order[0] = 54321;
        refused(w4moe_ct_order(ctx, order, as_in_file(w.g_idx, n_in), n_in, g),
                W4MOE_FORMAT, "are expected");
        ck_assert_int_eq(order[0], 54321);
        w.g_idx[at] = group;
    }
    /* -1 means "no order", wherever it stands and whatever else does. */
    w.g_idx[at] = -1;
    if (n_in > 1) {
        w.g_idx[(at + 1) % n_in] = 12345;
    }
    ck_assert_int_eq(
            w4moe_ct_order(ctx, order, as_in_file(w.g_idx, n_in), n_in, g),
            W4MOE_OK);
    for (size_t i = 0; i < n_in; i++) {
        ck_assert_int_eq(order[i], (int32_t)i);
    }
    ct_weight_free(&w);
}
END_TEST

START_TEST(wrong_orders)
{
    static const int32_t wrong[] = {2, 1000, -2, INT32_MAX, INT32_MIN};
    int32_t g_idx[K];
    int32_t order[K];
    char text[64];
    for (size_t i = 0; i < COUNT(wrong); i++) {
        for (int c = 0; c < K; c++) {
            g_idx[c] = c / GROUP;
            order[c] = -7;
        }
        g_idx[5] = wrong[i];
        snprintf(text, sizeof(text), "column 5 is in group %" PRId32 " of 2",
                wrong[i]);
        refused(w4moe_ct_order(ctx, order, as_in_file(g_idx, K), K, GROUP),
                W4MOE_FORMAT, text);
        for (int c = 0; c < K; c++) {
            ck_assert_int_eq(order[c], -7);
        }
    }
    const void *good = as_in_file(order, K);
    refused(w4moe_ct_order(ctx, NULL, good, K, 8), W4MOE_INVALID, "NULL");
    refused(w4moe_ct_order(ctx, order, NULL, K, 8), W4MOE_INVALID, "NULL");
    refused(w4moe_ct_order(ctx, order, good, 0, 8), W4MOE_INVALID, "0 columns");
    refused(w4moe_ct_order(ctx, order, good, K, 0), W4MOE_INVALID, "size 0");
    refused(w4moe_ct_order(ctx, order, good, SIZE_MAX, 8), W4MOE_INVALID,
            text_of(text, "given, ", SIZE_MAX, " columns"));
    ck_assert_int_eq(w4moe_ct_order(NULL, order, good, 0, 8), W4MOE_INVALID);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ct_refusals");
    TCase *tc = tcase_create("ct_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, source_sizes);
    tcase_add_test(tc, source_pointers);
    tcase_add_test(tc, source_orders);
    tcase_add_loop_test(tc, random_orders, 0, 200);
    tcase_add_test(tc, wrong_orders);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
