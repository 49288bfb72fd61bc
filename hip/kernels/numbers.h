/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Numbers: the two types of activations, rounding, and "vectors" of one float
 * under the names that the CPU's formulas use.
 */
#ifndef W4_HIP_NUMBERS_H
#define W4_HIP_NUMBERS_H

#include "arch.h"

#include <w4moe/base.h>
#include <w4moe/format.h>

/* ------------------------------------------------------------------- types */

GPU_INLINE float
gpu_bf16_to_float(uint32_t bits)
{
    return gpu_from_bits(bits << 16);
}

/** Rounded to nearest, ties to even; NaN stays. */
GPU_INLINE uint32_t
gpu_float_to_bf16(float x)
{
    uint32_t bits = gpu_bits(x);
    uint32_t rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
    return (x != x ? bits | 0x400000u : rounded) >> 16;
}

/** What depends on the type of activations. PAIR_OF_ONES, dot(): of packed
 * pairs. */
struct gpu_bf16 {
    static constexpr uint32_t PAIR_OF_ONES = 0x3F803F80u;
    static constexpr bool DOTS_PAIR = false;

    static GPU_INLINE float dot(uint32_t a, uint32_t b, float c)
    {
        return gpu_dot_bf16(a, b, c);
    }

#ifdef GPU_HAS_MATRICES
    static GPU_INLINE void mma(struct gpu_acc *acc, const struct gpu_a *a,
            const uint32_t *b, unsigned n)
    {
        gpu_mma_bf16(acc, a, b, n);
    }
#endif

#ifdef GPU_HAS_PARTS
    static GPU_INLINE void mma_part(
            struct gpu_part *part, const uint32_t b[8], const uint32_t x[4])
    {
        gpu_part_bf16(part, b, x);
    }
#endif

    static GPU_INLINE uint32_t round(float x)
    {
        return gpu_float_to_bf16(x);
    }

    static GPU_INLINE float to_float(uint32_t bits)
    {
        return gpu_bf16_to_float(bits);
    }
};

struct gpu_f16 {
    static constexpr uint32_t PAIR_OF_ONES = 0x3C003C00u;
    static constexpr bool DOTS_PAIR = true;

    static GPU_INLINE float dot(uint32_t a, uint32_t b, float c)
    {
        return gpu_dot_f16(a, b, c);
    }

#ifdef GPU_HAS_MATRICES
    static GPU_INLINE void mma(struct gpu_acc *acc, const struct gpu_a *a,
            const uint32_t *b, unsigned n)
    {
        gpu_mma_f16(acc, a, b, n);
    }
#endif

#ifdef GPU_HAS_PARTS
    static GPU_INLINE void mma_part(
            struct gpu_part *part, const uint32_t b[8], const uint32_t x[4])
    {
        gpu_part_f16(part, b, x);
    }
#endif

    static GPU_INLINE uint32_t round(float x)
    {
        return gpu_float_to_f16(x);
    }

    static GPU_INLINE float to_float(uint32_t bits)
    {
        return gpu_f16_to_float(bits);
    }
};

/** Element i of an array of W4MOE_F32, W4MOE_F16 or W4MOE_BF16. */
GPU_INLINE float
gpu_load_float(const void *p, uint32_t type, uint64_t i)
{
    if (type == W4MOE_F32) {
        return ((const float *)p)[i];
    }
    uint32_t bits = ((const uint16_t *)p)[i];
    return type == W4MOE_F16 ? gpu_f16_to_float(bits) : gpu_bf16_to_float(bits);
}

GPU_INLINE void
gpu_store_float(void *p, uint32_t type, uint64_t i, float x)
{
    if (type == W4MOE_F32) {
        ((float *)p)[i] = x;
    } else {
        ((uint16_t *)p)[i] =
                (uint16_t)(type == W4MOE_F16 ? gpu_float_to_f16(x)
                                             : gpu_float_to_bf16(x));
    }
}

/* -------------------------------------------- vectors of one, see simd.h */

typedef float w4_vf;

#define W4_INLINE GPU_INLINE
#define W4_UNROLL GPU_UNROLL

W4_INLINE w4_vf
w4_vf_zero(void)
{
    return 0.0f;
}

W4_INLINE w4_vf
w4_vf_set1(float x)
{
    return x;
}

W4_INLINE w4_vf
w4_vf_add(w4_vf a, w4_vf b)
{
    return a + b;
}

W4_INLINE w4_vf
w4_vf_sub(w4_vf a, w4_vf b)
{
    return a - b;
}

W4_INLINE w4_vf
w4_vf_mul(w4_vf a, w4_vf b)
{
    return a * b;
}

W4_INLINE w4_vf
w4_vf_div(w4_vf a, w4_vf b)
{
    return gpu_quotient(a, b);
}

W4_INLINE w4_vf
w4_vf_fma(w4_vf a, w4_vf b, w4_vf c)
{
    return gpu_fma(a, b, c);
}

W4_INLINE w4_vf
w4_vf_fnma(w4_vf a, w4_vf b, w4_vf c)
{
    return gpu_fma(-a, b, c);
}

W4_INLINE w4_vf
w4_vf_at_most(w4_vf x, w4_vf limit)
{
    return x > limit ? limit : x;
}

W4_INLINE w4_vf
w4_vf_at_least(w4_vf x, w4_vf limit)
{
    return x < limit ? limit : x;
}

W4_INLINE w4_vf
w4_vf_abs(w4_vf x)
{
    return gpu_from_bits(gpu_bits(x) & 0x7FFFFFFFu);
}

W4_INLINE w4_vf
w4_vf_with_sign(w4_vf x, w4_vf s)
{
    return gpu_from_bits(
            (gpu_bits(x) & 0x7FFFFFFFu) | (gpu_bits(s) & 0x80000000u));
}

W4_INLINE w4_vf
w4_vf_if_less(w4_vf a, w4_vf b, w4_vf yes, w4_vf no)
{
    return a < b ? yes : no;
}

W4_INLINE w4_vf
w4_vf_round(w4_vf x)
{
    return gpu_round(x);
}

W4_INLINE w4_vf
w4_vf_scale(w4_vf x, w4_vf n)
{
    /* A NaN, which has no whole number, stays in x's other factors. */
    return gpu_scale(x, n == n ? (int)n : 0);
}

#include "kernel/act/act_formulas.h"

#endif
