/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* MXFP4 weights made of a checkpoint's tensors, one by one and of all experts:
 * what each code of each row is, which types and shapes are taken, and what is
 * refused by which text. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "format/expert_name.h"
#include "format/st_fused.h"
#include "test_random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Experts, hidden and intermediate size; of single weights rows, columns. */
enum { E = 3, H = 64, I = 96, N = 16, K = 40, BYTES = E * 2 * I * H };

static w4moe_ctx *ctx;
static unsigned char codes[BYTES];
static unsigned char scales[BYTES];
static unsigned char bias[BYTES];

static void
setup(void)
{
    struct test_random random = {7};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, NULL), W4MOE_OK);
    for (size_t i = 0; i < BYTES; i++) {
        codes[i] = (unsigned char)test_random(&random);
        scales[i] = (unsigned char)(100 + test_random_below(&random, 50));
        bias[i] = (unsigned char)test_random_below(&random, 0x70);
    }
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

static void
refused(w4moe_status got, w4moe_status expected, const char *text)
{
    ck_assert_msg(got == expected && strstr(w4moe_ctx_error(ctx), text) != NULL,
            "status %d, expected %d, \"%s\" in \"%s\"", (int)got, (int)expected,
            text, w4moe_ctx_error(ctx));
}

/* ----------------------------------------------------------------- tensors */

/* A tensor of `rank` sizes, of which those that are 0 are left out. */
static struct w4_tensor
tensor(const char *name, w4moe_dtype dtype, const void *data, uint64_t a,
        uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t shape[4] = {a, b, c, d};
    struct w4_tensor t = {.name = name,
            .dtype = dtype,
            .dtype_name = w4moe_dtype_name(dtype),
            .data = data,
            .n_bytes = w4moe_dtype_size(dtype)};
    if (dtype == W4MOE_DTYPE_NONE) {
        t.dtype_name = "F4";
    }
    while (t.n_dims < 4 && shape[t.n_dims] != 0) {
        t.shape[t.n_dims] = shape[t.n_dims];
        t.n_bytes *= shape[t.n_dims++];
    }
    return t;
}

/* 2^(byte - 127) times (-1)^s * 2^(e - 1) * (1 + m / 2) or, where e is 0,
 * (-1)^s * m / 2: of row `row` of arrays of n_in columns. */
static float
value_at(size_t row, size_t k, size_t n_in)
{
    unsigned byte = codes[row * (n_in / 2) + k / 2];
    unsigned code = k % 2 == 0 ? byte % 16 : byte / 16;
    int exponent = (int)(code / 2 % 4);
    double mantissa = code % 2 / 2.0;
    double value =
            exponent == 0 ? mantissa : ldexp(1.0 + mantissa, exponent - 1);
    value = ldexp(value, scales[row * ((n_in + 31) / 32) + k / 32] - 127);
    return (float)(code < 8 ? value : -value);
}

/* Row n of a weight is row `row` of the arrays, in both ways to read it. */
static void
check_row(const struct w4_weight *weight, size_t n, size_t row)
{
    struct w4_rows rows;
    size_t n_in = weight->n_in;
    size_t n_groups = (n_in + 31) / 32;
    const uint32_t index[2] = {0, (uint32_t)n};
    unsigned char *room = malloc(n_in / 2);
    ck_assert_ptr_nonnull(room);
    ok(w4_rows_make(w4_ctx_err(ctx), &rows, n_in, n_groups));
    ok(weight->scheme->rows(w4_ctx_err(ctx), weight, index, 2, &rows));
    const unsigned char *words = weight->scheme->read_words(weight, n, room);
    const unsigned char *row_codes = rows.codes[1];
    for (size_t k = 0; k < n_in; k++) {
        float values[16];
        weight->scheme->read_values(weight, n, k / 32, values);
        unsigned code = (unsigned)words[k / 2] >> 4 * (k % 2) & 15u;
        float expected = value_at(row, k, n_in);
        ck_assert_mem_eq(&values[code], &expected, sizeof(expected));
        ck_assert_uint_eq(
                (unsigned)row_codes[k / 2] >> 4 * (k % 2) & 15u, code);
        ck_assert_uint_eq(((unsigned char *)rows.scales)[n_groups + k / 32],
                scales[row * n_groups + k / 32]);
    }
    w4_rows_free(&rows);
    free(room);
}

