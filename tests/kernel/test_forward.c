/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_forward() against the oracle: activations, forms of weights, sizes,
 * choices, flags. What its bytes do not depend on is in test_forward_bytes.c,
 * what it refuses in test_forward_refusals.c. */
#include <check.h>
#include <stdlib.h>

#include "contexts.h"
#include "forward_case.h"

static const w4moe_dtype halves[2] = {W4MOE_BF16, W4MOE_F16};

/* A case to vary. I = 72 makes a narrow tile of both matrices. */
static struct forward_case
usual(uint64_t seed)
{
    struct forward_case what = {
            .seed = seed,
            .n_experts = 4,
            .hidden = 80,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .dtype = halves[seed % 2],
            .n_tokens = 5,
            .top_k = 2,
            .x_pad = 3,
            .out_pad = 5,
    };
    return what;
}

/* Runs a problem in order tile with one thread, to be compared with the oracle,
 * and in order rdna3 with two, which must give the same bytes. */
static void
check_problem(const struct forward_problem *p)
{
    void *tile = forward_once(contexts[0], p, W4MOE_ORDER_TILE);
    forward_judge(p, tile);
    void *rdna3 = forward_once(contexts[1], p, W4MOE_ORDER_RDNA3);
    forward_same(p, tile, rdna3, "in order rdna3 with two threads");
    free(tile);
    free(rdna3);
}

static void
check_case(const struct forward_case *what)
{
    struct forward_problem p;
    forward_make(&p, what);
    check_problem(&p);
    forward_free(&p);
}

START_TEST(every_activation)
{
    static const w4moe_activation_kind kinds[] = {W4MOE_ACT_SILU,
            W4MOE_ACT_GELU, W4MOE_ACT_GELU_TANH, W4MOE_ACT_SWIGLUOAI,
            W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE, W4MOE_ACT_SWIGLUSTEP,
            W4MOE_ACT_SITU, W4MOE_ACT_SILU_NO_MUL, W4MOE_ACT_GELU_NO_MUL,
            W4MOE_ACT_GELU_TANH_NO_MUL, W4MOE_ACT_RELU2_NO_MUL};
    uint64_t seed = 0x1000;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (unsigned form = 0; form < 2 * N_WEIGHT_FORMS; form++) {
            struct forward_case what = usual(seed++);
            what.kind = kinds[i];
            what.form = form / 2;
            what.dtype = halves[form % 2];
            check_case(&what);
        }
    }
}
END_TEST

/* Tokens and choices; half of the second choices repeat the first. */
START_TEST(every_top_k)
{
    static const size_t tokens[] = {0, 1, 2, 5, 33};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        for (size_t k = 1; k <= 8; k++) {
            struct forward_case what = usual(0x1100 + 16 * i + k);
            what.n_tokens = tokens[i];
            what.top_k = k;
            struct forward_problem p;
            forward_make(&p, &what);
            for (size_t t = 0; t < tokens[i] && k > 1; t += 2) {
                p.ids[t * k + 1] = p.ids[t * k];
            }
            check_problem(&p);
            forward_free(&p);
        }
    }
}
END_TEST

/* More tokens for one expert than a block has rows. */
START_TEST(many_tokens_for_one_expert)
{
    for (unsigned form = 0; form < 4; form++) {
        struct forward_case what = usual(0x1200 + form);
        what.n_experts = form < 2 ? 1 : 3;
        what.hidden = 24;
        what.inter = 16;
        what.w13_group = 8;
        what.w2_group = 16;
        what.n_tokens = 150;
        what.form = form;
        check_case(&what);
    }
}
END_TEST

START_TEST(every_group_size)
{
    for (size_t g = 8; g <= 136; g += 8) {
        for (unsigned i = 0; i < 2; i++) {
            struct forward_case what = usual(0x1300 + 2 * g + i);
            what.hidden = 136;
            what.inter = 136;
            what.w13_group = g;
            what.w2_group = 144 - g;
            what.dtype = halves[i];
            what.form = (unsigned)(g / 8 + 3 * i) % N_WEIGHT_FORMS;
            what.n_tokens = 3;
            check_case(&what);
        }
    }
}
END_TEST

