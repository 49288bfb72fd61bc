/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_forward() of layers that hold more, or less, than the experts that the
 * caller names: routers with arrays, parts of the experts, shared experts,
 * counts. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "whole_layer.h"

enum { E = WHOLE_E, T = WHOLE_T, K = WHOLE_K, HIDDEN = WHOLE_HIDDEN };

/* ------------------------------------------------------------ hidden states */

static void
check_counts(const struct whole *w, const int32_t *counts)
{
    int32_t expected[E] = {0};
    for (size_t slot = 0; slot < (size_t)T * K; slot++) {
        expected[w->p.ids[slot]]++;
    }
    ck_assert_mem_eq(counts, expected, sizeof(expected));
}

/* The ids that forward chose show in the counts, the weights in out: sums of
 * fp32 make logits differ from the model's by far less than the numbers here do
 * from each other. */
START_TEST(from_hidden_states)
{
    for (unsigned i = 0; i < 30; i++) {
        struct whole w;
        struct forward_case what = whole_usual(0x4000 + i);
        whole_open(
                &w, &what, i % 2 != 0 ? W4MOE_ORDER_RDNA3 : W4MOE_ORDER_TILE);
        whole_add_router(
                &w, (w4moe_router_kind)(1 + i % 5), whole_floats[i / 5 % 3]);
        float logits[T * E];
        whole_logits(logits, &w);
        ck_assert_int_eq(w4moe_route(contexts[0], w.p.ids, w.p.weights, logits,
                                 W4MOE_F32, 0, T, E, K, &w.desc.router),
                W4MOE_OK);
        int32_t counts[E + 1];
        counts[E] = 77;
        w.p.args.ids = NULL;
        w.p.args.weights = NULL;
        w.p.args.expert_counts = counts;
        void *out =
                whole_run(&w, contexts[0], i % 4 == 3 ? W4MOE_LAYER_COPY : 0);
        check_counts(&w, counts);
        ck_assert_int_eq(counts[E], 77);
        void *other = whole_run(&w, contexts[2], W4MOE_LAYER_HUGE_PAGES);
        forward_same(&w.p, out, other, "with more threads");
        w.p.args.ids = w.p.ids;
        w.p.args.weights = w.p.weights;
        forward_judge(&w.p, out);
        free(out);
        free(other);
        whole_close(&w);
    }
}
END_TEST

/* Where the weights go is a matter of the router that made them. */
START_TEST(weights_on_input)
{
    struct whole w;
    struct forward_case what = whole_usual(0x4080);
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    whole_add_router(&w, W4MOE_ROUTER_SIGMOID_TOP1, W4MOE_F32);
    float logits[T * E];
    whole_logits(logits, &w);
    ck_assert_int_eq(w4moe_route(contexts[0], w.p.ids, w.p.weights, logits,
                             W4MOE_F32, 0, T, E, K, &w.desc.router),
            W4MOE_OK);
    void *on_output = whole_run(&w, contexts[0], 0);
    w.p.args.flags = W4MOE_ROUTER_WEIGHT_ON_INPUT;
    void *on_input = whole_run(&w, contexts[0], 0);
    w.p.args.flags = 0;
    w.desc.router.weight_on_input = 1;
    void *given = whole_run(&w, contexts[0], 0);
    forward_same(&w.p, on_output, given, "with ids and weights given");
    w.p.args.ids = NULL;
    w.p.args.weights = NULL;
    w.p.args.router_logits = logits;
    w.p.args.logits_dtype = W4MOE_F32;
    void *routed = whole_run(&w, contexts[0], 0);
    forward_same(&w.p, on_input, routed, "from logits");
    ck_assert(memcmp(on_input, on_output, (size_t)T * HIDDEN * 2) != 0);
    free(on_output);
    free(on_input);
    free(given);
    free(routed);
    whole_close(&w);
}
END_TEST

/* The caller's logits go before those of the layer's own router; its correction
 * bias still counts. */
