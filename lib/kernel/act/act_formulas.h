/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Activations over the vectors of simd.h, or of the GPU kernels' numbers.h,
 * where a vector is one number: whoever includes this has those names already.
 *
 * Before the one rounding to the output type a result is within
 *
 *   8 units in the last place of fp32 of the exact one, and
 *   4 |t| 2^-24 of it more for gelu_tanh and the two swigluoai, where t is the
 *   argument of the sigmoid if that is negative: it is itself rounded.
 *
 * Results in between that are below 2^-126 have steps of 2^-149. Tested in
 * tests/kernel/test_act.c; the largest errors that were measured, over gates of
 * all sizes, are 6 units (gelu) and 2.5 |t| 2^-24 (gelu_tanh).
 *
 * Nothing overflows on the way to a finite result: exponentials are of numbers
 * that are not positive. Every operation passes NaN on.
 *
 * The coefficients are minimax fits of this project, by weighted least squares
 * in float64 (the weights of the largest errors raised until the peaks are
 * equal), then rounded to fp32. The errors given are those of the rounded
 * coefficients, in exact arithmetic.
 */
#ifndef W4_KERNEL_ACT_ACT_FORMULAS_H
#define W4_KERNEL_ACT_ACT_FORMULAS_H

#include <w4moe/format.h>

/* t0 + t1 x + ... + t4 x^4 */
W4_INLINE w4_vf
w4_act_polynomial(w4_vf x, float t0, float t1, float t2, float t3, float t4)
{
    w4_vf sum = w4_vf_fma(w4_vf_set1(t4), x, w4_vf_set1(t3));
    sum = w4_vf_fma(sum, x, w4_vf_set1(t2));
    sum = w4_vf_fma(sum, x, w4_vf_set1(t1));
    return w4_vf_fma(sum, x, w4_vf_set1(t0));
}

/* e^x = power (1 + rest); power is a power of two, or 0 */
struct w4_act_exp {
    w4_vf power;
    w4_vf rest;
};

/* Of x <= 0. x = n ln 2 + r, rest = e^r - 1 = r + r^2 P(r) with |r| <= ln 2 / 2
 * and a relative error of at most 2^-25.7. Below -104 e^x is 0 in fp32. */
W4_INLINE struct w4_act_exp
w4_act_exp_parts(w4_vf x)
{
    x = w4_vf_at_least(x, w4_vf_set1(-105.0f));
    w4_vf n = w4_vf_round(w4_vf_mul(x, w4_vf_set1(0x1.715476p+0f)));
    /* ln 2 in two parts; n times the first is exact. */
    w4_vf r = w4_vf_fnma(n, w4_vf_set1(0x1.63p-1f), x);
    r = w4_vf_fnma(n, w4_vf_set1(-0x1.bd0106p-13f), r);
    w4_vf p = w4_act_polynomial(r, 0x1.fffffep-2f, 0x1.5554bp-3f,
            0x1.555674p-5f, 0x1.1227aep-7f, 0x1.6bec0cp-10f);
    struct w4_act_exp e;
    e.power = w4_vf_scale(w4_vf_set1(1.0f), n);
    e.rest = w4_vf_fma(w4_vf_mul(r, r), p, r);
    return e;
}

/* e^x of x <= 0, within 2 units in the last place */
W4_INLINE w4_vf
w4_act_exp(w4_vf x)
{
    struct w4_act_exp e = w4_act_exp_parts(x);
    return w4_vf_fma(e.power, e.rest, e.power);
}

/* (1 - E) / (1 + E) with E = e^(-2 |x|), and 1 - E without cancellation. */
W4_INLINE w4_vf
w4_act_tanh(w4_vf x)
{
    w4_vf one = w4_vf_set1(1.0f);
    struct w4_act_exp e =
            w4_act_exp_parts(w4_vf_mul(w4_vf_abs(x), w4_vf_set1(-2.0f)));
    w4_vf above = w4_vf_fnma(e.power, e.rest, w4_vf_sub(one, e.power));
    w4_vf below = w4_vf_add(one, w4_vf_fma(e.power, e.rest, e.power));
    return w4_vf_with_sign(w4_vf_div(above, below), x);
}

/* 1 / (1 + e^-x); for x < 0 as e^x / (1 + e^x) */
W4_INLINE w4_vf
w4_act_sigmoid(w4_vf x)
{
    w4_vf one = w4_vf_set1(1.0f);
    w4_vf e = w4_act_exp(w4_vf_with_sign(x, w4_vf_set1(-1.0f)));
    w4_vf above = w4_vf_if_less(x, w4_vf_zero(), e, one);
    return w4_vf_div(above, w4_vf_add(one, e));
}

W4_INLINE w4_vf
w4_act_silu(w4_vf x)
{
    return w4_vf_mul(x, w4_act_sigmoid(x));
}

/*
 * x Phi(x), Phi being the distribution function of the normal distribution:
 * Phi(-a) = e^(-a^2 / 2) N(a) / D(a) for a = |x|, and Phi(a) = 1 - Phi(-a).
 * N / D has a relative error of at most 2^-25.2 in 0 <= a <= 14.5, at whose end
 * the exponential is 0 in fp32. No coefficient is negative: nothing cancels.
 */
