/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* W4MOE_BATCH_INVARIANT, with every kernel variant that this processor runs: a
 * token's result has the same bytes whatever other tokens are in the call, and
 * wherever it stands among them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "forward_case.h"

/* Where experts come from: ids, logits, or the router's weight, which makes
 * them of hidden states. */
enum source { IDS, LOGITS, HIDDEN, N_SOURCES };
static const char *const source_names[] = {"ids", "logits", "hidden states"};

/* All tokens of a batch, whose beginnings are calls of their own. */
enum { T_ALL = 300, N_EXPERTS = 12, TOP_K = 3, ROW_MAX = 160 };

/* Who has every number of tokens: no variant, those but the reference, which
 * takes its time, or all. */
enum every { NONE, FAST, ALL };

/* What is tried with all tokens: H, matrices, types. */
static const struct batch_case {
    const char *name;
    size_t hidden;
    w4moe_order order;
    unsigned form;
    w4moe_dtype dtype;
    enum every every;
} cases[] = {
        {"tile, symmetric, bf16", 64, W4MOE_ORDER_TILE, FORM_BF16, W4MOE_BF16,
                ALL},
        {"tile, zero points, fp16", 80, W4MOE_ORDER_TILE, FORM_ZEROS, W4MOE_F16,
                FAST},
        {"rdna3, symmetric, fp16", 160, W4MOE_ORDER_RDNA3, FORM_BF16, W4MOE_F16,
                NONE},
        {"rdna3, zero points, bf16", 64, W4MOE_ORDER_RDNA3, FORM_ZEROS,
                W4MOE_BF16, NONE},
};
enum { N_CASES = sizeof(cases) / sizeof(cases[0]) };

static struct context_variants variants;

/* The case at work. */
static enum every every;
static struct forward_problem problem;
static char label[80];
static const w4moe_layer *layer;
static w4moe_workspace *ws;
static float logits[T_ALL * N_EXPERTS];
static float router_weight[N_EXPERTS * ROW_MAX];
static uint16_t all[T_ALL * ROW_MAX];
static uint16_t got[T_ALL * ROW_MAX];

/* The call of n tokens from the first on. */
static w4moe_forward_args
arguments(size_t first, size_t n, enum source source)
{
    w4moe_forward_args args = problem.args;
    args.out = got;
    args.x = (const uint16_t *)problem.x_rows + first * problem.x_stride;
    args.n_tokens = n;
    args.ids = source == IDS ? problem.ids + first * TOP_K : NULL;
    args.weights = source == IDS ? problem.weights + first * TOP_K : NULL;
    args.router_logits = source == LOGITS ? logits + first * N_EXPERTS : NULL;
    args.logits_dtype = W4MOE_F32;
    return args;
}

static void
forward(const w4moe_forward_args *args)
{
    memset(got, 0xFF, sizeof(got));
    ck_assert_int_eq(w4moe_forward(layer, ws, args), W4MOE_OK);
}

/* Calls with n tokens from the first on, and compares with that of all. */
static void
check_part(size_t first, size_t n, enum source source)
{
    size_t hidden = problem.what.hidden;
    w4moe_forward_args args = arguments(first, n, source);
    forward(&args);
    ck_assert_msg(
            memcmp(got, all + first * hidden, n * hidden * sizeof(got[0])) == 0,
            "%s: tokens %zu to %zu have other bytes than in a call of all, "
            "with %s",
            label, first, first + n - 1, source_names[source]);
}

static void
compute_all(enum source source)
{
    w4moe_forward_args args = arguments(0, problem.what.n_tokens, source);
    forward(&args);
    memcpy(all, got, sizeof(all));
}

/* The same tokens in another order: token t is where t * 7 was. Their number
 * is no multiple of 7. */
static void
check_permuted(void)
{
    size_t hidden = problem.what.hidden;
    size_t n_tokens = problem.what.n_tokens;
    uint16_t *x = oracle_alloc(n_tokens * hidden, sizeof(*x));
    int32_t ids[T_ALL * TOP_K];
    float weights[T_ALL * TOP_K];
    for (size_t t = 0; t < n_tokens; t++) {
        size_t from = t * 7 % n_tokens;
        memcpy(x + t * hidden,
                (const uint16_t *)problem.x_rows + from * problem.x_stride,
                hidden * sizeof(*x));
        memcpy(ids + t * TOP_K, problem.ids + from * TOP_K,
                TOP_K * sizeof(*ids));
        memcpy(weights + t * TOP_K, problem.weights + from * TOP_K,
                TOP_K * sizeof(*weights));
    }
    w4moe_forward_args args = arguments(0, n_tokens, IDS);
    args.x = x;
    args.x_stride = 0;
    args.ids = ids;
    args.weights = weights;
    forward(&args);
    for (size_t t = 0; t < n_tokens; t++) {
        ck_assert_msg(memcmp(got + t * hidden, all + t * 7 % n_tokens * hidden,
                              hidden * sizeof(got[0])) == 0,
                "%s: token %zu has other bytes in another order", label,
                t * 7 % n_tokens);
    }
    free(x);
}

/* The next number of tokens to call with: every one with ids, where the case
 * says so; some with the others, since what follows is the same. */
static size_t
next(size_t n, int all_numbers)
{
    return n + (all_numbers || n <= 16 ? 1 : 29);
}

