/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Vectors of AVX-512F; see simd.h. */
#ifndef W4_KERNEL_SIMD_SIMD_AVX512_H
#define W4_KERNEL_SIMD_SIMD_AVX512_H

#include <immintrin.h>

enum { W4_LANES = 16 };

typedef __m512 w4_vf;

W4_INLINE __mmask16
w4_mask_n(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

W4_INLINE w4_vf
w4_vf_zero(void)
{
    return _mm512_setzero_ps();
}

W4_INLINE w4_vf
w4_vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

W4_INLINE w4_vf
w4_vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

W4_INLINE void
w4_vf_store(float *p, w4_vf v)
{
    _mm512_storeu_ps(p, v);
}

W4_INLINE w4_vf
w4_vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(w4_mask_n(n), p);
}

W4_INLINE void
w4_vf_store_n(float *p, w4_vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, w4_mask_n(n), v);
}

W4_INLINE w4_vf
w4_vf_add(w4_vf a, w4_vf b)
{
    return _mm512_add_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_sub(w4_vf a, w4_vf b)
{
    return _mm512_sub_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_mul(w4_vf a, w4_vf b)
{
    return _mm512_mul_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_div(w4_vf a, w4_vf b)
{
    return _mm512_div_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_fma(w4_vf a, w4_vf b, w4_vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

W4_INLINE w4_vf
w4_vf_fnma(w4_vf a, w4_vf b, w4_vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* The instructions return their second operand if there is a NaN. */
W4_INLINE w4_vf
w4_vf_at_most(w4_vf x, w4_vf limit)
{
    return _mm512_min_ps(limit, x);
}

W4_INLINE w4_vf
w4_vf_at_least(w4_vf x, w4_vf limit)
{
    return _mm512_max_ps(limit, x);
}

W4_INLINE w4_vf
w4_vf_abs(w4_vf x)
{
    return _mm512_abs_ps(x);
}

W4_INLINE w4_vf
w4_vf_with_sign(w4_vf x, w4_vf s)
{
    /* Bit by bit: the mask chooses s, else x. */
    __m512i sign = _mm512_set1_epi32((int)0x80000000u);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
            sign, _mm512_castps_si512(s), _mm512_castps_si512(x), 0xCA));
}

W4_INLINE w4_vf
w4_vf_if_less(w4_vf a, w4_vf b, w4_vf yes, w4_vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

W4_INLINE w4_vf
w4_vf_round(w4_vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
}

W4_INLINE w4_vf
w4_vf_scale(w4_vf x, w4_vf n)
{
    return _mm512_scalef_ps(x, n);
}

W4_INLINE float
w4_vf_sum(w4_vf v)
{
    return _mm512_reduce_add_ps(v);
}

W4_INLINE w4_vf
w4_vf_of_halves(__m256i h, w4moe_dtype dtype)
{
    return dtype == W4MOE_F16 ? _mm512_cvtph_ps(h)
                              : _mm512_castsi512_ps(_mm512_slli_epi32(
                                        _mm512_cvtepu16_epi32(h), 16));
}

W4_INLINE w4_vf
w4_vf_load_half(const uint16_t *p, w4moe_dtype dtype)
{
    return w4_vf_of_halves(_mm256_loadu_si256((const void *)p), dtype);
}

W4_INLINE w4_vf
w4_vf_load_half_n(const uint16_t *p, w4moe_dtype dtype, size_t n)
{
    uint16_t halves[W4_LANES] = {0};
    memcpy(halves, p, n * sizeof(halves[0]));
    return w4_vf_load_half(halves, dtype);
}

W4_INLINE void
w4_vf_store_half(uint16_t *p, w4moe_dtype dtype, w4_vf v)
{
    if (dtype == W4MOE_F16) {
        _mm256_storeu_si256(
                (void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
        return;
    }
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd =
            _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(
            bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    rounded = _mm512_mask_or_epi32(rounded,
            _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), bits,
            _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(
            (void *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

W4_INLINE void
w4_vf_store_half_n(uint16_t *p, w4moe_dtype dtype, w4_vf v, size_t n)
{
    uint16_t halves[W4_LANES];
    w4_vf_store_half(halves, dtype, v);
    memcpy(p, halves, n * sizeof(halves[0]));
}

W4_INLINE w4_vf
w4_vf_load_mask(const float *p, uint32_t mask)
{
    return _mm512_maskz_loadu_ps((__mmask16)mask, p);
}

W4_INLINE void
w4_vf_store_mask(float *p, w4_vf v, uint32_t mask)
{
    _mm512_mask_storeu_ps(p, (__mmask16)mask, v);
}

#endif
