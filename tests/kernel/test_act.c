/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The act kernel itself, which takes fp32: how exact it is before rounding, the
 * rounding to 16 bits, and that it keeps to its n elements. Kinds, strides and
 * special numbers as the public function sees them: test_activate.c. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/kernel.h"

#include "../tol.h"
#include "act_kinds.h"
#include "oracle.h"

enum { GUARD_BYTE = 0xA5, ROW = 4096 };

static const struct w4_kernels *kernels;
static struct w4_err err;

static void
setup(void)
{
    w4_err_init(&err, NULL, NULL);
    ck_assert_msg(
            w4_kernels_pick(&err, &kernels, getenv("W4MOE_CPU")) == W4MOE_OK,
            "%s", w4_err_text(&err));
}

static void
teardown(void)
{
    w4_err_fini(&err);
}

static int
is_gated(const w4moe_activation *act)
{
    return w4moe_activation_gated(act->kind);
}

/* A kind of the list, with its defaults. */
static w4moe_activation
kind_of(int i)
{
    w4moe_activation act;
    w4moe_activation given = kinds[i];
    given.struct_size = sizeof(given);
    ck_assert_int_eq(w4_activation_check(&err, &act, &given), W4MOE_OK);
    return act;
}

/* --------------------------------------------------------------- accuracy */

/* How far a rounded argument of the sigmoid is below 0; other kinds: 0. */
static double
argument(const w4moe_activation *act, double g)
{
    double t = 0;
    switch (act->kind) {
    case W4MOE_ACT_GELU_TANH:
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        t = 1.6 * g * (1 + 0.044715 * g * g);
        break;
    case W4MOE_ACT_SWIGLUOAI:
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        t = (double)act->alpha * g;
        break;
    default:
        break;
    }
    return t < 0 ? -t : 0;
}

/* What up is at most made into. */
static double
factor(const w4moe_activation *act, double u)
{
    int oai = act->kind == W4MOE_ACT_SWIGLUOAI;
    int uninterleave = act->kind == W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE;
    double shift = oai ? 1 : uninterleave ? fabs((double)act->beta) : 0;
    return is_gated(act) ? fabs(u) + shift : 1;
}

/* What w4moe_activate(3) promises of all variants; of those with vectors the
 * sharper bound of act_simd.h, which has no absolute part. */
static double
allowed(const w4moe_activation *act, double exact, double g, double u)
{
    int exponent = exact != 0 ? ilogb(exact) - 23 : -149;
    double limit = ldexp(TOL_ACT_ULP, exponent > -149 ? exponent : -149);
    if (strcmp(kernels->name, "ref") == 0) {
        limit = fmax(limit, 2 * TOL_HALF_ULP * fabs(g) * factor(act, u));
    } else {
        double t = argument(act, g);
        limit += TOL_ACT_ARGUMENT * t * TOL_HALF_ULP * fabs(exact);
    }
    return limit +
           TOL_ACT_SUBNORMAL * (1 + fmin(fabs(g), 128)) * (1 + factor(act, u));
}

static void
judge(const w4moe_activation *act, double g, double u, double got)
{
    double exact = oracle_activation(act, g, u);
    double ideal = oracle_round(W4MOE_F32, exact);
    double limit = 0;
    int good;
    if (isnan(ideal) || isinf(ideal)) {
        good = isnan(ideal) ? isnan(got) : got == ideal;
    } else {
        limit = allowed(act, exact, g, u);
        good = isfinite(got) && fabs(got - exact) <= limit;
    }
    if (!good) {
        ck_abort_msg("%s of %s: gate %a (%g), up %a (%g): got %a, exact %a, "
                     "off by %g, allowed %g",
                w4moe_activation_name(act->kind), kernels->name, g, g, u, u,
                got, exact, fabs(got - exact), limit);
    }
}

