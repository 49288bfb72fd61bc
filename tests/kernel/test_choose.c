/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_choose(): what w4moe_forward() chooses with the same arguments, given
 * out; and what it refuses. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "whole_layer.h"

enum { E = WHOLE_E, T = WHOLE_T, K = WHOLE_K, HIDDEN = WHOLE_HIDDEN };

/* What was chosen, and one element more, which stays. */
struct choice {
    int32_t ids[T * K + 1];
    float weights[T * K + 1];
};

static const struct choice untouched = {
        .ids = {[T * K] = 77}, .weights = {[T * K] = -77}};

/* Arguments of the call that chooses: those of forward without its outputs. */
static w4moe_forward_args
arguments(const struct whole *w, const void *logits, w4moe_dtype dtype)
{
    w4moe_forward_args args = w->p.args;
    args.ids = NULL;
    args.weights = NULL;
    args.router_logits = logits;
    args.logits_dtype = dtype;
    return args;
}

static void
choose(struct choice *choice, const w4moe_ctx *ctx, const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args)
{
    *choice = untouched;
    w4moe_status status =
            w4moe_choose(layer, ws, choice->ids, choice->weights, args);
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    ck_assert_int_eq(choice->ids[T * K], 77);
    ck_assert(choice->weights[T * K] == -77);
}

/* A call without ids has the bits of one with these, and its counts are
 * theirs. */
static void
check_forward(struct whole *w, const w4moe_ctx *ctx, const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args,
        struct choice *choice)
{
    int32_t counts[E] = {0};
    int32_t expected[E] = {0};
    const w4moe_forward_args before = w->p.args;
    w->p.args = *args;
    w->p.args.expert_counts = counts;
    void *routed = forward_run(ctx, layer, ws, &w->p);
    w->p.args = *args;
    w->p.args.ids = choice->ids;
    w->p.args.weights = choice->weights;
    if (w->desc.router.weight_on_input) {
        w->p.args.flags |= W4MOE_ROUTER_WEIGHT_ON_INPUT;
    }
    void *given = forward_run(ctx, layer, ws, &w->p);
    forward_same(&w->p, routed, given, "with the chosen experts");
    for (size_t slot = 0; slot < (size_t)T * K; slot++) {
        expected[choice->ids[slot]]++;
    }
    ck_assert_mem_eq(counts, expected, sizeof(counts));
    w->p.args = before;
    free(routed);
    free(given);
}

/* Every kind of router, those with scores in groups and with a correction
 * bias. */
START_TEST(from_logits)
{
    for (unsigned i = 0; i < 30; i++) {
        struct whole w;
        struct choice choice;
        struct forward_case what = whole_usual(0xD000 + i);
        w4moe_dtype dtype = whole_floats[i / 5 % 3];
        const w4moe_ctx *ctx = contexts[i % N_CONTEXTS];
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        whole_add_router(&w, (w4moe_router_kind)(1 + i % 5), W4MOE_F32);
        w.desc.router.weight_on_input = i % 4 == 1;
        uint32_t logits[T * E];
        struct oracle_rng rng = {what.seed};
        for (size_t n = 0; n < (size_t)T * E; n++) {
            oracle_store(logits, dtype, n, oracle_uniform(&rng, -3, 3));
        }
        ck_assert_int_eq(w4moe_route(ctx, w.p.ids, w.p.weights, logits, dtype,
                                 0, T, E, K, &w.desc.router),
                W4MOE_OK);
        w4moe_layer *layer = whole_create(&w, ctx, 0);
        w4moe_workspace *ws = NULL;
        ck_assert_int_eq(w4moe_workspace_create(layer, &ws, T, K), W4MOE_OK);
        w4moe_forward_args args = arguments(&w, logits, dtype);
        choose(&choice, ctx, layer, ws, &args);
        ck_assert_mem_eq(choice.ids, w.p.ids, T * K * sizeof(int32_t));
        ck_assert_mem_eq(choice.weights, w.p.weights, T * K * sizeof(float));
        check_forward(&w, ctx, layer, ws, &args, &choice);
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
        whole_close(&w);
    }
}
END_TEST

/* The model's logits differ from those of fp32 sums by far less than the
 * numbers here do from each other: the ids are the same, and the weights
 * nearly. */
