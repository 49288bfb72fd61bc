/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What the functions on matrices refuse: every field of a descriptor and of a
 * source wrong in turn, with the value in the text and nothing written; and
 * w4moe_ct_order(), whose input comes straight from a file. */
#include <check.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ct_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { E = 2, N = 32, K = 24, G = 2, GROUP = 16 };

static w4moe_ctx *ctx;
static uint32_t qweight[E * N * K / 8];
static uint16_t scales[E * N * G];
static uint32_t qzeros[E * N / 8 * G];
static uint16_t offsets[E * N * G];
static int32_t perm[E * 2 * K];
static uint16_t bias[E * N];
static uint32_t packed[N * K / 8];
static uint16_t scale[N * G];
static uint32_t zero_point[N / 8 * G];
static int32_t input_order[K];
static int32_t output_order[N];

/* A descriptor with everything but offsets, and a source for it. */
static w4moe_matrix good;
static w4moe_ct_weight good_src;

static void
setup(void)
{
    ck_assert_int_eq(w4moe_ctx_create(&ctx, NULL), W4MOE_OK);
    for (int i = 0; i < E * 2 * K; i++) {
        perm[i] = i % K;
    }
    for (int i = 0; i < K; i++) {
        input_order[i] = i;
    }
    for (int i = 0; i < N; i++) {
        output_order[i] = i;
    }
    good = (w4moe_matrix){.struct_size = sizeof(good),
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
            .qzeros = qzeros,
            .perm = perm,
            .n_perms = 2,
            .bias = bias,
            .bias_dtype = W4MOE_F16};
    good_src = (w4moe_ct_weight){.struct_size = sizeof(good_src),
            .n_out = N / 2,
            .n_in = K,
            .group_size = GROUP,
            .packed = packed,
            .scale = scale,
            .scale_dtype = W4MOE_BF16,
            .zero_point = zero_point,
            .input_order = input_order,
            .output_order = output_order};
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

/* ------------------------------------------------------------- descriptors */

/* A value of one field that is wrong, and what the text must say. The second
 * status is that of functions that also look at pointers; OK: not wrong. */
struct wrong_matrix {
    w4moe_matrix m;
    w4moe_status status;
    const char *text;
};

enum { MAX_WRONG = 64 };

static size_t
add(struct wrong_matrix *list, size_t n, const w4moe_matrix *m,
        w4moe_status status, const char *text)
{
    ck_assert_uint_lt(n, MAX_WRONG);
    list[n] = (struct wrong_matrix){*m, status, text};
    return n + 1;
}

/* Wrong sizes: all functions refuse them. */
static size_t
wrong_sizes(struct wrong_matrix *list)
{
    static const struct {
        size_t n_experts, n_out, n_in, group_size;
        const char *text;
    } cases[] = {
            {0, N, K, GROUP, "0 experts"},
            {(size_t)INT32_MAX + 1, N, K, GROUP, "2147483648 experts"},
            {SIZE_MAX, N, K, GROUP, "experts"},
            {E, 0, K, GROUP, "0 output features"},
            {E, 24, K, GROUP, "24 output features"},
            {E, 33, K, GROUP, "33 output features"},
            {E, (size_t)1 << 31, K, GROUP, "2147483648 output"},
            {E, SIZE_MAX - 15, K, GROUP, "output features"},
            {E, N, 0, GROUP, "0 input features"},
            {E, N, 20, GROUP, "20 input features"},
            {E, N, (size_t)1 << 31, GROUP, "2147483648 input"},
            {E, N, SIZE_MAX - 7, GROUP, "input features"},
            {E, N, K, 0, "group size 0"},
            {E, N, K, 12, "group size 12"},
            {E, N, K, 32, "group size 32"},
            {E, N, K, SIZE_MAX - 7, "group size"},
            {INT32_MAX, (size_t)1 << 30, (size_t)1 << 30, 8, "address space"},
            {1 << 16, (size_t)1 << 24, (size_t)1 << 21, 8, "address space"},
    };
    size_t n = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        w4moe_matrix m = good;
        m.n_experts = cases[i].n_experts;
        m.n_out = cases[i].n_out;
        m.n_in = cases[i].n_in;
        m.group_size = cases[i].group_size;
        n = add(list, n, &m, W4MOE_INVALID, cases[i].text);
    }
    w4moe_matrix m = good; /* 8 will do if it is not gated, 12 will not */
    m.gated = 0;
    m.n_perms = 1;
    m.n_out = 12;
    return add(list, n, &m, W4MOE_INVALID, "12 output features");
}