START_TEST(logits_go_before_hidden_states)
{
    for (unsigned i = 0; i < 10; i++) {
        struct whole w;
        struct forward_case what = whole_usual(0x4100 + i);
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        whole_add_router(&w, (w4moe_router_kind)(1 + i % 5), W4MOE_F32);
        float logits[T * E];
        struct oracle_rng rng = {what.seed};
        for (size_t n = 0; n < (size_t)T * E; n++) {
            logits[n] = (float)oracle_uniform(&rng, -3, 3);
        }
        ck_assert_int_eq(w4moe_route(contexts[0], w.p.ids, w.p.weights, logits,
                                 W4MOE_F32, 0, T, E, K, &w.desc.router),
                W4MOE_OK);
        void *by_ids = whole_run(&w, contexts[0], 0);
        w.p.args.ids = NULL;
        w.p.args.weights = NULL;
        w.p.args.router_logits = logits;
        w.p.args.logits_dtype = W4MOE_F32;
        void *by_logits = whole_run(&w, contexts[1], 0);
        forward_same(&w.p, by_ids, by_logits, "from logits");
        free(by_ids);
        free(by_logits);
        whole_close(&w);
    }
}
END_TEST

/* -------------------------------------------------------------------- parts */

/* Experts 2, 3, 4 and 5 of the problem as a layer of their own are experts 9 to
 * 12 of 20: the same as by a map, and as by experts that count from 0. */
START_TEST(a_part_of_the_experts)
{
    enum { FIRST = 9, GLOBAL = 20 };
    for (unsigned i = 0; i < 8; i++) {
        struct whole w;
        struct forward_case what = whole_usual(0x4200 + i);
        what.flags = i % 2 != 0 ? W4MOE_ACCUMULATE : 0;
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        w.desc.first_expert = FIRST;
        w.desc.n_experts_global = GLOBAL;
        int32_t map[GLOBAL];
        for (int32_t e = 0; e < GLOBAL; e++) {
            map[e] = e >= FIRST && e < FIRST + E ? e - FIRST : -1;
        }
        struct oracle_rng rng = {what.seed};
        for (size_t slot = 0; slot < (size_t)T * K; slot++) {
            w.p.ids[slot] = (int32_t)oracle_below(&rng, GLOBAL);
        }
        int32_t counts[GLOBAL];
        w.p.args.expert_counts = counts;
        void *part = whole_run(&w, contexts[0], 0);
        int32_t n = 0;
        for (size_t e = 0; e < GLOBAL; e++) {
            n += counts[e];
        }
        ck_assert_int_eq(n, T * K);
        w.p.args.expert_map = map;
        w.p.args.n_experts_global = GLOBAL;
        void *mapped = whole_run(&w, contexts[1], 0);
        forward_same(&w.p, part, mapped, "by a map");
        forward_judge(&w.p, part);
        free(part);
        free(mapped);
        whole_close(&w);
    }
}
END_TEST

START_TEST(facts_of_a_part)
{
    struct whole w;
    struct forward_case what = whole_usual(0x4300);
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    w.desc.first_expert = 3;
    w.desc.n_experts_global = 9;
    w4moe_layer *layer = whole_create(&w, contexts[0], 0);
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(layer, &info), W4MOE_OK);
    ck_assert_uint_eq(info.n_experts, E);
    ck_assert_uint_eq(info.first_expert, 3);
    ck_assert_uint_eq(info.n_experts_global, 9);
    ck_assert_uint_eq(info.n_shared_experts, 0);
    ck_assert_int_eq(info.has_router_weight, 0);
    w4moe_layer_destroy(layer);
    w.desc.n_experts_global = 8;
    ck_assert_int_eq(
            w4moe_layer_create(contexts[0], &layer, &w.desc, 0), W4MOE_INVALID);
    ck_assert_str_eq(
            w4moe_ctx_error(contexts[0]), "layer: 6 experts from 3 on, of 8");
    whole_close(&w);
}
END_TEST

/* ----------------------------------------------------------- shared experts */

static void
judge_shared(const struct whole *w, const void *out)
{
    const struct forward_problem *p = &w->p;
    struct oracle_call call = {
            .w13 = &p->w13,
            .w2 = &p->w2,
            .activation = p->activation,
            .dtype = p->what.dtype,
            .x = p->x,
            .n_tokens = T,
            .top_k = K,
            .ids = p->ids,
            .weights = p->weights,
            .flags = p->args.flags,
            .before = p->before,
            .shared_w13 = &w->shared.w13,
            .shared_w2 = &w->shared.w2,
            .shared_weights = w->shared_weights,
    };
    double exact[T * HIDDEN], ideal[T * HIDDEN];
    oracle_forward(exact, ideal, &call);
    forward_judge_by(p, exact, ideal, out);
}

