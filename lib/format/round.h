/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Rounding weights to 4-bit integers, in groups, to nearest. There is no
 * calibration: a group's scale depends on the group alone.
 *
 * Symmetric: weight = (code - 8) * scale. Three scales are tried: those that
 * put the weight of largest magnitude, e, on -8, half a step beyond -8, and on
 * 7 or -7: e / -8, e / -8.5, |e| / 7. The one with the least sum of squared
 * errors is taken, so a scale may be negative. Groups of normally distributed
 * weights, bf16 scales, error relative to the weights (root mean square):
 *
 *     group   |e|/7   e/-8    e/-8.5  best of three   asymmetric
 *     32      0.097   0.086   0.087   0.082           0.081
 *     128     0.117   0.103   0.100   0.099           0.101
 *
 * |e| / 7 and e / -8 also bring back weights that have been of 4 bits
 * before.
 *
 * Asymmetric: weight = (code - zero) * scale, scale = (max - min) / 15, zero
 * the nearest to -min / scale; the range [min, max] includes 0, which so is
 * exact.
 *
 * A scale is rounded to its type first, to nearest; below the smallest normal
 * number of the type away from zero, where rounding down would lose a large
 * part of it: a group that is not zero has no scale of zero. Then each code is
 * the nearest by that scale. A group of zeros has scale 0, codes and zero 8.
 */
#ifndef W4_FORMAT_ROUND_H
#define W4_FORMAT_ROUND_H

#include "format/weight.h"

/**
 * Rounds a row.
 *
 * In: weight: n_in, group_size, scale_dtype, has_zeros, and name for texts; row
 *     n of it; r its place in out.
 * In/out: values: the row, [n_in]; what is left there means nothing.
 * Out: words, scales and zeros of place r.
 * Returns: OK; FORMAT (a weight that is no number or infinite, or so large that
 *     what the codes mean would not be finite; with its row and column).
 */
extern w4moe_status w4_round_row(struct w4_err *err,
        const struct w4_weight *weight, size_t n, size_t r, float *values,
        struct w4_rows *out);

#endif
