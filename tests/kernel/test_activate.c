/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4moe_activate() against float64, for every kind and type, on ordinary
 * numbers and on those at the ends; strides. What it refuses is in
 * test_activate_refusals.c. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tol.h"
#include "act_kinds.h"
#include "oracle.h"

enum { GUARD_BYTE = 0xA5 };

static const w4moe_dtype floats[3] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};

/* Rows in and out, with what stands between them. */
struct problem {
    w4moe_activation act;
    w4moe_dtype dtype;
    size_t n_rows, n_out, n_in;
    size_t in_stride, out_stride;
    void *in;
    unsigned char *out;
};

static w4moe_ctx *ctx;

static void
setup(void)
{
    w4moe_ctx_options options = {
            .struct_size = sizeof(options), .backend = "cpu", .n_threads = 2};
    ck_assert_int_eq(w4moe_ctx_create(&ctx, &options), W4MOE_OK);
}

static void
teardown(void)
{
    w4moe_ctx_destroy(ctx);
}

static size_t
element(w4moe_dtype dtype)
{
    return dtype == W4MOE_F32 ? 4 : 2;
}

static int
is_gated(w4moe_activation_kind kind)
{
    return kind < W4MOE_ACT_SILU_NO_MUL;
}

static void
make(struct problem *p, const w4moe_activation *act, w4moe_dtype dtype,
        size_t n_rows, size_t n_out, size_t pad)
{
    size_t n_in = is_gated(act->kind) ? 2 * n_out : n_out;
    *p = (struct problem){
            .act = *act,
            .dtype = dtype,
            .n_rows = n_rows,
            .n_out = n_out,
            .n_in = n_in,
            .in_stride = n_in + pad,
            .out_stride = n_out + 2 * pad,
    };
    p->act.struct_size = sizeof(p->act);
    p->in = oracle_alloc(n_rows * p->in_stride, element(dtype));
    p->out = oracle_alloc(n_rows * p->out_stride, element(dtype));
    memset(p->in, 0xFF, n_rows * p->in_stride * element(dtype));
    memset(p->out, GUARD_BYTE, n_rows * p->out_stride * element(dtype));
}

static void
unmake(struct problem *p)
{
    free(p->in);
    free(p->out);
}

/* Runs it; a stride that is that of packed rows is given as 0. */
static w4moe_status
run(const struct problem *p)
{
    return w4moe_activate(ctx, p->out,
            p->out_stride == p->n_out ? 0 : p->out_stride, p->in,
            p->in_stride == p->n_in ? 0 : p->in_stride, p->dtype, p->n_rows,
            p->n_out, &p->act);
}

/* Half a step of the output type at v. */
static double
half_step(w4moe_dtype dtype, double v)
{
    int bits = dtype == W4MOE_BF16 ? 8 : dtype == W4MOE_F16 ? 11 : 24;
    int lowest = dtype == W4MOE_BF16 ? -133 : dtype == W4MOE_F16 ? -24 : -149;
    int exponent = v != 0 ? ilogb(v) - bits + 1 : lowest;
    return ldexp(0.5, exponent > lowest ? exponent : lowest);
}

/* See tol.h. */
static double
bound(const struct problem *p, double exact, double gate, double up)
{
    double alpha = p->act.alpha != 0 ? (double)p->act.alpha : 1.702;
    double size = fabs(gate) < 128 ? fabs(gate) : 128;
    double factor = is_gated(p->act.kind) ? fabs(up) : 1;
    int cancels = p->act.kind == W4MOE_ACT_GELU ||
                  p->act.kind == W4MOE_ACT_GELU_NO_MUL ||
                  p->act.kind == W4MOE_ACT_GELU_TANH ||
                  p->act.kind == W4MOE_ACT_GELU_TANH_NO_MUL;
    double t = gate < 0 ? size * (alpha > 1 ? alpha : 1) : 0;
    double limit = half_step(p->dtype, exact) +
                   (TOL_ACT_STEPS + t) * TOL_HALF_ULP * fabs(exact) +
                   TOL_ACT_FLOOR * (1 + size) * (1 + factor);
    return cancels ? limit + TOL_ACT_CANCEL * TOL_HALF_ULP * size * factor
                   : limit;
}

