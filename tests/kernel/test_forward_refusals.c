/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Every argument that w4moe_forward() refuses, with the values in the text and
 * without a byte written. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "layer_fixture.h"

/* The forward call as it stands now ends so, and writes nothing. */
static void
expect(w4moe_status status, const char *text)
{
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &fixture.args), status);
    layer_expect_text(text);
    ck_assert_int_eq(
            memcmp(fixture.out, fixture.out_before, sizeof(fixture.out)), 0);
}

START_TEST(the_call_itself_is_right)
{
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &fixture.args), W4MOE_OK);
    forward_judge(&fixture.problem, fixture.out);
}
END_TEST

START_TEST(missing_pointers)
{
    ck_assert_int_eq(
            w4moe_forward(NULL, fixture.ws, &fixture.args), W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, NULL, &fixture.args), W4MOE_INVALID);
    layer_expect_text("workspace is NULL");
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, NULL), W4MOE_INVALID);
    fixture.args.out = NULL;
    expect(W4MOE_INVALID, "out is NULL");
    fixture.args.out = fixture.out;
    fixture.args.x = NULL;
    expect(W4MOE_INVALID, "x is NULL");
    fixture.args.x = fixture.problem.x_rows;
    fixture.args.ids = NULL;
    expect(W4MOE_INVALID, "only weights is given");
    fixture.args.weights = NULL;
    expect(W4MOE_INVALID, "neither ids and weights nor router_logits");
    fixture.args.ids = fixture.problem.ids;
    expect(W4MOE_INVALID, "only ids is given");
}
END_TEST

START_TEST(ids_and_maps)
{
    static const int32_t wrong[] = {-1, 4, INT32_MAX, INT32_MIN};
    static const char *const texts[] = {"id -1 of token 3, choice 1",
            "id 4 of token 3, choice 1", "id 2147483647 of", "-2147483648 of"};
    for (int i = 0; i < 4; i++) {
        fixture.problem.ids[7] = wrong[i];
        expect(W4MOE_INVALID, texts[i]);
    }
    fixture.problem.ids[7] = 2;
    int32_t map[6] = {0, 1, 4, 3, -1, -1};
    fixture.args.expert_map = map;
    fixture.args.n_experts_global = 6;
    expect(W4MOE_INVALID, "expert_map sends 2 to 4");
    map[2] = -2;
    expect(W4MOE_INVALID, "expert_map sends 2 to -2");
    map[2] = 2;
    fixture.problem.ids[0] = 6;
    expect(W4MOE_INVALID, "id 6 of token 0, choice 0");
    fixture.problem.ids[0] = 5;
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &fixture.args), W4MOE_OK);
    memcpy(fixture.out, fixture.out_before, sizeof(fixture.out));
    fixture.args.expert_map = NULL;
    expect(W4MOE_INVALID, "6 experts globally, the layer's are of 4");
}
END_TEST

START_TEST(sizes_types_and_flags)
{
    w4moe_forward_args right = fixture.args;
    fixture.args.n_tokens = 6;
    expect(W4MOE_INVALID, "6 tokens of 2 experts each");
    fixture.args.n_tokens = SIZE_MAX;
    expect(W4MOE_INVALID, "tokens of 2 experts each");
    fixture.args = right;
    fixture.args.top_k = 3;
    expect(W4MOE_INVALID, "5 tokens of 3 experts each");
    fixture.args.top_k = 0;
    expect(W4MOE_INVALID, "5 tokens of 0 experts each");
    fixture.args = right;
    fixture.args.x_stride = 79;
    expect(W4MOE_INVALID, "x_stride 79");
    fixture.args = right;
    fixture.args.out_stride = 79;
    expect(W4MOE_INVALID, "out_stride 79");
    fixture.args.out_stride = SIZE_MAX / 4;
    expect(W4MOE_INVALID, "out_stride");
    fixture.args = right;
    fixture.args.dtype = W4MOE_F32;
    expect(W4MOE_UNSUPPORTED, "F32");
    fixture.args.dtype = W4MOE_DTYPE_NONE;
    expect(W4MOE_UNSUPPORTED, "NONE");
    fixture.args = right;
    fixture.args.flags = 32;
    expect(W4MOE_UNSUPPORTED, "flags 0x20");
    fixture.args.flags = 0x80000001u;
    expect(W4MOE_UNSUPPORTED, "flags 0x80000000");
    fixture.args = right;
    fixture.args.stream = fixture.out;
    expect(W4MOE_INVALID, "stream");
}
END_TEST

START_TEST(no_tokens)
{
    fixture.args.n_tokens = 0;
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &fixture.args), W4MOE_OK);
    fixture.args.out = NULL;
    fixture.args.x = NULL;
    fixture.args.ids = NULL;
    fixture.args.weights = NULL;
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &fixture.args), W4MOE_OK);
    ck_assert_int_eq(
            memcmp(fixture.out, fixture.out_before, sizeof(fixture.out)), 0);
}
END_TEST

