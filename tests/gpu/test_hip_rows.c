/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The kernels of the HIP backend that are not products: align and route, by
 * themselves and against w4moe_align() and w4moe_route(); activations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../hip/kernels/params.h"
#include "../kernel/act_kinds.h"
#include "../tol.h"
#include "align_case.h"
#include "hip_context.h"
#include "hip_kernels.h"

/* A context of the CPU, for what to expect. */
static w4moe_ctx *cpu;

static void
setup(void)
{
    ck_assert_int_eq(hip_context_try(&cpu, "cpu", 0, 0), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(cpu);
}

/* ------------------------------------------------------------------- align */

static void
check_align(const struct align_case *c)
{
    ck_assert_msg(align_is_good(cpu, "w4_align", c),
            "%zu slots, %zu experts of %zu, blocks of %zu, map %d", c->n_slots,
            c->n_experts, c->n_global, c->block_size, c->with_map);
}

START_TEST(align)
{
    static const size_t blocks[] = {1, 2, 3, 4, 8, 16, 32, 64};
    static const size_t experts[] = {1, 2, 3, 8, 60, 128};
    static struct align_case c;
    struct oracle_rng rng = {0x8000};
    hip_kernels_load(hip_archs[_i]);
    for (size_t i = 0; i < 60; i++) {
        c.n_experts = experts[oracle_below(&rng, 6)];
        c.with_map = (int)oracle_below(&rng, 2);
        c.n_global = c.n_experts * (c.with_map ? 1 + oracle_below(&rng, 3) : 1);
        c.block_size = blocks[oracle_below(&rng, 8)];
        c.n_slots = oracle_below(&rng, i % 8 == 0 ? 3000 : 300);
        align_draw(&c, &rng);
        check_align(&c);
    }
    hip_kernels_unload();
}
END_TEST

/* A workgroup for each expert, and each counts all slots. */
START_TEST(align_of_the_most)
{
    static const size_t sizes[N_HIP_ARCHS][2] = {
            {1025, 65}, {513, 70}, {256, 5000}};
    static struct align_case c;
    struct oracle_rng rng = {0x8100};
    hip_kernels_load(hip_archs[_i]);
    c.n_experts = c.n_global = sizes[_i][0];
    c.n_slots = sizes[_i][1];
    c.block_size = _i == 2 ? 64 : 1;
    align_draw(&c, &rng);
    check_align(&c);
    hip_kernels_unload();
}
END_TEST

/* More experts than any model has; a few tokens, each with the most choices. */
START_TEST(align_of_many_experts)
{
    static const size_t experts[N_HIP_ARCHS] = {2049, 3000, ALIGN_MAX_EXPERTS};
    static struct align_case c;
    struct oracle_rng rng = {0x8180};
    hip_kernels_load(hip_archs[_i]);
    for (int with_map = 0; with_map < 2; with_map++) {
        c.n_experts = c.n_global = experts[_i];
        c.n_slots = (size_t)(2 + with_map) * W4_GPU_TOP_K_MAX;
        c.block_size = with_map ? 16 : 1;
        c.with_map = with_map;
        align_draw(&c, &rng);
        check_align(&c);
    }
    hip_kernels_unload();
}
END_TEST

/* ------------------------------------------------------------------- route */

struct route_case {
    size_t n_tokens;
    size_t n_experts;
    size_t top_k;
    w4moe_dtype dtype;
    w4moe_router router;
    /** [T][E], as they are passed. */
    void *logits;
};

static void
run_route(const struct route_case *c, int32_t **ids, float **weights)
{
    size_t n_slots = c->n_tokens * c->top_k;
    size_t n_bytes = c->n_tokens * c->n_experts * w4moe_dtype_size(c->dtype);
    void *logits = hip_copy_of(c->logits, n_bytes);
    int32_t *words = hip_words(n_slots);
    struct w4_gpu_route p = {
            .ids = hip_words(n_slots),
            .weights = (float *)(void *)words,
            .logits = logits,
            .logits_type = c->dtype,
            .n_tokens = (uint32_t)c->n_tokens,
            .n_experts = (uint32_t)c->n_experts,
            .top_k = (uint32_t)c->top_k,
            .renormalize = c->router.renormalize != 0,
            .scale = c->router.scale,
    };
    unsigned per_block = W4_GPU_THREADS / 32;
    hip_kernel_run("w4_route", (p.n_tokens + per_block - 1) / per_block,
            W4_GPU_THREADS, &p);
    *ids = hip_words_back(p.ids, n_slots);
    *weights = (float *)(void *)hip_words_back(words, n_slots);
    ck_assert(hip_words_intact(*ids, n_slots, n_slots));
    ck_assert(hip_words_intact((int32_t *)(void *)*weights, n_slots, n_slots));
    HIP_OK(hipFree(logits));
}

static void
check_route(const struct route_case *c)
{
    size_t n_slots = c->n_tokens * c->top_k;
    int32_t *ids = oracle_alloc(n_slots, 4);
    float *weights = oracle_alloc(n_slots, 4);
    int32_t *got_ids;
    float *got_weights;
    ck_assert_int_eq(w4moe_route(cpu, ids, weights, c->logits, c->dtype, 0,
                             c->n_tokens, c->n_experts, c->top_k, &c->router),
            W4MOE_OK);
    run_route(c, &got_ids, &got_weights);
    for (size_t i = 0; i < n_slots; i++) {
        ck_assert_msg(got_ids[i] == ids[i],
                "%zu of %zu: slot %zu is %d, not %d", c->top_k, c->n_experts, i,
                got_ids[i], ids[i]);
        double want = (double)weights[i];
        double off = fabs((double)got_weights[i] - want);
        ck_assert_msg(off <= TOL_ROUTE * want + 0x1p-126,
                "%zu of %zu: weight %zu is %a, not %a", c->top_k, c->n_experts,
                i, (double)got_weights[i], want);
    }
    free(ids);
    free(weights);
    free(got_ids);
    free(got_weights);
}

/* Logits of which many are equal, many far from the others, or neither. */
static void
draw_logits(const struct route_case *c, struct oracle_rng *rng)
{
    size_t kind = oracle_below(rng, 4);
    for (size_t i = 0; i < c->n_tokens * c->n_experts; i++) {
        double v = oracle_uniform(rng, -6, 6);
        v = kind == 0 ? floor(v) : kind == 1 ? 15 * v : v;
        if (kind == 2 && i % c->n_experts != 0 && oracle_below(rng, 3) == 0) {
            v = (double)-INFINITY;
        }
        oracle_store(c->logits, c->dtype, i, v);
    }
}

static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_F16, W4MOE_BF16};