/* Whether fp32 may see as 0 what a gate makes of up: 0 times an infinite up is
 * NaN. */
static int
is_lost(const struct problem *p, double gate)
{
    double factor = oracle_activation(&p->act, gate, 1);
    return fabs(factor) <= bound(p, factor, gate, 1);
}

static void
judge(const struct problem *p, size_t row, size_t i)
{
    size_t at = row * p->in_stride + i;
    double gate = oracle_load(p->in, p->dtype, at);
    double up = is_gated(p->act.kind)
                        ? oracle_load(p->in, p->dtype, at + p->n_out)
                        : 0;
    double exact = oracle_activation(&p->act, gate, up);
    double ideal = oracle_round(p->dtype, exact);
    double got = oracle_load(p->out, p->dtype, row * p->out_stride + i);
    int good;
    if (isinf(ideal) && isinf(up) && is_lost(p, gate)) {
        good = !isfinite(got);
    } else if (isnan(ideal) || isinf(ideal)) {
        good = isnan(ideal) ? isnan(got) : got == ideal;
    } else {
        good = isfinite(got) && fabs(got - exact) <= bound(p, exact, gate, up);
    }
    if (!good) {
        ck_abort_msg("%s, limit %g alpha %g beta %g %g, %s: gate %a (%g), up "
                     "%a (%g): got %a, exact %a, off by %g, allowed %g",
                w4moe_activation_name(p->act.kind), (double)p->act.limit,
                (double)p->act.alpha, (double)p->act.beta,
                (double)p->act.linear_beta, w4moe_dtype_name(p->dtype), gate,
                gate, up, up, got, exact, fabs(got - exact),
                bound(p, exact, gate, up));
    }
}

/* Runs it, compares every result and everything beside them. */
static void
check(struct problem *p)
{
    ck_assert_msg(run(p) == W4MOE_OK, "%s", w4moe_ctx_error(ctx));
    size_t bytes = element(p->dtype);
    for (size_t r = 0; r < p->n_rows; r++) {
        for (size_t i = 0; i < p->n_out; i++) {
            judge(p, r, i);
        }
        for (size_t i = p->n_out * bytes; i < p->out_stride * bytes; i++) {
            if (p->out[r * p->out_stride * bytes + i] != GUARD_BYTE) {
                ck_abort_msg("byte %zu beside row %zu was written", i, r);
            }
        }
    }
}

START_TEST(every_kind_and_type)
{
    struct oracle_rng rng = {0xC00};
    static const double sizes[] = {0.01, 1, 10, 100};
    for (int kind = 0; kind < N_KINDS; kind++) {
        for (int type = 0; type < 3; type++) {
            struct problem p;
            make(&p, &kinds[kind], floats[type], 8, 333, 7);
            for (size_t i = 0; i < p.n_rows * p.in_stride; i++) {
                double size = sizes[oracle_below(&rng, 4)];
                oracle_store(
                        p.in, p.dtype, i, oracle_uniform(&rng, -size, size));
            }
            check(&p);
            unmake(&p);
        }
    }
}
END_TEST

/* Every gate with every up, from a list of special ones. */
START_TEST(special_numbers)
{
    static const double specials[] = {0, -0.0, (double)INFINITY,
            -(double)INFINITY, (double)NAN, 1, -1, 7, -7, 2.5, -2.5, 3, -3, 10,
            -10, 1.75, 0x1p-149, -0x1p-149, 0x1p-126, -0x1p-126, 0x1p-24,
            -0x1p-14, 1e-3, 65504, -65504, 88, -88, -89, 104, -104, 5.5, -5.5,
            3.38e38, -3.38e38, 1e19, -1e19, 2e38, -8e37};
    enum { N = sizeof(specials) / sizeof(specials[0]) };
    for (int kind = 0; kind < N_KINDS; kind++) {
        for (int type = 0; type < 3; type++) {
            struct problem p;
            make(&p, &kinds[kind], floats[type], N, N, 1);
            for (size_t r = 0; r < N; r++) {
                for (size_t i = 0; i < N; i++) {
                    size_t at = r * p.in_stride + i;
                    oracle_store(p.in, p.dtype, at, specials[i]);
                    if (p.n_in > p.n_out) {
                        oracle_store(p.in, p.dtype, at + N, specials[r]);
                    }
                }
            }
            check(&p);
            unmake(&p);
        }
    }
}
END_TEST

