/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Vectors of AVX2 with FMA and F16C; see simd.h. */
#ifndef W4_KERNEL_SIMD_SIMD_AVX2_H
#define W4_KERNEL_SIMD_SIMD_AVX2_H

#include <immintrin.h>

enum { W4_LANES = 8 };

typedef __m256 w4_vf;

W4_INLINE w4_vf
w4_vf_zero(void)
{
    return _mm256_setzero_ps();
}

W4_INLINE w4_vf
w4_vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

W4_INLINE w4_vf
w4_vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

W4_INLINE void
w4_vf_store(float *p, w4_vf v)
{
    _mm256_storeu_ps(p, v);
}

W4_INLINE w4_vf
w4_vf_load_n(const float *p, size_t n)
{
    float lanes[W4_LANES] = {0};
    memcpy(lanes, p, n * sizeof(lanes[0]));
    return w4_vf_load(lanes);
}

W4_INLINE void
w4_vf_store_n(float *p, w4_vf v, size_t n)
{
    float lanes[W4_LANES];
    w4_vf_store(lanes, v);
    memcpy(p, lanes, n * sizeof(lanes[0]));
}

W4_INLINE w4_vf
w4_vf_add(w4_vf a, w4_vf b)
{
    return _mm256_add_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_sub(w4_vf a, w4_vf b)
{
    return _mm256_sub_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_mul(w4_vf a, w4_vf b)
{
    return _mm256_mul_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_div(w4_vf a, w4_vf b)
{
    return _mm256_div_ps(a, b);
}

W4_INLINE w4_vf
w4_vf_fma(w4_vf a, w4_vf b, w4_vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

W4_INLINE w4_vf
w4_vf_fnma(w4_vf a, w4_vf b, w4_vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

/* The instructions return their second operand if there is a NaN. */
W4_INLINE w4_vf
w4_vf_at_most(w4_vf x, w4_vf limit)
{
    return _mm256_min_ps(limit, x);
}

W4_INLINE w4_vf
w4_vf_at_least(w4_vf x, w4_vf limit)
{
    return _mm256_max_ps(limit, x);
}

W4_INLINE w4_vf
w4_vf_abs(w4_vf x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

W4_INLINE w4_vf
w4_vf_with_sign(w4_vf x, w4_vf s)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, x), _mm256_and_ps(sign, s));
}

W4_INLINE w4_vf
w4_vf_if_less(w4_vf a, w4_vf b, w4_vf yes, w4_vf no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

W4_INLINE w4_vf
w4_vf_round(w4_vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n, whole n in -126 .. 127 */
W4_INLINE w4_vf
w4_vf_power_of_two(__m256i n)
{
    return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two factors, each a normal number. */
W4_INLINE w4_vf
w4_vf_scale(w4_vf x, w4_vf n)
{
    __m256i whole = _mm256_cvtps_epi32(n);
    __m256i half = _mm256_srai_epi32(whole, 1);
    x = _mm256_mul_ps(x, w4_vf_power_of_two(half));
    return _mm256_mul_ps(x, w4_vf_power_of_two(_mm256_sub_epi32(whole, half)));
}

W4_INLINE float
w4_vf_sum(w4_vf v)
{
    __m128 four =
            _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

W4_INLINE w4_vf
w4_vf_load_half(const uint16_t *p, w4moe_dtype dtype)
{
    __m128i h = _mm_loadu_si128((const void *)p);
    return dtype == W4MOE_F16 ? _mm256_cvtph_ps(h)
                              : _mm256_castsi256_ps(_mm256_slli_epi32(
                                        _mm256_cvtepu16_epi32(h), 16));
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
        _mm_storeu_si128(
                (void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
        return;
    }
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd =
            _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(
            bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    rounded = _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded),
            _mm256_castsi256_ps(quiet), _mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    __m256i high = _mm256_srli_epi32(rounded, 16);
    /* Packs each 128-bit half; the order of the quarters is mended after. */
    __m256i packed =
            _mm256_permute4x64_epi64(_mm256_packus_epi32(high, high), 0x08);
    _mm_storeu_si128((void *)p, _mm256_castsi256_si128(packed));
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
    (void)mask;
    return w4_vf_load(p);
}

W4_INLINE void
w4_vf_store_mask(float *p, w4_vf v, uint32_t mask)
{
    (void)mask;
    w4_vf_store(p, v);
}

#endif
