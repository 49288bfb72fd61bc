/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The HIP backend where something fails: every function of the runtime at every
 * call, devices that are not there or not known, memory that is short. Nothing
 * is left behind in any case. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kernel/forward_case.h"
#include "fake_hip.h"
#include "hip_context.h"

static void
expect_in(const char *text, const char *part)
{
    ck_assert_msg(
            strstr(text, part) != NULL, "no \"%s\" in \"%s\"", part, text);
}

static void
setup(void)
{
    fake_hip_reset();
    fake_hip_devices(1, "gfx1100");
}

/* ------------------------------------------------------- a life that fails */

/* From the context to the end of a call, as far as it goes. */
struct life {
    w4moe_status status;
    char text[2000];
};

static struct forward_problem problem;
static w4moe_matrix w13;
static w4moe_matrix w2;

/* Enough tokens for blocks, or few of them. */
static void
make_problem(size_t n_tokens)
{
    struct forward_case what = {
            .seed = 0x9000,
            .n_experts = 4,
            .hidden = 64,
            .inter = 32,
            .w13_group = 32,
            .w2_group = 32,
            .kind = W4MOE_ACT_SILU,
            .form = FORM_ZEROS_F32_BIAS,
            .dtype = W4MOE_BF16,
            .n_tokens = n_tokens,
            .top_k = 2,
            .flags = W4MOE_HOST_IO | W4MOE_ACCUMULATE,
    };
    forward_make(&problem, &what);
    oracle_pack(&w13, &problem.w13, W4MOE_ORDER_TILE);
    oracle_pack(&w2, &problem.w2, W4MOE_ORDER_TILE);
}

static void
free_problem(void)
{
    oracle_pack_free(&w13);
    oracle_pack_free(&w2);
    forward_free(&problem);
}

/* Notes a failure; returns whether it is one. */
static int
failed(struct life *life, w4moe_status status, const char *text)
{
    life->status = status;
    snprintf(life->text, sizeof(life->text), "%s",
            status != W4MOE_OK ? text : "");
    return status != W4MOE_OK;
}

static int
layer_has_router(const w4moe_layer *layer)
{
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    return w4moe_layer_get_info(layer, &info) == W4MOE_OK &&
           info.has_router_weight;
}

/* The choice alone, as far as the call leaves it to the router. */
static w4moe_status
choose(const w4moe_layer *layer, w4moe_workspace *ws,
        const w4moe_forward_args *of_call)
{
    static int32_t ids[64 * 2];
    static float weights[64 * 2];
    w4moe_forward_args args = *of_call;
    args.out = NULL;
    args.expert_counts = NULL;
    return args.ids == NULL ? w4moe_choose(layer, ws, ids, weights, &args)
                            : W4MOE_OK;
}

static void
call(struct life *life, const w4moe_ctx *ctx, const w4moe_layer *layer)
{
    static uint16_t out[64 * 64];
    static int32_t counts[4];
    w4moe_workspace *ws = NULL;
    w4moe_forward_args args = problem.args;
    memset(out, 0, sizeof(out));
    args.out = out;
    args.expert_counts = counts;
    if (layer_has_router(layer)) {
        args.ids = NULL;
        args.weights = NULL;
    }
    w4moe_status status = w4moe_workspace_create(layer, &ws, 64, 2);
    if (!failed(life, status, w4moe_ctx_error(ctx))) {
        status = choose(layer, ws, &args);
        if (status == W4MOE_OK) {
            status = w4moe_forward(layer, ws, &args);
        }
        failed(life, status, w4moe_ctx_error(ctx));
    }
    w4moe_workspace_destroy(ws);
}

