/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What routers make of logits, in float64. For C, and for GPU kernels: whoever
 * includes this has W4_ROUTE_INLINE (what begins a function) and
 * W4_ROUTE_SQRT(double) already.
 *
 * There is no branch and no call, so that compilers make vectors of loops over
 * experts; and, where multiplications and additions are not contracted, the
 * same bits on all machines.
 *
 * Results are within 4 units in the last place of the exact ones, where those
 * are not below 2^-1022; there steps are 2^-1074. Tested in
 * tests/unit/test_scores.c.
 */
#ifndef W4_ROUTE_SCORES_H
#define W4_ROUTE_SCORES_H

#include <stdint.h>

/** 2^n, -1022 <= n <= 1023. */
W4_ROUTE_INLINE double
w4_route_power(int64_t n)
{
    union {
        uint64_t bits;
        double value;
    } power;
    power.bits = (uint64_t)(n + 1023) << 52;
    return power.value;
}

/** e^x of x <= 0; of NaN anything. x = n ln 2 + r with |r| <= ln 2 / 2; the
 * series of e^r up to r^13 / 13!, whose rest is below 2^-57. */
W4_ROUTE_INLINE double
w4_route_exp(double x)
{
    /* e^-746 is less than half of the smallest number. */
    x = x < -746.0 ? -746.0 : x;
    /* Adding 1.5 2^52 rounds to a whole number. */
    union {
        double value;
        int64_t bits;
    } shifted;
    shifted.value = x * 0x1.71547652b82fep+0 + 0x1.8p52;
    int64_t whole = shifted.bits - 0x4338000000000000;
    double n = shifted.value - 0x1.8p52;
    /* ln 2 in two parts; n times the first is exact. */
    double r = x - n * 0x1.62e42fefa38p-1;
    r = r - n * 0x1.ef35793c7673p-45;
    double sum = 1.0 / 6227020800;
    sum = sum * r + 1.0 / 479001600;
    sum = sum * r + 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    /* Two factors, because 2^n may be too small for one. */
    int64_t half = (int64_t)((uint64_t)(whole + 2048) >> 1) - 1024;
    return sum * w4_route_power(half) *
           w4_route_power((int64_t)((uint64_t)whole - (uint64_t)half));
}

/** log(1 + z) of 0 <= z <= 1: 2 artanh(d / 2) with d = 2 z / (2 + z), whose
 * series up to (d / 2)^35 has a rest below 2^-62. */
W4_ROUTE_INLINE double
w4_route_log1p(double z)
{
    double d = (2.0 * z) / (2.0 + z);
    double t = 0.25 * d * d;
    double sum = 1.0 / 35;
    sum = sum * t + 1.0 / 33;
    sum = sum * t + 1.0 / 31;
    sum = sum * t + 1.0 / 29;
    sum = sum * t + 1.0 / 27;
    sum = sum * t + 1.0 / 25;
    sum = sum * t + 1.0 / 23;
    sum = sum * t + 1.0 / 21;
    sum = sum * t + 1.0 / 19;
    sum = sum * t + 1.0 / 17;
    sum = sum * t + 1.0 / 15;
    sum = sum * t + 1.0 / 13;
    sum = sum * t + 1.0 / 11;
    sum = sum * t + 1.0 / 9;
    sum = sum * t + 1.0 / 7;
    sum = sum * t + 1.0 / 5;
    sum = sum * t + 1.0 / 3;
    return d + d * t * sum;
}

/** 1 / (1 + e^-x) */
W4_ROUTE_INLINE double
w4_route_sigmoid(double x)
{
    double e = w4_route_exp(x < 0.0 ? x : -x);
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

/** sqrt(log(1 + e^x)); below -708 as good as e^x in steps of 2^-1074 is. */
W4_ROUTE_INLINE double
w4_route_sqrt_softplus(double x)
{
    double e = w4_route_exp(x < 0.0 ? x : -x);
    return W4_ROUTE_SQRT((x < 0.0 ? 0.0 : x) + w4_route_log1p(e));
}

#endif