START_TEST(long_sums)
{
    static const struct {
        size_t hidden, inter, w13_group, w2_group;
    } sizes[] = {{16384, 8, 128, 8}, {16384, 8, 16384, 8}, {8, 16384, 8, 128},
            {8, 16384, 8, 16384}, {16, 16384, 8, 32}, {4096, 24, 4096, 8}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned j = 0; j < 2; j++) {
            struct forward_case what = usual(0x1400 + 2 * i + j);
            what.n_experts = 2;
            what.hidden = sizes[i].hidden;
            what.inter = sizes[i].inter;
            what.w13_group = sizes[i].w13_group;
            what.w2_group = sizes[i].w2_group;
            what.form = (unsigned)(2 * i + j) % N_WEIGHT_FORMS;
            what.n_tokens = sizes[i].hidden > 16 ? 1 : 4;
            check_case(&what);
        }
    }
}
END_TEST

/* With squares for activation all of it is exact in fp32 but the two roundings:
 * there is one right answer. */
START_TEST(exact_numbers_have_the_right_bits)
{
    for (uint64_t seed = 0x1500; seed < 0x1520; seed++) {
        struct forward_case what = usual(seed);
        what.kind = W4MOE_ACT_RELU2_NO_MUL;
        what.hidden = 16;
        what.inter = 16;
        what.w13_group = 8;
        what.w2_group = 16;
        what.form = seed % 4 < 2 ? 0 : 7;
        what.exact = 1;
        what.top_k = 3;
        check_case(&what);
    }
}
END_TEST

/* ------------------------------------------------------------ flags, maps */

START_TEST(every_flag)
{
    static const unsigned flags[] = {W4MOE_ROUTER_WEIGHT_ON_INPUT,
            W4MOE_ACCUMULATE, W4MOE_ROUTER_WEIGHT_ON_INPUT | W4MOE_ACCUMULATE,
            W4MOE_HOST_IO, W4MOE_BATCH_INVARIANT,
            W4MOE_BATCH_INVARIANT | W4MOE_ACCUMULATE | W4MOE_HOST_IO};
    uint64_t seed = 0x1600;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        for (unsigned form = 0; form < N_WEIGHT_FORMS; form++) {
            struct forward_case what = usual(seed++);
            what.flags = flags[i];
            what.form = form;
            what.kind =
                    form % 2 != 0 ? W4MOE_ACT_GELU_NO_MUL : W4MOE_ACT_SWIGLUOAI;
            check_case(&what);
        }
    }
}
END_TEST

/* 9 experts globally, of which the layer has 4 in another order. */
START_TEST(expert_maps)
{
    static const int32_t map[9] = {-1, 2, -1, 0, 3, -1, 1, -1, -1};
    static const int32_t nowhere[9] = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
    for (unsigned i = 0; i < 8; i++) {
        struct forward_case what = usual(0x1700 + i);
        what.n_tokens = 33;
        what.top_k = 3;
        what.flags = i % 4 < 2 ? 0 : W4MOE_ACCUMULATE;
        struct forward_problem p;
        forward_make(&p, &what);
        struct oracle_rng rng = {what.seed};
        for (size_t slot = 0; slot < 99; slot++) {
            p.ids[slot] = (int32_t)oracle_below(&rng, 9);
        }
        p.args.expert_map = i < 4 ? map : nowhere;
        p.args.n_experts_global = 9;
        check_problem(&p);
        forward_free(&p);
    }
}
END_TEST