START_TEST(workspaces_of_another_context)
{
    w4moe_ctx *other = context_make(NULL, 2, 0);
    w4moe_layer *other_layer = NULL;
    w4moe_workspace *other_ws = NULL;
    ck_assert_int_eq(w4moe_layer_create(other, &other_layer, &fixture.desc, 0),
            W4MOE_OK);
    ck_assert_int_eq(
            w4moe_workspace_create(other_layer, &other_ws, 5, 2), W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(fixture.layer, other_ws, &fixture.args),
            W4MOE_INVALID);
    layer_expect_text("another context");
    ck_assert_int_eq(
            memcmp(fixture.out, fixture.out_before, sizeof(fixture.out)), 0);
    w4moe_workspace_destroy(other_ws);
    w4moe_layer_destroy(other_layer);
    w4moe_ctx_destroy(other);
}
END_TEST

START_TEST(logits)
{
    float values[5 * 4] = {0};
    fixture.args.ids = NULL;
    fixture.args.weights = NULL;
    fixture.args.router_logits = values;
    fixture.args.logits_dtype = W4MOE_I32;
    expect(W4MOE_UNSUPPORTED, "I32");
    fixture.args.logits_dtype = W4MOE_F32;
    values[9] = NAN;
    expect(W4MOE_INVALID, "token 2");
    values[9] = INFINITY;
    expect(W4MOE_INVALID, "token 2");
    for (int i = 12; i < 16; i++) {
        values[9] = 0;
        values[i] = -INFINITY;
    }
    expect(W4MOE_INVALID, "token 3");
    values[12] = 0;
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &fixture.args), W4MOE_OK);
}
END_TEST

/* A layer whose router is not known. */
START_TEST(logits_without_a_router)
{
    float values[5 * 4] = {0};
    w4moe_layer *none = fixture.layer;
    fixture.args.ids = NULL;
    fixture.args.weights = NULL;
    fixture.args.router_logits = values;
    fixture.args.logits_dtype = W4MOE_F32;
    fixture.desc.router.struct_size = sizeof(fixture.desc.router);
    fixture.desc.router.kind = W4MOE_ROUTER_NONE;
    ck_assert_int_eq(
            w4moe_layer_create(fixture.ctx, &none, &fixture.desc, 0), W4MOE_OK);
    ck_assert_int_eq(
            w4moe_forward(none, fixture.ws, &fixture.args), W4MOE_UNSUPPORTED);
    layer_expect_text("router");
    w4moe_layer_destroy(none);
    ck_assert_int_eq(
            memcmp(fixture.out, fixture.out_before, sizeof(fixture.out)), 0);
}
END_TEST

/* "Clear the rest first": a description without a word about a router. */
START_TEST(a_cleared_router_is_no_router)
{
    float values[5 * 4] = {0};
    w4moe_layer *none = NULL;
    fixture.args.ids = NULL;
    fixture.args.weights = NULL;
    fixture.args.router_logits = values;
    fixture.args.logits_dtype = W4MOE_F32;
    ck_assert_int_eq(
            w4moe_layer_create(fixture.ctx, &none, &fixture.desc, 0), W4MOE_OK);
    ck_assert_int_eq(
            w4moe_forward(none, fixture.ws, &fixture.args), W4MOE_UNSUPPORTED);
    layer_expect_text("router");
    w4moe_layer_destroy(none);
}
END_TEST

START_TEST(struct_sizes)
{
    struct {
        w4moe_forward_args args;
        unsigned char tail[24];
    } newer = {.args = fixture.args};
    newer.args.struct_size = sizeof(newer);
    newer.tail[23] = 1;
    ck_assert_int_eq(w4moe_forward(fixture.layer, fixture.ws, &newer.args),
            W4MOE_UNSUPPORTED);
    ck_assert_int_eq(
            memcmp(fixture.out, fixture.out_before, sizeof(fixture.out)), 0);
    newer.tail[23] = 0;
    ck_assert_int_eq(
            w4moe_forward(fixture.layer, fixture.ws, &newer.args), W4MOE_OK);
    memcpy(fixture.out, fixture.out_before, sizeof(fixture.out));
    fixture.args.struct_size = 0;
    expect(W4MOE_INVALID, "struct_size is 0");
    fixture.args.struct_size = 40;
    expect(W4MOE_INVALID, "struct_size is 40");
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("forward_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, layer_setup, layer_teardown);
    tcase_add_test(tc, the_call_itself_is_right);
    tcase_add_test(tc, missing_pointers);
    tcase_add_test(tc, ids_and_maps);
    tcase_add_test(tc, sizes_types_and_flags);
    tcase_add_test(tc, no_tokens);
    tcase_add_test(tc, workspaces_of_another_context);
    tcase_add_test(tc, logits);
    tcase_add_test(tc, logits_without_a_router);
    tcase_add_test(tc, a_cleared_router_is_no_router);
    tcase_add_test(tc, struct_sizes);
    Suite *suite = suite_create("forward_refusals");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
