/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * bf16 and fp16 as 16-bit patterns. Rounding is to nearest, ties to even;
 * NaN stays NaN.
 */
#ifndef W4_BASE_HALF_H
#define W4_BASE_HALF_H

#include <float.h>
#include <stdint.h>
#include <string.h>

#include <w4moe/base.h>

/* All that computes includes this: the same bits everywhere need float and
 * double that are rounded after each operation. 0 says so; 16, of processors
 * with fp16, is about types smaller than float. x87 has 2. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "wider than their types; 32-bit x86: -msse2 -mfpmath=sse is needed"
#endif

static inline float
w4_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline uint32_t
w4_bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static inline float
w4_float_of_bf16(uint16_t h)
{
    return w4_float_of_bits((uint32_t)h << 16);
}

static inline uint16_t
w4_bf16_of_float(float f)
{
    uint32_t bits = w4_bits_of_float(f);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) {
        return (uint16_t)(bits >> 16 | 0x40u);
    }
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static inline float
w4_float_of_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = h >> 10 & 0x1Fu;
    uint32_t mantissa = h & 0x3FFu;
    if (exponent == 0) {
        /* Zero or subnormal: mantissa * 2^-24, exact in fp32. */
        float magnitude = (float)mantissa * 0x1p-24f;
        return w4_float_of_bits(sign | w4_bits_of_float(magnitude));
    }
    if (exponent == 0x1Fu) {
        return w4_float_of_bits(sign | 0x7F800000u | mantissa << 13);
    }
    return w4_float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static inline uint16_t
w4_f16_of_float(float f)
{
    uint32_t bits = w4_bits_of_float(f);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7FFFFFFFu;
    if (bits > 0x7F800000u) {
        return (uint16_t)(sign | 0x7E00u);
    }
    if (bits >= 0x477FF000u) { /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7C00u);
    }
    if (bits < 0x38800000u) {
        /* Below 2^-14: adding 0.5 leaves the value in units of 2^-24 in the
         * low bits, rounded by the addition. */
        float shifted = w4_float_of_bits(bits) + 0.5f;
        return (uint16_t)(sign | (w4_bits_of_float(shifted) - 0x3F000000u));
    }
    uint32_t rounded = bits + 0xFFFu + (bits >> 13 & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
}

/** 2^(byte - 127); 255 is NaN. */
static inline float
w4_float_of_e8m0(uint8_t byte)
{
    if (byte == 255) {
        return w4_float_of_bits(0x7FC00000u);
    }
    return byte == 0 ? 0x1p-127f : w4_float_of_bits((uint32_t)byte << 23);
}

/** E4M3 without infinities (F8_E4M3): 0x7F and 0xFF are NaN. */
static inline float
w4_float_of_e4m3(uint8_t byte)
{
    uint32_t sign = (uint32_t)(byte & 0x80u) << 24;
    uint32_t magnitude = byte & 0x7Fu;
    if (magnitude == 0x7Fu) {
        return w4_float_of_bits(sign | 0x7FC00000u);
    }
    /* Exponent and mantissa stand in their fields; the biases are 7 and 127,
     * and multiplying makes normal numbers of subnormal ones. */
    float value = w4_float_of_bits(magnitude << 20) * 0x1p+120f;
    return w4_float_of_bits(sign | w4_bits_of_float(value));
}

/** Element i of an array of type F32, F16, BF16 or F8_E8M0. */
static inline float
w4_load_float(const void *array, w4moe_dtype dtype, uint64_t i)
{
    switch (dtype) {
    case W4MOE_F32:
        return ((const float *)array)[i];
    case W4MOE_F16:
        return w4_float_of_f16(((const uint16_t *)array)[i]);
    case W4MOE_BF16:
        return w4_float_of_bf16(((const uint16_t *)array)[i]);
    case W4MOE_F8_E8M0:
        return w4_float_of_e8m0(((const uint8_t *)array)[i]);
    default:
        return 0.0f;
    }
}

/** Stores n values from element `first` on of an array of type F32, F16 or
 * BF16, rounded. */
static inline void
w4_store_floats(void *array, w4moe_dtype dtype, uint64_t first,
        const float *values, size_t n)
{
    uint16_t *halves = (uint16_t *)array + first;
    if (dtype == W4MOE_F32) {
        memcpy((float *)array + first, values, n * sizeof(*values));
    } else if (dtype == W4MOE_BF16) {
        for (size_t i = 0; i < n; i++) {
            halves[i] = w4_bf16_of_float(values[i]);
        }
    } else {
        for (size_t i = 0; i < n; i++) {
            halves[i] = w4_f16_of_float(values[i]);
        }
    }
}

/** Stores element i of an array of type F32, F16 or BF16, rounded. */
static inline void
w4_store_float(void *array, w4moe_dtype dtype, uint64_t i, float value)
{
    switch (dtype) {
    case W4MOE_F32:
        ((float *)array)[i] = value;
        break;
    case W4MOE_F16:
        ((uint16_t *)array)[i] = w4_f16_of_float(value);
        break;
    case W4MOE_BF16:
        ((uint16_t *)array)[i] = w4_bf16_of_float(value);
        break;
    default:
        break;
    }
}

#endif
