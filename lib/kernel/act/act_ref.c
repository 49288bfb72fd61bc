/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Activations in plain C. Comparisons are written so that a NaN passes
 * through: fminf() and fmaxf() would drop it. */
#include <math.h>

#include "base/half.h"
#include "kernel/kernel.h"

static float
sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static float
silu(float x)
{
    return x / (1.0f + expf(-x));
}

static float
gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
}

static float
gelu_tanh(float x)
{
    float inner = 0.79788456080286536f * (x + 0.044715f * x * x * x);
    return 0.5f * x * (1.0f + tanhf(inner));
}

static float
at_most(float x, float limit)
{
    return x > limit ? limit : x;
}

static float
clamp(float x, float limit)
{
    return x > limit ? limit : x < -limit ? -limit : x;
}

/* g sigmoid(alpha g) (u + shift), both clamped. */
static float
swiglu_clamped(float g, float u, const w4moe_activation *act, float shift)
{
    g = at_most(g, act->limit);
    u = clamp(u, act->limit);
    /* In this order: (u + shift) g can overflow where the result is 0. */
    return (u + shift) * (g * sigmoid(act->alpha * g));
}

static float
situ(float g, float u, const w4moe_activation *act)
{
    float lb = act->linear_beta;
    float bounded = lb > 0.0f ? lb * tanhf(u / lb) : u;
    return act->beta * tanhf(g / act->beta) * sigmoid(g) * bounded;
}

static float
apply(const w4moe_activation *act, float g, float u)
{
    switch (act->kind) {
    case W4MOE_ACT_SILU:
        if (act->limit > 0.0f) {
            g = at_most(g, act->limit);
            u = clamp(u, act->limit);
        }
        return silu(g) * u;
    case W4MOE_ACT_GELU:
        return gelu(g) * u;
    case W4MOE_ACT_GELU_TANH:
        return gelu_tanh(g) * u;
    case W4MOE_ACT_SWIGLUOAI:
        return swiglu_clamped(g, u, act, 1.0f);
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        return swiglu_clamped(g, u, act, act->beta);
    case W4MOE_ACT_SWIGLUSTEP:
        return at_most(silu(g), act->limit) * clamp(u, act->limit);
    case W4MOE_ACT_SITU:
        return situ(g, u, act);
    case W4MOE_ACT_SILU_NO_MUL:
        return silu(g);
    case W4MOE_ACT_GELU_NO_MUL:
        return gelu(g);
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        return gelu_tanh(g);
    case W4MOE_ACT_RELU2_NO_MUL:
        return g < 0.0f ? 0.0f : g * g;
    }
    return NAN;
}

void
w4_act_ref(void *out, w4moe_dtype dtype, const float *gate, const float *up,
        size_t n, const w4moe_activation *activation)
{
    for (size_t i = 0; i < n; i++) {
        float u = up != NULL ? up[i] : 0.0f;
        w4_store_float(out, dtype, i, apply(activation, gate[i], u));
    }
}
