/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The bytes that w4moe_forward() writes depend on the token and the layer
 * alone: not on threads, not on where they are written; that they do not depend
 * on the other tokens is in test_batch_invariant.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

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

START_TEST(same_bytes_for_any_threads_and_again)
{
    for (unsigned form = 0; form < N_WEIGHT_FORMS; form++) {
        struct forward_case what = usual(0x1B00 + form);
        what.form = form;
        what.n_tokens = 33;
        what.inter = 152;
        struct forward_problem p;
        forward_make(&p, &what);
        void *first = forward_once(contexts[0], &p, W4MOE_ORDER_TILE);
        for (int i = 0; i < 2 * N_CONTEXTS; i++) {
            void *out = forward_once(
                    contexts[i % N_CONTEXTS], &p, W4MOE_ORDER_TILE);
            forward_same(&p, first, out, "with other threads");
            free(out);
        }
        free(first);
        forward_free(&p);
    }
}
END_TEST

START_TEST(out_may_be_x)
{
    struct forward_case what = usual(0x1D00);
    what.n_tokens = 33;
    what.out_pad = what.x_pad;
    struct forward_problem p;
    forward_make(&p, &what);
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_workspace *ws = NULL;
    w4moe_layer *layer =
            forward_layer(contexts[1], &p, &w13, &w2, W4MOE_ORDER_RDNA3, 0);
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 33, 2), W4MOE_OK);
    char *out = forward_run(contexts[1], layer, ws, &p);
    w4moe_forward_args args = p.args;
    args.out = p.x_rows;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    for (size_t t = 0; t < 33; t++) {
        const char *row = (const char *)p.x_rows + t * p.x_stride * 2;
        ck_assert_int_eq(memcmp(row, out + t * 160, 160), 0);
        ck_assert_int_eq((unsigned char)row[160], 0xFF);
    }
    free(out);
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&p);
}
END_TEST

/* 2^24 + 1 is not a number of fp32: (2^24 + 1) - 2^24 is 0 in the order of the
 * experts, and 1 in the opposite one. All weights are 1 at feature 0, which
 * alone is 1 in x and after the activation, and 0 elsewhere. */
START_TEST(experts_are_added_in_their_order)
{
    struct forward_case what = usual(0x1E00);
    what.n_tokens = 1;
    what.top_k = 3;
    what.kind = W4MOE_ACT_RELU2_NO_MUL;
    struct forward_problem p;
    forward_make(&p, &what);
    struct oracle_matrix *matrices[2] = {&p.w13, &p.w2};
    for (int i = 0; i < 2; i++) {
        struct oracle_matrix *m = matrices[i];
        size_t rows = m->spec.n_experts * m->spec.n_out;
        memset(m->codes, 8, rows * m->spec.n_in);
        for (size_t row = 0; row < rows; row++) {
            m->codes[row * m->spec.n_in] = 9;
            m->scales[row * m->n_groups] = 1;
        }
    }
    oracle_store(p.x_rows, what.dtype, 0, 1);
    static const int32_t experts[3] = {2, 0, 1};
    static const float weights[3] = {-0x1p24f, 0x1p24f, 1};
    memcpy(p.ids, experts, sizeof(experts));
    memcpy(p.weights, weights, sizeof(weights));
    uint16_t *out = forward_once(contexts[1], &p, W4MOE_ORDER_TILE);
    for (size_t n = 0; n < what.hidden; n++) {
        ck_assert_uint_eq(out[n], 0);
    }
    free(out);
    forward_free(&p);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("forward_bytes");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, same_bytes_for_any_threads_and_again);
    tcase_add_test(tc, experts_are_added_in_their_order);
    tcase_add_test(tc, out_may_be_x);
    Suite *suite = suite_create("forward_bytes");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
