/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The bytes that w4moe_forward() of the HIP backend writes: the same again, for
 * any order of threads, from host and device memory, in a graph. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hip_call.h"
#include "hip_context.h"
#include "hip_device.h"
#include "hip_ways.h"

static w4moe_ctx *ctx;
static struct hip_open_way way;
static struct forward_problem *const p = &way.p;

static void
teardown(void)
{
    hip_device_order(0);
    hip_context_end(ctx);
}

START_TEST(again_and_in_any_order_of_threads)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_HIP_WAYS; i++) {
        hip_way_open(&way, ctx, &hip_ways[i], W4MOE_HOST_IO);
        hip_device_order(0);
        void *first = forward_run(ctx, way.layer, way.ws, p);
        for (uint64_t seed = 0; seed < 3; seed++) {
            hip_device_order(seed);
            void *again = forward_run(ctx, way.layer, NULL, p);
            forward_same(p, first, again, "in another order of threads");
            free(again);
        }
        free(first);
        hip_way_close(&way);
    }
}
END_TEST

/* Tokens alone, and in calls of every number of tokens. */
START_TEST(a_token_does_not_see_the_others)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_HIP_WAYS; i++) {
        struct hip_way longer = hip_ways[i];
        longer.n_tokens = 70;
        hip_way_open(&way, ctx, &longer, W4MOE_HOST_IO | W4MOE_BATCH_INVARIANT);
        char *all = forward_run(ctx, way.layer, way.ws, p);
        size_t k = longer.top_k;
        size_t step = (size_t)i % 2 + 3;
        for (size_t n = 1, t = 0; t + n <= 70; t += n, n += step) {
            uint16_t some[70 * 320];
            w4moe_forward_args args = p->args;
            args.out = some;
            args.out_stride = 0;
            args.x = (const uint16_t *)p->x_rows + t * p->x_stride;
            args.n_tokens = n;
            args.ids = p->ids + t * k;
            args.weights = p->weights + t * k;
            ck_assert_int_eq(w4moe_forward(way.layer, way.ws, &args), W4MOE_OK);
            ck_assert_int_eq(memcmp(some, all + t * longer.hidden * 2,
                                     n * longer.hidden * 2),
                    0);
        }
        free(all);
        hip_way_close(&way);
    }
}
END_TEST

static int
is_nan_row(const void *out, size_t row)
{
    size_t n_nan = 0;
    for (size_t c = 0; c < p->what.hidden; c++) {
        n_nan += isnan(oracle_load(
                         out, p->what.dtype, row * p->what.hidden + c)) != 0;
    }
    return n_nan == p->what.hidden;
}

/* A token with NaN or infinity among its numbers does not change the others;
 * with NaN all of its results are. */
START_TEST(a_token_of_nan_spoils_no_other)
{
    enum { SPOILT = 1 };
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < 2 * N_HIP_WAYS; i++) {
        double bad = i % 2 != 0 ? (double)INFINITY : (double)NAN;
        hip_way_open(&way, ctx, &hip_ways[i / 2], W4MOE_HOST_IO);
        size_t n = 2 * p->what.hidden;
        char *good = forward_run(ctx, way.layer, way.ws, p);
        p->x[SPOILT * p->what.hidden + 7] = bad;
        forward_store_rows(p);
        char *out = forward_run(ctx, way.layer, way.ws, p);
        ck_assert(isinf(bad) || is_nan_row(out, SPOILT));
        memcpy(out + SPOILT * n, good + SPOILT * n, n);
        forward_same(p, good, out, "beside a token of NaN");
        free(good);
        free(out);
        hip_way_close(&way);
    }
}
END_TEST