START_TEST(from_hidden_states)
{
    for (unsigned i = 0; i < 30; i++) {
        struct whole w;
        struct choice choice;
        struct choice other;
        struct forward_case what = whole_usual(0x4000 + i);
        const w4moe_ctx *ctx = contexts[i % N_CONTEXTS];
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        whole_add_router(
                &w, (w4moe_router_kind)(1 + i % 5), whole_floats[i / 5 % 3]);
        float logits[T * E];
        whole_logits(logits, &w);
        ck_assert_int_eq(w4moe_route(ctx, w.p.ids, w.p.weights, logits,
                                 W4MOE_F32, 0, T, E, K, &w.desc.router),
                W4MOE_OK);
        w4moe_layer *layer = whole_create(&w, ctx, 0);
        w4moe_workspace *ws = NULL;
        ck_assert_int_eq(w4moe_workspace_create(layer, &ws, T, K), W4MOE_OK);
        w4moe_forward_args args = arguments(&w, NULL, W4MOE_DTYPE_NONE);
        choose(&choice, ctx, layer, ws, &args);
        ck_assert_mem_eq(choice.ids, w.p.ids, T * K * sizeof(int32_t));
        for (size_t slot = 0; slot < (size_t)T * K; slot++) {
            double right = (double)w.p.weights[slot];
            ck_assert(fabs((double)choice.weights[slot] - right) <=
                      fabs(right) * 0x1p-12);
        }
        check_forward(&w, ctx, layer, ws, &args, &choice);
        /* Flags and sizes that are about what comes after change nothing. */
        args.flags |= W4MOE_ACCUMULATE | W4MOE_NO_SHARED | W4MOE_HOST_IO;
        args.out_dtype = W4MOE_F32;
        choose(&other, ctx, layer, ws, &args);
        ck_assert_mem_eq(&choice, &other, sizeof(choice));
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
        whole_close(&w);
    }
}
END_TEST

/* A part of the experts chooses among all of them. */
START_TEST(of_a_part)
{
    enum { GLOBAL = 20, FIRST = 9 };
    static float weight[GLOBAL * HIDDEN];
    struct whole w;
    struct choice choices[2];
    struct forward_case what = whole_usual(0xD100);
    struct oracle_rng rng = {what.seed};
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    for (size_t i = 0; i < (size_t)GLOBAL * HIDDEN; i++) {
        oracle_store(weight, W4MOE_F32, i, oracle_uniform(&rng, -0.4, 0.4));
    }
    w.desc.router = (w4moe_router){.struct_size = sizeof(w.desc.router),
            .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
            .weight = weight,
            .weight_dtype = W4MOE_F32};
    int n_elsewhere = 0;
    for (int i = 0; i < 2; i++) {
        w.desc.n_experts_global = GLOBAL;
        w.desc.first_expert = i == 0 ? FIRST : 0;
        w4moe_layer *layer = whole_create(&w, contexts[i], 0);
        w4moe_workspace *ws = NULL;
        ck_assert_int_eq(w4moe_workspace_create(layer, &ws, T, K), W4MOE_OK);
        w4moe_forward_args args = arguments(&w, NULL, W4MOE_DTYPE_NONE);
        choose(&choices[i], contexts[i], layer, ws, &args);
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
    }
    ck_assert_mem_eq(&choices[0], &choices[1], sizeof(choices[0]));
    for (size_t slot = 0; slot < (size_t)T * K; slot++) {
        ck_assert_int_ge(choices[0].ids[slot], 0);
        ck_assert_int_lt(choices[0].ids[slot], GLOBAL);
        n_elsewhere += choices[0].ids[slot] >= E;
    }
    ck_assert_int_gt(n_elsewhere, 0);
    whole_close(&w);
}
END_TEST

/* ---------------------------------------------------------------- refusals */

/* A right call to spoil. */
static struct whole whole;
static w4moe_layer *layer_here;
static w4moe_workspace *ws_here;
static w4moe_forward_args right;

static void
setup(void)
{
    contexts_setup();
    struct forward_case what = whole_usual(0xD200);
    whole_open(&whole, &what, W4MOE_ORDER_TILE);
    whole_add_router(&whole, W4MOE_ROUTER_SOFTMAX_TOPK, W4MOE_F32);
    layer_here = whole_create(&whole, contexts[0], 0);
    ck_assert_int_eq(
            w4moe_workspace_create(layer_here, &ws_here, T, K), W4MOE_OK);
    right = arguments(&whole, NULL, W4MOE_DTYPE_NONE);
}

static void
teardown(void)
{
    w4moe_workspace_destroy(ws_here);
    w4moe_layer_destroy(layer_here);
    whole_close(&whole);
    contexts_teardown();
}

static void
refused(const w4moe_forward_args *args, w4moe_status status, const char *text)
{
    struct choice choice = untouched;
    ck_assert_int_eq(
            w4moe_choose(layer_here, ws_here, choice.ids, choice.weights, args),
            status);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]), text);
    ck_assert_mem_eq(&choice, &untouched, sizeof(choice));
}

