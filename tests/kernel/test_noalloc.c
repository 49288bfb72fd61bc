/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * w4moe_forward(), w4moe_choose() and w4moe_combine() allocate nothing: calls
 * of the allocator are counted while such a call runs, of any thread, the
 * OpenMP library's included. The first call of a context may allocate, since it
 * starts the threads.
 */
#include <check.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_count.h"
#include "forward_case.h"

/* A call of the library that does allocate is counted. */
START_TEST(calls_are_counted)
{
    w4moe_ctx *ctx = NULL;
    alloc_count_begin(NULL);
    w4moe_status status = w4moe_ctx_create(&ctx, NULL);
    unsigned n = alloc_count_end();
    ck_assert_int_eq(status, W4MOE_OK);
    ck_assert_uint_gt(n, 0);
    w4moe_ctx_destroy(ctx);
}
END_TEST

/* Runs a call twice; the second time counts. */
static void
check_call(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *args, unsigned n_threads)
{
    ck_assert_int_eq(w4moe_forward(layer, ws, args), W4MOE_OK);
    alloc_count_begin(NULL);
    w4moe_status status = w4moe_forward(layer, ws, args);
    unsigned n = alloc_count_end();
    ck_assert_int_eq(status, W4MOE_OK);
    ck_assert_msg(n == 0,
            "%u calls of the allocator with %u threads, %zu "
            "tokens, %s",
            n, n_threads, args->n_tokens, args->ids != NULL ? "ids" : "logits");
}

/* The functions around a forward call: twice, too. */
static void
check_others(const w4moe_ctx *ctx, const w4moe_layer *layer,
        w4moe_workspace *ws, const w4moe_forward_args *args, unsigned n_threads)
{
    int32_t ids[33 * 3];
    float weights[33 * 3];
    float sums[11 * 80];
    w4moe_forward_args choose = *args;
    choose.out = NULL;
    w4moe_combine_args combine = {.struct_size = sizeof(combine),
            .out = sums,
            .out_dtype = W4MOE_F32,
            .rows = args->out,
            .row_dtype = args->dtype,
            .n_rows = 33,
            .n_tokens = 11,
            .k = 3,
            .n_columns = 80};
    for (int again = 0; again < 2; again++) {
        alloc_count_begin(NULL);
        w4moe_status status = w4moe_choose(layer, ws, ids, weights, &choose);
        if (status == W4MOE_OK) {
            status = w4moe_combine(ctx, &combine);
        }
        unsigned n = alloc_count_end();
        ck_assert_int_eq(status, W4MOE_OK);
        ck_assert_msg(again == 0 || n == 0,
                "%u calls of the allocator with %u threads", n, n_threads);
    }
}

static void
check_threads(unsigned n_threads, unsigned form)
{
    w4moe_ctx *ctx = NULL;
    w4moe_ctx_options options = {.struct_size = sizeof(options),
            .backend = "cpu",
            .n_threads = n_threads};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_OK);
    struct forward_case what = {
            .seed = 0x3000 + form,
            .n_experts = 8,
            .hidden = 80,
            .inter = 72,
            .w13_group = 32,
            .w2_group = 24,
            .kind = W4MOE_ACT_SWIGLUOAI,
            .form = form,
            .dtype = form % 2 != 0 ? W4MOE_BF16 : W4MOE_F16,
            .n_tokens = 33,
            .top_k = 3,
    };
    struct forward_problem p;
    w4moe_matrix w13;
    w4moe_matrix w2;
    w4moe_workspace *ws = NULL;
    forward_make(&p, &what);
    w4moe_layer *layer =
            forward_layer(ctx, &p, &w13, &w2, W4MOE_ORDER_TILE, form % 2 != 0);
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 33, 3), W4MOE_OK);
    uint16_t out[33 * 80];
    float logits[33 * 8];
    for (int i = 0; i < 33 * 8; i++) {
        logits[i] = (float)(i % 7) - (float)(i % 3);
    }
    p.args.out = out;
    check_call(layer, ws, &p.args, n_threads);
    p.args.n_tokens = 1;
    check_call(layer, ws, &p.args, n_threads);
    p.args.n_tokens = 33;
    p.args.ids = NULL;
    p.args.weights = NULL;
    p.args.router_logits = logits;
    p.args.logits_dtype = W4MOE_F32;
    check_call(layer, ws, &p.args, n_threads);
    check_others(ctx, layer, ws, &p.args, n_threads);
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&p);
    w4moe_ctx_destroy(ctx);
}

/* For dl_iterate_phdr(): stops at LLVM's OpenMP library. */
static int
is_libomp(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    (void)data;
    return strstr(info->dlpi_name, "libomp") != NULL ||
           strstr(info->dlpi_name, "libiomp") != NULL;
}

/* LLVM's OpenMP library may allocate in every loop that several threads
 * share; there only calls with one thread tell something of ours. */
START_TEST(forward_allocates_nothing)
{
    static const unsigned threads[] = {1, 2, 5};
    size_t n = dl_iterate_phdr(is_libomp, NULL) != 0 ? 1 : 3;
    for (size_t i = 0; i < n; i++) {
        for (unsigned form = 0; form < N_WEIGHT_FORMS; form++) {
            check_threads(threads[i], form);
        }
    }
}
END_TEST

int
main(void)
{
    if (!alloc_count_works()) {
        fputs("skipped: needs glibc's allocator, with nothing before it\n",
                stderr);
        return 77;
    }
    TCase *tc = tcase_create("noalloc");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, calls_are_counted);
    tcase_add_test(tc, forward_allocates_nothing);
    Suite *suite = suite_create("noalloc");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