/* At a limit, one step below, one above. */
START_TEST(limits)
{
    for (int kind = 0; kind < N_KINDS; kind++) {
        double limit = kinds[kind].limit > 0 ? (double)kinds[kind].limit : 7;
        for (int type = 0; type < 3; type++) {
            struct problem p;
            make(&p, &kinds[kind], floats[type], 6, 6, 0);
            double step = 2 * half_step(p.dtype, limit);
            for (size_t i = 0; i < p.n_rows * p.in_stride; i++) {
                double v = limit + step * ((double)(i % 3) - 1);
                v = i / 3 % 2 != 0 ? -v : v;
                oracle_store(p.in, p.dtype, i, i % 36 < 6 ? limit : v);
            }
            check(&p);
            unmake(&p);
        }
    }
}
END_TEST

/* Every bf16 and fp16 number as a gate, with an up of 1.5. */
START_TEST(every_16_bit_gate)
{
    for (int kind = 0; kind < N_KINDS; kind++) {
        for (int type = 0; type < 2; type++) {
            struct problem p;
            make(&p, &kinds[kind], floats[type], 64, 1024, 0);
            for (size_t i = 0; i < 65536; i++) {
                size_t at = i / 1024 * p.in_stride + i % 1024;
                ((uint16_t *)p.in)[at] = (uint16_t)i;
                if (p.n_in > p.n_out) {
                    oracle_store(p.in, p.dtype, at + 1024, 1.5);
                }
            }
            check(&p);
            unmake(&p);
        }
    }
}
END_TEST

/* The kind's default is what a 0 means. */
START_TEST(defaults)
{
    static const w4moe_activation pairs[][2] = {
            {{.kind = W4MOE_ACT_SWIGLUOAI},
                    {.kind = W4MOE_ACT_SWIGLUOAI, .limit = 7, .alpha = 1.702f}},
            {{.kind = W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE, .limit = 5},
                    {.kind = W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE,
                            .limit = 5,
                            .alpha = 1.702f}},
            {{.kind = W4MOE_ACT_SWIGLUSTEP},
                    {.kind = W4MOE_ACT_SWIGLUSTEP, .limit = 7}}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct problem p[2];
        for (int j = 0; j < 2; j++) {
            struct oracle_rng rng = {0xD00};
            make(&p[j], &pairs[i][j], W4MOE_F32, 3, 500, 0);
            for (size_t at = 0; at < 3000; at++) {
                oracle_store(
                        p[j].in, W4MOE_F32, at, oracle_uniform(&rng, -20, 20));
            }
            ck_assert_int_eq(run(&p[j]), W4MOE_OK);
        }
        ck_assert_int_eq(memcmp(p[0].out, p[1].out, 1500 * 4), 0);
        unmake(&p[0]);
        unmake(&p[1]);
    }
}
END_TEST

/* Nothing to do is no failure; nothing is written. */
START_TEST(no_rows)
{
    struct problem p;
    make(&p, &kinds[0], W4MOE_BF16, 1, 8, 0);
    p.n_rows = 0;
    ck_assert_int_eq(run(&p), W4MOE_OK);
    ck_assert_int_eq(p.out[0], GUARD_BYTE);
    unmake(&p);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("activate");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_kind_and_type);
    tcase_add_test(tc, special_numbers);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, every_16_bit_gate);
    tcase_add_test(tc, defaults);
    tcase_add_test(tc, no_rows);
    Suite *suite = suite_create("activate");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
