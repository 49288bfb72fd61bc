/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Numbers of bf16, fp16 and fp32 in double, by the formats' definition. Shares
 * nothing with lib/base.
 */
#ifndef ANY_FLOAT_H
#define ANY_FLOAT_H

#include <math.h>
#include <stdint.h>

#include <w4moe.h>

/** Significant bits. */
static inline int
any_float_bits(w4moe_dtype dtype)
{
    return dtype == W4MOE_BF16 ? 8 : dtype == W4MOE_F16 ? 11 : 24;
}

/** Exponent of the least positive number. */
static inline int
any_float_least(w4moe_dtype dtype)
{
    return dtype == W4MOE_BF16 ? -133 : dtype == W4MOE_F16 ? -24 : -149;
}

/** Exponent of the last bit of a number. */
static inline int
any_float_unit(double x, w4moe_dtype dtype)
{
    int exponent;
    frexp(x, &exponent);
    int unit = exponent - any_float_bits(dtype);
    int least = any_float_least(dtype);
    return unit > least ? unit : least;
}

/** The nearest number of a type, without an upper end. */
static inline double
any_float_round(double x, w4moe_dtype dtype)
{
    int unit = any_float_unit(x, dtype);
    return ldexp(rint(ldexp(x, -unit)), unit);
}

/** Rounds as scales are: away from zero below the least normal number. */
static inline double
any_float_scale(double x, w4moe_dtype dtype)
{
    int least = any_float_least(dtype);
    if (fabs(x) >= ldexp(1.0, least + any_float_bits(dtype) - 1)) {
        return any_float_round(x, dtype);
    }
    return copysign(ldexp(ceil(ldexp(fabs(x), -least)), least), x);
}

/** Stores a number that the type has, little-endian. */
static inline void
any_float_put(unsigned char *p, w4moe_dtype dtype, double x)
{
    int size = dtype == W4MOE_F32 ? 4 : 2;
    int unit = any_float_unit(x, dtype);
    uint32_t code = (uint32_t)ldexp(fabs(x), -unit);
    if (x != 0.0) {
        /* Each exponent above the least adds one to its field; the first one
         * of a normal number is its leading 1. */
        code += (uint32_t)(unit - any_float_least(dtype))
                << (any_float_bits(dtype) - 1);
    }
    code |= signbit(x) ? 1u << (8 * size - 1) : 0;
    for (int i = 0; i < size; i++) {
        p[i] = (unsigned char)(code >> 8 * i);
    }
}

/** A number of a file. */
static inline double
any_float_read(const unsigned char *p, w4moe_dtype dtype)
{
    int size = dtype == W4MOE_F32 ? 4 : 2;
    uint32_t code = 0;
    for (int i = 0; i < size; i++) {
        code |= (uint32_t)p[i] << 8 * i;
    }
    int shift = any_float_bits(dtype) - 1;
    uint32_t magnitude = code & ((1u << (8 * size - 1)) - 1);
    int exponent = (int)(magnitude >> shift);
    double x = (double)(magnitude & ((1u << shift) - 1));
    x += exponent > 0 ? ldexp(1.0, shift) : 0.0;
    x = ldexp(x, any_float_least(dtype) + (exponent > 0 ? exponent - 1 : 0));
    return code >> (8 * size - 1) != 0 ? -x : x;
}

/** Element i of an array of the host. */
static inline double
any_float_get(const void *array, w4moe_dtype dtype, size_t i)
{
    if (dtype == W4MOE_F32) {
        return (double)((const float *)array)[i];
    }
    unsigned code = ((const uint16_t *)array)[i];
    const unsigned char bytes[2] = {
            (unsigned char)code, (unsigned char)(code >> 8)};
    return any_float_read(bytes, dtype);
}

#endif
