/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_forward_dlpack(): the bytes of w4moe_forward(), from tensors of every
 * accepted form. What it refuses is in test_dlpack_refusals.c. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "dlpack_call.h"
#include "forward_case.h"

enum { HIDDEN = 80, EXPERTS = 4 };

static struct forward_case
usual(uint64_t seed)
{
    struct forward_case what = {
            .seed = seed,
            .n_experts = EXPERTS,
            .hidden = HIDDEN,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SILU,
            .dtype = seed % 2 == 0 ? W4MOE_BF16 : W4MOE_F16,
            .n_tokens = 5,
            .top_k = 2,
            .x_pad = 3,
            .out_pad = 5,
    };
    return what;
}

static void
expect_ok(const w4moe_ctx *ctx, w4moe_status status)
{
    ck_assert_msg(status == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
}

/* How strides are given. */
enum form { FORM_STRIDES, FORM_NULL, FORM_ODD, N_FORMS };

/* Packed tensors may have no strides, and a dimension of 1 any. */
static void
set_strides(struct dlpack_tensor *t, enum form form, size_t row)
{
    int64_t *strides = t->tensor.strides;
    int ndim = t->tensor.ndim;
    if (t->tensor.shape == NULL) {
        return;
    }
    if (form == FORM_NULL && (ndim == 1 || strides[0] == (int64_t)row)) {
        t->tensor.strides = NULL;
    }
    if (form == FORM_ODD) {
        for (int i = 0; i < ndim; i++) {
            strides[i] = t->shape[i] == 1 ? -7 : strides[i];
        }
    }
}

static void
check_same(const struct forward_problem *p, enum form form, size_t offset)
{
    w4moe_ctx *ctx = contexts[1];
    w4moe_matrix w13;
    w4moe_matrix w2;
    struct forward_call plain;
    struct dlpack_call call;
    size_t n_global = p->args.n_experts_global != 0 ? p->args.n_experts_global
                                                    : p->what.n_experts;
    w4moe_layer *layer = forward_layer(ctx, p, &w13, &w2, W4MOE_ORDER_TILE, 0);
    void *expected = forward_run(ctx, layer, NULL, p);
    forward_open(&plain, layer, NULL, p);
    dlpack_call_make(&call, &plain.args, HIDDEN, n_global, offset);
    set_strides(&call.out, form, HIDDEN);
    set_strides(&call.x, form, HIDDEN);
    set_strides(&call.ids, form, p->what.top_k);
    set_strides(&call.weights, form, p->what.top_k);
    set_strides(&call.logits, form, n_global);
    set_strides(&call.map, form, n_global);
    expect_ok(ctx, w4moe_forward_dlpack(layer, plain.ws, &call.args));
    void *got = forward_close(&plain);
    forward_same(p, expected, got, "by DLPack");
    free(expected);
    free(got);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
}

START_TEST(ids_and_weights)
{
    for (unsigned i = 0; i < 4 * N_FORMS; i++) {
        static const size_t tokens[2] = {1, 5};
        struct forward_case what = usual(0x3000 + i);
        what.n_tokens = tokens[i / 2 % 2];
        what.top_k = 1 + i / 4 % 2;
        what.x_pad = i % 3;
        what.out_pad = i / 2 % 3;
        what.flags = i % 4 == 0 ? W4MOE_ACCUMULATE : W4MOE_HOST_IO;
        struct forward_problem p;
        forward_make(&p, &what);
        check_same(&p, (enum form)(i % N_FORMS), i % 2 == 0 ? 0 : 64);
        forward_free(&p);
    }
}
END_TEST

START_TEST(logits_and_maps)
{
    static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_BF16, W4MOE_F16};
    static const int32_t map[6] = {3, 0, -1, 2, -1, 1};
    for (unsigned i = 0; i < 6 * N_FORMS; i++) {
        struct forward_case what = usual(0x3100 + i);
        struct forward_problem p;
        uint32_t logits[5 * 6];
        forward_make(&p, &what);
        struct oracle_rng rng = {what.seed};
        for (size_t n = 0; n < 5 * 6; n++) {
            oracle_store(logits, types[i % 3], n, oracle_uniform(&rng, -3, 3));
        }
        p.args.ids = NULL;
        p.args.weights = NULL;
        p.args.router_logits = logits;
        p.args.logits_dtype = types[i % 3];
        if (i % 2 == 0) {
            p.args.expert_map = map;
            p.args.n_experts_global = 6;
        }
        check_same(&p, (enum form)(i / 6), 8 * (i % 4));
        forward_free(&p);
    }
}
END_TEST