static struct route_case
route_case_of(size_t n_tokens, size_t n_experts, size_t top_k, unsigned i)
{
    struct route_case c = {
            .n_tokens = n_tokens,
            .n_experts = n_experts,
            .top_k = top_k,
            .dtype = types[i % 3],
            .router = {.struct_size = sizeof(c.router),
                    .kind = W4MOE_ROUTER_SOFTMAX_TOPK,
                    .renormalize = i % 2,
                    .scale = i % 4 < 2 ? 1 : 2.5f},
            .logits = oracle_alloc(n_tokens * n_experts, 4),
    };
    return c;
}

START_TEST(route)
{
    static const size_t experts[] = {1, 2, 8, 31, 32, 33, 60, 128, 256, 513};
    static const size_t choices[] = {1, 2, 3, 8, 10, 32, 33, 64};
    struct oracle_rng rng = {0x8200};
    unsigned n = 0;
    hip_kernels_load(hip_archs[_i]);
    for (size_t e = 0; e < 10; e++) {
        for (size_t k = 0; k < 8 && choices[k] <= experts[e]; k++) {
            for (int again = 0; again < 2; again++, n++) {
                struct route_case c =
                        route_case_of(1 + n % 17, experts[e], choices[k], n);
                draw_logits(&c, &rng);
                check_route(&c);
                free(c.logits);
            }
        }
    }
    hip_kernels_unload();
}
END_TEST

START_TEST(route_of_many_experts)
{
    static const size_t experts[N_HIP_ARCHS] = {2049, 3000, ALIGN_MAX_EXPERTS};
    struct oracle_rng rng = {0x8280};
    hip_kernels_load(hip_archs[_i]);
    for (unsigned n = 0; n < 4; n++) {
        struct route_case c =
                route_case_of(3, experts[_i], W4_GPU_TOP_K_MAX, n);
        draw_logits(&c, &rng);
        check_route(&c);
        free(c.logits);
    }
    hip_kernels_unload();
}
END_TEST

/* With NaN among a token's logits its weights are NaN and its ids experts; with
 * nothing but NaN, too. Other tokens do not notice. */
