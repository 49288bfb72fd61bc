/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Codes, zero points and E8M0 scales to vectors, the same names for each
 * instruction set.
 *
 * A decoded vector holds, for each of W4_LANES columns, the numbers of
 * W4_TOGETHER places of a word, which are multiplied in one step with as many
 * activations: one fp32 number, or a pair of bf16 numbers. Four bytes either
 * way.
 *
 *   w4_codes_init(codes, code, raw)
 *       What decodes a matrix: with the value v of a code (0 .. 15, or the E2M1
 *       number) at place j of a word,
 *           decoded * w4_place_units[j] * unit = v + codes->base    exactly.
 *       raw: v is wanted as it is (for offsets), so that base had better be 0.
 *   W4_HAVE_PLACE_UNITS
 *       0: there is no w4_place_units, all are 1. Else the activations are
 *       multiplied with them, powers of two, of which none makes an activation
 *       too small for fp32.
 *   w4_codes_unit(codes, sums)
 *       sums * unit; for a sum no power of two is too small.
 *   w4_words_load(codes, p, mask)
 *       W4_LANES words of 8 codes each.
 *   w4_words_decode(codes, words, step, read_on)
 *       The codes at the places W4_TOGETHER * step and on, a w4_decoded.
 *       read_on: the three bytes behind the words may be read, too.
 *   w4_multiply_add(sums, a, decoded)
 *       sums + a * decoded; a points to W4_TOGETHER activations, 4 bytes.
 *   w4_zeros_load(zeros, place, mask)
 *       Zero points of the columns from `place` on, a multiple of 8 and of
 *       W4_LANES / 2.
 *   w4_e8m0_load(p, mask)
 *       Scales that are powers of two (2^(p - 127); 255 is NaN).
 */
#ifndef W4_KERNEL_SIMD_CODES_H
#define W4_KERNEL_SIMD_CODES_H

#include <w4moe/format.h>

#include "format/layout.h"
#include "format/matrix.h"
#include "kernel/simd/simd.h"

#if defined(__AVX512BF16__)
#include "kernel/simd/codes_avx512bf16.h"
#include "kernel/simd/scales_avx512.h"
#elif defined(__AVX512F__)
#include "kernel/simd/codes_avx512.h"
#include "kernel/simd/scales_avx512.h"
#elif defined(__AVX2__)
#include "kernel/simd/codes_avx2.h"
#include "kernel/simd/scales_avx2.h"
#else
#include "kernel/simd/codes_neon.h"
#include "kernel/simd/scales_neon.h"
#endif

#if !defined(__AVX512BF16__)
enum { W4_TOGETHER = 1 };

typedef w4_vf w4_decoded;

W4_INLINE w4_vf
w4_multiply_add(w4_vf sums, const float *a, w4_decoded decoded)
{
    return w4_vf_fma(w4_vf_set1(*a), decoded, sums);
}
#endif

#endif
