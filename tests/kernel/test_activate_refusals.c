/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Every argument that w4moe_activate() refuses, with the values in the text
 * and without a byte written; and the names of the kinds. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <w4moe.h>

static w4moe_ctx *ctx;
/* 2 rows of gate and up, and of 8 results. */
static uint16_t in[2 * 16];
static uint16_t out[2 * 8];

static void
setup(void)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .backend = "cpu", .n_threads = 2};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_OK);
    memset(out, 0xA5, sizeof(out));
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

/* A right call, refused for its activation. */
static void
expect(w4moe_activation act, w4moe_status status, const char *text)
{
    ck_assert_int_eq(
            w4moe_activate(ctx, out, 0, in, 0, W4MOE_BF16, 2, 8, &act), status);
    const char *got = w4moe_ctx_error(ctx);
    ck_assert_msg(strstr(got, text) != NULL, "\"%s\" has no \"%s\"", got, text);
    ck_assert_uint_eq(out[0], 0xA5A5);
}

START_TEST(wrong_parameters)
{
    w4moe_activation silu = {
            .struct_size = sizeof(silu), .kind = W4MOE_ACT_SILU};
    w4moe_activation act = silu;
    act.struct_size = 0;
    expect(act, W4MOE_INVALID, "struct_size is 0");
    act = silu;
    act.kind = (w4moe_activation_kind)0;
    expect(act, W4MOE_UNSUPPORTED, "kind 0");
    act.kind = (w4moe_activation_kind)8;
    expect(act, W4MOE_UNSUPPORTED, "kind 8");
    act.kind = (w4moe_activation_kind)36;
    expect(act, W4MOE_UNSUPPORTED, "kind 36");
    act = silu;
    act.limit = -1;
    expect(act, W4MOE_INVALID, "limit -1");
    act.limit = NAN;
    expect(act, W4MOE_INVALID, "limit nan");
    act.limit = INFINITY;
    expect(act, W4MOE_INVALID, "limit inf");
    act = silu;
    act.alpha = NAN;
    expect(act, W4MOE_INVALID, "alpha nan");
    act = silu;
    act.kind = W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE;
    expect(act, W4MOE_INVALID, "swigluoai_uninterleave needs a limit");
    act.kind = W4MOE_ACT_SITU;
    expect(act, W4MOE_INVALID, "situ needs beta");
    act.beta = -INFINITY;
    expect(act, W4MOE_INVALID, "beta -inf");
    act.beta = 1;
    act.linear_beta = -0.5f;
    expect(act, W4MOE_INVALID, "linear_beta -0.5");
}
END_TEST

START_TEST(the_reserved_field_must_be_0)
{
    w4moe_activation act = {
            .struct_size = sizeof(act), .kind = W4MOE_ACT_SILU, .reserved = 1};
    ck_assert_int_ne(w4moe_activate(ctx, out, 0, in, 0, W4MOE_BF16, 2, 8, &act),
            W4MOE_OK);
    ck_assert_uint_eq(out[0], 0xA5A5);
}
END_TEST

START_TEST(wrong_arguments)
{
    w4moe_activation act = {.struct_size = sizeof(act), .kind = W4MOE_ACT_SILU};
    const w4moe_dtype type = W4MOE_BF16;
    ck_assert_int_eq(w4moe_activate(NULL, out, 0, in, 0, type, 2, 8, &act),
            W4MOE_INVALID);
    ck_assert_int_eq(w4moe_activate(ctx, NULL, 0, in, 0, type, 2, 8, &act),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "out NULL"));
    ck_assert_int_eq(w4moe_activate(ctx, out, 0, NULL, 0, type, 2, 8, &act),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "in NULL"));
    ck_assert_int_eq(w4moe_activate(ctx, out, 0, in, 0, type, 2, 8, NULL),
            W4MOE_INVALID);
    ck_assert_int_eq(w4moe_activate(ctx, out, 7, in, 0, type, 2, 8, &act),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "stride 7"));
    ck_assert_int_eq(w4moe_activate(ctx, out, 0, in, 15, type, 2, 8, &act),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "stride 15"));
    ck_assert_int_eq(
            w4moe_activate(ctx, out, SIZE_MAX / 2, in, 0, type, 2, 8, &act),
            W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_activate(ctx, out, 0, in, 0, type, 2, SIZE_MAX / 2 + 2, &act),
            W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_activate(ctx, out, 0, in, 0, type, SIZE_MAX, 8, &act),
            W4MOE_INVALID);
    ck_assert_int_eq(w4moe_activate(ctx, out, 0, in, 0, W4MOE_F64, 2, 8, &act),
            W4MOE_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(ctx), "F64"));
    ck_assert_uint_eq(out[0], 0xA5A5);
}
END_TEST

START_TEST(names)
{
    for (int i = 0; i < 64; i++) {
        w4moe_activation_kind kind = (w4moe_activation_kind)i;
        int known = (i >= 1 && i <= 7) || (i >= 32 && i <= 35);
        ck_assert_int_eq(w4moe_activation_name(kind) != NULL, known);
        if (known) {
            ck_assert_int_eq(w4moe_activation_gated(kind), i < 32);
        }
    }
    ck_assert_str_eq(w4moe_activation_name(W4MOE_ACT_SWIGLUOAI), "swigluoai");
    ck_assert_str_eq(
            w4moe_activation_name(W4MOE_ACT_RELU2_NO_MUL), "relu2_no_mul");
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("activate_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, wrong_parameters);
    tcase_add_test(tc, the_reserved_field_must_be_0);
    tcase_add_test(tc, wrong_arguments);
    tcase_add_test(tc, names);
    Suite *suite = suite_create("activate_refusals");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
