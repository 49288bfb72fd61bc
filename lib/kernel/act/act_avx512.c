/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * Activations with AVX-512F, sixteen at a time.
 *
 * The exponential is within 2 units in the last place of fp32, so that what is
 * built on it is within 8 of the exact value before the one rounding at the
 * end. Kinds that need erf() or a bare tanh() go to the reference.
 */
#include <immintrin.h>
#include <string.h>

#include "kernel/kernel.h"

/* Lanes of a vector. */
enum { LANES = 16 };

/* exp(x): x = n ln 2 + r, exp(r) by its series to the seventh power (the next
 * term is below 2^-27), scaled by 2^n. A NaN stays: max and min return their
 * second operand then. */
static inline __m512
exp_ps(__m512 x)
{
    static const float terms[] = {
            1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 1.0f / 2, 1.0f, 1.0f};
    x = _mm512_max_ps(_mm512_set1_ps(-150.0f), x);
    x = _mm512_min_ps(_mm512_set1_ps(150.0f), x);
    __m512 n = _mm512_roundscale_ps(
            _mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    /* ln 2 in two parts, of which the first has few bits. */
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040);
    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(terms[i]));
    }
    return _mm512_scalef_ps(p, n);
}

/* x sigmoid(alpha x) */
static inline __m512
swish(__m512 x, __m512 alpha)
{
    __m512 e =
            exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(alpha, x)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

static inline __m512
silu(__m512 x)
{
    return swish(x, _mm512_set1_ps(1.0f));
}

/* x (1 + tanh(y)) / 2 = x sigmoid(2 y), y = sqrt(2 / pi) (x + 0.044715 x^3) */
static inline __m512
gelu_tanh(__m512 x)
{
    __m512 square = _mm512_mul_ps(x, x);
    __m512 factor = _mm512_fmadd_ps(square,
            _mm512_set1_ps(2 * 0.79788456080286536f * 0.044715f),
            _mm512_set1_ps(2 * 0.79788456080286536f));
    return swish(x, factor);
}

static inline __m512
at_most(__m512 x, __m512 limit)
{
    return _mm512_min_ps(limit, x);
}

static inline __m512
clamp(__m512 x, __m512 limit)
{
    __m512 low = _mm512_sub_ps(_mm512_setzero_ps(), limit);
    return _mm512_max_ps(low, _mm512_min_ps(limit, x));
}

static inline __m512
swiglu_clamped(__m512 g, __m512 u, const w4moe_activation *act, float shift)
{
    __m512 limit = _mm512_set1_ps(act->limit);
    g = swish(at_most(g, limit), _mm512_set1_ps(act->alpha));
    u = clamp(u, limit);
    return _mm512_mul_ps(_mm512_add_ps(u, _mm512_set1_ps(shift)), g);
}

/* One vector of the kinds that have_vectors() tells of. */
static inline __m512
apply(const w4moe_activation *act, __m512 g, __m512 u)
{
    __m512 limit = _mm512_set1_ps(act->limit);
    switch (act->kind) {
    case W4MOE_ACT_SILU:
        if (act->limit > 0.0f) {
            g = at_most(g, limit);
            u = clamp(u, limit);
        }
        return _mm512_mul_ps(silu(g), u);
    case W4MOE_ACT_GELU_TANH:
        return _mm512_mul_ps(gelu_tanh(g), u);
    case W4MOE_ACT_SWIGLUOAI:
        return swiglu_clamped(g, u, act, 1.0f);
    case W4MOE_ACT_SWIGLUOAI_UNINTERLEAVE:
        return swiglu_clamped(g, u, act, act->beta);
    case W4MOE_ACT_SWIGLUSTEP:
        return _mm512_mul_ps(at_most(silu(g), limit), clamp(u, limit));
    case W4MOE_ACT_SILU_NO_MUL:
        return silu(g);
    case W4MOE_ACT_GELU_TANH_NO_MUL:
        return gelu_tanh(g);
    case W4MOE_ACT_RELU2_NO_MUL:
        g = _mm512_max_ps(_mm512_setzero_ps(), g);
        return _mm512_mul_ps(g, g);
    case W4MOE_ACT_GELU:
    case W4MOE_ACT_SITU:
    case W4MOE_ACT_GELU_NO_MUL:
        break;
    }
    return g;
}

static int
have_vectors(w4moe_activation_kind kind)
{
    return kind != W4MOE_ACT_GELU && kind != W4MOE_ACT_GELU_NO_MUL &&
           kind != W4MOE_ACT_SITU;
}

/* Rounds to bf16, ties to even; NaN stays NaN. */
static inline __m256i
bf16_of_ps(__m512 x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd =
            _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(
            bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(
            rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

static inline void
store(void *out, w4moe_dtype dtype, __m512 x)
{
    switch (dtype) {
    case W4MOE_F32:
        _mm512_storeu_ps(out, x);
        break;
    case W4MOE_F16:
        _mm256_storeu_si256(out, _mm512_cvtps_ph(x, 0));
        break;
    default:
        _mm256_storeu_si256(out, bf16_of_ps(x));
        break;
    }
}

void
w4_act_avx512(void *out, w4moe_dtype dtype, const float *gate, const float *up,
        size_t n, const w4moe_activation *activation)
{
    size_t element = w4moe_dtype_size(dtype);
    char *next = out;
    size_t i = 0;
    if (!have_vectors(activation->kind)) {
        w4_act_ref(out, dtype, gate, up, n, activation);
        return;
    }
    for (; i + LANES <= n; i += LANES, next += LANES * element) {
        __m512 g = _mm512_loadu_ps(gate + i);
        __m512 u = up != NULL ? _mm512_loadu_ps(up + i) : g;
        store(next, dtype, apply(activation, g, u));
    }
    if (i < n) {
        float rest[LANES];
        __mmask16 mask = (__mmask16)((1u << (n - i)) - 1);
        __m512 g = _mm512_maskz_loadu_ps(mask, gate + i);
        __m512 u = up != NULL ? _mm512_maskz_loadu_ps(mask, up + i) : g;
        store(rest, dtype, apply(activation, g, u));
        memcpy(next, rest, (n - i) * element);
    }
}
