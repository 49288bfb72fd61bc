/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Vectors of NEON as every AArch64 processor has it; see simd.h. */
#ifndef W4_KERNEL_SIMD_SIMD_NEON_H
#define W4_KERNEL_SIMD_SIMD_NEON_H

#include <arm_neon.h>

enum { W4_LANES = 4 };

typedef float32x4_t w4_vf;

W4_INLINE w4_vf
w4_vf_zero(void)
{
    return vdupq_n_f32(0.0f);
}

W4_INLINE w4_vf
w4_vf_set1(float x)
{
    return vdupq_n_f32(x);
}

W4_INLINE w4_vf
w4_vf_load(const float *p)
{
    return vld1q_f32(p);
}

W4_INLINE void
w4_vf_store(float *p, w4_vf v)
{
    vst1q_f32(p, v);
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
    return vaddq_f32(a, b);
}

W4_INLINE w4_vf
w4_vf_sub(w4_vf a, w4_vf b)
{
    return vsubq_f32(a, b);
}

W4_INLINE w4_vf
w4_vf_mul(w4_vf a, w4_vf b)
{
    return vmulq_f32(a, b);
}

W4_INLINE w4_vf
w4_vf_div(w4_vf a, w4_vf b)
{
    return vdivq_f32(a, b);
}

W4_INLINE w4_vf
w4_vf_fma(w4_vf a, w4_vf b, w4_vf c)
{
    return vfmaq_f32(c, a, b);
}

W4_INLINE w4_vf
w4_vf_fnma(w4_vf a, w4_vf b, w4_vf c)
{
    return vfmsq_f32(c, a, b);
}

/* The instructions return NaN if there is one. */
W4_INLINE w4_vf
w4_vf_at_most(w4_vf x, w4_vf limit)
{
    return vminq_f32(x, limit);
}

W4_INLINE w4_vf
w4_vf_at_least(w4_vf x, w4_vf limit)
{
    return vmaxq_f32(x, limit);
}

W4_INLINE w4_vf
w4_vf_abs(w4_vf x)
{
    return vabsq_f32(x);
}

W4_INLINE w4_vf
w4_vf_with_sign(w4_vf x, w4_vf s)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), s, x);
}

W4_INLINE w4_vf
w4_vf_if_less(w4_vf a, w4_vf b, w4_vf yes, w4_vf no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}

W4_INLINE w4_vf
w4_vf_round(w4_vf x)
{
    return vrndnq_f32(x);
}

/* 2^n, whole n in -126 .. 127 */
W4_INLINE w4_vf
w4_vf_power_of_two(int32x4_t n)
{
    return vreinterpretq_f32_s32(
            vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* In two factors, each a normal number. */
W4_INLINE w4_vf
w4_vf_scale(w4_vf x, w4_vf n)
{
    int32x4_t whole = vcvtnq_s32_f32(n);
    int32x4_t half = vshrq_n_s32(whole, 1);
    x = vmulq_f32(x, w4_vf_power_of_two(half));
    return vmulq_f32(x, w4_vf_power_of_two(vsubq_s32(whole, half)));
}

W4_INLINE float
w4_vf_sum(w4_vf v)
{
    return vaddvq_f32(v);
}

W4_INLINE w4_vf
w4_vf_load_half(const uint16_t *p, w4moe_dtype dtype)
{
    uint16x4_t h = vld1_u16(p);
    return dtype == W4MOE_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(h))
                              : vreinterpretq_f32_u32(vshll_n_u16(h, 16));
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
        vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
        return;
    }
    uint32x4_t bits = vreinterpretq_u32_f32(v);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFFu)));
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000u));
    rounded = vbslq_u32(vceqq_f32(v, v), rounded, quiet);
    vst1_u16(p, vshrn_n_u32(rounded, 16));
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