/* Judges n gates, each with some up; n at most ROW. */
static void
check(const float *gate, size_t n)
{
    struct oracle_rng rng = {0xC10};
    static float up[ROW];
    static float out[ROW];
    for (size_t i = 0; i < n; i++) {
        up[i] = (float)oracle_uniform(&rng, -12, 12);
    }
    for (int kind = 0; kind < N_KINDS; kind++) {
        w4moe_activation act = kind_of(kind);
        kernels->act(out, W4MOE_F32, gate, is_gated(&act) ? up : NULL, n, &act);
        for (size_t i = 0; i < n; i++) {
            judge(&act, (double)gate[i], (double)up[i], (double)out[i]);
        }
    }
}

/* Patterns of fp32 numbers, so all sizes: subnormals, Inf and NaN too. */
START_TEST(all_sizes)
{
    static float gate[ROW];
    const uint32_t step = 48611;
    uint32_t bits = 0;
    for (size_t done = 0; done < UINT32_MAX / step; done += ROW) {
        for (size_t i = 0; i < ROW; i++, bits += step) {
            memcpy(&gate[i], &bits, sizeof(bits));
        }
        check(gate, ROW);
    }
}
END_TEST

/* Where functions are not flat. */
START_TEST(usual_sizes)
{
    static float gate[ROW];
    struct oracle_rng rng = {0xC11};
    for (int run = 0; run < 8; run++) {
        double size = run < 4 ? 20 : 110;
        for (size_t i = 0; i < ROW; i++) {
            gate[i] = (float)oracle_uniform(&rng, -size, size);
        }
        check(gate, ROW);
    }
}
END_TEST

/* Neighbours of the numbers at which a formula takes another way: e^x another
 * power of two, in sigmoid, tanh and gelu; the last e^x that is normal, and
 * that is not 0; the largest; the end of the fit of gelu; limits. */
START_TEST(turns)
{
    static const double ends[] = {
            87.3365, 88.7228, 103.97, 104, 105, 14.42, 14.5, 2.5, 1.75, 7, 10};
    enum { N_ENDS = sizeof(ends) / sizeof(ends[0]), N_POWERS = 40, NEAR = 64 };
    static float gate[4 * NEAR];
    for (int i = 0; i < N_ENDS + 4 * N_POWERS; i++) {
        int power = (i - N_ENDS) / 4;
        double x = (power + 0.5) * log(2);
        double beta = i % 2 == 0 ? 3 : 8;
        double at = i < N_ENDS              ? ends[i]
                    : (i - N_ENDS) % 4 == 0 ? x
                    : (i - N_ENDS) % 4 == 1 ? sqrt(2 * x)
                                            : beta * x / 2;
        float positive = (float)at;
        uint32_t bits;
        memcpy(&bits, &positive, sizeof(bits));
        for (uint32_t j = 0; j < 2 * NEAR; j++) {
            uint32_t near = bits - NEAR + j;
            memcpy(&gate[2 * j], &near, sizeof(near));
            gate[2 * j + 1] = -gate[2 * j];
        }
        check(gate, 4 * NEAR);
    }
}
END_TEST

/* --------------------------------------------------------------- rounding */

/* beta tanh(32 / beta) sigmoid(32) is 1 for beta = 1, so that up passes: every
 * upper half of an fp32 number, with lower halves at and beside the ties. */
