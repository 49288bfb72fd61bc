/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Checkpoints whose weights, or some of them, get rounded, from end to end. How
 * a group is rounded is in test_quantize.c; here it matters that each weight
 * comes to its place, that weights of 4 bits beside others stay exact, and that
 * nothing is left of a conversion that is refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "any_float.h"
#include "ct_container.h"
#include "test_folder.h"

enum { GROUP = 16, H = 48, I = 40, N_LAYERS = 2, N_EXPERTS = 3, N_FILES = 2 };
enum { N_WEIGHTS = N_LAYERS * N_EXPERTS * 3 };

static const struct ct_spec spec = {"float", CT_QWEN3, N_LAYERS, 3, N_EXPERTS,
        H, I, GROUP, W4MOE_BF16, 0, 0, 0, N_FILES};

static struct ct_model model;
static struct test_random source;
/* Of the weights that were replaced, [N][K]; NULL: as ct_fixture made it. */
static double *numbers[N_WEIGHTS];

static void
setup(void)
{
    ct_ctx_setup();
    ct_model_make(&model, &spec);
    source.counter = 0;
}

static void
teardown(void)
{
    for (int w = 0; w < N_WEIGHTS; w++) {
        free(numbers[w]);
        numbers[w] = NULL;
    }
    ct_model_free(&model);
    ct_ctx_teardown();
}

/* ------------------------------------------------------------- checkpoints */

static const char *
name_of(size_t w, const char *part)
{
    return ct_model_name(
            &model, w / 3 / N_EXPERTS, w / 3 % N_EXPERTS, (int)(w % 3), part);
}

static size_t
rows_of(size_t w)
{
    return w % 3 == 2 ? H : I;
}

static size_t
columns_of(size_t w)
{
    return w % 3 == 2 ? I : H;
}

/* Removes the tensors of a weight; makes room for its numbers. */
static void
empty(size_t w)
{
    static const char *const parts[] = {
            "weight_packed", "weight_scale", "weight_shape"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        for (size_t f = 0; f < N_FILES; f++) {
            const char *name = name_of(w, parts[i]);
            if (mini_find(&model.files[f], name) != NULL) {
                mini_remove(&model.files[f], name);
            }
        }
    }
    numbers[w] = calloc(rows_of(w) * columns_of(w), sizeof(*numbers[w]));
    ck_assert_ptr_nonnull(numbers[w]);
}

/* A number of about the size that weights have. */
static double
random_number(void)
{
    double sum = -2.0;
    for (int i = 0; i < 4; i++) {
        sum += ldexp((double)(test_random(&source) >> 11), -53);
    }
    return sum / 32;
}

static void
put_float(size_t w, w4moe_dtype dtype)
{
    empty(w);
    size_t n = rows_of(w) * columns_of(w);
    size_t size = w4moe_dtype_size(dtype);
    const uint64_t shape[2] = {rows_of(w), columns_of(w)};
    unsigned char *bytes = malloc(n * size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < n; i++) {
        numbers[w][i] = any_float_round(random_number(), dtype);
        any_float_put(bytes + i * size, dtype, numbers[w][i]);
    }
    mini_add(&model.files[w % N_FILES], name_of(w, "weight"),
            w4moe_dtype_name(dtype), 2, shape, bytes, n * size);
    free(bytes);
}

/* FP8 in blocks of 16 x 24, which neither size is a multiple of. */
static void
put_fp8(size_t w)
{
    enum { ROWS = 16, COLUMNS = 24, MOST = 3 * 2 };
    size_t n_in = columns_of(w);
    const uint64_t shape[2] = {rows_of(w), n_in};
    const uint64_t blocks[2] = {
            (shape[0] + ROWS - 1) / ROWS, (shape[1] + COLUMNS - 1) / COLUMNS};
    unsigned char codes[H * I];
    unsigned char scales[4 * MOST];
    double factors[MOST];
    empty(w);
    size_t n_blocks = (size_t)(blocks[0] * blocks[1]);
    for (size_t b = 0; b < n_blocks; b++) {
        factors[b] = any_float_round(fabs(random_number()) + 1e-3, W4MOE_F32);
        any_float_put(scales + 4 * b, W4MOE_F32, factors[b]);
    }
    for (size_t i = 0; i < H * I; i++) {
        size_t b = i / n_in / ROWS * (size_t)blocks[1] + i % n_in / COLUMNS;
        unsigned code = (unsigned)test_random_below(&source, 0x7F);
        int e = (int)(code >> 3);
        double x =
                ldexp((code & 7u) + (e > 0 ? 8.0 : 0.0), (e > 0 ? e : 1) - 10);
        int negative = (int)test_random_below(&source, 2);
        codes[i] = (unsigned char)(code | (negative ? 0x80u : 0));
        numbers[w][i] = (negative ? -x : x) * factors[b];
    }
    struct mini *file = &model.files[w % N_FILES];
    mini_add(file, name_of(w, "weight"), "F8_E4M3", 2, shape, codes, H * I);
    mini_add(file, name_of(w, "weight_scale_inv"), "F32", 2, blocks, scales,
            4 * n_blocks);
}

/* --------------------------------------------------------------- conversion */

/* One row of a weight that was replaced: how far it may be from what it was.
 * The steps are e / 8.5 to e / 7, e the extreme of a group, and what is beyond
 * the last code is cut off by at most one and a half. */
