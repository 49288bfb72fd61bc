/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The formulas of lib/route/scores.h against libm, and the variants of the
 * routing of a token against each other. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "route/token.h"
#include "test_random.h"

#define W4_ROUTE_INLINE static inline
#define W4_ROUTE_SQRT sqrt
#include "route/scores.h"

/* Uniform in [-bound, bound). */
static double
draw(struct test_random *random, double bound)
{
    return ((double)(test_random(random) >> 11) * 0x1p-52 - 1) * bound;
}

/* What scores.h says, and what libm may err besides. */
#define UNITS 5

static void
expect_near(const char *what, double x, double got, double expected)
{
    double bound = UNITS * 0x1p-53 * fabs(expected) + 0x1p-1074;
    ck_assert_msg(fabs(got - expected) <= bound, "%s of %a is %a, not %a", what,
            x, got, expected);
}

static void
check_at(double x)
{
    double e = exp(-fabs(x));
    expect_near("exp", -fabs(x), w4_route_exp(-fabs(x)), e);
    expect_near("sigmoid", x, w4_route_sigmoid(x), (x < 0 ? e : 1) / (1 + e));
    if (x > -708) {
        expect_near("sqrt_softplus", x, w4_route_sqrt_softplus(x),
                sqrt((x < 0 ? 0 : x) + log1p(e)));
    }
    expect_near("log1p", e, w4_route_log1p(e), log1p(e));
}

START_TEST(near_libm)
{
    static const double bounds[] = {1e-9, 1e-3, 1, 5, 40, 100, 700, 744};
    struct test_random random = {7};
    for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++) {
        for (int i = 0; i < 20000; i++) {
            check_at(draw(&random, bounds[b]));
        }
    }
}
END_TEST

START_TEST(the_ends)
{
    ck_assert(w4_route_exp(0.0) == 1.0);
    ck_assert(w4_route_exp(-INFINITY) == 0.0);
    ck_assert(w4_route_exp(-746.0) == 0.0);
    ck_assert(w4_route_exp(-0x1p1023) == 0.0);
    ck_assert(w4_route_exp(-745.0) == 0x1p-1074);
    ck_assert(w4_route_sigmoid(-INFINITY) == 0.0);
    ck_assert(w4_route_sigmoid(0.0) == 0.5);
    ck_assert(w4_route_sigmoid(40.0) == 1.0);
    ck_assert(w4_route_sqrt_softplus(-INFINITY) == 0.0);
    ck_assert(w4_route_sqrt_softplus(1e30) == sqrt(1e30));
}
END_TEST

/* ----------------------------------------------------------------- variants */

enum { E = 203, K = 17 };

START_TEST(variants_give_the_same_bytes)
{
#if W4_HAVE_AVX2
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        return;
    }
    static float logits[E];
    static float bias[E];
    struct test_random random = {11};
    for (unsigned i = 0; i < 600; i++) {
        double spread = i % 7 == 0 ? 700 : i % 3 == 0 ? 30 : 4;
        for (size_t e = 0; e < E; e++) {
            logits[e] = (float)draw(&random, spread);
            bias[e] = (float)draw(&random, 1);
        }
        int32_t ids[2][K];
        float weights[2][K];
        struct w4_route_job job = {
                .logits = logits,
                .dtype = W4MOE_F32,
                .stride = E,
                .n_tokens = 1,
                .n_experts = E,
                .top_k = K,
                .router = {.kind = (w4moe_router_kind)(1 + i % 5),
                        .renormalize = i / 5 % 2 != 0,
                        .scale = 2.5f},
        };
        if (i % 5 == 2 || i % 5 == 4) {
            job.router.correction_bias = bias;
            job.router.correction_bias_dtype = W4MOE_F32;
            job.router.n_group = 7;
            job.router.topk_group = 3;
        }
        for (int v = 0; v < 2; v++) {
            job.ids = ids[v];
            job.weights = weights[v];
            ck_assert_int_eq(v == 0 ? w4_route_token_plain(NULL, &job, 0)
                                    : w4_route_token_avx2(NULL, &job, 0),
                    W4MOE_OK);
        }
        ck_assert_mem_eq(ids[0], ids[1], sizeof(ids[0]));
        ck_assert_mem_eq(weights[0], weights[1], sizeof(weights[0]));
    }
#endif
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("scores");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, near_libm);
    tcase_add_test(tc, the_ends);
    tcase_add_test(tc, variants_give_the_same_bytes);
    Suite *suite = suite_create("scores");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
