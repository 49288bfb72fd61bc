/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Tensors of GPTQ and AutoAWQ become weights: which scheme and version they
 * are, what is refused, and that both ways to read such a weight agree with
 * its definition. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "format/parts.h"
#include "qweight_fixture.h"

enum { N = 32, K = 48, GROUP = 16, G = 3 };

/* One weight of a checkpoint, its tensors and its config. */
static struct test_random random_state;
static struct ct_weight weight;
static struct qweight arrays;
static unsigned char g_idx_bytes[4 * K];
static unsigned char bias_bytes[4 * N];
static struct w4_tensor codes, scales, zeros, g_idx, bias;
static struct w4_model_config config;
static struct w4_parts parts;
static struct w4_weight got;
static struct w4_err err;

static struct w4_tensor
tensor(const char *name, w4moe_dtype dtype, const void *data, uint64_t rows,
        uint64_t columns)
{
    return (struct w4_tensor){.name = name,
            .dtype = dtype,
            .dtype_name = w4moe_dtype_name(dtype),
            .n_dims = columns != 0 ? 2 : 1,
            .shape = {rows, columns},
            .data = data,
            .n_bytes = rows * (columns != 0 ? columns : 1) *
                       w4moe_dtype_size(dtype)};
}

static void
set_g_idx(size_t i, int32_t group)
{
    for (int b = 0; b < 4; b++) {
        g_idx_bytes[4 * i + (size_t)b] =
                (unsigned char)((uint32_t)group >> 8 * b);
    }
}

/* A good weight, asymmetric, without g_idx and bias. */
static void
start(enum qweight_scheme scheme)
{
    ct_weight_free(&weight);
    qweight_free(&arrays);
    weight = ct_weight_make(
            &random_state, N, K, GROUP, W4MOE_F16, CT_ZERO_POINTS);
    for (size_t i = 0; i < (size_t)N * G; i++) {
        weight.zeros[i] = (uint8_t)(1 + weight.zeros[i] % 14);
    }
    arrays = qweight_make(&weight, scheme, 1);
    codes = scheme == AWQ
                    ? tensor("w.qweight", W4MOE_I32, arrays.qweight, K, N / 8)
                    : tensor("w.qweight", W4MOE_I32, arrays.qweight, K / 8, N);
    scales = tensor("w.scales", W4MOE_F16, arrays.scales, G, N);
    zeros = tensor("w.qzeros", W4MOE_I32, arrays.qzeros, G, N / 8);
    g_idx = tensor("w.g_idx", W4MOE_I32, g_idx_bytes, K, 0);
    bias = tensor("w.bias", W4MOE_F16, bias_bytes, N, 0);
    for (size_t i = 0; i < K; i++) {
        set_g_idx(i, (int32_t)(i / GROUP));
    }
    memset(&config, 0, sizeof(config));
    config.group_sizes[0] = GROUP;
    config.n_group_sizes = 1;
    config.gptq_v2 = scheme == GPTQ_V2;
    memset(&parts, 0, sizeof(parts));
    parts.tensors[W4_PART_QWEIGHT] = &codes;
    parts.tensors[W4_PART_SCALES] = &scales;
    parts.tensors[W4_PART_QZEROS] = &zeros;
}

static w4moe_status
resolve(void)
{
    got = (struct w4_weight){
            .n_out = N, .n_in = K, .row_step = 1, .tensor_rows = N};
    return w4_parts_resolve(&err, &got, &parts, &config);
}

/* The good one after a change. */
static void
accepted(void)
{
    w4moe_status status = resolve();
    ck_assert_msg(status == W4MOE_OK, "%s", w4_err_text(&err));
    ck_assert_ptr_nonnull(got.scheme);
    ck_assert_uint_eq(got.group_size, GROUP);
}