/* Wrong types: all functions refuse them. */
static size_t
wrong_types(struct wrong_matrix *list)
{
    static const w4moe_dtype not_floats[] = {W4MOE_F64, W4MOE_I8, W4MOE_U8,
            W4MOE_I32, W4MOE_BOOL, W4MOE_F8_E4M3, (w4moe_dtype)99,
            (w4moe_dtype)-1};
    size_t n = 0;
    w4moe_matrix m = good;
    m.order = (w4moe_order)0;
    n = add(list, n, &m, W4MOE_INVALID, "order 0");
    m.order = (w4moe_order)3;
    n = add(list, n, &m, W4MOE_INVALID, "order 3");
    m = good;
    m.code = (w4moe_code)0;
    n = add(list, n, &m, W4MOE_INVALID, "code 0");
    m.code = (w4moe_code)77;
    n = add(list, n, &m, W4MOE_INVALID, "code 77");
    m = good;
    m.scale_dtype = W4MOE_F8_E8M0; /* for E2M1 only */
    n = add(list, n, &m, W4MOE_UNSUPPORTED, "scales of type F8_E8M0");
    m.scale_dtype = W4MOE_DTYPE_NONE;
    n = add(list, n, &m, W4MOE_UNSUPPORTED, "scales of type NONE");
    for (size_t i = 0; i < COUNT(not_floats); i++) {
        m = good;
        m.scale_dtype = not_floats[i];
        n = add(list, n, &m, W4MOE_UNSUPPORTED, "scales of type");
        m = good;
        m.offset_dtype = not_floats[i];
        n = add(list, n, &m, W4MOE_UNSUPPORTED, "offsets of type");
        m = good;
        m.bias_dtype = not_floats[i];
        n = add(list, n, &m, W4MOE_UNSUPPORTED, "bias of type");
    }
    m = good;
    m.n_perms = 3;
    n = add(list, n, &m, W4MOE_INVALID, "3 permutations");
    m.gated = 0;
    m.n_perms = 2;
    n = add(list, n, &m, W4MOE_INVALID, "2 permutations");
    m = good;
    m.reserved = 17;
    n = add(list, n, &m, W4MOE_UNSUPPORTED, "reserved field is 17");
    m = good;
    m.struct_size = sizeof(m) - 1;
    n = add(list, n, &m, W4MOE_INVALID, "struct_size");
    m.struct_size = 0;
    return add(list, n, &m, W4MOE_INVALID, "struct_size is 0");
}

static void
refused_everywhere(const struct wrong_matrix *list, size_t n)
{
    float out[4] = {7.0f, 7.0f, 7.0f, 7.0f};
    for (size_t i = 0; i < n; i++) {
        w4moe_matrix m = list[i].m;
        w4moe_matrix_sizes sizes = {sizeof(sizes), 1, 2, 3, 4, 5, 6};
        const w4moe_matrix_sizes before = sizes;
        refused(w4moe_matrix_measure(ctx, &sizes, &m), list[i].status,
                list[i].text);
        ck_assert_mem_eq(&sizes, &before, sizeof(sizes));
        refused(w4moe_dequantize(ctx, out, &m, 0), list[i].status,
                list[i].text);
        ck_assert(out[0] == 7.0f);
        refused(w4moe_pack_ct(ctx, &m, &good_src, 0, 0), list[i].status,
                list[i].text);
    }
}

START_TEST(sizes)
{
    struct wrong_matrix list[MAX_WRONG];
    refused_everywhere(list, wrong_sizes(list));
}
END_TEST

START_TEST(types)
{
    struct wrong_matrix list[MAX_WRONG];
    refused_everywhere(list, wrong_types(list));
}
END_TEST

START_TEST(measured)
{
    w4moe_matrix_sizes got = {.struct_size = sizeof(got)};
    ck_assert_int_eq(w4moe_matrix_measure(ctx, &got, &good), W4MOE_OK);
    ck_assert_uint_eq(got.struct_size, sizeof(got));
    ck_assert_uint_eq(got.qweight, sizeof(qweight));
    ck_assert_uint_eq(got.scales, sizeof(scales));
    ck_assert_uint_eq(got.qzeros, sizeof(qzeros));
    ck_assert_uint_eq(got.offsets, 0);
    ck_assert_uint_eq(got.perm, sizeof(perm));
    ck_assert_uint_eq(got.bias, sizeof(bias));
    w4moe_matrix m = good;
    m.offset_dtype = W4MOE_F32;
    m.bias_dtype = W4MOE_DTYPE_NONE;
    m.n_perms = 0;
    m.code = W4MOE_CODE_E2M1;
    m.scale_dtype = W4MOE_F8_E8M0;
    m.order = W4MOE_ORDER_RDNA3;
    ck_assert_int_eq(w4moe_matrix_measure(ctx, &got, &m), W4MOE_OK);
    ck_assert_uint_eq(got.scales, E * N * G);
    ck_assert_uint_eq(got.offsets, E * N * G * 4);
    ck_assert(got.perm == 0 && got.bias == 0);
    /* Beyond 32 bits. */
    m.n_experts = 4096;
    m.n_out = 1 << 16;
    m.n_in = 1 << 16;
    ck_assert_int_eq(w4moe_matrix_measure(ctx, &got, &m), W4MOE_OK);
    ck_assert_uint_eq(got.qweight, (uint64_t)1 << 43);
    refused(w4moe_matrix_measure(ctx, NULL, &m), W4MOE_INVALID, "NULL");
    refused(w4moe_matrix_measure(ctx, &got, NULL), W4MOE_INVALID, "NULL");
    got.struct_size--;
    refused(w4moe_matrix_measure(ctx, &got, &m), W4MOE_INVALID, "struct_size");
    ck_assert_int_eq(w4moe_matrix_measure(NULL, &got, NULL), W4MOE_INVALID);
}
END_TEST

