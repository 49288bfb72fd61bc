/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Every argument that w4moe_forward() refuses, with the values in the text and
 * without a byte written. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "forward_case.h"

/* A layer of 4 experts, H 80, I 72, and a call of 5 tokens of 2 experts. */
static w4moe_ctx *ctx;
static struct forward_problem problem;
static w4moe_matrix w13;
static w4moe_matrix w2;
static w4moe_layer *layer;
static w4moe_workspace *ws;
static w4moe_layer_desc desc;
static w4moe_forward_args args;
static uint16_t out[5 * 80];
static uint16_t out_before[5 * 80];

static w4moe_ctx *
make_ctx(uint64_t memory_limit)
{
    w4moe_ctx *made = NULL;
    w4moe_ctx_options options = {.struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = 2,
            .memory_limit = memory_limit};
    ck_assert_int_eq(w4moe_ctx_create(&made, &options), W4MOE_OK);
    return made;
}

static void
setup(void)
{
    ctx = make_ctx(0);
    struct forward_case what = {
            .seed = 0x2000,
            .n_experts = 4,
            .hidden = 80,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .form = 4,
            .dtype = W4MOE_BF16,
            .n_tokens = 5,
            .top_k = 2,
    };
    forward_make(&problem, &what);
    layer = forward_layer(ctx, &problem, &w13, &w2, W4MOE_ORDER_TILE, 0);
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 5, 2), W4MOE_OK);
    memset(out, 0xA5, sizeof(out));
    memcpy(out_before, out, sizeof(out));
    args = problem.args;
    args.out = out;
    desc = (w4moe_layer_desc){
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = problem.activation,
    };
}

static void
teardown(void)
{
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&problem);
    w4moe_ctx_destroy(ctx);
}

static void
expect_text(const char *text)
{
    const char *got = w4moe_ctx_error(ctx);
    ck_assert_msg(strstr(got, text) != NULL, "\"%s\" has no \"%s\"", got, text);
}

/* The forward call as it stands now ends so, and writes nothing. */
static void
expect(w4moe_status status, const char *text)
{
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), status);
    expect_text(text);
    ck_assert_int_eq(memcmp(out, out_before, sizeof(out)), 0);
}

START_TEST(the_call_itself_is_right)
{
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    forward_judge(&problem, out);
}
END_TEST

START_TEST(missing_pointers)
{
    ck_assert_int_eq(w4moe_forward(NULL, ws, &args), W4MOE_INVALID);
    ck_assert_int_eq(w4moe_forward(layer, NULL, &args), W4MOE_INVALID);
    expect_text("workspace is NULL");
    ck_assert_int_eq(w4moe_forward(layer, ws, NULL), W4MOE_INVALID);
    args.out = NULL;
    expect(W4MOE_INVALID, "out is NULL");
    args.out = out;
    args.x = NULL;
    expect(W4MOE_INVALID, "x is NULL");
    args.x = problem.x_rows;
    args.ids = NULL;
    expect(W4MOE_INVALID, "only weights is given");
    args.weights = NULL;
    expect(W4MOE_INVALID, "neither ids and weights nor router_logits");
    args.ids = problem.ids;
    expect(W4MOE_INVALID, "only ids is given");
}
END_TEST

START_TEST(ids_and_maps)
{
    static const int32_t wrong[] = {-1, 4, INT32_MAX, INT32_MIN};
    static const char *const texts[] = {"id -1 of token 3, choice 1",
            "id 4 of token 3, choice 1", "id 2147483647 of", "-2147483648 of"};
    for (int i = 0; i < 4; i++) {
        problem.ids[7] = wrong[i];
        expect(W4MOE_INVALID, texts[i]);
    }
    problem.ids[7] = 2;
    int32_t map[6] = {0, 1, 4, 3, -1, -1};
    args.expert_map = map;
    args.n_experts_global = 6;
    expect(W4MOE_INVALID, "expert_map sends 2 to 4");
    map[2] = -2;
    expect(W4MOE_INVALID, "expert_map sends 2 to -2");
    map[2] = 2;
    problem.ids[0] = 6;
    expect(W4MOE_INVALID, "id 6 of token 0, choice 0");
    problem.ids[0] = 5;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    memcpy(out, out_before, sizeof(out));
    args.expert_map = NULL;
    expect(W4MOE_INVALID, "6 experts globally, 4 in the layer");
}
END_TEST