START_TEST(rounding)
{
    static const uint32_t low[] = {0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF, 0x2FFF,
            0x3000, 0x3001, 0x7FFF, 0x8000, 0x8001, 0xFFFF};
    enum { N_LOW = sizeof(low) / sizeof(low[0]) };
    static const w4moe_dtype halves[] = {W4MOE_BF16, W4MOE_F16};
    const w4moe_activation act = {.kind = W4MOE_ACT_SITU, .beta = 1};
    float gate[N_LOW];
    for (int i = 0; i < N_LOW; i++) {
        gate[i] = 32;
    }
    for (uint32_t high = 0; high < 65536; high++) {
        float up[N_LOW];
        for (int i = 0; i < N_LOW; i++) {
            uint32_t bits = high << 16 | low[i];
            memcpy(&up[i], &bits, sizeof(bits));
        }
        for (int type = 0; type < 2; type++) {
            uint16_t out[N_LOW];
            uint16_t ideal;
            kernels->act(out, halves[type], gate, up, N_LOW, &act);
            for (size_t i = 0; i < N_LOW; i++) {
                oracle_store(&ideal, halves[type], 0, (double)up[i]);
                int good = isnan(up[i])
                                   ? isnan(oracle_load(out, halves[type], i))
                                   : out[i] == ideal;
                if (!good) {
                    ck_abort_msg("%s of %a: got %#x, ideal %#x",
                            w4moe_dtype_name(halves[type]), (double)up[i],
                            (unsigned)out[i], (unsigned)ideal);
                }
            }
        }
    }
}
END_TEST

/* ----------------------------------------------------------------- bounds */

/* A page behind which there is no memory. */
struct fence {
    size_t page;
    char *start;
};

static struct fence
fence_make(void)
{
    struct fence f = {.page = (size_t)sysconf(_SC_PAGESIZE)};
    f.start = mmap(NULL, 2 * f.page, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(f.start != MAP_FAILED);
    ck_assert_int_eq(mprotect(f.start + f.page, f.page, PROT_NONE), 0);
    return f;
}

/* The last `bytes` before the end, a copy of from. */
static void *
fence_put(const struct fence *f, const void *from, size_t bytes)
{
    return memcpy(f->start + f->page - bytes, from, bytes);
}

static void
fence_drop(const struct fence *f)
{
    munmap(f->start, 2 * f->page);
}

/* n elements are the first n of more, bit by bit. Whoever reads or writes
 * behind them ends the program. */
START_TEST(lengths)
{
    enum { N_MAX = 40 };
    static const w4moe_dtype types[] = {W4MOE_BF16, W4MOE_F16, W4MOE_F32};
    struct oracle_rng rng = {0xC12};
    struct fence in[2] = {fence_make(), fence_make()};
    struct fence result = fence_make();
    float values[2][2 * N_MAX];
    for (size_t i = 0; i < 4 * N_MAX; i++) {
        values[i % 2][i / 2] = (float)oracle_uniform(&rng, -10, 10);
    }
    for (int i = 0; i < N_KINDS * 3 * N_MAX; i++) {
        w4moe_activation act = kind_of(i / (3 * N_MAX));
        w4moe_dtype dtype = types[i / N_MAX % 3];
        size_t n = (size_t)(i % N_MAX) + 1;
        size_t bytes = n * w4moe_dtype_size(dtype);
        float whole[2 * N_MAX];
        char *out = result.start + result.page - bytes;
        const float *gate = fence_put(&in[0], values[0], n * sizeof(*gate));
        const float *up = fence_put(&in[1], values[1], n * sizeof(*up));
        memset(result.start, GUARD_BYTE, result.page);
        kernels->act(whole, dtype, values[0], is_gated(&act) ? values[1] : NULL,
                (size_t)2 * N_MAX, &act);
        kernels->act(out, dtype, gate, is_gated(&act) ? up : NULL, n, &act);
        ck_assert_int_eq(memcmp(out, whole, bytes), 0);
        for (const char *p = result.start; p < out; p++) {
            if ((unsigned char)*p != GUARD_BYTE) {
                ck_abort_msg("byte %td before the row was written", p - out);
            }
        }
    }
    fence_drop(&in[0]);
    fence_drop(&in[1]);
    fence_drop(&result);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("act");
    tcase_set_timeout(tc, 0);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, all_sizes);
    tcase_add_test(tc, usual_sizes);
    tcase_add_test(tc, turns);
    tcase_add_test(tc, rounding);
    tcase_add_test(tc, lengths);
    Suite *suite = suite_create("act");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