/* Memory for callers, and a sum in it. */
static void
add_rows(struct life *life, const w4moe_ctx *ctx)
{
    enum { N_BYTES = 64 };
    void *device = NULL;
    void *pinned = NULL;
    w4moe_status status =
            w4moe_memory_alloc(ctx, &device, N_BYTES, W4MOE_MEMORY_DEVICE);
    if (status == W4MOE_OK) {
        status = w4moe_memory_alloc(ctx, &pinned, N_BYTES, W4MOE_MEMORY_PINNED);
    }
    w4moe_combine_args args = {
            .struct_size = sizeof(args),
            .out = (char *)device + N_BYTES / 2,
            .out_dtype = W4MOE_F32,
            .rows = device,
            .row_dtype = W4MOE_F32,
            .n_rows = 2,
            .n_tokens = 1,
            .k = 2,
            .n_columns = 4,
    };
    if (status == W4MOE_OK) {
        status = w4moe_combine(ctx, &args);
    }
    if (status == W4MOE_OK) {
        status = w4moe_memory_copy(ctx, pinned, device, N_BYTES, NULL);
    }
    failed(life, status, w4moe_ctx_error(ctx));
    w4moe_memory_free(ctx, device, N_BYTES, W4MOE_MEMORY_DEVICE);
    w4moe_memory_free(ctx, pinned, N_BYTES, W4MOE_MEMORY_PINNED);
}

/* A layer with all that it can have. */
static struct life
live(void)
{
    static const uint16_t rows[4 * 64];
    struct life life;
    w4moe_ctx *ctx = NULL;
    w4moe_layer *layer = NULL;
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = problem.activation,
            .router = {.struct_size = sizeof(desc.router),
                    .kind = W4MOE_ROUTER_SIGMOID,
                    .weight = rows,
                    .weight_dtype = W4MOE_BF16,
                    .correction_bias = rows,
                    .correction_bias_dtype = W4MOE_F16},
            .shared_w13 = &w13,
            .shared_w2 = &w2,
            .shared_gate = rows,
            .shared_gate_dtype = W4MOE_BF16,
    };
    w4moe_status status = hip_context_try(&ctx, "hip", 0, 0);
    if (failed(&life, status, hip_context_failure())) {
        ck_assert_ptr_null(ctx);
        return life;
    }
    status = w4moe_layer_create(ctx, &layer, &desc, 0);
    if (!failed(&life, status, w4moe_ctx_error(ctx))) {
        call(&life, ctx, layer);
    }
    if (life.status == W4MOE_OK) {
        add_rows(&life, ctx);
    }
    w4moe_layer_destroy(layer);
    w4moe_ctx_destroy(ctx);
    return life;
}

/* Functions whose failure is one of the backend, what is said of it, and how
 * often they are called at least. */
static const struct {
    const char *name;
    const char *text;
    unsigned calls;
} functions[] = {
        {"hipGetDeviceCount", "hipGetDeviceCount", 1},
        {"hipGetDeviceProperties", "hipGetDeviceProperties", 1},
        {"hipModuleLoadData", "hipModuleLoadData", 1},
        {"hipModuleGetFunction", "hipModuleGetFunction", 60},
        {"hipMalloc", "hipMalloc", 5},
        {"hipHostMalloc", "hipHostMalloc", 3},
        {"hipMemcpy", "hipMemcpy", 8},
        {"hipMemcpyAsync", "hipMemcpyAsync", 8},
        {"hipModuleLaunchKernel", "hipModuleLaunchKernel", 13},
        {"hipStreamSynchronize", "hipStreamSynchronize", 5},
};

