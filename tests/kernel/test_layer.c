/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Layers and workspaces: making them from matrices, facts about them, memory
 * limits, and everything that w4moe_layer_create() and
 * w4moe_workspace_create() refuse. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "layer_fixture.h"

/* The description as it stands now makes no layer. */
static void
expect_no_layer(w4moe_status status, const char *text)
{
    w4moe_layer *none = NULL;
    ck_assert_int_eq(
            w4moe_layer_create(fixture.ctx, &none, &fixture.desc, 0), status);
    layer_expect_text(text);
    ck_assert_int_eq(w4moe_layer_create(fixture.ctx, &none, &fixture.desc,
                             W4MOE_LAYER_COPY),
            status);
    ck_assert_ptr_null(none);
}

/* ----------------------------------------------------------------- layers */

/* Bytes of the arrays of one expert. */
static uint64_t
expert_bytes(void)
{
    w4moe_matrix_sizes sizes = {.struct_size = sizeof(sizes)};
    uint64_t bytes = 0;
    const w4moe_matrix *matrices[2] = {&fixture.w13, &fixture.w2};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(w4moe_matrix_measure(fixture.ctx, &sizes, matrices[i]),
                W4MOE_OK);
        bytes += sizes.qweight + sizes.scales + sizes.offsets + sizes.perm +
                 sizes.bias;
    }
    return bytes / 4;
}

START_TEST(facts)
{
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(fixture.layer, &info), W4MOE_OK);
    ck_assert_uint_eq(info.struct_size, sizeof(info));
    ck_assert_uint_eq(info.n_experts, 4);
    ck_assert_uint_eq(info.hidden_size, 80);
    ck_assert_uint_eq(info.intermediate_size, 72);
    ck_assert_int_eq(info.activation.kind, W4MOE_ACT_SILU);
    ck_assert_int_eq(info.router.kind, W4MOE_ROUTER_SOFTMAX_TOPK);
    ck_assert_int_eq(info.router.renormalize, 1);
    ck_assert(info.router.scale == 1.5f);
    ck_assert_uint_eq(info.bytes_per_expert, expert_bytes());
    ck_assert_uint_eq(info.bytes_owned, 0);
    ck_assert_str_eq(info.backend, "cpu");
    ck_assert_uint_eq(info.device, 0);
    ck_assert_ptr_eq(info.ctx, fixture.ctx);
    struct {
        w4moe_layer_info info;
        unsigned char tail[16];
    } newer = {.info = {.struct_size = sizeof(newer)}, .tail = {1, 2, 3}};
    ck_assert_int_eq(
            w4moe_layer_get_info(fixture.layer, &newer.info), W4MOE_OK);
    ck_assert_uint_eq(newer.info.n_experts, 4);
    ck_assert_uint_eq(newer.info.struct_size, sizeof(newer));
    ck_assert_int_eq(newer.tail[0] | newer.tail[2], 0);
    info.struct_size = 8;
    ck_assert_int_eq(w4moe_layer_get_info(fixture.layer, &info), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_layer_get_info(fixture.layer, NULL), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_layer_get_info(NULL, &info), W4MOE_INVALID);
}
END_TEST

/* Failures of code above the library are told like the library's own. */
START_TEST(failures_of_others)
{
    ck_assert_int_eq(w4moe_ctx_fail(fixture.ctx, W4MOE_DEVICE, "no\n%s light"),
            W4MOE_DEVICE);
    ck_assert_str_eq(w4moe_ctx_error(fixture.ctx), "no?%s light");
    ck_assert_int_eq(
            w4moe_ctx_fail(fixture.ctx, W4MOE_OK, "not this"), W4MOE_OK);
    ck_assert_int_eq(w4moe_ctx_fail(NULL, W4MOE_IO, "nor this"), W4MOE_IO);
    ck_assert_str_eq(w4moe_ctx_error(fixture.ctx), "no?%s light");
    ck_assert_int_eq(w4moe_ctx_fail(fixture.ctx, W4MOE_IO, NULL), W4MOE_IO);
    ck_assert_str_eq(w4moe_ctx_error(fixture.ctx), "no text");
}
END_TEST

