/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "case_inputs.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "../tol.h"

static size_t
count_columns(const struct oracle_matrix *m)
{
    return m->spec.n_experts * m->spec.n_out;
}

static void
set_codes(struct oracle_matrix *m, uint8_t code)
{
    memset(m->codes, code, count_columns(m) * m->spec.n_in);
}

/* Sets a scale, and an offset that makes codes of 8 about 0, rounded to their
 * types. */
static void
set_group(struct oracle_matrix *m, size_t place, double scale)
{
    m->scales[place] = oracle_round(m->spec.scale_dtype, scale);
    if (m->spec.offset_dtype != W4MOE_DTYPE_NONE) {
        m->offsets[place] = oracle_round(m->spec.offset_dtype, -8 * scale);
    }
}

static void
equal_codes(struct case_problem *p, const struct input_class *inputs)
{
    for (size_t i = 0; i < p->n_matrices; i++) {
        set_codes(p->matrices[i], inputs->code);
    }
}

/* E8M0 has no zero. */
static int
scales_may_be_zero(const struct kernel_case *what)
{
    return what->form != FORM_MXFP4_PERM2 && what->form != FORM_MXFP4_BIAS;
}

/* Weights are 0, or the offset. */
static void
zero_scales(struct case_problem *p, const struct input_class *inputs)
{
    (void)inputs;
    for (size_t i = 0; i < p->n_matrices; i++) {
        struct oracle_matrix *m = p->matrices[i];
        memset(m->scales, 0, count_columns(m) * m->n_groups * sizeof(double));
    }
}

/* ----------------------------------------------------------- subnormals */

/* Subnormal numbers of a type are 1 to `n` times `step`. */
struct subnormals {
    double step;
    size_t n;
};

static struct subnormals
subnormals_of(w4moe_dtype dtype)
{
    switch (dtype) {
    case W4MOE_F32:
        return (struct subnormals){0x1p-149, 0x7FFFFF};
    case W4MOE_F16:
        return (struct subnormals){0x1p-24, 0x3FF};
    case W4MOE_BF16:
        return (struct subnormals){0x1p-133, 0x7F};
    default: /* E8M0: the one that is subnormal in fp32 */
        return (struct subnormals){0x1p-127, 1};
    }
}

static double
draw_subnormal(struct oracle_rng *rng, w4moe_dtype dtype)
{
    struct subnormals type = subnormals_of(dtype);
    return type.step * (double)(1 + oracle_below(rng, type.n));
}

/* Of the first matrix only: with activations as large as the sums allow its
 * products are of ordinary size again, and a layer's second matrix has work to
 * do. */
static void
subnormal_scales(struct case_problem *p, const struct input_class *inputs)
{
    struct oracle_matrix *m = p->matrices[0];
    struct oracle_rng rng = {m->spec.seed};
    int half = m->spec.scale_dtype == W4MOE_F16;
    double factor = p->what->dtype == W4MOE_F16 ? 0x1p12
                    : half                      ? 0x1p10
                                                : 0x1p112;
    (void)inputs;
    for (size_t i = 0; i < count_columns(m) * m->n_groups; i++) {
        set_group(m, i, draw_subnormal(&rng, m->spec.scale_dtype));
    }
    for (size_t i = 0; i < p->n_rows * p->what->n_in; i++) {
        p->a[i] *= factor;
    }
}

/* With scales of the first matrix that make up for it, if their types can. */
static void
subnormal_activations(struct case_problem *p, const struct input_class *inputs)
{
    struct oracle_matrix *m = p->matrices[0];
    struct oracle_rng rng = {m->spec.seed};
    int half = m->spec.scale_dtype == W4MOE_F16 ||
               m->spec.offset_dtype == W4MOE_F16;
    double factor = p->what->dtype == W4MOE_F16 ? 0x1p8 : half ? 1 : 0x1p120;
    (void)inputs;
    for (size_t i = 0; i < p->n_rows * p->what->n_in; i++) {
        double size = draw_subnormal(&rng, p->what->dtype);
        p->a[i] = oracle_below(&rng, 2) == 0 ? size : -size;
    }
    for (size_t i = 0; i < count_columns(m) * m->n_groups; i++) {
        m->scales[i] *= factor;
        m->offsets[i] *= factor;
    }
}

/* ---------------------------------------------------------- large numbers */

/* Activations at which no sum of a product passes fp32, even of codes that are
 * taken with a bias of 128. */
static double
gemm_limit(const struct kernel_case *what)
{
    double sums = (double)FLT_MAX / (512 * (double)what->n_in);
    return what->dtype == W4MOE_F16 ? 60000 : sums;
}

/* The same for a layer: the activated numbers must not pass the limit of the
 * second product. A weight of the largest code is at most 12 / sqrt(K). */
static double
layer_limit(const struct kernel_case *what)
{
    double sums = (double)FLT_MAX / (512 * (double)what->n_out);
    double activated = what->dtype == W4MOE_F16 ? 60000 : sums;
    int squared = w4moe_activation_gated(what->kind) ||
                  what->kind == W4MOE_ACT_RELU2_NO_MUL;
    double product = squared ? sqrt(activated) : activated;
    return product / (12 * sqrt((double)what->n_in));
}