START_TEST(what_forward_gives_is_not_asked_for)
{
    struct choice choice = untouched;
    int32_t counts[E];
    uint16_t out[T * HIDDEN];
    w4moe_forward_args args = right;
    args.ids = whole.p.ids;
    args.weights = whole.p.weights;
    refused(&args, W4MOE_INVALID, "choose: args has ids");
    args.ids = NULL;
    refused(&args, W4MOE_INVALID, "choose: args has weights");
    args = right;
    args.out = out;
    refused(&args, W4MOE_INVALID, "choose: args has out");
    args = right;
    args.expert_counts = counts;
    refused(&args, W4MOE_INVALID, "choose: args has expert_counts");
    args = right;
    args.x = NULL;
    refused(&args, W4MOE_INVALID, "choose: x is NULL");
    ck_assert_int_eq(
            w4moe_choose(layer_here, ws_here, NULL, choice.weights, &right),
            W4MOE_INVALID);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]), "choose: ids is NULL");
    ck_assert_int_eq(
            w4moe_choose(layer_here, ws_here, choice.ids, NULL, &right),
            W4MOE_INVALID);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]), "choose: weights is NULL");
    ck_assert_int_eq(
            w4moe_choose(NULL, ws_here, choice.ids, choice.weights, &right),
            W4MOE_INVALID);
}
END_TEST

/* What forward would refuse, in its words. */
START_TEST(what_forward_refuses)
{
    struct choice choice = untouched;
    float logits[T * E] = {0};
    w4moe_forward_args args = right;
    args.n_tokens = T + 1;
    refused(&args, W4MOE_INVALID,
            "forward: 20 tokens of 3 experts each; the workspace is for 19 of "
            "3");
    args = right;
    args.dtype = W4MOE_F32;
    refused(&args, W4MOE_UNSUPPORTED,
            "forward: activations of type F32 (BF16 or F16)");
    args = right;
    args.flags = 64;
    refused(&args, W4MOE_UNSUPPORTED, "forward: unknown flags 0x40");
    args = right;
    args.stream = logits;
    refused(&args, W4MOE_INVALID, "forward: backend cpu has no streams");
    args = right;
    args.router_logits = logits;
    args.logits_dtype = W4MOE_I32;
    refused(&args, W4MOE_UNSUPPORTED,
            "logits of type I32 (9) are not supported, only F32, F16 and BF16");
    args.logits_dtype = W4MOE_F32;
    logits[7] = NAN;
    ck_assert_int_eq(w4moe_choose(layer_here, ws_here, choice.ids,
                             choice.weights, &args),
            W4MOE_INVALID);
    ck_assert_ptr_nonnull(strstr(w4moe_ctx_error(contexts[0]), "token 1"));
    ck_assert_mem_eq(&choice, &untouched, sizeof(choice));
    args = right;
    args.struct_size = 40;
    ck_assert_int_eq(w4moe_choose(layer_here, ws_here, choice.ids,
                             choice.weights, &args),
            W4MOE_INVALID);
    ck_assert_int_eq(
            w4moe_choose(layer_here, NULL, choice.ids, choice.weights, &right),
            W4MOE_INVALID);
    ck_assert_str_eq(
            w4moe_ctx_error(contexts[0]), "forward: the workspace is NULL");
}
END_TEST

START_TEST(layers_without_a_router)
{
    struct choice choice = untouched;
    float logits[T * E] = {0};
    w4moe_layer *none = NULL;
    whole.desc.router = (w4moe_router){0};
    none = whole_create(&whole, contexts[0], 0);
    ck_assert_int_eq(
            w4moe_choose(none, ws_here, choice.ids, choice.weights, &right),
            W4MOE_INVALID);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]),
            "forward: neither ids and weights nor router_logits are given, and "
            "the layer has no router weight");
    right.router_logits = logits;
    right.logits_dtype = W4MOE_F32;
    ck_assert_int_eq(
            w4moe_choose(none, ws_here, choice.ids, choice.weights, &right),
            W4MOE_UNSUPPORTED);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]),
            "router kind \"none\": ids and weights must be given");
    ck_assert_mem_eq(&choice, &untouched, sizeof(choice));
    w4moe_layer_destroy(none);
}
END_TEST

START_TEST(no_tokens)
{
    w4moe_forward_args args = {.struct_size = sizeof(args)};
    ck_assert_int_eq(
            w4moe_choose(layer_here, NULL, NULL, NULL, &args), W4MOE_OK);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("choose");
    TCase *tc = tcase_create("choices");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, from_logits);
    tcase_add_test(tc, from_hidden_states);
    tcase_add_test(tc, of_a_part);
    suite_add_tcase(suite, tc);
    tc = tcase_create("refusals");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_forward_gives_is_not_asked_for);
    tcase_add_test(tc, what_forward_refuses);
    tcase_add_test(tc, layers_without_a_router);
    tcase_add_test(tc, no_tokens);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
