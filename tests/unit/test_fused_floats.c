/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Weights of 16 or 32 bits of all experts in one tensor, in each layout that a
 * model's type tells: which element is where. No two elements are the same. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "format/expert_name.h"
#include "format/st_fused.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Experts, hidden and intermediate size. */
enum { E = 3, H = 16, I = 24, MANY = E * 2 * I * H };

static w4moe_ctx *ctx;
static unsigned char data[4 * MANY];
static struct w4_weight weights[E * W4_N_PROJECTIONS];

/* Element i is the number i, as F32, little-endian: the bits of integers below
 * 2^24 are made by hand. */
static void
setup(void)
{
    ck_assert_int_eq(w4moe_ctx_create(&ctx, NULL), W4MOE_OK);
    for (uint32_t i = 1; i < MANY; i++) {
        uint32_t exponent = 0;
        while (i >> (exponent + 1) != 0) {
            exponent++;
        }
        uint32_t bits =
                (127 + exponent) << 23 | (i << (23 - exponent) & 0x7FFFFFu);
        for (size_t b = 0; b < 4; b++) {
            data[4 * i + b] = (unsigned char)(bits >> 8 * b);
        }
    }
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

static struct w4_tensor
tensor(const char *name, w4moe_dtype dtype, uint64_t a, uint64_t b, uint64_t c)
{
    struct w4_tensor t = {.name = name,
            .dtype = dtype,
            .dtype_name = w4moe_dtype_name(dtype),
            .n_dims = c != 0 ? 3 : 2,
            .shape = {a, b, c},
            .data = data,
            .n_bytes = w4moe_dtype_size(dtype) * a * b * (c != 0 ? c : 1)};
    return t;
}

static w4moe_status
resolve(enum w4_fused layout, const struct w4_tensor *gate_up,
        const struct w4_tensor *down, const struct w4_tensor *bias)
{
    const struct w4_model_config config = {.n_experts = E,
            .hidden_size = H,
            .intermediate_size = I,
            .model_type = "some_moe",
            .fused = layout};
    struct w4_fused_parts parts = {{{NULL}}, {{NULL}}};
    parts.gate_up.tensors[W4_PART_WEIGHT] = gate_up;
    parts.gate_up.tensors[W4_PART_BIAS] = bias;
    parts.down.tensors[W4_PART_WEIGHT] = down;
    memset(weights, 0, sizeof(weights));
    return w4_fused_resolve(w4_ctx_err(ctx), weights, &parts, &config);
}

/* Place of element (n, k) of a projection in an expert's part of the tensor. */
static size_t
place(enum w4_fused layout, int projection, size_t n, size_t k)
{
    int down = projection == W4_DOWN;
    size_t n_rows = down ? H : 2 * I;
    size_t n_columns = down ? I : H;
    size_t row = n;
    if (!down && layout == W4_FUSED_COLUMNS_INTERLEAVED) {
        row = 2 * n + (projection == W4_UP ? 1 : 0);
    } else if (projection == W4_UP) {
        row = I + n;
    }
    return layout == W4_FUSED_ROWS ? row * n_columns + k : k * n_rows + row;
}

static void
check_weights(enum w4_fused layout, int has_bias)
{
    float row[H + I];
    for (size_t i = 0; i < COUNT(weights); i++) {
        const struct w4_weight *w = &weights[i];
        size_t expert = i / W4_N_PROJECTIONS;
        int p = (int)(i % W4_N_PROJECTIONS);
        ck_assert_uint_eq(w->n_out, p == W4_DOWN ? H : I);
        ck_assert_uint_eq(w->n_in, p == W4_DOWN ? I : H);
        ck_assert_int_eq(w->scheme->rounded, 1);
        ck_assert_int_eq(w->bias != NULL, has_bias && p != W4_DOWN);
        size_t first = expert * (p == W4_DOWN ? 1 : 2) * I * H;
        for (size_t n = 0; n < w->n_out; n++) {
            w->scheme->read_row(w, n, row);
            for (size_t k = 0; k < w->n_in; k++) {
                float expected = (float)(first + place(layout, p, n, k));
                ck_assert_mem_eq(&row[k], &expected, sizeof(expected));
            }
            if (w->bias != NULL) {
                float got = w4_read_number(
                        w->bias, w->bias_dtype, w4_weight_row(w, n));
                size_t at = layout == W4_FUSED_COLUMNS_INTERLEAVED
                                    ? 2 * n + (size_t)p
                                    : n + (size_t)p * I;
                float expected = (float)(expert * 2 * I + at);
                ck_assert_mem_eq(&got, &expected, sizeof(got));
            }
        }
    }
}

START_TEST(layouts)
{
    static const enum w4_fused all[] = {
            W4_FUSED_ROWS, W4_FUSED_COLUMNS, W4_FUSED_COLUMNS_INTERLEAVED};
    const struct w4_tensor bias = tensor("b", W4MOE_F32, E, 2 * I, 0);
    for (size_t i = 0; i < COUNT(all); i++) {
        int by_rows = all[i] == W4_FUSED_ROWS;
        struct w4_tensor gate_up =
                by_rows ? tensor("g", W4MOE_F32, E, 2 * I, H)
                        : tensor("g", W4MOE_F32, E, H, 2 * I);
        struct w4_tensor down = by_rows ? tensor("d", W4MOE_F32, E, H, I)
                                        : tensor("d", W4MOE_F32, E, I, H);
        for (int has_bias = 0; has_bias < 2; has_bias++) {
            w4moe_status status =
                    resolve(all[i], &gate_up, &down, has_bias ? &bias : NULL);
            ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
            check_weights(all[i], has_bias);
        }
    }
}
END_TEST

START_TEST(refused)
{
    struct w4_tensor by_rows = tensor("g", W4MOE_BF16, E, 2 * I, H);
    struct w4_tensor by_columns = tensor("g", W4MOE_BF16, E, H, 2 * I);
    struct w4_tensor down = tensor("d", W4MOE_BF16, E, H, I);
    struct w4_tensor bytes = tensor("g", W4MOE_I8, E, 2 * I, H);
    struct w4_tensor fewer = tensor("g", W4MOE_BF16, E - 1, 2 * I, H);
    struct w4_tensor bias = tensor("b", W4MOE_F32, E, I, 0);
    const struct {
        enum w4_fused layout;
        const struct w4_tensor *gate_up;
        const struct w4_tensor *down;
        const struct w4_tensor *bias;
        w4moe_status status;
        const char *text;
    } cases[] = {
            {W4_FUSED_NONE, &by_rows, &down, NULL, W4MOE_UNSUPPORTED,
                    "models of type \"some_moe\""},
            {W4_FUSED_ROWS, &by_columns, &down, NULL, W4MOE_FORMAT,
                    "[3, 16, 48], expected [3, 48, 16]"},
            {W4_FUSED_COLUMNS, &by_rows, &down, NULL, W4MOE_FORMAT,
                    "[3, 48, 16], expected [3, 16, 48]"},
            {W4_FUSED_COLUMNS_INTERLEAVED, &by_columns, &down, NULL,
                    W4MOE_FORMAT, "[3, 16, 24], expected [3, 24, 16]"},
            {W4_FUSED_ROWS, &fewer, &down, NULL, W4MOE_FORMAT, "[2, 48, 16]"},
            {W4_FUSED_ROWS, &bytes, &down, NULL, W4MOE_UNSUPPORTED,
                    "is I8, not BF16"},
            {W4_FUSED_ROWS, &by_rows, &down, &bias, W4MOE_FORMAT,
                    "[3, 24], expected [3, 48]"},
            {W4_FUSED_ROWS, &by_rows, NULL, NULL, W4MOE_FORMAT,
                    "no tensor has down of all"},
            {W4_FUSED_ROWS, NULL, &down, NULL, W4MOE_FORMAT,
                    "no tensor has gate and up of all"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        w4moe_status status = resolve(cases[i].layout, cases[i].gate_up,
                cases[i].down, cases[i].bias);
        ck_assert_msg(status == cases[i].status &&
                              strstr(w4moe_ctx_error(ctx), cases[i].text),
                "case %zu: status %d, \"%s\"", i, (int)status,
                w4moe_ctx_error(ctx));
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fused_floats");
    TCase *tc = tcase_create("fused_floats");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, layouts);
    tcase_add_test(tc, refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