enum { N_FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static void
expect_failure(const struct life *life, int f, unsigned nth, hipError_t error)
{
    w4moe_status want = f == 0                         ? W4MOE_UNSUPPORTED
                        : error == hipErrorOutOfMemory ? W4MOE_NOMEM
                                                       : W4MOE_DEVICE;
    ck_assert_msg(life->status == want, "%s failed at call %u: status %d, %s",
            functions[f].name, nth, (int)life->status, life->text);
    expect_in(life->text, functions[f].text);
    expect_in(life->text, hipGetErrorName(error));
}

START_TEST(every_call_fails_once)
{
    const char *name = functions[_i].name;
    make_problem(33);
    for (unsigned nth = 1;; nth++) {
        hipError_t error = nth % 2 != 0 ? hipErrorUnknown : hipErrorOutOfMemory;
        fake_hip_reset();
        fake_hip_fail(name, nth, error);
        struct life life = live();
        ck_assert_uint_eq(fake_hip_live(), 0);
        if (fake_hip_count(name) < nth) {
            ck_assert_msg(life.status == W4MOE_OK, "%s", life.text);
            ck_assert_uint_gt(nth, functions[_i].calls);
            break;
        }
        expect_failure(&life, _i, nth, error);
    }
    free_problem();
}
END_TEST

/* The device's number cannot be asked for: whatever was going on fails, but
 * what is released is released. */
START_TEST(the_device_cannot_be_entered)
{
    make_problem(3);
    for (unsigned nth = 1;; nth++) {
        fake_hip_reset();
        fake_hip_fail("hipGetDevice", nth, hipErrorUnknown);
        struct life life = live();
        ck_assert_uint_eq(fake_hip_live(), 0);
        if (life.status != W4MOE_OK) {
            ck_assert_int_eq(life.status, W4MOE_DEVICE);
            expect_in(life.text, "hipGetDevice: hipErrorUnknown");
        }
        if (fake_hip_count("hipGetDevice") < nth) {
            ck_assert_uint_gt(nth, 10);
            break;
        }
    }
    free_problem();
}
END_TEST

/* ----------------------------------------------------------------- devices */

START_TEST(no_device)
{
    w4moe_ctx *ctx = NULL;
    fake_hip_devices(0, "gfx1100");
    ck_assert_int_eq(hip_context_try(&ctx, "hip", 0, 0), W4MOE_UNSUPPORTED);
    expect_in(hip_context_failure(),
            "no device (hipGetDeviceCount: hipErrorNoDevice, 0 devices)");
    ck_assert_int_eq(hip_context_try(&ctx, "auto", 0, 0), W4MOE_OK);
    expect_in(w4moe_ctx_describe(ctx), "backend cpu: in use");
    expect_in(w4moe_ctx_describe(ctx), "backend hip: no device");
    w4moe_ctx_destroy(ctx);
    ck_assert_uint_eq(fake_hip_live(), 0);
}
END_TEST

START_TEST(an_unknown_architecture)
{
    w4moe_ctx *ctx = NULL;
    fake_hip_devices(1, "gfx906");
    ck_assert_int_eq(hip_context_try(&ctx, "hip", 0, 0), W4MOE_UNSUPPORTED);
    expect_in(hip_context_failure(),
            "device 0 (fake gfx906) is gfx906, for which this build has no "
            "kernels; it has: gfx1100 gfx1200 sm_90");
    ck_assert_int_eq(hip_context_try(&ctx, "auto", 0, 0), W4MOE_OK);
    expect_in(w4moe_ctx_describe(ctx), "is gfx906, for which");
    w4moe_ctx_destroy(ctx);
    ck_assert_uint_eq(fake_hip_live(), 0);
}
END_TEST

/* Features that follow the name do not matter. */
START_TEST(an_architecture_with_features)
{
    w4moe_ctx *ctx = hip_context("gfx1100:sramecc-:xnack-", 0);
    expect_in(w4moe_ctx_describe(ctx),
            "backend hip: in use, device 0: fake gfx1100:sramecc-:xnack- "
            "(gfx1100, 48 compute units), kernels dot, mma\n");
    hip_context_end(ctx);
}
END_TEST

START_TEST(a_device_that_is_not_there)
{
    w4moe_ctx *ctx = NULL;
    ck_assert_int_eq(hip_context_try(&ctx, "hip", 1, 0), W4MOE_INVALID);
    expect_in(hip_context_failure(), "has no device 1, only 1 device");
    fake_hip_devices(2, "gfx1100");
    ck_assert_int_eq(
            hip_context_try(&ctx, "hip", 0x80000000, 0), W4MOE_INVALID);
    expect_in(
            hip_context_failure(), "has no device 2147483648, only 2 devices");
    ck_assert_uint_eq(fake_hip_live(), 0);
}
END_TEST

static void
expect_device(int device)
{
    int now;
    HIP_OK(hipGetDevice(&now));
    ck_assert_int_eq(now, device);
}

/* The thread's device is the same after each call. */
START_TEST(another_device_than_the_threads)
{
    w4moe_ctx *ctx = NULL;
    struct life life;
    fake_hip_devices(2, "gfx1100");
    make_problem(33);
    ck_assert_int_eq(hip_context_try(&ctx, "hip", 1, 0), W4MOE_OK);
    expect_device(0);
    w4moe_layer *layer = forward_create(ctx, &problem, &w13, &w2, 0);
    expect_device(0);
    call(&life, ctx, layer);
    ck_assert_msg(life.status == W4MOE_OK, "%s", life.text);
    expect_device(0);
    void *out = forward_run(ctx, layer, NULL, &problem);
    forward_judge(&problem, out);
    free(out);
    int32_t none = 0;
    w4moe_gemm_args args = {
            .struct_size = sizeof(args),
            .c = &none,
            .a = &none,
            .dtype = W4MOE_BF16,
            .b = &w2,
            .sorted_slots = &none,
            .expert_ids = &none,
            .n_padded = &none,
            .block_size = 1,
            .top_k = 1,
    };
    ck_assert_int_eq(w4moe_gemm(ctx, &args), W4MOE_OK);
    expect_device(0);
    add_rows(&life, ctx);
    ck_assert_msg(life.status == W4MOE_OK, "%s", life.text);
    expect_device(0);
    fake_hip_fail("hipModuleLaunchKernel", 1, hipErrorUnknown);
    call(&life, ctx, layer);
    ck_assert_int_eq(life.status, W4MOE_DEVICE);
    expect_device(0);
    w4moe_layer_destroy(layer);
    expect_device(0);
    w4moe_ctx_destroy(ctx);
    expect_device(0);
    ck_assert_uint_eq(fake_hip_live(), 0);
    free_problem();
}
END_TEST

/* ------------------------------------------------------------------ memory */

static w4moe_status
create_layer(w4moe_ctx *ctx, w4moe_layer **layer_p)
{
    w4moe_layer_desc desc = {
            .struct_size = sizeof(desc),
            .w13 = &w13,
            .w2 = &w2,
            .activation = problem.activation,
    };
    return w4moe_layer_create(ctx, layer_p, &desc, 0);
}

/* What the layer and the workspace count is what they take; a byte less is too
 * little. */
START_TEST(limits_of_memory)
{
    w4moe_ctx *ctx = hip_context("gfx1100", 0);
    w4moe_layer *layer = NULL;
    w4moe_workspace *ws = NULL;
    w4moe_layer_info info = {.struct_size = sizeof(info)};
    uint64_t n_bytes;
    make_problem(3);
    ck_assert_int_eq(create_layer(ctx, &layer), W4MOE_OK);
    ck_assert_int_eq(w4moe_layer_get_info(layer, &info), W4MOE_OK);
    ck_assert_int_eq(w4moe_workspace_size(layer, &n_bytes, 3, 2), W4MOE_OK);
    w4moe_layer_destroy(layer);
    layer = NULL;
    hip_context_end(ctx);

    ctx = hip_context("gfx1100", info.bytes_owned - 1);
    ck_assert_int_eq(create_layer(ctx, &layer), W4MOE_NOMEM);
    expect_in(w4moe_ctx_error(ctx), "layer");
    hip_context_end(ctx);

    ctx = hip_context("gfx1100", info.bytes_owned + n_bytes - 1);
    ck_assert_int_eq(create_layer(ctx, &layer), W4MOE_OK);
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 3, 2), W4MOE_NOMEM);
    expect_in(w4moe_ctx_error(ctx), "workspace");
    w4moe_layer_destroy(layer);
    hip_context_end(ctx);

    ctx = hip_context("gfx1100", info.bytes_owned + n_bytes);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(create_layer(ctx, &layer), W4MOE_OK);
        ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 3, 2), W4MOE_OK);
        w4moe_workspace_destroy(ws);
        w4moe_layer_destroy(layer);
    }
    hip_context_end(ctx);
    free_problem();
}
END_TEST