START_TEST(shapes_that_do_not_fit)
{
    w4moe_matrix right13 = fixture.w13;
    w4moe_matrix right2 = fixture.w2;
    fixture.w13.n_experts = 3;
    expect_no_layer(W4MOE_INVALID, "w13 is 3 experts of 144 x 80, w2 4 of");
    fixture.w13 = right13;
    fixture.w2.n_out = 72;
    expect_no_layer(W4MOE_INVALID, "72 x 72");
    fixture.w2 = right2;
    fixture.w13.n_out = 128;
    expect_no_layer(W4MOE_INVALID, "128 x 80");
    fixture.w13 = right13;
    fixture.w13.gated = 0;
    expect_no_layer(W4MOE_INVALID, "w13.gated is 0");
    fixture.w13 = right13;
    fixture.desc.activation.kind = W4MOE_ACT_SILU_NO_MUL;
    expect_no_layer(W4MOE_INVALID, "silu_no_mul is not gated");
    fixture.desc.activation.kind = W4MOE_ACT_SILU;
    fixture.w2.n_out = 40;
    expect_no_layer(W4MOE_INVALID, "40 x 72");
    fixture.w2.n_in = 70;
    expect_no_layer(W4MOE_INVALID, "w2: 70 input features");
    fixture.w2 = right2;
    fixture.w13.group_size = 88;
    expect_no_layer(W4MOE_INVALID, "w13: group size 88");
    fixture.w13 = right13;
    fixture.w13.perm[5] = 80;
    expect_no_layer(W4MOE_INVALID, "value 80 at position 5");
}
END_TEST

START_TEST(layer_arguments)
{
    w4moe_layer *none = NULL;
    ck_assert_int_eq(
            w4moe_layer_create(NULL, &none, &fixture.desc, 0), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_layer_create(fixture.ctx, NULL, &fixture.desc, 0),
            W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_layer_create(fixture.ctx, &none, NULL, 0), W4MOE_INVALID);
    ck_assert_ptr_null(none);
    w4moe_layer_desc right = fixture.desc;
    fixture.desc.struct_size = 0;
    expect_no_layer(W4MOE_INVALID, "struct_size is 0");
    fixture.desc = right;
    fixture.desc.w13 = NULL;
    expect_no_layer(W4MOE_INVALID, "w13 is NULL");
    fixture.desc = right;
    fixture.desc.w2 = NULL;
    expect_no_layer(W4MOE_INVALID, "w2 is NULL");
    fixture.desc = right;
    fixture.desc.activation.kind = (w4moe_activation_kind)9;
    expect_no_layer(W4MOE_UNSUPPORTED, "kind 9");
    fixture.desc = right;
    fixture.desc.activation.struct_size = 0;
    expect_no_layer(W4MOE_INVALID, "struct_size is 0");
}
END_TEST

/* ------------------------------------------------------------- workspaces */

START_TEST(workspace_sizes)
{
    uint64_t small = 0;
    uint64_t large = 0;
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &small, 5, 2), W4MOE_OK);
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &large, 50, 2), W4MOE_OK);
    ck_assert_uint_gt(small, 0);
    ck_assert_uint_gt(large, small);
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &large, 5, 0), W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &large, 0, 2), W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &large, SIZE_MAX / 2, 4),
            W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &large, (size_t)1 << 31, 1),
            W4MOE_INVALID);
    layer_expect_text("2147483648 tokens");
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, NULL, 5, 2), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_workspace_size(NULL, &large, 5, 2), W4MOE_INVALID);
    w4moe_workspace *none = NULL;
    ck_assert_int_eq(
            w4moe_workspace_create(fixture.layer, &none, 0, 2), W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_workspace_create(fixture.layer, NULL, 5, 2), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_workspace_create(NULL, &none, 5, 2), W4MOE_INVALID);
    ck_assert_ptr_null(none);
    w4moe_workspace_destroy(NULL);
}
END_TEST

