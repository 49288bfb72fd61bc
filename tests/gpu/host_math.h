/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The arithmetic of hip/kernels/arch.h on the host.
 */
#ifndef W4_HOST_MATH_H
#define W4_HOST_MATH_H

#include <math.h>
#include <stdint.h>

#include "base/half.h"

GPU_INLINE uint32_t
gpu_bits(float x)
{
    return w4_bits_of_float(x);
}

GPU_INLINE float
gpu_from_bits(uint32_t bits)
{
    return w4_float_of_bits(bits);
}

GPU_INLINE float
gpu_f16_to_float(uint32_t bits)
{
    return w4_float_of_f16(static_cast<uint16_t>(bits));
}

GPU_INLINE uint32_t
gpu_float_to_f16(float x)
{
    return w4_f16_of_float(x);
}

GPU_INLINE float
gpu_host_bf16(uint32_t bits)
{
    return w4_float_of_bf16(static_cast<uint16_t>(bits));
}

GPU_INLINE float
gpu_fma(float a, float b, float c)
{
    return fmaf(a, b, c);
}

GPU_INLINE float
gpu_dot_bf16(uint32_t a, uint32_t b, float c)
{
    c = fmaf(gpu_host_bf16(a), gpu_host_bf16(b), c);
    return fmaf(gpu_host_bf16(a >> 16), gpu_host_bf16(b >> 16), c);
}

GPU_INLINE float
gpu_dot_f16(uint32_t a, uint32_t b, float c)
{
    c = fmaf(gpu_f16_to_float(a), gpu_f16_to_float(b), c);
    return fmaf(gpu_f16_to_float(a >> 16), gpu_f16_to_float(b >> 16), c);
}

GPU_INLINE uint32_t
gpu_and_or(uint32_t a, uint32_t m, uint32_t o)
{
    return (a & m) | o;
}

GPU_INLINE uint32_t
gpu_perm(uint32_t hi, uint32_t lo, uint32_t s)
{
    uint64_t bytes = static_cast<uint64_t>(hi) << 32 | lo;
    uint32_t result = 0;
    for (unsigned j = 0; j < 4; j++) {
        unsigned from = s >> 8 * j & 7;
        result |= static_cast<uint32_t>(bytes >> 8 * from & 0xFF) << 8 * j;
    }
    return result;
}

/* A double to the nearest fp16, ties to even, in one rounding. */
GPU_INLINE uint32_t
gpu_host_f16_of_double(double x)
{
    int exponent;
    if (!(fabs(x) < 65520.0)) { /* infinite after rounding, or NaN */
        return w4_f16_of_float(static_cast<float>(x));
    }
    frexp(x, &exponent);
    /* Units in the last place: 2^(exponent - 11), and 2^-24 for subnormal
     * numbers. A whole number of them is exact in fp32. */
    int unit = exponent - 11 > -24 ? exponent - 11 : -24;
    double rounded = ldexp(rint(ldexp(x, -unit)), unit);
    return w4_f16_of_float(static_cast<float>(rounded));
}

/* The double is rounded once more only if the product is less than 2^-30 of c:
 * a product has 22 bits, a double 53. Then the sum is next to c itself, far
 * from the middle of two fp16, and both roundings give the same as one. */
GPU_INLINE uint32_t
gpu_host_fma_f16(uint32_t a, uint32_t b, uint32_t c)
{
    double product = static_cast<double>(gpu_f16_to_float(a)) *
                     static_cast<double>(gpu_f16_to_float(b));
    return gpu_host_f16_of_double(
            product + static_cast<double>(gpu_f16_to_float(c)));
}

GPU_INLINE uint32_t
gpu_fma_f16(uint32_t a, uint32_t b, uint32_t c)
{
    return gpu_host_fma_f16(a, b, c) |
           gpu_host_fma_f16(a >> 16, b >> 16, c >> 16) << 16;
}

/* Of layouts that have it: see GPU_HAS_FMA_BF16. Products and sums that are
 * exact in fp32. */
GPU_INLINE uint32_t
gpu_fma_bf16(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t result = 0;
    for (unsigned i = 0; i < 2; i++) {
        float sum = fmaf(gpu_from_bits(a >> 16 * i << 16),
                gpu_from_bits(b >> 16 * i << 16),
                gpu_from_bits(c >> 16 * i << 16));
        uint32_t bits = gpu_bits(sum);
        bits += 0x7FFF + (bits >> 16 & 1);
        result |= bits >> 16 << 16 * i;
    }
    return result;
}

GPU_INLINE float
gpu_quotient(float a, float b)
{
    return a / b;
}

GPU_INLINE float
gpu_round(float x)
{
    return rintf(x);
}

GPU_INLINE double
gpu_sqrt(double x)
{
    return sqrt(x);
}

GPU_INLINE float
gpu_scale(float x, int n)
{
    return ldexpf(x, n);
}

#endif