START_TEST(a_small_device)
{
    w4moe_ctx *ctx = NULL;
    w4moe_layer *layer = NULL;
    make_problem(3);
    fake_hip_device_size(1000, 48);
    ck_assert_int_eq(hip_context_try(&ctx, "hip", 0, 0), W4MOE_NOMEM);
    expect_in(hip_context_failure(), "hipMalloc: hipErrorOutOfMemory");
    fake_hip_device_size((size_t)1 << 30, 48);
    ctx = hip_context("gfx1100", 0);
    fake_hip_device_size(1000, 48);
    ck_assert_int_eq(create_layer(ctx, &layer), W4MOE_NOMEM);
    expect_in(w4moe_ctx_error(ctx), "hipMalloc: hipErrorOutOfMemory");
    hip_context_end(ctx);
    fake_hip_device_size((size_t)1 << 30, 48);
    free_problem();
}
END_TEST

/* ---------------------------------------------------------------- refusals */

/* What only this backend refuses. */
START_TEST(calls_that_are_too_large)
{
    w4moe_ctx *ctx = hip_context("gfx1100", 0);
    make_problem(1);
    w4moe_layer *layer = forward_create(ctx, &problem, &w13, &w2, 0);
    w4moe_workspace *ws = NULL;
    w4moe_forward_args args = problem.args;
    uint16_t out[64];
    static const float logits[4097];
    args.out = out;
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 1, 65), W4MOE_OK);
    args.top_k = 65;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    expect_in(w4moe_ctx_error(ctx), "1 tokens of 65 experts each");
    args.top_k = 5;
    args.ids = NULL;
    args.weights = NULL;
    args.router_logits = logits;
    args.logits_dtype = W4MOE_F32;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_INVALID);
    expect_in(w4moe_ctx_error(ctx), "top_k is 5, outside [1, 4]");
    args.top_k = 1;
    args.logits_dtype = W4MOE_F8_E8M0;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    expect_in(w4moe_ctx_error(ctx), "logits of type F8_E8M0");
    args.logits_dtype = W4MOE_F32;
    int32_t map[4097];
    memset(map, 0xFF, sizeof(map));
    args.expert_map = map;
    args.n_experts_global = 4097;
    args.ids = problem.args.ids;
    args.weights = problem.args.weights;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    expect_in(w4moe_ctx_error(ctx),
            "a map of 4097 experts; from host memory at most 4096");
    args.ids = NULL;
    args.weights = NULL;
    args.n_experts_global = 513;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    expect_in(w4moe_ctx_error(ctx),
            "logits of 513 experts; from host memory this workspace takes "
            "those of 512");
    args.n_experts_global = 512;
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_OK);
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    hip_context_end(ctx);
    free_problem();
}
END_TEST

