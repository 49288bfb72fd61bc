/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Checked arithmetic on sizes. Each function returns 0 and leaves *out alone
 * if the result does not fit.
 */
#ifndef W4_BASE_SIZE_H
#define W4_BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

static inline int
w4_add(uint64_t *out, uint64_t a, uint64_t b)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return 0;
    }
    *out = sum;
    return 1;
}

static inline int
w4_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return 0;
    }
    *out = product;
    return 1;
}

/** Product of four factors. */
static inline int
w4_mul4(uint64_t *out, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t product;
    if (!w4_mul(&product, a, b) || !w4_mul(&product, product, c) ||
            !w4_mul(&product, product, d)) {
        return 0;
    }
    *out = product;
    return 1;
}

/** Rounds up to a multiple of align, a power of two. */
static inline int
w4_round_up(uint64_t *out, uint64_t a, uint64_t align)
{
    uint64_t sum;
    if (!w4_add(&sum, a, align - 1)) {
        return 0;
    }
    *out = sum & ~(align - 1);
    return 1;
}

/** Lays out memory: n elements of `size` bytes begin at *place, which is *end,
 * and *end moves to the next multiple of align after them. */
static inline int
w4_lay_out(uint64_t *place, uint64_t *end, uint64_t n, uint64_t size,
        uint64_t align)
{
    uint64_t bytes;
    if (!w4_mul(&bytes, n, size) || !w4_round_up(&bytes, bytes, align)) {
        return 0;
    }
    *place = *end;
    return w4_add(end, *end, bytes);
}

static inline size_t
w4_ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

#endif
