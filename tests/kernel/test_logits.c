/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* w4_logits() with every variant of the CPU kernels that this processor runs,
 * against float64. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"
#include "kernel/logits.h"
#include "oracle.h"

static const w4moe_dtype types[3] = {W4MOE_F32, W4MOE_BF16, W4MOE_F16};

enum { OUT_MAX = 131, IN_MAX = 264, T_MAX = 3, GUARD = 3 };

struct problem {
    size_t n_tokens, n_out, n_in, x_stride;
    w4moe_dtype dtype, weight_dtype, bias_dtype;
    /* Of exactly the size that is needed, so that a sanitizer sees more. */
    void *x, *weight, *bias;
    double *x_values, *weight_values, *bias_values;
};

static void *
draw(double **values, w4moe_dtype dtype, size_t n, struct oracle_rng *rng)
{
    void *array = oracle_alloc(n, w4moe_dtype_size(dtype));
    *values = oracle_alloc(n, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        oracle_store(array, dtype, i, oracle_uniform(rng, -1, 1));
        (*values)[i] = oracle_load(array, dtype, i);
    }
    return array;
}

static void
make(struct problem *p, uint64_t seed)
{
    static const size_t sizes[6] = {8, 16, 24, 72, 128, IN_MAX};
    struct oracle_rng rng = {seed};
    p->n_tokens = 1 + (size_t)seed % T_MAX;
    p->n_out = 1 + oracle_below(&rng, OUT_MAX);
    p->n_in = sizes[seed % 6];
    p->x_stride = p->n_in + (size_t)seed % 5;
    p->dtype = types[1 + seed % 2];
    p->weight_dtype = types[seed / 2 % 3];
    p->bias_dtype = types[seed / 6 % 3];
    size_t n_x = (p->n_tokens - 1) * p->x_stride + p->n_in;
    p->x = draw(&p->x_values, p->dtype, n_x, &rng);
    p->weight =
            draw(&p->weight_values, p->weight_dtype, p->n_out * p->n_in, &rng);
    p->bias = draw(&p->bias_values, p->bias_dtype, p->n_out, &rng);
}

static void
release(struct problem *p)
{
    free(p->x);
    free(p->weight);
    free(p->bias);
    free(p->x_values);
    free(p->weight_values);
    free(p->bias_values);
}

static void
run(const struct problem *p, const char *variant, int has_bias, float *out)
{
    struct w4_logits_job job = {
            .x = p->x,
            .x_stride = p->x_stride,
            .dtype = p->dtype,
            .n_tokens = p->n_tokens,
            .weight = p->weight,
            .weight_dtype = p->weight_dtype,
            .bias = has_bias ? p->bias : NULL,
            .bias_dtype = p->bias_dtype,
            .n_out = p->n_out,
            .n_in = p->n_in,
            .out = out,
    };
    ck_assert_int_eq(w4_kernels_pick(NULL, &job.kernels, variant), W4MOE_OK);
    w4_logits(&job);
}

/* A sum of n products in fp32 errs by less than n 2^-24 of the sum of their
 * sizes. */
static void
check_result(const struct problem *p, const char *variant, int has_bias,
        const float *out)
{
    for (size_t i = 0; i < p->n_tokens * p->n_out; i++) {
        size_t e = i % p->n_out;
        double sum = has_bias ? p->bias_values[e] : 0;
        double size = fabs(sum);
        for (size_t h = 0; h < p->n_in; h++) {
            double product = p->x_values[i / p->n_out * p->x_stride + h] *
                             p->weight_values[e * p->n_in + h];
            sum += product;
            size += fabs(product);
        }
        double bound = (double)(p->n_in + 1) * 0x1p-24 * size;
        ck_assert_msg(fabs((double)out[i] - sum) <= bound,
                "%s: %zu x %zu, result %zu is %g, not %g", variant, p->n_out,
                p->n_in, i, (double)out[i], sum);
    }
}

/* Each row alone has the same bits. */
static void
check_alone(const struct problem *p, const char *variant, const float *out)
{
    const struct w4_kernels *kernels;
    ck_assert_int_eq(w4_kernels_pick(NULL, &kernels, variant), W4MOE_OK);
    size_t row = p->n_in * w4moe_dtype_size(p->weight_dtype);
    for (size_t e = 0; e < p->n_out; e++) {
        float alone;
        struct w4_dot_rows args = {
                .out = &alone,
                .x = p->x,
                .dtype = p->dtype,
                .rows = (const char *)p->weight + e * row,
                .rows_dtype = p->weight_dtype,
                .n_rows = 1,
                .n = p->n_in,
        };
        kernels->dot_rows(&args);
        ck_assert_mem_eq(&alone, &out[e], sizeof(alone));
    }
}

START_TEST(every_variant)
{
    struct context_variants variants;
    context_list(&variants);
    for (uint64_t seed = 0; seed < 90; seed++) {
        struct problem p;
        make(&p, seed);
        size_t n = p.n_tokens * p.n_out;
        for (size_t v = 0; v < variants.n; v++) {
            float out[T_MAX * OUT_MAX + GUARD];
            memset(out, 0x5A, sizeof(out));
            run(&p, variants.names[v], 1, out);
            check_result(&p, variants.names[v], 1, out);
            run(&p, variants.names[v], 0, out);
            check_result(&p, variants.names[v], 0, out);
            check_alone(&p, variants.names[v], out);
            static const unsigned char guard[4] = {0x5A, 0x5A, 0x5A, 0x5A};
            ck_assert_mem_eq(&out[n], guard, sizeof(guard));
        }
        release(&p);
    }
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("logits");
    tcase_set_timeout(tc, 0);
    tcase_add_test(tc, every_variant);
    Suite *suite = suite_create("logits");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