static void
refused(w4moe_status expected, const char *text)
{
    w4moe_status status = resolve();
    ck_assert_msg(status == expected, "status %d, expected %d (\"%s\")",
            (int)status, (int)expected, text);
    ck_assert_msg(strstr(w4_err_text(&err), text) != NULL,
            "\"%s\" is not in \"%s\"", text, w4_err_text(&err));
    ck_assert_ptr_null(got.scheme);
}

static void
setup(void)
{
    w4_err_init(&err, NULL, NULL);
}

static void
teardown(void)
{
    ct_weight_free(&weight);
    qweight_free(&arrays);
    w4_err_fini(&err);
}

/* ------------------------------------------------------------------- shapes */

START_TEST(schemes_by_shape)
{
    for (int scheme = 0; scheme < N_QWEIGHT_SCHEMES; scheme++) {
        start((enum qweight_scheme)scheme);
        accepted();
        ck_assert_ptr_eq(
                got.scheme, scheme == AWQ ? &w4_scheme_awq : &w4_scheme_gptq);
        ck_assert_int_eq(got.has_zeros, 1);
        ck_assert_int_eq(got.scale_dtype, W4MOE_F16);
        ck_assert_ptr_eq(got.codes, arrays.qweight);
        ck_assert_uint_eq(got.variant, scheme == GPTQ_V2 ? W4_GPTQ_V2 : 0);
        codes.shape[1] = N / 4;
        refused(W4MOE_FORMAT, "neither of GPTQ nor of AutoAWQ");
        start((enum qweight_scheme)scheme);
        codes.n_dims = 1;
        refused(W4MOE_FORMAT, "neither");
        start((enum qweight_scheme)scheme);
        codes.shape[0]++;
        refused(W4MOE_FORMAT, "\"w.qweight\" is I32 of rank 2");
        start((enum qweight_scheme)scheme);
        codes.dtype = W4MOE_I64;
        refused(W4MOE_FORMAT, "expected I32");
    }
}
END_TEST

START_TEST(wrong_parts)
{
    for (int scheme = 0; scheme < N_QWEIGHT_SCHEMES; scheme++) {
        start((enum qweight_scheme)scheme);
        parts.tensors[W4_PART_SCALES] = NULL;
        refused(W4MOE_FORMAT, "no scales beside it");
        start((enum qweight_scheme)scheme);
        parts.tensors[W4_PART_QZEROS] = NULL;
        refused(W4MOE_FORMAT, "no qzeros beside it");
        config.symmetric = 1;
        accepted();
        ck_assert_int_eq(got.has_zeros, 0);
        parts.tensors[W4_PART_SHAPE] = &bias;
        refused(W4MOE_UNSUPPORTED, "has no weight_shape");
        start((enum qweight_scheme)scheme);
        scales.dtype = W4MOE_I32;
        refused(W4MOE_FORMAT, "not BF16, F16 or F32");
        start((enum qweight_scheme)scheme);
        scales.shape[0] = 5;
        refused(W4MOE_FORMAT, "5 groups of 48 columns");
        start((enum qweight_scheme)scheme);
        scales.shape[0] = 0;
        refused(W4MOE_FORMAT, "0 groups");
        start((enum qweight_scheme)scheme);
        zeros.shape[0]--;
        refused(W4MOE_FORMAT, "\"w.qzeros\" is I32 of rank 2 [2, 4]");
        start((enum qweight_scheme)scheme);
        zeros.shape[1]++;
        refused(W4MOE_FORMAT, "expected I32 [3, 4]");
        start((enum qweight_scheme)scheme);
        parts.tensors[W4_PART_BIAS] = &bias;
        accepted();
        ck_assert_ptr_eq(got.bias, bias_bytes);
        ck_assert_int_eq(got.bias_dtype, W4MOE_F16);
        bias.shape[0] = N / 2;
        refused(W4MOE_FORMAT, "\"w.bias\"");
    }
}
END_TEST

/* ----------------------------------------------------------------- versions */

