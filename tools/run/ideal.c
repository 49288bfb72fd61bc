/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The layer in float64; see ideal.h. */
#include "ideal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "common.h"

double
ideal_round(double value, w4moe_dtype dtype)
{
    /* Bits of the significand, exponents of the smallest and of the first
     * value beyond the largest. */
    int precision = dtype == W4MOE_BF16 ? 8 : 11;
    int smallest = dtype == W4MOE_BF16 ? -133 : -24;
    int beyond = dtype == W4MOE_BF16 ? 128 : 16;
    int exponent = 0;
    if (!isfinite(value)) {
        return value;
    }
    frexp(value, &exponent);
    int unit =
            exponent - precision > smallest ? exponent - precision : smallest;
    /* Exact scaling, one rounding to an integer, exact scaling. */
    double rounded = ldexp(nearbyint(ldexp(value, -unit)), unit);
    return fabs(rounded) >= ldexp(1.0, beyond) ? copysign(INFINITY, value)
                                               : rounded;
}

/* min(v, limit) and clamp(v, -limit, limit) that keep a NaN. */
static double
at_most(double v, double limit)
{
    return v > limit ? limit : v;
}

static double
clamp(double v, double limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

static double
sigmoid(double v)
{
    return 1.0 / (1.0 + exp(-v));
}

static double
gelu(double v)
{
    return v * (1.0 + erf(v * sqrt(0.5))) / 2.0;
}

static double
gelu_tanh(double v)
{
    const double root = 0.79788456080286535588; /* sqrt(2 / pi) */
    return v * (1.0 + tanh(root * (v + 0.044715 * v * v * v))) / 2.0;
}

/* A parameter, or what a 0 stands for. */
static double
parameter(float value, float absent)
{
    return (double)(value > 0.0f || value < 0.0f ? value : absent);
}

static double
swigluoai(const w4moe_activation *a, double limit, double beta, double gate,
        double up)
{
    double alpha = parameter(a->alpha, 1.702f);
    gate = at_most(gate, limit);
    return (clamp(up, limit) + beta) * gate * sigmoid(alpha * gate);
}

static double
silu(const w4moe_activation *a, double gate, double up)
{
    if (a->limit > 0.0f) {
        gate = at_most(gate, (double)a->limit);
        up = clamp(up, (double)a->limit);
    }
    return gate * sigmoid(gate) * up;
}

static double
situ(const w4moe_activation *a, double gate, double up)
{
    double beta = (double)a->beta;
    double bound = (double)a->linear_beta;
    double other = bound > 0.0 ? bound * tanh(up / bound) : up;
    return beta * tanh(gate / beta) * sigmoid(gate) * other;
}

double
ideal_activate(const w4moe_activation *a, double gate, double up)
{
    double limit = parameter(a->limit, 7.0f);
    switch (a->kind) {
    case W4MOE_ACT_SILU:
        return silu(a, gate, up);
    case W4MOE_ACT_GELU:
        return gelu(gate) * up;
    case W4MOE_ACT_GELU_TANH:
        return gelu_tanh(gate) * up;
    case W4MOE_ACT_SWIGLUOAI:
        return swigluoai(a, limit, 1.0, gate, up);
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        return swigluoai(a, (double)a->limit, (double)a->beta, gate, up);
    case W4MOE_ACT_SWIGLUSTEP:
        return at_most(gate * sigmoid(gate), limit) * clamp(up, limit);
    case W4MOE_ACT_SITU:
        return situ(a, gate, up);
    case W4MOE_ACT_SILU_NO_MUL:
        return gate * sigmoid(gate);
    case W4MOE_ACT_GELU_NO_MUL:
        return gelu(gate);
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        return gelu_tanh(gate);
    case W4MOE_ACT_RELU2_NO_MUL:
        gate = gate < 0.0 ? 0.0 : gate;
        return gate * gate;
    }
    return NAN;
}

/* Memory for one expert at a time. */
struct scratch {
    float *w13;
    float *w2;
    /* One slot: x as float64 [H], the outputs of w13 [N], the activated row
     * [I] and the same rounded. */
    double *x;
    double *h;
    double *exact;
    double *rounded;
};

static void
scratch_free(struct scratch *s)
{
    free(s->w13);
    free(s->w2);
    free(s->x);
    free(s->h);
    free(s->exact);
    free(s->rounded);
}

static int
scratch_new(struct scratch *s, const struct ideal_call *call)
{
    size_t n13 = call->w13->n_out;
    size_t k13 = call->w13->n_in;
    size_t n2 = call->w2->n_out;
    size_t k2 = call->w2->n_in;
    memset(s, 0, sizeof(*s));
    s->w13 = tool_alloc(n13, sizeof(float) * k13, "one expert's w13");
    s->w2 = tool_alloc(n2, sizeof(float) * k2, "one expert's w2");
    s->x = tool_alloc(k13, sizeof(double), "a row");
    s->h = tool_alloc(n13, sizeof(double), "a row");
    s->exact = tool_alloc(k2, sizeof(double), "a row");
    s->rounded = tool_alloc(k2, sizeof(double), "a row");
    if (s->w13 == NULL || s->w2 == NULL || s->x == NULL || s->h == NULL ||
            s->exact == NULL || s->rounded == NULL) {
        scratch_free(s);
        return TOOL_ERROR;
    }
    return TOOL_OK;
}

/* Several sums at once, so that the processor need not wait for each
 * addition. */
static double
dot(const float *w, const double *x, size_t n)
{
    enum { LANES = 8 };
    double sums[LANES] = {0.0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t j = 0; j < LANES; j++) {
            sums[j] += (double)w[i + j] * x[i + j];
        }
    }
    for (; i < n; i++) {
        sums[0] += (double)w[i] * x[i];
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

static double
bias_of(const w4moe_matrix *matrix, size_t expert, size_t n)
{
    return matrix->bias == NULL
                   ? 0.0
                   : (double)w4_load_float(matrix->bias, matrix->bias_dtype,
                             expert * matrix->n_out + n);
}

/* Adds one slot's result to its token's rows of exact and ideal. */
static void
add_slot(double *exact, double *ideal, const struct scratch *s,
        const struct ideal_call *call, size_t slot)
{
    size_t token = slot / call->top_k;
    size_t expert = (size_t)call->ids[slot];
    size_t hidden = call->w13->n_in;
    size_t inner = call->w2->n_in;
    double weight = (double)call->weights[slot];
    double on_input = call->weight_on_input ? weight : 1.0;
    double on_output = call->weight_on_input ? 1.0 : weight;
    for (size_t i = 0; i < hidden; i++) {
        s->x[i] =
                (double)w4_load_float(call->x, call->dtype, token * hidden + i);
    }
    for (size_t n = 0; n < call->w13->n_out; n++) {
        double sum = dot(s->w13 + n * hidden, s->x, hidden);
        s->h[n] = (sum + bias_of(call->w13, expert, n)) * on_input;
    }
    for (size_t i = 0; i < inner; i++) {
        double up = call->w13->gated ? s->h[inner + i] : 0.0;
        s->exact[i] = ideal_activate(call->activation, s->h[i], up);
        s->rounded[i] = ideal_round(s->exact[i], call->dtype);
    }
    for (size_t n = 0; n < call->w2->n_out; n++) {
        const float *row = s->w2 + n * inner;
        double bias = bias_of(call->w2, expert, n);
        exact[token * hidden + n] +=
                (dot(row, s->exact, inner) + bias) * on_output;
        ideal[token * hidden + n] +=
                (dot(row, s->rounded, inner) + bias) * on_output;
    }
}

/* Adds the slots of one expert; dequantises it only if there are any. */
static int
add_expert(double *exact, double *ideal, const struct scratch *s,
        const w4moe_ctx *ctx, const struct ideal_call *call, size_t expert)
{
    int loaded = 0;
    for (size_t slot = 0; slot < call->n_tokens * call->top_k; slot++) {
        if (call->ids[slot] != (int32_t)expert) {
            continue;
        }
        if (!loaded) {
            w4moe_status status =
                    w4moe_dequantize(ctx, s->w13, call->w13, expert);
            if (status == W4MOE_OK) {
                status = w4moe_dequantize(ctx, s->w2, call->w2, expert);
            }
            if (status != W4MOE_OK) {
                return tool_failed(ctx, status);
            }
            loaded = 1;
        }
        add_slot(exact, ideal, s, call, slot);
    }
    return TOOL_OK;
}

int
ideal_compute(double *exact, double *ideal, const w4moe_ctx *ctx,
        const struct ideal_call *call)
{
    struct scratch s;
    int code = scratch_new(&s, call);
    if (code != TOOL_OK) {
        return code;
    }
    for (size_t e = 0; e < call->w13->n_experts && code == TOOL_OK; e++) {
        code = add_expert(exact, ideal, &s, ctx, call, e);
    }
    for (size_t i = 0; i < call->n_tokens * call->w2->n_out; i++) {
        ideal[i] = ideal_round(ideal[i], call->dtype);
    }
    scratch_free(&s);
    return code;
}