W4_INLINE w4_vf
w4_act_gelu(w4_vf x)
{
    w4_vf a = w4_vf_at_most(w4_vf_abs(x), w4_vf_set1(14.5f));
    w4_vf half = w4_vf_mul(a, w4_vf_set1(-0.5f));
    w4_vf square = w4_vf_mul(a, half);
    /* Times e to the power of what the rounding of the square took off. */
    w4_vf e = w4_act_exp(square);
    e = w4_vf_fnma(e, w4_vf_fnma(a, half, square), e);
    w4_vf above = w4_act_polynomial(
            a, 0.5f, 0.43759516f, 0.18269026f, 0.040441852f, 0.004085607f);
    w4_vf below = w4_act_polynomial(
            a, 1.6730752f, 1.2002975f, 0.4680253f, 0.10137927f, 0.010240975f);
    below = w4_vf_fma(below, a, w4_vf_set1(1.0f));
    w4_vf tail = w4_vf_mul(e, w4_vf_div(above, below));
    w4_vf rest = w4_vf_sub(w4_vf_set1(1.0f), tail);
    return w4_vf_mul(x, w4_vf_if_less(x, w4_vf_zero(), tail, rest));
}

/* x (1 + tanh(y)) / 2 = x sigmoid(2 y), y = sqrt(2 / pi) (x + 0.044715 x^3) */
W4_INLINE w4_vf
w4_act_gelu_tanh(w4_vf x)
{
    const float twice = 2 * 0.79788456080286536f;
    w4_vf factor = w4_vf_fma(
            w4_vf_mul(x, x), w4_vf_set1(twice * 0.044715f), w4_vf_set1(twice));
    return w4_vf_mul(x, w4_act_sigmoid(w4_vf_mul(x, factor)));
}

W4_INLINE w4_vf
w4_act_clamp(w4_vf x, float limit)
{
    x = w4_vf_at_most(x, w4_vf_set1(limit));
    return w4_vf_at_least(x, w4_vf_set1(-limit));
}

/* g sigmoid(alpha g) (u + shift), both clamped. */
W4_INLINE w4_vf
w4_act_swiglu(w4_vf g, w4_vf u, const w4moe_activation *act, float shift)
{
    g = w4_vf_at_most(g, w4_vf_set1(act->limit));
    u = w4_vf_add(w4_act_clamp(u, act->limit), w4_vf_set1(shift));
    w4_vf sigmoid = w4_act_sigmoid(w4_vf_mul(g, w4_vf_set1(act->alpha)));
    /* In this order: u g can overflow where the result is 0. */
    return w4_vf_mul(u, w4_vf_mul(g, sigmoid));
}

/* bound tanh(x / bound) */
W4_INLINE w4_vf
w4_act_bounded(w4_vf x, float bound)
{
    w4_vf b = w4_vf_set1(bound);
    return w4_vf_mul(b, w4_act_tanh(w4_vf_div(x, b)));
}

W4_INLINE w4_vf
w4_act_situ(w4_vf g, w4_vf u, const w4moe_activation *act)
{
    w4_vf gate = w4_vf_mul(w4_act_bounded(g, act->beta), w4_act_sigmoid(g));
    u = act->linear_beta > 0.0f ? w4_act_bounded(u, act->linear_beta) : u;
    return w4_vf_mul(gate, u);
}

/* One vector; kind is a constant. */
W4_INLINE w4_vf
w4_act_apply(w4moe_activation_kind kind, w4_vf g, w4_vf u,
        const w4moe_activation *act)
{
    switch (kind) {
    case W4MOE_ACT_SILU:
        if (act->limit > 0.0f) {
            g = w4_vf_at_most(g, w4_vf_set1(act->limit));
            u = w4_act_clamp(u, act->limit);
        }
        return w4_vf_mul(w4_act_silu(g), u);
    case W4MOE_ACT_GELU:
        return w4_vf_mul(w4_act_gelu(g), u);
    case W4MOE_ACT_GELU_TANH:
        return w4_vf_mul(w4_act_gelu_tanh(g), u);
    case W4MOE_ACT_SWIGLUOAI:
        return w4_act_swiglu(g, u, act, 1.0f);
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        return w4_act_swiglu(g, u, act, act->beta);
    case W4MOE_ACT_SWIGLUSTEP:
        g = w4_vf_at_most(w4_act_silu(g), w4_vf_set1(act->limit));
        return w4_vf_mul(g, w4_act_clamp(u, act->limit));
    case W4MOE_ACT_SITU:
        return w4_act_situ(g, u, act);
    case W4MOE_ACT_SILU_NO_MUL:
        return w4_act_silu(g);
    case W4MOE_ACT_GELU_NO_MUL:
        return w4_act_gelu(g);
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        return w4_act_gelu_tanh(g);
    case W4MOE_ACT_RELU2_NO_MUL:
        g = w4_vf_at_least(g, w4_vf_zero());
        return w4_vf_mul(g, g);
    }
    return g;
}

#endif
