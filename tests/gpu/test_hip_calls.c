/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* What calls of w4moe_forward(), w4moe_choose() and w4moe_combine() of the HIP
 * backend do: they launch kernels, and nothing else if their arrays are on the
 * device. Only the runtime of fake_hip.h counts that. */
#include <stdlib.h>

#include "../kernel/alloc_count.h"
#include "fake_hip.h"
#include "hip_call.h"
#include "hip_context.h"
#include "hip_ways.h"
#include "layer_case.h"

static w4moe_ctx *ctx;
static struct hip_open_way way;

static void
teardown(void)
{
    hip_context_end(ctx);
}

/* All functions of the runtime that do something but start kernels. */
static const char *const others[] = {"hipMalloc", "hipFree", "hipHostMalloc",
        "hipHostFree", "hipMemcpy", "hipMemcpyAsync", "hipMemset",
        "hipMemsetAsync", "hipDeviceSynchronize", "hipStreamSynchronize",
        "hipStreamCreate", "hipStreamCreateWithFlags", "hipStreamDestroy",
        "hipMemGetInfo", "hipGetDeviceProperties", "hipModuleLoadData",
        "hipModuleGetFunction", "hipSetDevice"};

static void
count_nothing_else(void)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        ck_assert_msg(
                fake_hip_count(others[i]) == 0, "%s is called", others[i]);
    }
}

/* Makes the call, and counts what it does. */
static void
count_call(unsigned most)
{
    hipStream_t stream;
    struct hip_forward call;
    HIP_OK(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking));
    hip_forward_open(&call, way.layer, way.ws, &way.p);
    call.args.stream = stream;
    fake_hip_reset();
    alloc_count_begin(fake_hip_inside);
    w4moe_status status = w4moe_forward(way.layer, way.ws, &call.args);
    unsigned n_allocations = alloc_count_end();
    ck_assert_int_eq(status, W4MOE_OK);
    ck_assert_uint_eq(n_allocations, 0);
    unsigned n = fake_hip_count("hipModuleLaunchKernel");
    ck_assert_msg(n >= 2 && n <= most, "%u launches for %zu tokens of %zu%s", n,
            way.p.what.n_tokens, way.p.what.top_k,
            way.logits != NULL ? ", with logits" : "");
    count_nothing_else();
    free(hip_forward_close(&call));
    HIP_OK(hipStreamDestroy(stream));
}

START_TEST(a_call_is_launches_alone)
{
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_HIP_WAYS; i++) {
        for (int flags = 0; flags < 2; flags++) {
            hip_way_open(&way, ctx, &hip_ways[i],
                    flags != 0 ? W4MOE_BATCH_INVARIANT : 0);
            size_t n_slots = way.p.what.n_tokens * way.p.what.top_k;
            int few = n_slots <= 64 && flags == 0;
            count_call(few ? 2 : 4);
            hip_way_use_logits(&way);
            count_call(few ? 3 : 5);
            hip_way_close(&way);
        }
    }
}
END_TEST

/* From host memory it copies and waits, too: each array once, however its rows
 * stand. */
START_TEST(a_call_from_host_memory)
{
    static const char *const never[] = {"hipMalloc", "hipFree", "hipHostMalloc",
            "hipHostFree", "hipMemcpy", "hipDeviceSynchronize"};
    ctx = hip_context(hip_archs[_i], 0);
    for (int i = 0; i < N_HIP_WAYS; i++) {
        struct forward_call call;
        hip_way_open(&way, ctx, &hip_ways[i], W4MOE_HOST_IO | W4MOE_ACCUMULATE);
        forward_open(&call, way.layer, way.ws, &way.p);
        fake_hip_reset();
        alloc_count_begin(fake_hip_inside);
        w4moe_status status = w4moe_forward(way.layer, way.ws, &call.args);
        unsigned n_allocations = alloc_count_end();
        ck_assert_int_eq(status, W4MOE_OK);
        ck_assert_uint_eq(n_allocations, 0);
        ck_assert_uint_eq(fake_hip_count("hipMemcpyAsync"), 5);
        ck_assert_uint_eq(fake_hip_count("hipStreamSynchronize"), 1);
        for (size_t f = 0; f < sizeof(never) / sizeof(never[0]); f++) {
            ck_assert_uint_eq(fake_hip_count(never[f]), 0);
        }
        free(forward_close(&call));
        hip_way_close(&way);
    }
}
END_TEST

