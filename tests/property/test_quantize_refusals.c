/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What w4moe_quantize() refuses: weights that are no numbers or too large, by
 * their place, and arguments that do not agree. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ct_container.h"

enum { N = 16, K = 40, GROUP = 16, N_GROUPS = 3 };

/* A matrix with all its arrays, symmetric, and a source of zeros. */
static uint32_t qweight[2 * N * K / 8];
static uint32_t qzeros[2 * N * N_GROUPS / 8];
static float scales[2 * N * N_GROUPS];
static float weights[2 * N * K];
static w4moe_matrix m;
static w4moe_float_weight src;

static void
setup(void)
{
    ct_ctx_setup();
    memset(weights, 0, sizeof(weights));
    m = (w4moe_matrix){.struct_size = sizeof(m),
            .order = W4MOE_ORDER_TILE,
            .code = W4MOE_CODE_INT4,
            .n_experts = 2,
            .n_out = N,
            .n_in = K,
            .group_size = GROUP,
            .qweight = qweight,
            .scales = scales,
            .scale_dtype = W4MOE_F32};
    src = (w4moe_float_weight){.struct_size = sizeof(src),
            .n_out = N,
            .n_in = K,
            .weights = weights,
            .dtype = W4MOE_F32};
}

static void
refused(w4moe_status status, const char *text)
{
    ct_refused(w4moe_quantize(ct_ctx, &m, &src, 0, 0), status, text);
}

static void
put(size_t n, size_t k, float value)
{
    size_t row = src.row_stride != 0 ? src.row_stride : K;
    size_t column = src.column_stride != 0 ? src.column_stride : 1;
    weights[n * row + k * column] = value;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    uint32_t bits;
    memcpy(&bits, &weights[n * row + k * column], sizeof(bits));
    bits = __builtin_bswap32(bits);
    memcpy(&weights[n * row + k * column], &bits, sizeof(bits));
#endif
}

/* The place is that of the array, also where rows go elsewhere or stand side
 * by side. */
START_TEST(no_numbers)
{
    static const float values[] = {NAN, INFINITY, -INFINITY};
    static const size_t places[][2] = {{0, 0}, {3, 17}, {N - 1, K - 1}};
    static const char *const texts[] = {
            "row 0, column 0", "row 3, column 17", "row 15, column 39"};
    int32_t order[N];
    for (int i = 0; i < N; i++) {
        order[i] = N - 1 - i;
    }
    for (int i = 0; i < 3 * 3 * 4; i++) {
        size_t place = (size_t)i / 3 % 3;
        src.output_order = i / 9 % 2 != 0 ? order : NULL;
        src.row_stride = i >= 18 ? 1 : 0;
        src.column_stride = i >= 18 ? N + 1 : 0;
        put(places[place][0], places[place][1], values[i % 3]);
        refused(W4MOE_FORMAT, texts[place]);
        m.qzeros = qzeros;
        refused(W4MOE_FORMAT, i % 3 == 0 ? "nan" : "inf");
        m.qzeros = NULL;
        put(places[place][0], places[place][1], 0.0f);
    }
    ct_ok(w4moe_quantize(ct_ctx, &m, &src, 0, 0));
}
END_TEST

/* A large weight is right, as far as scales reach, or refused: never
 * infinite. */
START_TEST(large)
{
    static const w4moe_dtype types[] = {W4MOE_F16, W4MOE_BF16, W4MOE_F32};
    /* Exact, if alone: -8 times a scale; more than any scale reaches. */
    static const float exact[] = {-8.0f * 65504.0f, -0x1p127f, -0x1p127f};
    static const float most[] = {557000.0f, 0x1.1p127f, 0x1.1p127f};
    float *out = malloc(N * K * sizeof(*out));
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < 3; i++) {
        m.scale_dtype = types[i];
        put(9, 20, exact[i]);
        ct_ok(w4moe_quantize(ct_ctx, &m, &src, 1, 0));
        ct_ok(w4moe_dequantize(ct_ctx, out, &m, 1));
        for (size_t k = 0; k < N * K; k++) {
            float expected = k == 9 * K + 20 ? exact[i] : 0.0f;
            ck_assert_float_eq(out[k], expected);
        }
        put(9, 20, -most[i] * 1.05f);
        refused(W4MOE_FORMAT, "row 9, column 20");
        refused(W4MOE_FORMAT, w4moe_dtype_name(types[i]));
        put(9, 20, FLT_MAX);
        put(9, 21, -FLT_MAX);
        m.qzeros = qzeros;
        refused(W4MOE_FORMAT, "too large");
        m.qzeros = NULL;
        put(9, 21, 0.0f);
    }
    free(out);
}
END_TEST

START_TEST(arguments)
{
    int32_t order[N] = {0};
    w4moe_float_weight good = src;
    w4moe_matrix good_m = m;
    src.weights = NULL;
    refused(W4MOE_INVALID, "weights");
    src = good;
    src.dtype = W4MOE_F8_E4M3;
    refused(W4MOE_UNSUPPORTED, "F8_E4M3");
    src = good;
    src.n_in = K - 8;
    refused(W4MOE_INVALID, "32 inputs");
    src = good;
    src.n_out = N + 8;
    refused(W4MOE_INVALID, "columns");
    src = good;
    src.n_out = N - 4;
    refused(W4MOE_INVALID, "columns");
    src = good;
    src.row_stride = SIZE_MAX / 4;
    refused(W4MOE_INVALID, "address space");
    src = good;
    src.column_stride = SIZE_MAX / K;
    refused(W4MOE_INVALID, "address space");
    src = good;
    src.struct_size = 8;
    refused(W4MOE_INVALID, "w4moe_float_weight");
    src = good;
    order[3] = N;
    src.output_order = order;
    refused(W4MOE_INVALID, "output_order");
    src = good;
    m.code = W4MOE_CODE_E2M1;
    refused(W4MOE_INVALID, "INT4");
    m = good_m;
    m.offsets = scales;
    m.offset_dtype = W4MOE_F32;
    refused(W4MOE_INVALID, "offsets");
    m = good_m;
    m.scales = NULL;
    refused(W4MOE_INVALID, "scales");
    m = good_m;
    m.group_size = 0;
    refused(W4MOE_INVALID, "group size");
    m = good_m;
    m.struct_size = 8;
    refused(W4MOE_INVALID, "w4moe_matrix");
    m = good_m;
    ct_refused(
            w4moe_quantize(ct_ctx, &m, &src, 2, 0), W4MOE_INVALID, "expert 2");
    ct_refused(
            w4moe_quantize(ct_ctx, &m, &src, 0, 8), W4MOE_INVALID, "columns");
    ct_refused(w4moe_quantize(ct_ctx, NULL, &src, 0, 0), W4MOE_INVALID, "NULL");
    ct_refused(w4moe_quantize(ct_ctx, &m, NULL, 0, 0), W4MOE_INVALID, "NULL");
    ct_ok(w4moe_quantize(ct_ctx, &m, &src, 1, 0));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("quantize_refusals");
    TCase *tc = tcase_create("quantize_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, ct_ctx_teardown);
    tcase_add_test(tc, no_numbers);
    tcase_add_test(tc, large);
    tcase_add_test(tc, arguments);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
