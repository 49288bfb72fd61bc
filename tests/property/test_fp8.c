/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* FP8 in blocks of checkpoints, against the definition in double; and which
 * forms of FP8 and of other weights are refused. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "format/parts.h"
#include "packed_weight.h"
#include "st_helpers.h"
#include "test_random.h"

enum { H = 64, I = 32 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
    for (size_t i = 0; i < sizeof(f->codes); i++) {
        unsigned char code = (unsigned char)test_random(random);
        f->codes[i] = (code & 0x7F) == 0x7F ? 0 : code;
    }
    for (size_t i = 0; i < sizeof(f->factors); i += 2) {
        uint64_t bits = test_random(random);
        f->factors[i] = (unsigned char)bits;
        f->factors[i + 1] = (unsigned char)(0x3C | (bits >> 8 & 0x81));
    }
    tensor(&f->weight, "x.weight", W4MOE_F8_E4M3, H, I, f->codes);
    tensor(&f->scales, "x.weight_scale_inv", W4MOE_BF16,
            w4_ceil_div(H, rows != 0 ? rows : 128),
            w4_ceil_div(I, columns != 0 ? columns : 128), f->factors);
    f->parts.tensors[W4_PART_WEIGHT] = &f->weight;
    f->parts.tensors[W4_PART_SCALE_INV] = &f->scales;
}

static w4moe_status
resolve(const struct fp8 *f, struct w4_weight *weight)
{
    *weight = (struct w4_weight){
            .n_out = H, .n_in = I, .row_step = 1, .tensor_rows = H};
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
    struct packed_weight p;
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
            x *= (double)w4_read_number(f.factors, W4MOE_BF16, b);
            ck_assert_double_eq((double)row[k], code >= 128 ? -x : x);
        }
    }
    weight.group_size = 16;
    weight.has_zeros = _i % 2;
    packed_weight_make(&p, &weight, W4MOE_ORDER_TILE, W4MOE_DTYPE_NONE);
    ST_CHECK_OK(packed_weight_compare(&p));
    packed_weight_free(&p);
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
    tensor(&f.scales, "x.weight_scale_inv", W4MOE_BF16, 4, 3, good.factors);
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
    Suite *suite = suite_create("fp8");
    TCase *tc = tcase_create("fp8");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, st_err_setup, st_err_teardown);
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