/* What is wrong with the arrays of a descriptor of good sizes. */
START_TEST(arrays)
{
    struct wrong_matrix list[MAX_WRONG];
    size_t n = 0;
    w4moe_matrix m = good;
    m.qweight = NULL;
    n = add(list, n, &m, W4MOE_INVALID, "qweight");
    m = good;
    m.scales = NULL;
    n = add(list, n, &m, W4MOE_INVALID, "scales");
    m = good;
    m.offsets = offsets;
    m.offset_dtype = W4MOE_BF16;
    n = add(list, n, &m, W4MOE_INVALID, "both qzeros and offsets");
    m = good;
    m.code = W4MOE_CODE_E2M1;
    n = add(list, n, &m, W4MOE_INVALID, "E2M1");
    m.qzeros = NULL;
    m.offsets = offsets;
    m.offset_dtype = W4MOE_BF16;
    n = add(list, n, &m, W4MOE_INVALID, "E2M1");
    m = good;
    m.qzeros = NULL;
    m.offsets = offsets;
    n = add(list, n, &m, W4MOE_INVALID, "offsets without its dtype");
    m = good;
    m.bias_dtype = W4MOE_DTYPE_NONE;
    n = add(list, n, &m, W4MOE_INVALID, "bias without its dtype");
    m = good;
    m.n_perms = 0;
    n = add(list, n, &m, W4MOE_INVALID, "n_perms is 0");
    m = good;
    m.perm = NULL;
    n = add(list, n, &m, W4MOE_INVALID, "n_perms is 2");
    if (PTRDIFF_MAX == INT32_MAX) { /* which are the codes alone */
        m = good;
        m.n_out = 1 << 16;
        m.n_in = 1 << 15;
        n = add(list, n, &m, W4MOE_INVALID, "beyond the address space");
    }
    float out[N * K];
    for (size_t i = 0; i < n; i++) {
        for (size_t expert = 0; expert < E; expert++) {
            out[0] = 7.0f;
            refused(w4moe_dequantize(ctx, out, &list[i].m, expert),
                    list[i].status, list[i].text);
            ck_assert(out[0] == 7.0f);
        }
    }
    refused(w4moe_dequantize(ctx, NULL, &good, 0), W4MOE_INVALID, "NULL");
    refused(w4moe_dequantize(ctx, out, NULL, 0), W4MOE_INVALID, "NULL");
    refused(w4moe_dequantize(ctx, out, &good, E), W4MOE_INVALID,
            "expert 2 of 2");
    char text[64];
    snprintf(text, sizeof(text), "expert %zu of 2", SIZE_MAX);
    refused(w4moe_dequantize(ctx, out, &good, SIZE_MAX), W4MOE_INVALID, text);
    ck_assert_int_eq(w4moe_dequantize(NULL, out, &good, E), W4MOE_INVALID);
}
END_TEST

START_TEST(permutations)
{
    static const struct {
        size_t at;
        int32_t value;
        const char *text;
    } cases[] = {{0, -1, "value -1 at position 0"},
            {K - 1, K, "value 24 at position 23"},
            {K + 3, 2, "value 2 at position 3"},
            {2, INT32_MAX, "value 2147483647"},
            {1, INT32_MIN, "value -2147483648"}, {5, 4, "value 4"}};
    float out[N * K];
    for (size_t i = 0; i < COUNT(cases); i++) {
        int32_t before = perm[cases[i].at];
        perm[cases[i].at] = cases[i].value;
        out[0] = 7.0f;
        refused(w4moe_dequantize(ctx, out, &good, 0), W4MOE_INVALID,
                cases[i].text);
        ck_assert(out[0] == 7.0f);
        /* The other expert has its own. */
        ck_assert_int_eq(w4moe_dequantize(ctx, out, &good, 1), W4MOE_OK);
        perm[cases[i].at] = before;
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("matrix_refusals");
    TCase *tc = tcase_create("matrix_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, types);
    tcase_add_test(tc, measured);
    tcase_add_test(tc, arrays);
    tcase_add_test(tc, permutations);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
