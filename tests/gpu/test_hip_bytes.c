/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The bytes that w4moe_forward() of the HIP backend writes: the same again, for
 * any order of threads, from host and device memory, in a graph; and what a
 * call costs: launches and nothing else. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/alloc_count.h"
#include "hip_call.h"
#include "hip_context.h"
#include "shim.h"

static w4moe_ctx *ctx;

/* A layer, its problem and a workspace. */
static struct forward_problem p;
static w4moe_matrix w13;
static w4moe_matrix w2;
static w4moe_layer *layer;
static w4moe_workspace *ws;

/* Ways through the backend: without blocks, dot products, matrices; the last
 * two with K and groups of any size. */
static const struct way {
    size_t hidden, inter, group;
    size_t n_experts, n_tokens, top_k;
    unsigned form;
} ways[] = {
        {160, 96, 32, 4, 9, 3, FORM_ZEROS_F32_BIAS},
        {160, 96, 32, 30, 40, 3, FORM_OFFSETS_F32_BIAS},
        {160, 96, 32, 20, 40, 3, FORM_ZEROS},
        {320, 96, 64, 3, 40, 3, FORM_ZEROS_F32_BIAS},
        {160, 160, 32, 2, 70, 2, FORM_MXFP4_BIAS},
        {80, 72, 24, 4, 9, 3, FORM_ZEROS_PERM2},
        {80, 72, 24, 4, 40, 3, FORM_ZEROS},
};

enum { N_WAYS = sizeof(ways) / sizeof(ways[0]) };

static void
open_way(const struct way *way, unsigned flags)
{
    struct forward_case what = {
            .seed = 0x6000 + way->hidden + way->n_experts,
            .n_experts = way->n_experts,
            .hidden = way->hidden,
            .inter = way->inter,
            .w13_group = way->group,
            .w2_group = way->group,
            .kind = W4MOE_ACT_SILU,
            .form = way->form,
            .dtype = way->form % 2 == 0 ? W4MOE_BF16 : W4MOE_F16,
            .n_tokens = way->n_tokens,
            .top_k = way->top_k,
            .flags = flags,
            .out_pad = 5,
    };
    forward_make(&p, &what);
    layer = forward_layer(ctx, &p, &w13, &w2, W4MOE_ORDER_TILE, 0);
    ck_assert_int_eq(
            w4moe_workspace_create(layer, &ws, what.n_tokens, what.top_k),
            W4MOE_OK);
}

static void
close_way(void)
{
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&p);
}

static void
teardown(void)
{
    gpu_shim_seed(0);
    hip_context_end(ctx);
}

START_TEST(again_and_in_any_order_of_threads)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_WAYS; i++) {
        open_way(&ways[i], W4MOE_HOST_IO);
        gpu_shim_seed(0);
        void *first = forward_run(ctx, layer, ws, &p);
        for (uint64_t seed = 0; seed < 3; seed++) {
            gpu_shim_seed(seed);
            void *again = forward_run(ctx, layer, NULL, &p);
            forward_same(&p, first, again, "in another order of threads");
            free(again);
        }
        free(first);
        close_way();
    }
}
END_TEST

/* Tokens alone, and in calls of every number of tokens. */
START_TEST(a_token_does_not_see_the_others)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_WAYS; i++) {
        struct way way = ways[i];
        way.n_tokens = 70;
        open_way(&way, W4MOE_HOST_IO | W4MOE_BATCH_INVARIANT);
        char *all = forward_run(ctx, layer, ws, &p);
        size_t k = way.top_k;
        size_t step = (size_t)i % 2 + 3;
        for (size_t n = 1, t = 0; t + n <= 70; t += n, n += step) {
            uint16_t some[70 * 320];
            w4moe_forward_args args = p.args;
            args.out = some;
            args.out_stride = 0;
            args.x = (const uint16_t *)p.x_rows + t * p.x_stride;
            args.n_tokens = n;
            args.ids = p.ids + t * k;
            args.weights = p.weights + t * k;
            ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
            ck_assert_int_eq(
                    memcmp(some, all + t * way.hidden * 2, n * way.hidden * 2),
                    0);
        }
        free(all);
        close_way();
    }
}
END_TEST

/* Logits for the problem's tokens, on the device. */
static float *
logits_of_problem(void)
{
    size_t n = p.what.n_tokens * p.what.n_experts;
    struct oracle_rng rng = {p.what.seed};
    float *logits = oracle_alloc(n, sizeof(*logits));
    for (size_t i = 0; i < n; i++) {
        logits[i] = (float)oracle_uniform(&rng, -4, 4);
    }
    return logits;
}