/* The router has a weight, and the call only hidden states and counts. */
START_TEST(hidden_states_alone)
{
    static float weight[EXPERTS * HIDDEN];
    struct forward_case what = usual(0x3180);
    struct forward_problem p;
    struct forward_call plain;
    struct dlpack_call call;
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_layer *layer = NULL;
    int32_t counts[2][EXPERTS] = {{-1}, {-2}};
    forward_make(&p, &what);
    w4moe_layer_destroy(
            forward_layer(contexts[0], &p, &w13, &w2, W4MOE_ORDER_TILE, 0));
    struct oracle_rng rng = {what.seed};
    for (size_t i = 0; i < EXPERTS * (size_t)HIDDEN; i++) {
        weight[i] = (float)oracle_uniform(&rng, -1, 1);
    }
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = p.activation,
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .weight = weight,
                    .weight_dtype = W4MOE_F32},
    };
    expect_ok(contexts[0], w4moe_layer_create(contexts[0], &layer, &desc, 0));
    p.args.ids = NULL;
    p.args.weights = NULL;
    p.args.expert_counts = counts[0];
    void *expected = forward_run(contexts[0], layer, NULL, &p);
    forward_open(&plain, layer, NULL, &p);
    plain.args.expert_counts = counts[1];
    dlpack_call_make(&call, &plain.args, HIDDEN, EXPERTS, 16);
    expect_ok(contexts[0], w4moe_forward_dlpack(layer, plain.ws, &call.args));
    void *got = forward_close(&plain);
    forward_same(&p, expected, got, "by DLPack, from hidden states");
    ck_assert_mem_eq(counts[0], counts[1], sizeof(counts[0]));
    free(expected);
    free(got);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&p);
}
END_TEST

/* out is x, or both are columns of one array. */
START_TEST(shared_arrays)
{
    w4moe_ctx *ctx = contexts[0];
    for (unsigned i = 0; i < 4; i++) {
        struct forward_case what = usual(0x3200 + i);
        struct forward_problem p;
        w4moe_matrix w13;
        w4moe_matrix w2;
        forward_make(&p, &what);
        w4moe_layer *layer =
                forward_layer(ctx, &p, &w13, &w2, W4MOE_ORDER_TILE, 0);
        w4moe_workspace *ws = NULL;
        expect_ok(ctx, w4moe_workspace_create(layer, &ws, 5, 2));
        unsigned char *expected = forward_run(ctx, layer, ws, &p);
        uint16_t rows[5][2 * HIDDEN];
        for (size_t t = 0; t < 5; t++) {
            memcpy(rows[t], (uint16_t *)p.x_rows + t * p.x_stride, 2 * HIDDEN);
        }
        p.args.x = rows;
        p.args.x_stride = 2 * HIDDEN;
        p.args.out_stride = 2 * HIDDEN;
        uint16_t *out = rows[0] + (i < 2 ? HIDDEN : 0);
        p.args.out = out;
        struct dlpack_call call;
        dlpack_call_make(&call, &p.args, HIDDEN, EXPERTS, 0);
        expect_ok(ctx, w4moe_forward_dlpack(layer, ws, &call.args));
        for (size_t t = 0; t < 5; t++) {
            ck_assert_mem_eq(out + t * 2 * HIDDEN, expected + t * 2 * HIDDEN,
                    2 * HIDDEN);
        }
        free(expected);
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
        oracle_pack_free(&w13);
        oracle_pack_free(&w2);
        forward_free(&p);
    }
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("dlpack");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, contexts_setup, contexts_teardown);
    tcase_add_test(tc, ids_and_weights);
    tcase_add_test(tc, logits_and_maps);
    tcase_add_test(tc, hidden_states_alone);
    tcase_add_test(tc, shared_arrays);
    Suite *suite = suite_create("dlpack");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