/* ------------------------------------------------------------- one by one */

static struct w4_weight
single_weight(void)
{
    return (struct w4_weight){
            .n_out = N, .n_in = K, .row_step = 1, .tensor_rows = N};
}

/* Resolves a weight of two or three tensors. */
static w4moe_status
resolve(struct w4_weight *weight, enum w4_part codes_part,
        const struct w4_tensor *codes_tensor, enum w4_part scales_part,
        const struct w4_tensor *scales_tensor, enum w4_part other_part,
        const struct w4_tensor *other)
{
    const struct w4_model_config config = {.symmetric = 1};
    struct w4_parts parts = {{NULL}};
    *weight = single_weight();
    parts.tensors[codes_part] = codes_tensor;
    parts.tensors[scales_part] = scales_tensor;
    if (other != NULL) {
        parts.tensors[other_part] = other;
    }
    return w4_parts_resolve(w4_ctx_err(ctx), weight, &parts, &config);
}

START_TEST(single)
{
    static const struct {
        enum w4_part codes;
        w4moe_dtype codes_dtype;
        enum w4_part scales;
        w4moe_dtype scales_dtype;
    } forms[] = {
            {W4_PART_PACKED, W4MOE_U8, W4_PART_WEIGHT_SCALE, W4MOE_U8},
            {W4_PART_PACKED, W4MOE_U8, W4_PART_WEIGHT_SCALE, W4MOE_F8_E8M0},
            {W4_PART_WEIGHT, W4MOE_I8, W4_PART_SCALE, W4MOE_F8_E8M0},
            {W4_PART_WEIGHT, W4MOE_U8, W4_PART_SCALE, W4MOE_U8},
            {W4_PART_WEIGHT, W4MOE_DTYPE_NONE, W4_PART_SCALE, W4MOE_F8_E8M0},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        int f4 = forms[i].codes_dtype == W4MOE_DTYPE_NONE;
        struct w4_tensor c = tensor(
                "c", forms[i].codes_dtype, codes, N, f4 ? K : K / 2, 0, 0);
        struct w4_tensor s =
                tensor("s", forms[i].scales_dtype, scales, N, 2, 0, 0);
        struct w4_tensor b = tensor("b", W4MOE_F16, bias, N, 0, 0, 0);
        struct w4_weight weight;
        ok(resolve(&weight, forms[i].codes, &c, forms[i].scales, &s,
                W4_PART_BIAS, i % 2 != 0 ? &b : NULL));
        ck_assert_uint_eq(weight.group_size, 32);
        ck_assert_int_eq(weight.scale_dtype, W4MOE_F8_E8M0);
        ck_assert_int_eq(weight.scheme->code, W4MOE_CODE_E2M1);
        ck_assert_ptr_eq(weight.bias, i % 2 != 0 ? bias : NULL);
        for (size_t n = 0; n < N; n++) {
            check_row(&weight, n, n);
        }
    }
}
END_TEST