/* Launches of a call with all that a layer can have: logits and gates, route,
 * count; of each kind of experts blocks if there are many slots, w13, w2; the
 * sum. Shared experts that are left out cost nothing. */
START_TEST(launches_of_a_whole_layer)
{
    static const struct {
        size_t n_tokens;
        unsigned flags;
        unsigned launches;
    } calls[] = {{1, 0, 8}, {1, W4MOE_NO_SHARED, 5}, {20, 0, 8}, {33, 0, 10},
            {33, W4MOE_NO_SHARED, 7}, {1, W4MOE_BATCH_INVARIANT, 10}};
    ctx = hip_context(hip_archs[_i], 0);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct layer_what what = {
                .routed = {.seed = 0x6800 + i,
                        .n_experts = 6,
                        .hidden = 64,
                        .inter = 32,
                        .w13_group = 32,
                        .w2_group = 32,
                        .kind = W4MOE_ACT_SILU,
                        .dtype = W4MOE_BF16,
                        .n_tokens = calls[i].n_tokens,
                        .top_k = 2},
                .n_shared = 2,
                .shared_inter = 32,
                .gate_dtype = W4MOE_BF16,
                .router = {.kind = W4MOE_ROUTER_SIGMOID,
                        .weight_dtype = W4MOE_BF16},
        };
        struct layer_case c;
        layer_case_open(&c, ctx, &what);
        layer_case_use_router(&c);
        fake_hip_reset();
        free(layer_case_run(&c, ctx, calls[i].flags, 0));
        ck_assert_uint_eq(
                fake_hip_count("hipModuleLaunchKernel"), calls[i].launches);
        layer_case_close(&c);
    }
}
END_TEST

/* Of a layer that has more than choose needs. */
START_TEST(a_choice_and_a_sum_are_a_launch_each)
{
    struct layer_what what = {
            .routed = {.seed = 0x6900,
                    .n_experts = 4,
                    .hidden = 64,
                    .inter = 32,
                    .w13_group = 32,
                    .w2_group = 32,
                    .kind = W4MOE_ACT_SILU,
                    .dtype = W4MOE_BF16,
                    .n_tokens = 2,
                    .top_k = 2},
            .n_shared = 1,
            .shared_inter = 32,
            .gate_dtype = W4MOE_BF16,
            .router = {.kind = W4MOE_ROUTER_SOFTMAX_TOPK},
    };
    static const float logits[8];
    w4moe_workspace *ws = NULL;
    struct layer_case c;
    ctx = hip_context(hip_archs[_i], 0);
    layer_case_open(&c, ctx, &what);
    ck_assert_int_eq(w4moe_workspace_create(c.layer, &ws, 2, 2), W4MOE_OK);
    void *ids = hip_copy_of(logits, 16);
    void *weights = hip_copy_of(logits, 16);
    w4moe_forward_args args = c.p.args;
    args.ids = NULL;
    args.weights = NULL;
    args.x = args.router_logits = hip_copy_of(logits, sizeof(logits));
    args.logits_dtype = W4MOE_F32;
    w4moe_combine_args sums = {
            .struct_size = sizeof(sums),
            .out = weights,
            .out_dtype = W4MOE_F32,
            .rows = args.x,
            .row_dtype = W4MOE_F32,
            .n_rows = 8,
            .n_tokens = 4,
            .k = 2,
            .n_columns = 1,
    };
    fake_hip_reset();
    ck_assert_int_eq(w4moe_choose(c.layer, ws, ids, weights, &args), W4MOE_OK);
    ck_assert_uint_eq(fake_hip_count("hipModuleLaunchKernel"), 1);
    ck_assert_int_eq(w4moe_combine(ctx, &sums), W4MOE_OK);
    ck_assert_uint_eq(fake_hip_count("hipModuleLaunchKernel"), 2);
    count_nothing_else();
    HIP_OK(hipFree(ids));
    HIP_OK(hipFree(weights));
    HIP_OK(hipFree((void *)(uintptr_t)args.x));
    w4moe_workspace_destroy(ws);
    layer_case_close(&c);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {a_call_is_launches_alone,
            a_call_from_host_memory, launches_of_a_whole_layer,
            a_choice_and_a_sum_are_a_launch_each};
    return hip_run_tests("hip calls", tests, sizeof(tests) / sizeof(tests[0]),
            NULL, teardown);
}