START_TEST(device_memory_and_streams)
{
    hipStream_t streams[2] = {NULL, NULL};
    ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&streams[1], hipStreamNonBlocking));
    for (int i = 0; i < N_HIP_WAYS; i++) {
        unsigned flags = i % 2 == 0 ? 0 : W4MOE_ACCUMULATE;
        hip_way_open(&way, ctx, &hip_ways[i], flags | W4MOE_HOST_IO);
        void *host = forward_run(ctx, way.layer, way.ws, p);
        p->args.flags = flags;
        for (int s = 0; s < 2; s++) {
            void *out = hip_forward_run(ctx, way.layer, way.ws, p, streams[s]);
            forward_same(p, host, out, "from device memory");
            free(out);
        }
        free(host);
        hip_way_close(&way);
    }
    HIP_OK(hipStreamDestroy(streams[1]));
}
END_TEST

/* More of one array than goes through the workspace's pinned memory at once,
 * and pieces that end within rows. */
START_TEST(much_from_host_memory)
{
    static const struct hip_way much[N_HIP_ARCHS] = {
            {8, 8, 8, 600, 2000, 1, FORM_BF16},
            {200, 8, 8, 2, 3000, 1, FORM_BF16},
            {904, 8, 8, 2, 2400, 1, FORM_BF16},
    };
    hipStream_t stream;
    ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    hip_way_open(&way, ctx, &much[_i], W4MOE_ACCUMULATE | W4MOE_HOST_IO);
    hip_way_use_logits(&way);
    p->args.stream = stream;
    void *host = forward_run(ctx, way.layer, way.ws, p);
    p->args.flags = W4MOE_ACCUMULATE;
    void *device = hip_forward_run(ctx, way.layer, way.ws, p, stream);
    forward_same(p, host, device, "from device memory");
    free(host);
    free(device);
    hip_way_close(&way);
    HIP_OK(hipStreamDestroy(stream));
}
END_TEST

/* The call, captured in a stream. */
static hipGraphExec_t
capture(hipStream_t stream, struct hip_forward *call)
{
    hipGraph_t graph;
    hipGraphExec_t exec;
    call->args.stream = stream;
    HIP_OK(hipStreamBeginCapture(stream, hipStreamCaptureModeGlobal));
    ck_assert_int_eq(w4moe_forward(way.layer, way.ws, &call->args), W4MOE_OK);
    HIP_OK(hipStreamEndCapture(stream, &graph));
    HIP_OK(hipGraphInstantiate(&exec, graph, NULL, NULL, 0));
    HIP_OK(hipGraphDestroy(graph));
    return exec;
}

/* A graph runs as often as one wants, each time with what the arrays hold. The
 * first call of all may be a captured one. */
START_TEST(graphs)
{
    hipStream_t stream;
    ctx = hip_context(hip_archs[_i], 0);
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    for (int i = 0; i < 2 * N_HIP_WAYS; i++) {
        hip_way_open(&way, ctx, &hip_ways[i / 2], W4MOE_ACCUMULATE);
        if (i % 2 != 0) {
            hip_way_use_logits(&way);
        }
        struct hip_forward call;
        hip_forward_open(&call, way.layer, way.ws, p);
        hipGraphExec_t exec = capture(stream, &call);
        for (int n = 0; n < 2; n++) {
            hip_forward_again(&call);
            HIP_OK(hipGraphLaunch(exec, stream));
            HIP_OK(hipStreamSynchronize(stream));
        }
        void *out = hip_forward_close(&call);
        void *plain = hip_forward_run(ctx, way.layer, way.ws, p, stream);
        forward_same(p, plain, out, "from a graph");
        HIP_OK(hipGraphExecDestroy(exec));
        free(out);
        free(plain);
        hip_way_close(&way);
    }
    HIP_OK(hipStreamDestroy(stream));
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {again_and_in_any_order_of_threads,
            a_token_does_not_see_the_others, a_token_of_nan_spoils_no_other,
            device_memory_and_streams, much_from_host_memory, graphs};
    return hip_run_tests("hip bytes", tests, sizeof(tests) / sizeof(tests[0]),
            NULL, teardown);
}