/* What is elsewhere adds nothing, not even its NaN weight. */
START_TEST(weights_of_dropped_slots_do_not_matter)
{
    static const int32_t map[4] = {0, -1, 2, -1};
    struct forward_case what = usual(0x1800);
    struct forward_problem p;
    forward_make(&p, &what);
    p.args.expert_map = map;
    void *out = forward_once(contexts[0], &p, W4MOE_ORDER_TILE);
    for (size_t slot = 0; slot < 10; slot++) {
        if (map[p.ids[slot]] < 0) {
            oracle_store(p.weights, W4MOE_F32, slot, (double)(0.0f / 0.0f));
        }
    }
    void *again = forward_once(contexts[0], &p, W4MOE_ORDER_TILE);
    forward_same(&p, out, again, "with NaN weights of dropped slots");
    free(out);
    free(again);
    forward_free(&p);
}
END_TEST

/* Two ranks, one after the other: the same sum, but for a rounding between. */
START_TEST(complementary_maps_add_up)
{
    static const int32_t maps[2][4] = {{0, -1, 2, -1}, {-1, 1, -1, 3}};
    for (unsigned i = 0; i < 4; i++) {
        struct forward_case what = usual(0x1900 + i);
        what.form = i;
        what.n_tokens = 33;
        what.top_k = 4;
        struct forward_problem p;
        forward_make(&p, &what);
        p.args.expert_map = maps[0];
        void *out = forward_once(contexts[0], &p, W4MOE_ORDER_TILE);
        forward_judge(&p, out);
        for (size_t n = 0; n < what.n_tokens * what.hidden; n++) {
            p.before[n] = oracle_load(out, what.dtype, n);
        }
        free(out);
        p.args.expert_map = maps[1];
        p.args.flags |= W4MOE_ACCUMULATE;
        check_problem(&p);
        forward_free(&p);
    }
}
END_TEST

/* Logits, or what w4moe_route() makes of them. */
START_TEST(both_ways_to_choose)
{
    static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_BF16, W4MOE_F16};
    for (unsigned i = 0; i < 12; i++) {
        static const int32_t map[6] = {3, 0, -1, 2, -1, 1};
        struct forward_case what = usual(0x1A00 + i);
        what.n_tokens = 33;
        what.top_k = 1 + i % 4;
        struct forward_problem p;
        forward_make(&p, &what);
        size_t n_global = i < 6 ? 4 : 6;
        uint32_t logits[33 * 6];
        struct oracle_rng rng = {what.seed};
        for (size_t n = 0; n < 33 * n_global; n++) {
            oracle_store(logits, types[i % 3], n, oracle_uniform(&rng, -3, 3));
        }
        w4moe_router router = {.struct_size = sizeof(router),
                .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                .renormalize = 1,
                .scale = 1.5f};
        ck_assert_int_eq(
                w4moe_route(contexts[0], p.ids, p.weights, logits, types[i % 3],
                        0, 33, n_global, what.top_k, &router),
                W4MOE_OK);
        p.args.expert_map = i < 6 ? NULL : map;
        p.args.n_experts_global = n_global;
        void *by_ids = forward_once(contexts[0], &p, W4MOE_ORDER_TILE);
        forward_judge(&p, by_ids);
        p.args.ids = NULL;
        p.args.weights = NULL;
        p.args.router_logits = logits;
        p.args.logits_dtype = types[i % 3];
        void *by_logits = forward_once(contexts[1], &p, W4MOE_ORDER_TILE);
        forward_same(&p, by_ids, by_logits, "from logits");
        free(by_ids);
        free(by_logits);
        forward_free(&p);
    }
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("forward");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, every_activation);
    tcase_add_test(tc, every_top_k);
    tcase_add_test(tc, many_tokens_for_one_expert);
    tcase_add_test(tc, every_group_size);
    tcase_add_test(tc, long_sums);
    tcase_add_test(tc, exact_numbers_have_the_right_bits);
    tcase_add_test(tc, every_flag);
    tcase_add_test(tc, expert_maps);
    tcase_add_test(tc, weights_of_dropped_slots_do_not_matter);
    tcase_add_test(tc, complementary_maps_add_up);
    tcase_add_test(tc, both_ways_to_choose);
    Suite *suite = suite_create("forward");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