START_TEST(single_refused)
{
    struct w4_weight weight;
    struct w4_tensor c = tensor("c", W4MOE_U8, codes, N, K / 2, 0, 0);
    struct w4_tensor s = tensor("s", W4MOE_U8, scales, N, 2, 0, 0);
    struct w4_tensor fp8 = tensor("n", W4MOE_F8_E4M3, scales, N, 3, 0, 0);
    struct w4_tensor zeros = tensor("z", W4MOE_I32, codes, N, 2, 0, 0);
    const struct {
        struct w4_tensor codes;
        struct w4_tensor scales;
        const char *text;
    } wrong[] = {
            {tensor("c", W4MOE_U8, codes, N, K, 0, 0), s, "[16, 40]"},
            {tensor("c", W4MOE_U8, codes, N + 8, K / 2, 0, 0), s, "[24, 20]"},
            {tensor("c", W4MOE_U8, codes, N, 2, 10, 0), s, "rank 3"},
            {tensor("c", W4MOE_DTYPE_NONE, codes, N, K / 2, 0, 0), s,
                    "[16, 20]"},
            {c, tensor("s", W4MOE_U8, scales, N, 1, 0, 0), "[16, 1]"},
            {c, tensor("s", W4MOE_U8, scales, N, 3, 0, 0), "[16, 3]"},
            {c, tensor("s", W4MOE_BF16, scales, N, 2, 0, 0), "BF16"},
            {c, tensor("s", W4MOE_I8, scales, N, 2, 0, 0), "F8_E8M0"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        refused(resolve(&weight, W4_PART_PACKED, &wrong[i].codes,
                        W4_PART_WEIGHT_SCALE, &wrong[i].scales, W4_PART_BIAS,
                        NULL),
                W4MOE_FORMAT, wrong[i].text);
        refused(resolve(&weight, W4_PART_WEIGHT, &wrong[i].codes, W4_PART_SCALE,
                        &wrong[i].scales, W4_PART_BIAS, NULL),
                W4MOE_FORMAT, wrong[i].text);
    }
    refused(resolve(&weight, W4_PART_PACKED, &c, W4_PART_WEIGHT_SCALE, NULL,
                    W4_PART_BIAS, NULL),
            W4MOE_FORMAT, "no weight_scale beside it");
    refused(resolve(&weight, W4_PART_WEIGHT, &c, W4_PART_SCALE, NULL,
                    W4_PART_BIAS, NULL),
            W4MOE_UNSUPPORTED, "weights of type U8");
    refused(resolve(&weight, W4_PART_PACKED, &c, W4_PART_WEIGHT_SCALE, &fp8,
                    W4_PART_BIAS, NULL),
            W4MOE_UNSUPPORTED, "NVFP4");
    refused(resolve(&weight, W4_PART_WEIGHT, &c, W4_PART_WEIGHT_SCALE, &fp8,
                    W4_PART_BIAS, NULL),
            W4MOE_UNSUPPORTED, "NVFP4");
    refused(resolve(&weight, W4_PART_PACKED, &c, W4_PART_WEIGHT_SCALE, &s,
                    W4_PART_ZERO_POINT, &zeros),
            W4MOE_UNSUPPORTED, "scheme MXFP4 has no weight_zero_point");
    refused(resolve(&weight, W4_PART_PACKED, &c, W4_PART_WEIGHT_SCALE, &s,
                    W4_PART_WEIGHT, &c),
            W4MOE_FORMAT, "are the same weight");
    struct w4_tensor b = tensor("b", W4MOE_F16, bias, N + 1, 0, 0, 0);
    refused(resolve(&weight, W4_PART_PACKED, &c, W4_PART_WEIGHT_SCALE, &s,
                    W4_PART_BIAS, &b),
            W4MOE_FORMAT, "\"b\"");
    b = tensor("b", W4MOE_I32, bias, N, 0, 0, 0);
    refused(resolve(&weight, W4_PART_PACKED, &c, W4_PART_WEIGHT_SCALE, &s,
                    W4_PART_BIAS, &b),
            W4MOE_UNSUPPORTED, "\"b\" is I32");
}
END_TEST

/* ------------------------------------------------------------- all experts */

static struct w4_weight weights[E * W4_N_PROJECTIONS];

/* The six tensors of a layer of GPT-OSS. */
struct layer {
    struct w4_tensor gate_up[3];
    struct w4_tensor down[3];
};

static const enum w4_part layer_parts[3] = {
        W4_PART_BLOCKS, W4_PART_SCALES, W4_PART_BIAS};

static struct layer
good_layer(void)
{
    struct layer layer = {
            .gate_up = {tensor("gb", W4MOE_U8, codes, E, 2 * I, H / 32, 16),
                    tensor("gs", W4MOE_U8, scales, E, 2 * I, H / 32, 0),
                    tensor("gx", W4MOE_BF16, bias, E, 2 * I, 0, 0)},
            .down = {tensor("db", W4MOE_U8, codes, E, H, I / 32, 16),
                    tensor("ds", W4MOE_F8_E8M0, scales, E, H, I / 32, 0),
                    tensor("dx", W4MOE_F32, bias, E, H, 0, 0)}};
    return layer;
}

/* Resolves a layer; tensors whose names are "" are not there. */
static w4moe_status
resolve_layer(const struct layer *layer)
{
    const struct w4_model_config config = {.n_experts = E,
            .hidden_size = H,
            .intermediate_size = I,
            .model_type = "gpt_oss",
            .fused = W4_FUSED_COLUMNS_INTERLEAVED};
    struct w4_fused_parts parts = {{{NULL}}, {{NULL}}};
    memset(weights, 0, sizeof(weights));
    for (size_t i = 0; i < 3; i++) {
        const struct w4_tensor *g = &layer->gate_up[i];
        const struct w4_tensor *d = &layer->down[i];
        parts.gate_up.tensors[layer_parts[i]] = g->name[0] != '\0' ? g : NULL;
        parts.down.tensors[layer_parts[i]] = d->name[0] != '\0' ? d : NULL;
    }
    return w4_fused_resolve(w4_ctx_err(ctx), weights, &parts, &config);
}

static void
check_weight(size_t expert, int projection, int has_bias)
{
    const struct w4_weight *w =
            &weights[expert * W4_N_PROJECTIONS + (size_t)projection];
    int down = projection == W4_DOWN;
    size_t rows = down ? H : 2 * I;
    ck_assert_uint_eq(w->n_out, down ? H : I);
    ck_assert_uint_eq(w->n_in, down ? I : H);
    ck_assert_uint_eq(w->group_size, 32);
    ck_assert_uint_eq(w->tensor_rows, rows);
    ck_assert_int_eq(w->bias != NULL, has_bias);
    for (size_t n = 0; n < w->n_out; n++) {
        /* Row 2n is of gate, 2n + 1 of up. */
        size_t row = down ? n : 2 * n + (projection == W4_UP ? 1 : 0);
        check_row(w, n, expert * rows + row);
        if (has_bias) {
            float got =
                    w4_read_number(w->bias, w->bias_dtype, w4_weight_row(w, n));
            float expected = w4_read_number(
                    bias, down ? W4MOE_F32 : W4MOE_BF16, expert * rows + row);
            ck_assert_mem_eq(&got, &expected, sizeof(got));
        }
    }
}

START_TEST(all_experts)
{
    struct layer layer = good_layer();
    ok(resolve_layer(&layer));
    for (size_t e = 0; e < E; e++) {
        check_weight(e, W4_GATE, 1);
        check_weight(e, W4_UP, 1);
        check_weight(e, W4_DOWN, 1);
    }
    layer.gate_up[2].name = "";
    ok(resolve_layer(&layer));
    check_weight(E - 1, W4_UP, 0);
    check_weight(E - 1, W4_DOWN, 1);
    /* No tensor of all experts: nothing is done. */
    struct layer none = {0};
    for (size_t i = 0; i < 3; i++) {
        none.gate_up[i].name = none.down[i].name = "";
    }
    ok(resolve_layer(&none));
    ck_assert_ptr_null(weights[0].scheme);
}
END_TEST

START_TEST(all_experts_refused)
{
    const struct {
        size_t at;
        struct w4_tensor tensor;
        w4moe_status status;
        const char *text;
    } wrong[] = {
            {0, tensor("gb", W4MOE_U8, codes, E + 1, 2 * I, H / 32, 16),
                    W4MOE_FORMAT, "[4, 192, 2, 16], expected [3, 192, 2, 16]"},
            {0, tensor("gb", W4MOE_U8, codes, E, I, H / 32, 16), W4MOE_FORMAT,
                    "[3, 96, 2, 16]"},
            {0, tensor("gb", W4MOE_U8, codes, E, 2 * I, H / 32, 15),
                    W4MOE_FORMAT, "[3, 192, 2, 15]"},
            {0, tensor("gb", W4MOE_U8, codes, E, 2 * I, H / 2, 0), W4MOE_FORMAT,
                    "[3, 192, 32], expected"},
            {0, tensor("gb", W4MOE_I32, codes, E, 2 * I, H / 32, 16),
                    W4MOE_UNSUPPORTED, "is I32, not U8"},
            {0, tensor("", W4MOE_U8, codes, E, 2 * I, H / 32, 16), W4MOE_FORMAT,
                    "no blocks or weight beside it"},
            {1, tensor("gs", W4MOE_U8, scales, E, 2 * I, 1, 0), W4MOE_FORMAT,
                    "[3, 192, 1]"},
            {1, tensor("gs", W4MOE_BF16, scales, E, 2 * I, H / 32, 0),
                    W4MOE_UNSUPPORTED, "is BF16, not U8 or F8_E8M0"},
            {1, tensor("", W4MOE_U8, scales, E, 2 * I, H / 32, 0), W4MOE_FORMAT,
                    "no scales beside it"},
            {2, tensor("gx", W4MOE_BF16, bias, E, I, 0, 0), W4MOE_FORMAT,
                    "[3, 96], expected [3, 192]"},
            {2, tensor("gx", W4MOE_BF16, bias, E, 2 * I, 1, 1), W4MOE_FORMAT,
                    "[3, 192, 1, 1]"},
            {2, tensor("gx", W4MOE_U8, bias, E, 2 * I, 0, 0), W4MOE_UNSUPPORTED,
                    "is U8, not BF16"},
            {3, tensor("db", W4MOE_U8, codes, E, I, H / 32, 16), W4MOE_FORMAT,
                    "[3, 96, 2, 16], expected [3, 64, 3, 16]"},
            {4, tensor("ds", W4MOE_U8, scales, 1, H, I / 32, 0), W4MOE_FORMAT,
                    "[1, 64, 3]"},
            {5, tensor("dx", W4MOE_BF16, bias, E, I, 0, 0), W4MOE_FORMAT,
                    "[3, 96], expected [3, 64]"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct layer layer = good_layer();
        struct w4_tensor *list = wrong[i].at < 3 ? layer.gate_up : layer.down;
        list[wrong[i].at % 3] = wrong[i].tensor;
        refused(resolve_layer(&layer), wrong[i].status, wrong[i].text);
    }
    struct layer layer = good_layer();
    for (size_t i = 0; i < 3; i++) {
        layer.down[i].name = "";
    }
    refused(resolve_layer(&layer), W4MOE_FORMAT, "no tensor has down of all");
    layer = good_layer();
    for (size_t i = 0; i < 3; i++) {
        layer.gate_up[i].name = "";
    }
    refused(resolve_layer(&layer), W4MOE_FORMAT,
            "no tensor has gate and up of all");
}
END_TEST

/* Columns that are no whole blocks; parts that MXFP4 has not. */
START_TEST(all_experts_odd)
{
    const struct layer layer = good_layer();
    struct w4_model_config config = {
            .n_experts = E, .hidden_size = H + 8, .intermediate_size = I};
    struct w4_fused_parts parts = {{{NULL}}, {{NULL}}};
    parts.gate_up.tensors[W4_PART_BLOCKS] = &layer.gate_up[0];
    parts.gate_up.tensors[W4_PART_SCALES] = &layer.gate_up[1];
    parts.down.tensors[W4_PART_BLOCKS] = &layer.down[0];
    parts.down.tensors[W4_PART_SCALES] = &layer.down[1];
    refused(w4_fused_resolve(w4_ctx_err(ctx), weights, &parts, &config),
            W4MOE_FORMAT, "72 columns are not in blocks of 32");
    config.hidden_size = H;
    ok(w4_fused_resolve(w4_ctx_err(ctx), weights, &parts, &config));
    parts.down.tensors[W4_PART_WEIGHT] = &layer.down[2];
    refused(w4_fused_resolve(w4_ctx_err(ctx), weights, &parts, &config),
            W4MOE_UNSUPPORTED, "scheme MXFP4 has no weight");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mxfp4_parts");
    TCase *tc = tcase_create("mxfp4_parts");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, single);
    tcase_add_test(tc, single_refused);
    tcase_add_test(tc, all_experts);
    tcase_add_test(tc, all_experts_refused);
    tcase_add_test(tc, all_experts_odd);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