static void
check_row(size_t w, size_t n, const float *row, size_t group_size)
{
    size_t n_in = columns_of(w);
    const double *expected = numbers[w] + n * n_in;
    for (size_t first = 0; first < n_in; first += group_size) {
        double extreme = 0.0;
        size_t end = first + group_size < n_in ? first + group_size : n_in;
        for (size_t k = first; k < end; k++) {
            extreme = fmax(extreme, fabs(expected[k]));
        }
        for (size_t k = first; k < end; k++) {
            ck_assert_double_le(
                    fabs((double)row[k] - expected[k]), 0.18 * extreme);
        }
    }
}

static void
check_expert(size_t i, size_t e, const float *got, size_t group_size,
        w4moe_which which)
{
    float *exact = ct_model_expected(&model, i, e, which);
    size_t first = (i * N_EXPERTS + e) * 3 + (which == W4MOE_W2 ? 2 : 0);
    size_t n_weights = which == W4MOE_W2 ? 1 : 2;
    for (size_t w = first; w < first + n_weights; w++) {
        size_t start = (w - first) * H * I;
        size_t n_in = columns_of(w);
        if (numbers[w] == NULL) {
            ck_assert_mem_eq(
                    got + start, exact + start, H * I * sizeof(*exact));
            continue;
        }
        for (size_t n = 0; n < rows_of(w); n++) {
            check_row(w, n, got + start + n * n_in, group_size);
        }
    }
    free(exact);
}

/* Converts in an order, and checks all weights. */
static void
check_order(w4moe_order order, size_t group_size)
{
    w4moe_convert_options options = ct_options(order);
    w4moe_convert_report report = {.struct_size = sizeof(report)};
    options.force = 1;
    ct_ok(w4moe_convert(ct_ctx, &report, test_path("out.safetensors"),
            test_path("in"), &options));
    ck_assert_uint_eq(report.n_experts_verified, N_LAYERS * N_EXPERTS);
    ck_assert_uint_eq(report.w13_group_size, group_size);
    w4moe_file *file = ct_open(test_path("out.safetensors"));
    float *got = malloc(2 * H * I * sizeof(*got));
    ck_assert_ptr_nonnull(got);
    for (size_t i = 0; i < N_LAYERS; i++) {
        for (int n = 0; n < 2; n++) {
            w4moe_matrix m = {.struct_size = sizeof(m)};
            w4moe_which which = n == 0 ? W4MOE_W13 : W4MOE_W2;
            ct_ok(w4moe_file_get_matrix(
                    file, &m, ct_model_layer(&model, i), which));
            for (size_t e = 0; e < N_EXPERTS; e++) {
                ct_ok(w4moe_dequantize(ct_ctx, got, &m, e));
                check_expert(i, e, got, m.group_size, which);
            }
        }
    }
    free(got);
    ct_use(file);
    w4moe_file_close(file);
}

static void
check(size_t group_size)
{
    ct_model_write(&model, test_subfolder(test_path("in")));
    check_order(W4MOE_ORDER_TILE, group_size);
    check_order(W4MOE_ORDER_RDNA3, group_size);
}

/* ------------------------------------------------------------------- tests */

static const w4moe_dtype types[] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};

/* Nothing is quantised, and the config does not say so either. */
START_TEST(plain)
{
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        put_float(w, types[_i]);
    }
    json_object_del(model.config, "quantization_config");
    check(32);
}
END_TEST

/* A quantiser has left some weights as they were. */
START_TEST(some)
{
    for (size_t w = (size_t)_i; w < N_WEIGHTS; w += 4) {
        put_float(w, types[_i % 3]);
    }
    check(GROUP);
}
END_TEST

START_TEST(fp8)
{
    for (size_t w = 0; w < N_WEIGHTS; w++) {
        put_fp8(w);
    }
    json_object_set_new(model.config, "quantization_config",
            json_pack("{s:s, s:[i, i]}", "quant_method", "fp8",
                    "weight_block_size", 16, 24));
    check(32);
}
END_TEST

/* A weight that is no number is named, and nothing is left. */
START_TEST(no_number)
{
    put_float(4, W4MOE_BF16);
    struct mini_tensor *tensor =
            mini_find(&model.files[0], name_of(4, "weight"));
    any_float_put(tensor->data + 2 * (7 * H + 31), W4MOE_BF16, 0.0);
    tensor->data[2 * (7 * H + 31) + 1] = 0x7F;
    tensor->data[2 * (7 * H + 31)] = 0xC0;
    ct_model_write(&model, test_subfolder(test_path("in")));
    w4moe_convert_options options = ct_options(W4MOE_ORDER_TILE);
    remove(test_path("out.safetensors"));
    w4moe_status status = w4moe_convert(ct_ctx, NULL,
            test_path("out.safetensors"), test_path("in"), &options);
    ct_refused(status, W4MOE_FORMAT, name_of(4, "weight"));
    ct_refused(status, W4MOE_FORMAT, "row 7, column 31 is nan");
    ck_assert(!test_file_exists(test_path("out.safetensors")));
    ck_assert_uint_eq(test_folder_count(test_path("."), "partial"), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("convert_float");
    TCase *tc = tcase_create("convert_float");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, test_folder_make, test_folder_remove);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, plain, 0, 3);
    tcase_add_loop_test(tc, some, 0, 4);
    tcase_add_test(tc, fp8);
    tcase_add_test(tc, no_number);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