/* One and two of them, with other sizes and forms of weights than the routed
 * ones have, in either order; gates and scales; flags. */
START_TEST(shared_experts)
{
    static const unsigned flags[4] = {0, W4MOE_ACCUMULATE,
            W4MOE_ROUTER_WEIGHT_ON_INPUT, W4MOE_BATCH_INVARIANT};
    for (unsigned i = 0; i < 48; i++) {
        struct whole w;
        struct forward_case what = whole_usual(0x4400 + i);
        what.flags = flags[i % 4];
        w4moe_order order = i % 3 == 0 ? W4MOE_ORDER_RDNA3 : W4MOE_ORDER_TILE;
        whole_open(&w, &what, W4MOE_ORDER_TILE);
        whole_add_shared(&w, 1 + i % 2, i % 3 == 1 ? 136 : 24, order);
        whole_add_gate(&w,
                i / 4 % 4 < 3 ? whole_floats[i / 4 % 4] : W4MOE_DTYPE_NONE,
                i / 16 == 1 ? 0.75f : 0);
        void *out = whole_run(&w, contexts[0], 0);
        judge_shared(&w, out);
        void *other = whole_run(&w, contexts[3], W4MOE_LAYER_COPY);
        forward_same(&w.p, out, other, "with more threads");
        free(out);
        free(other);
        whole_close(&w);
    }
}
END_TEST

/* Without them it is the same as a layer that has none; and a workspace of such
 * a layer will do. */
START_TEST(shared_experts_left_out)
{
    struct whole w;
    struct forward_case what = whole_usual(0x4500);
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    void *without = whole_run(&w, contexts[0], 0);
    w4moe_layer *plain = whole_create(&w, contexts[0], 0);
    whole_add_shared(&w, 2, 24, W4MOE_ORDER_TILE);
    w4moe_layer *layer = whole_create(&w, contexts[0], 0);
    w4moe_workspace *ws = NULL;
    ck_assert_int_eq(w4moe_workspace_create(plain, &ws, T, K), W4MOE_OK);
    w.p.args.flags = W4MOE_NO_SHARED;
    void *left_out = forward_run(contexts[0], layer, ws, &w.p);
    forward_same(&w.p, without, left_out, "without shared experts");
    struct forward_call call;
    w.p.args.flags = 0;
    forward_open(&call, layer, ws, &w.p);
    ck_assert_int_eq(w4moe_forward(layer, ws, &call.args), W4MOE_INVALID);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]),
            "forward: the workspace was made for 0 shared experts of "
            "intermediate size 0; the layer has 2 of 24");
    free(forward_close(&call));
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    ck_assert_int_eq(w4moe_layer_get_info(layer, &info), W4MOE_OK);
    ck_assert_uint_eq(info.n_shared_experts, 2);
    ck_assert_uint_eq(info.shared_intermediate_size, 24);
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    w4moe_layer_destroy(plain);
    free(without);
    free(left_out);
    whole_close(&w);
}
END_TEST

/* ----------------------------------------------------------------- refusals */

static void
expect_no_layer(const struct whole *w, w4moe_status status, const char *text)
{
    w4moe_layer *layer = NULL;
    ck_assert_int_eq(
            w4moe_layer_create(contexts[0], &layer, &w->desc, 0), status);
    ck_assert_ptr_null(layer);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]), text);
}