/* Refused before anything is read. */
START_TEST(rows_that_are_too_far_apart)
{
    w4moe_ctx *ctx = hip_context("gfx1100", 0);
    make_problem(1);
    w4moe_layer *layer = forward_create(ctx, &problem, &w13, &w2, 0);
    w4moe_workspace *ws = NULL;
    w4moe_forward_args args = problem.args;
    uint16_t out[64];
    args.out = out;
    args.flags &= ~(unsigned)W4MOE_HOST_IO;
    args.x_stride = (size_t)8 << 32;
    ck_assert_int_eq(w4moe_workspace_create(layer, &ws, 1, 2), W4MOE_OK);
    ck_assert_int_eq(w4moe_forward(layer, ws, &args), W4MOE_UNSUPPORTED);
    expect_in(w4moe_ctx_error(ctx),
            "1 rows of activations, 34359738368 elements apart");
    w4moe_workspace_destroy(ws);
    w4moe_layer_destroy(layer);
    hip_context_end(ctx);
    free_problem();
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("hip failures");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, every_call_fails_once, 0, N_FUNCTIONS);
    tcase_add_test(tc, the_device_cannot_be_entered);
    tcase_add_test(tc, no_device);
    tcase_add_test(tc, an_unknown_architecture);
    tcase_add_test(tc, an_architecture_with_features);
    tcase_add_test(tc, a_device_that_is_not_there);
    tcase_add_test(tc, another_device_than_the_threads);
    tcase_add_test(tc, limits_of_memory);
    tcase_add_test(tc, a_small_device);
    tcase_add_test(tc, calls_that_are_too_large);
    tcase_add_test(tc, rows_that_are_too_far_apart);
    Suite *suite = suite_create("hip failures");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
