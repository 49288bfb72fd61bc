/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_gemm() on ill-natured numbers: codes, zeros, scales and rows at the
 * ends of their ranges and beyond. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gemm_case.h"

static w4moe_ctx *ctx;

static const w4moe_dtype halves[2] = {W4MOE_BF16, W4MOE_F16};
static const w4moe_dtype floats[3] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};

static void
setup(void)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .backend = "cpu", .n_threads = 2};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

static struct gemm_case
usual(uint64_t seed)
{
    struct gemm_case what = {
            .spec = {.seed = seed,
                    .n_experts = 4,
                    .n_out = 144,
                    .n_in = 40,
                    .group_size = 16,
                    .code = W4MOE_CODE_INT4,
                    .scale_dtype = W4MOE_BF16},
            .dtype = W4MOE_BF16,
            .n_rows = 5,
            .top_k = 2,
            .block_size = 4,
    };
    return what;
}

/* Makes all codes, zeros and scales the same, and a as large as said. */
static void
check_extreme(w4moe_dtype dtype, w4moe_dtype scale_dtype, uint8_t code,
        uint8_t zero, double scale, double size)
{
    struct gemm_case what = usual(0x900 + code * 16u + zero);
    what.dtype = dtype;
    what.spec.scale_dtype = scale_dtype;
    what.spec.zeros = 1;
    struct gemm_problem p;
    gemm_make(&p, &what);
    size_t rows = what.spec.n_experts * what.spec.n_out;
    memset(p.matrix.codes, code, rows * what.spec.n_in);
    memset(p.matrix.zeros, zero, rows * p.matrix.n_groups);
    for (size_t i = 0; i < rows * p.matrix.n_groups; i++) {
        p.matrix.scales[i] = oracle_round(scale_dtype, scale);
    }
    oracle_finish(&p.matrix);
    for (size_t i = 0; i < what.n_rows * what.spec.n_in; i++) {
        p.a[i] = oracle_round(dtype, p.a[i] * size);
    }
    gemm_store_rows(&p);
    w4moe_matrix b;
    oracle_pack(&b, &p.matrix, W4MOE_ORDER_TILE);
    void *c = gemm_run(ctx, &p, &b);
    gemm_judge(&p, c);
    free(c);
    oracle_pack_free(&b);
    gemm_free(&p);
}

START_TEST(equal_codes_and_zeros_at_the_ends)
{
    static const uint8_t codes[] = {0, 7, 8, 15};
    static const uint8_t zeros[] = {0, 1, 8, 15};
    for (int i = 0; i < 16; i++) {
        check_extreme(
                W4MOE_BF16, W4MOE_BF16, codes[i / 4], zeros[i % 4], 0.01, 1);
        check_extreme(
                W4MOE_F16, W4MOE_F16, codes[i / 4], zeros[i % 4], 0.01, 1);
    }
}
END_TEST

START_TEST(large_small_and_no_scales)
{
    for (int i = 0; i < 3; i++) {
        /* No scale: zeros, also where a is large. */
        check_extreme(W4MOE_BF16, floats[i], 0, 8, 0.0, 1e30);
        check_extreme(W4MOE_F16, floats[i], 0, 8, 0.0, 60000);
        /* Weights of -8 and large rows. */
        check_extreme(W4MOE_BF16, floats[i], 0, 8, 0.5, 1e30);
        check_extreme(W4MOE_F16, floats[i], 0, 8, 0x1p-9, 60000);
        /* Subnormal results. */
        check_extreme(W4MOE_F16, floats[i], 3, 8, 0x1p-13, 0x1p-8);
    }
    /* Subnormal scales. */
    check_extreme(W4MOE_BF16, W4MOE_BF16, 15, 8, 0x1.8p-131, 0x1p100);
    check_extreme(W4MOE_BF16, W4MOE_F32, 15, 8, 0x1.2345p-130, 0x1p120);
    check_extreme(W4MOE_F16, W4MOE_F16, 15, 8, 0x1.4p-20, 0x1p15);
    check_extreme(W4MOE_BF16, W4MOE_F16, 0, 8, 0x1p-24, 0x1p60);
    /* Results beyond fp16 are infinite. */
    check_extreme(W4MOE_F16, W4MOE_BF16, 0, 0, 1.0, 1.0);
    check_extreme(W4MOE_F16, W4MOE_BF16, 0, 8, 1e20, 1000);
}
END_TEST