static int
has_all_numbers(const char *variant)
{
    int is_reference = strcmp(variant, "ref") == 0;
    return every == ALL || (every == FAST && !is_reference);
}

static void
check_variant(const char *variant)
{
    size_t n_tokens = problem.what.n_tokens;
    for (int i = 0; i < N_SOURCES; i++) {
        enum source source = (enum source)i;
        compute_all(source);
        for (size_t n = 1; n < n_tokens;
                n = next(n, source == IDS && has_all_numbers(variant))) {
            check_part(0, n, source);
        }
        for (size_t t = 0; t < n_tokens; t += source == IDS ? 1 : 5) {
            check_part(t, 1, source);
        }
        if (source == IDS) {
            check_permuted();
        }
    }
}

/* A layer in memory: its experts, and one that is shared. */
struct arrays {
    struct forward_problem shared;
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_matrix shared_w13;
    w4moe_matrix shared_w2;
};

static void
make_arrays(struct arrays *arrays, const struct forward_case *numbers,
        w4moe_order order)
{
    struct forward_case one = *numbers;
    struct oracle_rng rng = {numbers->seed};
    one.n_experts = 1;
    one.n_tokens = 1;
    one.seed ^= 0x5A;
    forward_make(&problem, numbers);
    forward_make(&arrays->shared, &one);
    for (size_t i = 0; i < sizeof(logits) / sizeof(logits[0]); i++) {
        logits[i] = (float)oracle_uniform(&rng, -4, 4);
    }
    for (size_t i = 0; i < N_EXPERTS * numbers->hidden; i++) {
        router_weight[i] = (float)oracle_uniform(&rng, -0.5, 0.5);
    }
    oracle_pack(&arrays->w13, &problem.w13, order);
    oracle_pack(&arrays->w2, &problem.w2, order);
    oracle_pack(&arrays->shared_w13, &arrays->shared.w13, order);
    oracle_pack(&arrays->shared_w2, &arrays->shared.w2, order);
}

static void
free_arrays(struct arrays *arrays)
{
    oracle_pack_free(&arrays->w13);
    oracle_pack_free(&arrays->w2);
    oracle_pack_free(&arrays->shared_w13);
    oracle_pack_free(&arrays->shared_w2);
    forward_free(&arrays->shared);
    forward_free(&problem);
}

/* The shared expert's gate is made of the router's first row. */
static w4moe_layer *
make_layer(const w4moe_ctx *ctx, const struct arrays *arrays)
{
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &arrays->w13,
            .w2 = &arrays->w2,
            .activation = problem.activation,
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .renormalize = 1,
                    .scale = 1.5f,
                    .weight = router_weight,
                    .weight_dtype = W4MOE_F32},
            .shared_w13 = &arrays->shared_w13,
            .shared_w2 = &arrays->shared_w2,
            .shared_gate = router_weight,
            .shared_gate_dtype = W4MOE_F32,
    };
    w4moe_layer *made = NULL;
    ck_assert_int_eq(w4moe_layer_create(ctx, &made, &desc, 0), W4MOE_OK);
    return made;
}

/* Up to n_tokens with all variants. */
static void
check_case(const struct batch_case *what, uint64_t seed, size_t n_tokens)
{
    struct forward_case numbers = {
            .seed = seed,
            .n_experts = N_EXPERTS,
            .hidden = what->hidden,
            .inter = 96,
            .w13_group = 16,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .form = what->form,
            .dtype = what->dtype,
            .n_tokens = n_tokens,
            .top_k = TOP_K,
            .flags = W4MOE_BATCH_INVARIANT,
            .x_pad = 5,
    };
    struct arrays arrays;
    every = what->every;
    make_arrays(&arrays, &numbers, what->order);
    for (size_t v = 0; v < variants.n; v++) {
        snprintf(label, sizeof(label), "%s, %s", variants.names[v], what->name);
        w4moe_ctx *ctx = context_make(variants.names[v], 2, 0);
        w4moe_layer *made = make_layer(ctx, &arrays);
        ck_assert_int_eq(
                w4moe_workspace_create(made, &ws, n_tokens, TOP_K), W4MOE_OK);
        layer = made;
        check_variant(variants.names[v]);
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(made);
        w4moe_ctx_destroy(ctx);
    }
    free_arrays(&arrays);
}

START_TEST(every_number_of_tokens)
{
    check_case(&cases[_i], 0x8000 + (uint64_t)_i, T_ALL);
}
END_TEST

START_TEST(every_form_of_weights)
{
    const struct batch_case what = {
            .name = weight_form_name((enum weight_form)_i),
            .hidden = 80,
            .order = W4MOE_ORDER_TILE,
            .form = (unsigned)_i,
            .dtype = _i % 2 == 0 ? W4MOE_BF16 : W4MOE_F16,
            .every = FAST,
    };
    check_case(&what, 0x8100 + (uint64_t)_i, 33);
}
END_TEST

static void
setup(void)
{
    context_list(&variants);
}

int
main(void)
{
    TCase *tc = tcase_create("batch_invariant");
    tcase_set_timeout(tc, 0);
    tcase_add_unchecked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, every_number_of_tokens, 0, N_CASES);
    tcase_add_loop_test(tc, every_form_of_weights, 0, N_WEIGHT_FORMS);
    Suite *suite = suite_create("batch_invariant");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