START_TEST(versions)
{
    static const struct {
        unsigned char byte;
        int label_v2;
        int has_zeros;
        unsigned variant;
    } cases[] = {
            {0x77, 0, 0, 0},
            {0x77, 1, 0, W4_GPTQ_MISLABELLED},
            {0x88, 0, 0, W4_GPTQ_V2 | W4_GPTQ_MISLABELLED},
            {0x88, 1, 0, W4_GPTQ_V2},
            {0x66, 0, 1, 0},
            {0x99, 1, 1, W4_GPTQ_V2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(GPTQ_V1);
        memset(arrays.qzeros, cases[i].byte, arrays.n_qzeros);
        config.gptq_v2 = cases[i].label_v2;
        accepted();
        ck_assert_int_eq(got.has_zeros, cases[i].has_zeros);
        ck_assert_uint_eq(got.variant, cases[i].variant);
        /* One other zero point, wherever it is, and the label decides. */
        size_t at = test_random_below(&random_state, arrays.n_qzeros);
        arrays.qzeros[at] ^= 0x10;
        accepted();
        ck_assert_int_eq(got.has_zeros, 1);
        ck_assert_uint_eq(got.variant, cases[i].label_v2 ? W4_GPTQ_V2 : 0);
    }
    start(AWQ);
    memset(arrays.qzeros, 0x88, arrays.n_qzeros);
    accepted();
    ck_assert_int_eq(got.has_zeros, 0);
    memset(arrays.qzeros, 0x77, arrays.n_qzeros);
    accepted();
    ck_assert_int_eq(got.has_zeros, 1);
}
END_TEST

START_TEST(wrapped_zeros)
{
    start(GPTQ_V1);
    arrays.qzeros[5] |= 0xF0;
    arrays.qzeros[arrays.n_qzeros - 1] |= 0x0F;
    refused(W4MOE_UNSUPPORTED,
            "\"w.qzeros\": 2 of 96 zero points of GPTQ version 1");
    refused(W4MOE_UNSUPPORTED, "gptq-zero-wrap");
    config.gptq_zero_wrap = 1;
    accepted();
    ck_assert_uint_eq(got.variant, 0);
    config.gptq_zero_wrap = 0;
    config.gptq_v2 = 1;
    accepted();
    start(AWQ);
    memset(arrays.qzeros, 0xFF, arrays.n_qzeros);
    accepted();
}
END_TEST

/* -------------------------------------------------------------------- order */

START_TEST(column_order)
{
    start(GPTQ_V1);
    config.desc_act = 1;
    refused(W4MOE_FORMAT, "no g_idx beside it");
    parts.tensors[W4_PART_G_IDX] = &g_idx;
    for (config.desc_act = 0; config.desc_act < 2; config.desc_act++) {
        accepted();
        ck_assert_ptr_null(got.g_idx);
        set_g_idx(0, 1);
        set_g_idx(GROUP, 0);
        accepted();
        ck_assert_ptr_eq(got.g_idx, g_idx_bytes);
        set_g_idx(5, G);
        refused(W4MOE_FORMAT, "in none of 3 groups");
        set_g_idx(5, -1);
        refused(W4MOE_FORMAT, "\"w.g_idx\": column 0 is in group 1");
        set_g_idx(0, 0);
        set_g_idx(GROUP, 1);
        refused(W4MOE_FORMAT, "\"w.g_idx\": column 5 is in group -1");
        set_g_idx(5, 0);
    }
    g_idx.shape[0]--;
    refused(W4MOE_FORMAT, "\"w.g_idx\" is I32");

    /* A single group has no order. */
    start(GPTQ_V1);
    config.desc_act = 1;
    config.group_sizes[0] = 0;
    scales.shape[0] = zeros.shape[0] = 1;
    zeros.n_bytes = N / 2;
    ck_assert_int_eq(resolve(), W4MOE_OK);
    ck_assert_uint_eq(got.group_size, K);
    ck_assert_ptr_null(got.g_idx);

    start(AWQ);
    parts.tensors[W4_PART_G_IDX] = &g_idx;
    refused(W4MOE_UNSUPPORTED, "scheme awq has no g_idx");
}
END_TEST

/* ---------------------------------------------------------------- both ways */

/* One row of the weight by both ways. */
static void
check_row(const struct w4_rows *rows, size_t r, size_t n, size_t tensor_row)
{
    unsigned char room[K / 2];
    unsigned char expected[K / 2];
    for (size_t i = 0; i < K; i += 2) {
        const uint8_t *code = weight.codes + tensor_row * K + i;
        expected[i / 2] = (unsigned char)(code[0] | code[1] << 4);
    }
    ck_assert_mem_eq(rows->codes[r], expected, sizeof(expected));
    ck_assert_mem_eq(
            got.scheme->read_words(&got, n, room), expected, sizeof(expected));
    for (size_t g = 0; g < G; g++) {
        float values[16];
        int zero = weight.zeros[tensor_row * G + g];
        float scale = ct_weight_scale(&weight, tensor_row, g);
        ck_assert_int_eq(rows->zeros[r * G + g], zero);
        got.scheme->read_values(&got, n, g, values);
        for (int code = 0; code < 16; code++) {
            float value = (float)(code - zero) * scale;
            ck_assert_mem_eq(&values[code], &value, sizeof(value));
        }
    }
}

/* All of a tensor, or every other row, in runs and at random. */
START_TEST(both_ways)
{
    struct w4_rows rows;
    uint32_t list[N];
    random_state.counter = (uint64_t)_i;
    ck_assert_int_eq(w4_rows_make(&err, &rows, K, G), W4MOE_OK);
    for (int scheme = 0; scheme < N_QWEIGHT_SCHEMES; scheme++) {
        start((enum qweight_scheme)scheme);
        accepted();
        got.row_first = _i % 3 == 2;
        got.row_step = _i % 3 == 0 ? 1 : 2;
        got.n_out = N / got.row_step;
        size_t n = 1 + test_random_below(&random_state, got.n_out);
        size_t first = test_random_below(&random_state, got.n_out - n + 1);
        int32_t *order = qweight_random_order(&random_state, got.n_out);
        int is_run = (int)test_random_below(&random_state, 2);
        for (size_t r = 0; r < n; r++) {
            list[r] = is_run ? (uint32_t)(first + r) : (uint32_t)order[r];
        }
        ck_assert_int_eq(
                got.scheme->rows(&err, &got, list, n, &rows), W4MOE_OK);
        for (size_t r = 0; r < n; r++) {
            check_row(
                    &rows, r, list[r], got.row_first + list[r] * got.row_step);
        }
        free(order);
    }
    w4_rows_free(&rows);
}
END_TEST

/* Version 1 and 15, and zero points that the packing thinks are all 8. */
START_TEST(values_of_zeros)
{
    float values[16];
    start(GPTQ_V1);
    memset(arrays.qzeros, 0xFF, arrays.n_qzeros);
    config.gptq_zero_wrap = 1;
    accepted();
    got.scheme->read_values(&got, 0, 0, values);
    ck_assert(
            values[0] == 0 && values[8] == 8 * ct_weight_scale(&weight, 0, 0));
    for (int scheme = 0; scheme < N_QWEIGHT_SCHEMES; scheme++) {
        start((enum qweight_scheme)scheme);
        accepted();
        got.has_zeros = 0;
        got.scheme->read_values(&got, 3, 1, values);
        ck_assert(values[weight.zeros[3 * G + 1]] == 0);
        parts.tensors[W4_PART_QZEROS] = NULL;
        config.symmetric = 1;
        accepted();
        got.scheme->read_values(&got, 3, 1, values);
        ck_assert(values[8] == 0);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("qweight_parts");
    TCase *tc = tcase_create("qweight_parts");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, schemes_by_shape);
    tcase_add_test(tc, wrong_parts);
    tcase_add_test(tc, versions);
    tcase_add_test(tc, wrapped_zeros);
    tcase_add_test(tc, column_order);
    tcase_add_loop_test(tc, both_ways, 0, 60);
    tcase_add_test(tc, values_of_zeros);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