/* Weights of the largest code, all of one sign (-8, or -6 of E2M1), and rows
 * of one sign each, the first of that sign, too: its gates are open. Results
 * may be infinite in fp16. */
static void
large_numbers(struct case_problem *p, const struct input_class *inputs)
{
    struct oracle_rng rng = {p->matrices[0]->spec.seed};
    int layer = p->what->op == OP_FORWARD;
    double limit = layer ? layer_limit(p->what) : gemm_limit(p->what);
    (void)inputs;
    for (size_t i = 0; i < p->n_matrices; i++) {
        struct oracle_matrix *m = p->matrices[i];
        set_codes(m, m->spec.code == W4MOE_CODE_E2M1 ? 15 : 0);
        memset(m->zeros, 8, count_columns(m) * m->n_groups);
    }
    for (size_t i = 0; i < p->n_rows * p->what->n_in; i++) {
        size_t row = i / p->what->n_in;
        double size = row % 4 == 0 || row % 4 == 3 ? limit : limit / 1000;
        double v = size * oracle_uniform(&rng, 0.5, 1);
        p->a[i] = oracle_round(p->what->dtype, row % 2 == 0 ? -v : v);
    }
}

/* --------------------------------------------------------- powers of two */

/* Activations of a layer are squares of its first products. */
static int
sums_may_be_exact(const struct kernel_case *what)
{
    return what->op == OP_GEMM || what->kind == W4MOE_ACT_RELU2_NO_MUL;
}

/* Scales of 2^low to 2^(low + n - 1), and whole biases. */
static void
set_powers(struct oracle_matrix *m, struct oracle_rng *rng, int low, size_t n)
{
    for (size_t i = 0; i < count_columns(m) * m->n_groups; i++) {
        set_group(m, i, ldexp(1, low + (int)oracle_below(rng, n)));
    }
    for (size_t i = 0; i < count_columns(m); i++) {
        if (m->spec.bias_dtype != W4MOE_DTYPE_NONE) {
            m->bias[i] = (double)oracle_below(rng, 3) - 1;
        }
    }
}

/* All products and their partial sums are whole multiples of 2^-5 below 2^18
 * (K = 4096, codes less zero of 15, activations of 2, scales of 1).
 *
 * In a layer each token has but one input that is not 0, so that the squares
 * of its products are small whole numbers (or quarters) of at most 8 bits, the
 * first rounding of nearly all does nothing, and the second sums are exact. */
static void
powers_of_two(struct case_problem *p, const struct input_class *inputs)
{
    struct oracle_rng rng = {p->matrices[0]->spec.seed};
    size_t n_in = p->what->n_in;
    (void)inputs;
    for (size_t i = 0; i < p->n_rows * n_in; i++) {
        double size = ldexp(1, (int)oracle_below(&rng, 3) - 1);
        p->a[i] = oracle_below(&rng, 2) == 0 ? size : -size;
    }
    if (p->what->op == OP_GEMM) {
        return;
    }
    set_powers(p->matrices[0], &rng, 0, 1);
    set_powers(p->matrices[1], &rng, -5, 4);
    for (size_t row = 0; row < p->n_rows; row++) {
        size_t kept = oracle_below(&rng, n_in);
        for (size_t i = 0; i < n_in; i++) {
            p->a[row * n_in + i] *= i == kept;
        }
    }
}

/* ------------------------------------------------------------------ table */

const struct input_class input_classes[] = {
        {.name = "random", .large = 1},
        /* E2M1 codes of 0 and 8 are 0 and -0. */
        {.name = "codes-0",
                .cancels = 1,
                .side = FENCE_BEGIN,
                .change = equal_codes,
                .code = 0},
        {.name = "codes-7", .change = equal_codes, .code = 7},
        {.name = "codes-8",
                .cancels = 1,
                .side = FENCE_BEGIN,
                .change = equal_codes,
                .code = 8},
        {.name = "codes-15", .change = equal_codes, .code = 15},
        {.name = "zero-scales",
                .change = zero_scales,
                .fits = scales_may_be_zero},
        {.name = "subnormal-scales", .change = subnormal_scales},
        {.name = "subnormal-activations",
                .tiny = 1,
                .change = subnormal_activations},
        {.name = "large", .change = large_numbers},
        {.name = "powers-of-two",
                .exact = 1,
                .side = FENCE_BEGIN,
                .large = 1,
                .change = powers_of_two,
                .fits = sums_may_be_exact},
};

const size_t n_input_classes = sizeof(input_classes) / sizeof(input_classes[0]);

int
inputs_fit(const struct input_class *inputs, const struct kernel_case *what)
{
    return (inputs->large || !what->large) &&
           (inputs->fits == NULL || inputs->fits(what));
}

void
inputs_make(struct case_problem *p, const struct kernel_case *what,
        const struct input_class *inputs)
{
    case_make(p, what, inputs->exact);
    p->gemm.noise = inputs->cancels ? TOL_CANCELLED : 0;
    p->forward.noise = p->gemm.noise;
    if (inputs->change != NULL) {
        inputs->change(p, inputs);
        case_store(p);
    }
}