START_TEST(sizes_types_and_flags)
{
    w4moe_forward_args right = args;
    args.n_tokens = 6;
    expect(W4MOE_INVALID, "6 tokens of 2 experts each");
    args.n_tokens = SIZE_MAX;
    expect(W4MOE_INVALID, "tokens of 2 experts each");
    args = right;
    args.top_k = 3;
    expect(W4MOE_INVALID, "5 tokens of 3 experts each");
    args.top_k = 0;
    expect(W4MOE_INVALID, "5 tokens of 0 experts each");
    args = right;
    args.x_stride = 79;
    expect(W4MOE_INVALID, "x_stride 79");
    args = right;
    args.out_stride = 79;
    expect(W4MOE_INVALID, "out_stride 79");
    args.out_stride = SIZE_MAX / 4;
    expect(W4MOE_INVALID, "out_stride");
    args = right;
    args.dtype = W4MOE_F32;
    expect(W4MOE_UNSUPPORTED, "F32");
    args.dtype = W4MOE_DTYPE_NONE;
    expect(W4MOE_UNSUPPORTED, "NONE");
    args = right;
    args.flags = 16;
    expect(W4MOE_UNSUPPORTED, "flags 0x10");
    args.flags = 0x80000001u;
    expect(W4MOE_UNSUPPORTED, "flags 0x80000000");
    args = right;
    args.stream = out;
    expect(W4MOE_INVALID, "stream");
}
END_TEST

START_TEST(no_tokens)
{
    args.n_tokens = 0;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    args.out = NULL;
    args.x = NULL;
    args.ids = NULL;
    args.weights = NULL;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    ck_assert_int_eq(memcmp(out, out_before, sizeof(out)), 0);
}
END_TEST

START_TEST(workspaces_of_another_context)
{
    w4moe_ctx *other = make_ctx(0);
    w4moe_layer *other_layer = NULL;
    w4moe_workspace *other_ws = NULL;
    ck_assert_int_eq(
            w4moe_layer_create(other, &other_layer, &desc, 0), W4MOE_OK);
    ck_assert_int_eq(
            w4moe_workspace_create(other_layer, &other_ws, 5, 2), W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(layer, other_ws, &args), W4MOE_INVALID);
    expect_text("another context");
    ck_assert_int_eq(memcmp(out, out_before, sizeof(out)), 0);
    w4moe_workspace_destroy(other_ws);
    w4moe_layer_destroy(other_layer);
    w4moe_ctx_destroy(other);
}
END_TEST

START_TEST(logits)
{
    float values[5 * 4] = {0};
    args.ids = NULL;
    args.weights = NULL;
    args.router_logits = values;
    args.logits_dtype = W4MOE_I32;
    expect(W4MOE_UNSUPPORTED, "I32");
    args.logits_dtype = W4MOE_F32;
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
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
}
END_TEST

/* A layer whose router is not known, or not implemented. */
START_TEST(logits_without_a_router)
{
    float values[5 * 4] = {0};
    w4moe_layer *none = layer;
    args.ids = NULL;
    args.weights = NULL;
    args.router_logits = values;
    args.logits_dtype = W4MOE_F32;
    for (int kind = 0; kind <= W4MOE_ROUTER_SQRT_SOFTPLUS; kind += 2) {
        desc.router.struct_size = sizeof(desc.router);
        desc.router.kind = (w4moe_router_kind)kind;
        ck_assert_int_eq(w4moe_layer_create(ctx, &none, &desc, 0), W4MOE_OK);
        ck_assert_int_eq(w4moe_forward(none, ws, &args), W4MOE_UNSUPPORTED);
        expect_text("router");
        w4moe_layer_destroy(none);
    }
    ck_assert_int_eq(memcmp(out, out_before, sizeof(out)), 0);
}
END_TEST

/* "Clear the rest first": a description without a word about a router. */
START_TEST(a_cleared_router_is_no_router)
{
    float values[5 * 4] = {0};
    w4moe_layer *none = NULL;
    args.ids = NULL;
    args.weights = NULL;
    args.router_logits = values;
    args.logits_dtype = W4MOE_F32;
    ck_assert_int_eq(w4moe_layer_create(ctx, &none, &desc, 0), W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(none, ws, &args), W4MOE_UNSUPPORTED);
    expect_text("router");
    w4moe_layer_destroy(none);
}
END_TEST

START_TEST(struct_sizes)
{
    struct {
        w4moe_forward_args args;
        unsigned char tail[24];
    } newer = {.args = args};
    newer.args.struct_size = sizeof(newer);
    newer.tail[23] = 1;
    ck_assert_int_eq(w4moe_forward(layer, ws, &newer.args), W4MOE_UNSUPPORTED);
    ck_assert_int_eq(memcmp(out, out_before, sizeof(out)), 0);
    newer.tail[23] = 0;
    ck_assert_int_eq(w4moe_forward(layer, ws, &newer.args), W4MOE_OK);
    memcpy(out, out_before, sizeof(out));
    args.struct_size = 0;
    expect(W4MOE_INVALID, "struct_size is 0");
    args.struct_size = 40;
    expect(W4MOE_INVALID, "struct_size is 40");
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("forward_refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
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