/* A row that is not finite spoils its own results only. */
static void
check_poison(double poison, w4moe_dtype dtype)
{
    struct gemm_case what = usual(0xA00);
    what.dtype = dtype;
    what.spec.n_experts = 2;
    what.n_rows = 9;
    what.block_size = 16;
    struct gemm_problem p;
    w4moe_matrix b;
    gemm_make(&p, &what);
    oracle_pack(&b, &p.matrix, W4MOE_ORDER_TILE);
    uint16_t *before = gemm_run(ctx, &p, &b);
    p.a[4 * what.spec.n_in + 17] = poison;
    gemm_store_rows(&p);
    uint16_t *after = gemm_run(ctx, &p, &b);
    for (size_t i = 0; i < p.c_rows * what.spec.n_out; i++) {
        size_t row = i / what.spec.n_out / what.top_k;
        double v = oracle_load(after, dtype, i);
        if (row != 4 && before[i] != after[i]) {
            ck_abort_msg("row %zu changed", row);
        }
        if (row == 4 && (isnan(poison) ? !isnan(v) : isfinite(v))) {
            ck_abort_msg("row 4 has %g after %g", v, poison);
        }
    }
    free(before);
    free(after);
    oracle_pack_free(&b);
    gemm_free(&p);
}

START_TEST(a_row_that_is_not_finite_stays_alone)
{
    for (int i = 0; i < 2; i++) {
        check_poison((double)NAN, halves[i]);
        check_poison((double)INFINITY, halves[i]);
        check_poison(-(double)INFINITY, halves[i]);
    }
}
END_TEST

/* 2^24 + 1 is not a number of fp32: (2^24 + 1) - 2^24 is 0 in the order of the
 * blocks, and 1 in the opposite one. */
START_TEST(slots_are_added_in_the_order_of_their_blocks)
{
    static const float weights[3] = {0x1p24f, 1, -0x1p24f};
    struct gemm_case what = usual(0xA80);
    what.top_k = 3;
    what.output_topk = 3;
    what.weighted = 1;
    struct gemm_problem p;
    gemm_make(&p, &what);
    size_t rows = what.spec.n_experts * what.spec.n_out;
    memset(p.matrix.codes, 8, rows * what.spec.n_in);
    for (size_t i = 0; i < rows; i++) {
        p.matrix.codes[i * what.spec.n_in] = 9;
        p.matrix.scales[i * p.matrix.n_groups] = 1;
    }
    for (size_t i = 0; i < what.n_rows * what.spec.n_in; i++) {
        p.a[i] = 1;
    }
    gemm_store_rows(&p);
    size_t n = 0;
    for (size_t r = 0; r < (size_t)p.n_padded; r++) {
        if (p.sorted_slots[r] < 3) {
            p.weights[p.sorted_slots[r]] = weights[n++];
        }
    }
    ck_assert_uint_eq(n, 3);
    w4moe_matrix b;
    oracle_pack(&b, &p.matrix, W4MOE_ORDER_TILE);
    uint16_t *c = gemm_run(ctx, &p, &b);
    for (n = 0; n < what.spec.n_out; n++) {
        ck_assert_uint_eq(c[n], 0);
    }
    free(c);
    oracle_pack_free(&b);
    gemm_free(&p);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("gemm_numbers");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, equal_codes_and_zeros_at_the_ends);
    tcase_add_test(tc, large_small_and_no_scales);
    tcase_add_test(tc, slots_are_added_in_the_order_of_their_blocks);
    tcase_add_test(tc, a_row_that_is_not_finite_stays_alone);
    Suite *suite = suite_create("gemm_numbers");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