START_TEST(route_of_nan)
{
    struct oracle_rng rng = {0x8300};
    hip_kernels_load(hip_archs[_i]);
    for (unsigned n = 0; n < 12; n++) {
        struct route_case c = route_case_of(3, 40, 8, n);
        int32_t *ids[2];
        float *weights[2];
        draw_logits(&c, &rng);
        run_route(&c, &ids[0], &weights[0]);
        size_t n_nans = n % 4 == 0 ? 40 : n % 4 == 1 ? 35 : 1;
        for (size_t i = 0; i < n_nans; i++) {
            oracle_store(c.logits, c.dtype, 40 + (7 * i + n) % 40, (double)NAN);
        }
        run_route(&c, &ids[1], &weights[1]);
        for (size_t i = 0; i < 24; i++) {
            int is_second = i / 8 == 1;
            ck_assert_int_ge(ids[1][i], 0);
            ck_assert_int_lt(ids[1][i], 40);
            ck_assert(is_second ? isnan(weights[1][i])
                                : weights[1][i] == weights[0][i] &&
                                          ids[1][i] == ids[0][i]);
        }
        for (int i = 0; i < 2; i++) {
            free(ids[i]);
            free(weights[i]);
        }
        free(c.logits);
    }
    hip_kernels_unload();
}
END_TEST

/* -------------------------------------------------------------- activations */

/* What up is at most made into. */
static double
factor_of_up(const w4moe_activation *act, double up)
{
    int oai = act->kind == W4MOE_ACT_SWIGLUOAI;
    return w4moe_activation_gated(act->kind)
                   ? fabs(up) + (oai ? 1 : fabs((double)act->beta))
                   : 1;
}

/* The bound of tol.h for a result that is rounded to dtype at the end. */
static double
allowed(const w4moe_activation *act, w4moe_dtype dtype, double exact, double g,
        double u)
{
    double alpha = act->alpha != 0 ? (double)act->alpha : 1.702;
    double t = act->kind == W4MOE_ACT_SWIGLUOAI ||
                               act->kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE
                       ? alpha * fabs(g)
                       : fabs(g) * (1.6 + 0.08 * g * g);
    double up = factor_of_up(act, u);
    /* Beyond it exp() is 0 or infinite. */
    t = fmin(t, 128);
    double limit = (TOL_ACT_STEPS + t) * TOL_HALF_ULP * fabs(exact) +
                   TOL_ACT_CANCEL * TOL_HALF_ULP * fabs(g) * up +
                   TOL_ACT_FLOOR * (1 + fmin(fabs(g), 128)) * (1 + up);
    double step = dtype == W4MOE_F32   ? 0x1p-24
                  : dtype == W4MOE_F16 ? 0x1p-11
                                       : 0x1p-8;
    double floor_step = dtype == W4MOE_F16 ? 0x1p-25 : 0x1p-149;
    return limit + step * (fabs(exact) + limit) + floor_step;
}

static void
judge(const w4moe_activation *act, w4moe_dtype dtype, double g, double u,
        double got)
{
    double exact = oracle_activation(act, g, u);
    double limit = allowed(act, dtype, exact, g, u);
    double ideal = oracle_round(dtype, exact);
    int good = isnan(exact) ? isnan(got)
               : isinf(ideal) || isinf(got)
                       ? oracle_round(dtype, exact * (1 + 0x1p-9)) == got ||
                                 ideal == got
                       : fabs(got - exact) <= limit;
    ck_assert_msg(good, "%s %s: gate %a, up %a: got %a, exact %a, allowed %g",
            w4moe_activation_name(act->kind), w4moe_dtype_name(dtype), g, u,
            got, exact, limit);
}

/* Special numbers as gates only: which of NaN and Inf a product with them is
 * depends on what underflows. */
static double
draw_input(struct oracle_rng *rng, size_t i, int is_gate)
{
    static const double special[] = {0.0, -0.0, 1e30, -1e30, 88.5, -88.5, 104,
            (double)INFINITY, (double)-INFINITY, (double)NAN};
    if (i % 16 == 0 && is_gate) {
        return special[oracle_below(rng, 10)];
    }
    return oracle_uniform(rng, -1, 1) * (i % 3 == 0 ? 30 : 5);
}

/* Rows with something between them, wider than a workgroup. */
static void
check_activate(const w4moe_ctx *ctx, const w4moe_activation *act,
        w4moe_dtype dtype, struct oracle_rng *rng)
{
    enum { ROWS = 3, WIDTH = 300, PAD = 7 };
    int gated = w4moe_activation_gated(act->kind);
    size_t size = w4moe_dtype_size(dtype);
    size_t in_stride = WIDTH * (gated ? 2 : 1) + PAD;
    size_t out_stride = WIDTH + PAD;
    char *in = oracle_alloc(ROWS * in_stride, size);
    unsigned char *out = oracle_alloc(ROWS * out_stride, size);
    memset(out, 0xA5, ROWS * out_stride * size);
    for (size_t i = 0; i < ROWS * in_stride; i++) {
        oracle_store(in, dtype, i, draw_input(rng, i, i % in_stride < WIDTH));
    }
    void *device_in = hip_copy_of(in, ROWS * in_stride * size);
    void *device_out = hip_copy_of(out, ROWS * out_stride * size);
    ck_assert_int_eq(w4moe_activate(ctx, device_out, out_stride, device_in,
                             in_stride, dtype, ROWS, WIDTH, act),
            W4MOE_OK);
    HIP_OK(hipMemcpy(
            out, device_out, ROWS * out_stride * size, hipMemcpyDeviceToHost));
    for (size_t i = 0; i < ROWS * out_stride; i++) {
        size_t row = i / out_stride;
        size_t c = i % out_stride;
        if (c >= WIDTH) {
            ck_assert_int_eq(out[i * size], 0xA5);
            continue;
        }
        size_t from = row * in_stride + c;
        double g = oracle_load(in, dtype, from);
        double u = gated ? oracle_load(in, dtype, from + WIDTH) : 0;
        judge(act, dtype, g, u, oracle_load(out, dtype, i));
    }
    HIP_OK(hipFree(device_in));
    HIP_OK(hipFree(device_out));
    free(in);
    free(out);
}