START_TEST(bad_layers_are_named)
{
    struct whole w;
    struct forward_case what = whole_usual(0x4600);
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    w.desc.shared_gate = w.gate;
    expect_no_layer(&w, W4MOE_INVALID,
            "layer: of shared experts only shared_gate is given");
    whole_add_shared(&w, 1, 24, W4MOE_ORDER_TILE);
    expect_no_layer(&w, W4MOE_UNSUPPORTED,
            "layer: shared_gate of type NONE (0), not F32, F16 or BF16");
    w.desc.shared_gate = NULL;
    w.desc.shared_scale = NAN;
    expect_no_layer(&w, W4MOE_INVALID, "layer: shared_scale is nan");
    w.desc.shared_scale = 0;
    const w4moe_matrix *w2 = w.desc.shared_w2;
    w.desc.shared_w2 = NULL;
    expect_no_layer(&w, W4MOE_INVALID,
            "layer: of shared experts only shared_w13 is given");
    w.desc.shared_w2 = &w.w2;
    expect_no_layer(&w, W4MOE_INVALID,
            "shared_w13 is 1 experts of 48 x 80, shared_w2 6 of 80 x 72 "
            "(outputs x inputs): they do not fit with silu");
    w.desc.shared_w2 = w2;
    w.desc.router.weight = w.weight;
    w.desc.router.struct_size = sizeof(w.desc.router);
    expect_no_layer(
            &w, W4MOE_INVALID, "router: a weight, but its kind is none");
    whole_add_router(&w, W4MOE_ROUTER_SIGMOID, W4MOE_F32);
    w.desc.router.weight_dtype = W4MOE_I32;
    expect_no_layer(&w, W4MOE_UNSUPPORTED,
            "router: weight of type I32 (9) is not supported, only F32, F16 "
            "and BF16");
    w.desc.router.weight_dtype = W4MOE_F32;
    w.desc.n_experts_global = 4097;
    expect_no_layer(&w, W4MOE_UNSUPPORTED,
            "layer: a router of 4097 experts, at most 4096");
    whole_close(&w);
}
END_TEST

static void
expect_no_forward(const struct whole *w, const w4moe_layer *layer,
        w4moe_workspace *ws, w4moe_status status, const char *text)
{
    struct forward_call call;
    forward_open(&call, layer, ws, &w->p);
    ck_assert_int_eq(w4moe_forward(layer, call.ws, &call.args), status);
    ck_assert_str_eq(w4moe_ctx_error(contexts[0]), text);
    free(forward_close(&call));
}

START_TEST(bad_calls_are_named)
{
    struct whole w;
    struct forward_case what = whole_usual(0x4700);
    whole_open(&w, &what, W4MOE_ORDER_TILE);
    w4moe_layer *layer = whole_create(&w, contexts[0], 0);
    w.p.args.ids = NULL;
    w.p.args.weights = NULL;
    expect_no_forward(&w, layer, NULL, W4MOE_INVALID,
            "forward: neither ids and weights nor router_logits are given, and "
            "the layer has no router weight");
    w.p.args.router_logits = w.weight;
    w.p.args.logits_dtype = W4MOE_F32;
    expect_no_forward(&w, layer, NULL, W4MOE_UNSUPPORTED,
            "router kind \"none\": ids and weights must be given");
    whole_add_router(&w, W4MOE_ROUTER_SIGMOID, W4MOE_F32);
    w4moe_layer *routed = whole_create(&w, contexts[0], 0);
    int32_t map[8] = {0, 1, 2, 3, 4, 5, -1, -1};
    w.p.args.expert_map = map;
    w.p.args.n_experts_global = 8;
    expect_no_forward(&w, routed, NULL, W4MOE_INVALID,
            "forward: 8 experts globally, the layer's router has 6");
    w.p.args.expert_map = NULL;
    w.p.args.n_experts_global = 0;
    w.p.args.router_logits = NULL;
    w4moe_workspace *ws = NULL;
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, T, K), W4MOE_OK);
    expect_no_forward(&w, routed, ws, W4MOE_INVALID,
            "forward: the workspace was made for logits of 0 experts; the "
            "layer's router has 6");
    oracle_store(w.p.x_rows, what.dtype, w.p.x_stride * 4 + 7, (double)NAN);
    expect_no_forward(&w, routed, NULL, W4MOE_INVALID,
            "token 4, expert 0: the logit is NaN");
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(routed);
    w4moe_layer_destroy(layer);
    whole_close(&w);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("forward_layer");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, from_hidden_states);
    tcase_add_test(tc, weights_on_input);
    tcase_add_test(tc, logits_go_before_hidden_states);
    tcase_add_test(tc, a_part_of_the_experts);
    tcase_add_test(tc, facts_of_a_part);
    tcase_add_test(tc, shared_experts);
    tcase_add_test(tc, shared_experts_left_out);
    tcase_add_test(tc, bad_layers_are_named);
    tcase_add_test(tc, bad_calls_are_named);
    Suite *suite = suite_create("forward_layer");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
