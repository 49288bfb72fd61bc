/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * dot_rows over the vectors of simd.h: the body of w4_dot_rows_avx2(),
 * w4_dot_rows_avx512() and w4_dot_rows_neon().
 *
 * Each row has two sums, of the vectors at even and at odd places, which are
 * added at the end: so a row's result is the same whichever rows are beside it.
 */
#ifndef W4_KERNEL_LOGITS_DOT_ROWS_SIMD_H
#define W4_KERNEL_LOGITS_DOT_ROWS_SIMD_H

#include "kernel/kernel.h"
#include "kernel/simd/simd.h"

/* Rows that are taken together. */
enum { W4_DOT_ROWS = 4 };

/* The first n lanes of elements `first` on. */
W4_INLINE w4_vf
w4_dot_load(const void *array, w4moe_dtype dtype, size_t first, size_t n)
{
    if (dtype == W4MOE_F32) {
        const float *floats = (const float *)array + first;
        return n < W4_LANES ? w4_vf_load_n(floats, n) : w4_vf_load(floats);
    }
    const uint16_t *halves = (const uint16_t *)array + first;
    return n < W4_LANES ? w4_vf_load_half_n(halves, dtype, n)
                        : w4_vf_load_half(halves, dtype);
}

/* n_rows and the types are constants where this is called. */
W4_INLINE void
w4_dot_together(const struct w4_dot_rows *args, size_t first, size_t n_rows,
        w4moe_dtype dtype, w4moe_dtype rows_dtype)
{
    w4_vf even[W4_DOT_ROWS];
    w4_vf odd[W4_DOT_ROWS];
    W4_UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        even[r] = odd[r] = w4_vf_zero();
    }
    size_t i = 0;
    for (; args->n - i >= 2 * W4_LANES; i += 2 * W4_LANES) {
        w4_vf x0 = w4_dot_load(args->x, dtype, i, W4_LANES);
        w4_vf x1 = w4_dot_load(args->x, dtype, i + W4_LANES, W4_LANES);
        W4_UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            size_t at = (first + r) * args->n + i;
            even[r] = w4_vf_fma(x0,
                    w4_dot_load(args->rows, rows_dtype, at, W4_LANES), even[r]);
            odd[r] = w4_vf_fma(x1,
                    w4_dot_load(
                            args->rows, rows_dtype, at + W4_LANES, W4_LANES),
                    odd[r]);
        }
    }
    for (; i < args->n; i += W4_LANES) {
        size_t left = args->n - i;
        size_t n = left < W4_LANES ? left : W4_LANES;
        w4_vf x = w4_dot_load(args->x, dtype, i, n);
        for (size_t r = 0; r < n_rows; r++) {
            size_t at = (first + r) * args->n + i;
            even[r] = w4_vf_fma(
                    x, w4_dot_load(args->rows, rows_dtype, at, n), even[r]);
        }
    }
    W4_UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        args->out[first + r] = w4_vf_sum(w4_vf_add(even[r], odd[r]));
    }
}

W4_INLINE void
w4_dot_rows_typed(const struct w4_dot_rows *args, w4moe_dtype dtype,
        w4moe_dtype rows_dtype)
{
    size_t r = 0;
    for (; args->n_rows - r >= W4_DOT_ROWS; r += W4_DOT_ROWS) {
        w4_dot_together(args, r, W4_DOT_ROWS, dtype, rows_dtype);
    }
    for (; r < args->n_rows; r++) {
        w4_dot_together(args, r, 1, dtype, rows_dtype);
    }
}

W4_INLINE void
w4_dot_rows_of(const struct w4_dot_rows *args, w4moe_dtype dtype)
{
    if (args->rows_dtype == W4MOE_F32) {
        w4_dot_rows_typed(args, dtype, W4MOE_F32);
    } else if (args->rows_dtype == W4MOE_BF16) {
        w4_dot_rows_typed(args, dtype, W4MOE_BF16);
    } else {
        w4_dot_rows_typed(args, dtype, W4MOE_F16);
    }
}

/** See struct w4_dot_rows. */
W4_INLINE void
w4_dot_rows_simd(const struct w4_dot_rows *args)
{
    if (args->dtype == W4MOE_BF16) {
        w4_dot_rows_of(args, W4MOE_BF16);
    } else {
        w4_dot_rows_of(args, W4MOE_F16);
    }
}

#endif