/* One workspace for layers whose sizes are not larger, in either order. */
START_TEST(a_workspace_fits_smaller_layers)
{
    struct forward_case what = fixture.problem.what;
    what.n_experts = 2;
    what.hidden = 48;
    what.inter = 24;
    what.w13_group = 16;
    what.w2_group = 8;
    what.n_tokens = 3;
    struct forward_problem small;
    forward_make(&small, &what);
    w4moe_matrix small13;
    w4moe_matrix small2;
    w4moe_layer *small_layer = forward_layer(
            fixture.ctx, &small, &small13, &small2, W4MOE_ORDER_TILE, 0);
    void *result = forward_run(fixture.ctx, small_layer, fixture.ws, &small);
    forward_judge(&small, result);
    free(result);
    w4moe_workspace *small_ws = NULL;
    ck_assert_int_eq(
            w4moe_workspace_create(small_layer, &small_ws, 5, 2), W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(fixture.layer, small_ws, &fixture.args),
            W4MOE_INVALID);
    layer_expect_text("hidden size 48");
    ck_assert_int_eq(
            memcmp(fixture.out, fixture.out_before, sizeof(fixture.out)), 0);
    w4moe_workspace_destroy(small_ws);
    w4moe_layer_destroy(small_layer);
    oracle_pack_free(&small13);
    oracle_pack_free(&small2);
    forward_free(&small);
}
END_TEST

/* Layers that own copies and workspaces count; what is released is free. */
START_TEST(memory_limits)
{
    uint64_t ws_bytes = 0;
    ck_assert_int_eq(
            w4moe_workspace_size(fixture.layer, &ws_bytes, 5, 2), W4MOE_OK);
    w4moe_ctx *limited = context_make(NULL, 2, ws_bytes);
    w4moe_layer *borrower = NULL;
    w4moe_layer *copy = NULL;
    w4moe_workspace *first = NULL;
    w4moe_workspace *second = NULL;
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)ws_bytes);
    ck_assert_int_eq(
            w4moe_layer_create(limited, &borrower, &fixture.desc, 0), W4MOE_OK);
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(
                w4moe_workspace_create(borrower, &first, 5, 2), W4MOE_OK);
        ck_assert_int_eq(
                w4moe_workspace_create(borrower, &second, 1, 1), W4MOE_NOMEM);
        ck_assert_ptr_null(second);
        ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(limited), text));
        ck_assert_int_eq(w4moe_layer_create(limited, &copy, &fixture.desc,
                                 W4MOE_LAYER_COPY),
                W4MOE_NOMEM);
        ck_assert_ptr_null(copy);
        ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(limited), text));
        fixture.args.out = fixture.out;
        ck_assert_int_eq(
                w4moe_forward(borrower, first, &fixture.args), W4MOE_OK);
        w4moe_workspace_destroy(first);
    }
    ck_assert_int_eq(
            w4moe_workspace_create(borrower, &first, 6, 2), W4MOE_NOMEM);
    w4moe_layer_destroy(borrower);
    w4moe_ctx_destroy(limited);
    limited = context_make(NULL, 2, ws_bytes - 1);
    ck_assert_int_eq(
            w4moe_layer_create(limited, &borrower, &fixture.desc, 0), W4MOE_OK);
    ck_assert_int_eq(
            w4moe_workspace_create(borrower, &first, 5, 2), W4MOE_NOMEM);
    w4moe_layer_destroy(borrower);
    w4moe_ctx_destroy(limited);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("layer");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, layer_setup, layer_teardown);
    tcase_add_test(tc, facts);
    tcase_add_test(tc, failures_of_others);
    tcase_add_test(tc, shapes_that_do_not_fit);
    tcase_add_test(tc, layer_arguments);
    tcase_add_test(tc, workspace_sizes);
    tcase_add_test(tc, a_workspace_fits_smaller_layers);
    tcase_add_test(tc, memory_limits);
    Suite *suite = suite_create("layer");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