START_TEST(device_memory_and_streams)
{
    hipStream_t streams[2] = {NULL, NULL};
    ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&streams[1], hipStreamNonBlocking));
    for (int i = 0; i < N_WAYS; i++) {
        unsigned flags = i % 2 == 0 ? 0 : W4MOE_ACCUMULATE;
        open_way(&ways[i], flags | W4MOE_HOST_IO);
        void *host = forward_run(ctx, layer, ws, &p);
        p.args.flags = flags;
        for (int s = 0; s < 2; s++) {
            void *out = hip_forward_run(ctx, layer, ws, &p, streams[s]);
            forward_same(&p, host, out, "from device memory");
            free(out);
        }
        free(host);
        close_way();
    }
    HIP_OK(hipStreamDestroy(streams[1]));
}
END_TEST

/* A graph runs as often as one wants, each time with what the arrays hold. */
START_TEST(graphs)
{
    hipStream_t stream;
    ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    for (int i = 0; i < 2 * N_WAYS; i++) {
        open_way(&ways[i / 2], W4MOE_ACCUMULATE);
        float *logits = i % 2 != 0 ? logits_of_problem() : NULL;
        if (logits != NULL) {
            p.args.ids = NULL;
            p.args.weights = NULL;
            p.args.router_logits = logits;
            p.args.logits_dtype = W4MOE_F32;
        }
        void *plain = hip_forward_run(ctx, layer, ws, &p, stream);
        struct hip_forward call;
        hipGraph_t graph;
        hipGraphExec_t exec;
        hip_forward_open(&call, layer, ws, &p);
        call.args.stream = stream;
        HIP_OK(hipStreamBeginCapture(stream, hipStreamCaptureModeGlobal));
        ck_assert_int_eq(w4moe_forward(layer, ws, &call.args), W4MOE_OK);
        HIP_OK(hipStreamEndCapture(stream, &graph));
        HIP_OK(hipGraphInstantiate(&exec, graph, NULL, NULL, 0));
        for (int n = 0; n < 2; n++) {
            hip_forward_again(&call);
            HIP_OK(hipGraphLaunch(exec, stream));
            HIP_OK(hipStreamSynchronize(stream));
        }
        void *out = hip_forward_close(&call);
        forward_same(&p, plain, out, "from a graph");
        HIP_OK(hipGraphExecDestroy(exec));
        HIP_OK(hipGraphDestroy(graph));
        free(out);
        free(plain);
        free(logits);
        close_way();
    }
    HIP_OK(hipStreamDestroy(stream));
}
END_TEST

/* All functions of the runtime that do something but start kernels. */
static const char *const others[] = {"hipMalloc", "hipFree", "hipHostMalloc",
        "hipHostFree", "hipMemcpy", "hipMemcpyAsync", "hipMemset",
        "hipMemsetAsync", "hipDeviceSynchronize", "hipStreamSynchronize",
        "hipStreamCreate", "hipStreamCreateWithFlags", "hipStreamDestroy",
        "hipMemGetInfo", "hipGetDeviceProperties", "hipModuleLoadData",
        "hipModuleGetFunction", "hipSetDevice"};

/* Makes the call, and counts what it does. */
static void
count_call(unsigned most, int with_logits)
{
    hipStream_t stream;
    struct hip_forward call;
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    hip_forward_open(&call, layer, ws, &p);
    call.args.stream = stream;
    fake_hip_reset();
    alloc_count_begin(fake_hip_inside);
    w4moe_status status = w4moe_forward(layer, ws, &call.args);
    unsigned n_allocations = alloc_count_end();
    ck_assert_int_eq(status, W4MOE_OK);
    ck_assert_uint_eq(n_allocations, 0);
    unsigned n = fake_hip_count("hipModuleLaunchKernel");
    ck_assert_msg(n >= 2 && n <= most, "%u launches for %zu tokens of %zu%s", n,
            p.what.n_tokens, p.what.top_k, with_logits ? ", with logits" : "");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        ck_assert_msg(
                fake_hip_count(others[i]) == 0, "%s is called", others[i]);
    }
    free(hip_forward_close(&call));
    HIP_OK(hipStreamDestroy(stream));
}

START_TEST(a_call_is_launches_alone)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_WAYS; i++) {
        for (int flags = 0; flags < 2; flags++) {
            open_way(&ways[i], flags != 0 ? W4MOE_BATCH_INVARIANT : 0);
            int few = p.what.n_tokens * p.what.top_k <= 64 && flags == 0;
            float *logits = logits_of_problem();
            count_call(few ? 2 : 4, 0);
            p.args.ids = NULL;
            p.args.weights = NULL;
            p.args.router_logits = logits;
            p.args.logits_dtype = W4MOE_F32;
            count_call(few ? 3 : 5, 1);
            free(logits);
            close_way();
        }
    }
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {again_and_in_any_order_of_threads,
            a_token_does_not_see_the_others, device_memory_and_streams, graphs,
            a_call_is_launches_alone};
    TCase *tc = tcase_create("hip bytes");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, NULL, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tcase_add_loop_test(tc, tests[i], 0, N_HIP_ARCHS);
    }
    Suite *suite = suite_create("hip bytes");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