START_TEST(activate)
{
    struct oracle_rng rng = {0x8400};
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 0);
    for (int kind = 0; kind < 3 * N_KINDS; kind++) {
        w4moe_activation act = kinds[kind / 3];
        act.struct_size = sizeof(act);
        check_activate(ctx, &act, types[kind % 3], &rng);
    }
    hip_context_end(ctx);
}
END_TEST

/* What is the same for every backend, of numbers that are no ordinary ones. */
static int
same_class(double a, double b)
{
    return isnan(a) ? isnan(b) : isinf(a) || isinf(b) ? a == b : 1;
}

/* Each of some numbers as gate with each as up, against the CPU. */
static void
check_special(
        const w4moe_ctx *ctx, const w4moe_activation *act, w4moe_dtype dtype)
{
    static const double special[] = {(double)NAN, (double)INFINITY,
            (double)-INFINITY, 0.0, -0.0, 1, -1, 3.5, -3.5, 40, -40, 1e4, -1e4};
    enum { N = sizeof(special) / sizeof(special[0]), WIDTH = N * N };
    int gated = w4moe_activation_gated(act->kind);
    size_t size = w4moe_dtype_size(dtype);
    size_t n_in = WIDTH * (gated ? 2 : 1);
    char *in = oracle_alloc(n_in, size);
    char *want = oracle_alloc(WIDTH, size);
    char *got = oracle_alloc(WIDTH, size);
    for (size_t i = 0; i < n_in; i++) {
        oracle_store(in, dtype, i, special[i < WIDTH ? i % N : i % WIDTH / N]);
    }
    void *device_in = hip_copy_of(in, n_in * size);
    void *device_out = hip_copy_of(got, WIDTH * size);
    ck_assert_int_eq(
            w4moe_activate(cpu, want, WIDTH, in, n_in, dtype, 1, WIDTH, act),
            W4MOE_OK);
    ck_assert_int_eq(w4moe_activate(ctx, device_out, WIDTH, device_in, n_in,
                             dtype, 1, WIDTH, act),
            W4MOE_OK);
    HIP_OK(hipMemcpy(got, device_out, WIDTH * size, hipMemcpyDeviceToHost));
    for (size_t i = 0; i < WIDTH; i++) {
        double g = special[i % N];
        double u = gated ? special[i / N] : 0;
        double expected = oracle_load(want, dtype, i);
        double is = oracle_load(got, dtype, i);
        ck_assert_msg(same_class(expected, is),
                "%s %s: gate %a, up %a: got %a, the CPU %a",
                w4moe_activation_name(act->kind), w4moe_dtype_name(dtype), g, u,
                is, expected);
        ck_assert_msg(!(isnan(g) || isnan(u)) || isnan(is),
                "%s %s: gate %a, up %a: got %a",
                w4moe_activation_name(act->kind), w4moe_dtype_name(dtype), g, u,
                is);
    }
    HIP_OK(hipFree(device_in));
    HIP_OK(hipFree(device_out));
    free(in);
    free(want);
    free(got);
}

START_TEST(activate_of_nan_and_infinity)
{
    w4moe_ctx *ctx = hip_context(hip_archs[_i], 0);
    for (int kind = 0; kind < 3 * N_KINDS; kind++) {
        w4moe_activation act = kinds[kind / 3];
        act.struct_size = sizeof(act);
        check_special(ctx, &act, types[kind % 3]);
    }
    hip_context_end(ctx);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {align, align_of_the_most,
            align_of_many_experts, route, route_of_many_experts, route_of_nan,
            activate, activate_of_nan_and_infinity};
    return hip_run_tests("hip rows", tests, sizeof(tests) / sizeof(tests[0]),
            setup, teardown);
}
