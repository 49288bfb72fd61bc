/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Vectors of fp32 numbers, the same names for each instruction set, so that a
 * kernel is written once. A file that includes this is compiled with the flags
 * of one instruction set and gets that one's vectors:
 *
 *   w4_vf        W4_LANES floats
 *   W4_LANES     8 (AVX2), 16 (AVX-512F) or 4 (NEON)
 *
 *   w4_vf_zero() w4_vf_set1(x) w4_vf_load(p) w4_vf_store(p, v)
 *   w4_vf_load_n(p, n) w4_vf_store_n(p, v, n)    the first n lanes, 0 beyond
 *   w4_vf_load_mask(p, mask) w4_vf_store_mask(p, v, mask)
 *                                  the lanes with a bit, which is all of them
 *                                  or, if there are 16, the first 8
 *   w4_vf_add sub mul div (a, b)
 *   w4_vf_fma(a, b, c)             a * b + c, rounded once
 *   w4_vf_fnma(a, b, c)            c - a * b, rounded once
 *   w4_vf_at_most(x, limit)        x, or limit where x > limit; NaN stays
 *   w4_vf_at_least(x, limit)       x, or limit where x < limit; NaN stays
 *   w4_vf_abs(x)
 *   w4_vf_with_sign(x, s)          |x| with the sign of s
 *   w4_vf_if_less(a, b, yes, no)   lane by lane: a < b ? yes : no
 *   w4_vf_round(x)                 to the nearest whole number, ties to even
 *   w4_vf_scale(x, n)              x 2^n, whole n in -252 .. 252
 *   w4_vf_sum(v)                   of the lanes, in a fixed order
 *   w4_vf_load_half(p, dtype)      bf16 or fp16, exact
 *   w4_vf_load_half_n(p, dtype, n) the first n lanes, 0 beyond
 *   w4_vf_store_half(p, dtype, v)  rounded to nearest, ties to even; NaN stays
 *   w4_vf_store_half_n(p, dtype, v, n)
 *
 * Nothing is read or written beyond the lanes named; n is 1 .. W4_LANES.
 */
#ifndef W4_KERNEL_SIMD_SIMD_H
#define W4_KERNEL_SIMD_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <w4moe/base.h>

/** Of functions that take constants, or vectors that must stay registers. */
#define W4_INLINE static inline __attribute__((always_inline))

/** Before a loop that must be unrolled, so that its vectors become registers.
 * Not for sanitizers, which take minutes over so much code. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define W4_UNROLL
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
        __has_feature(undefined_behavior_sanitizer)
#define W4_UNROLL
#else
#define W4_UNROLL _Pragma("clang loop unroll(full)")
#endif
#else
#define W4_UNROLL _Pragma("GCC unroll 12")
#endif

#if defined(__AVX512F__)
#include "kernel/simd/simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "kernel/simd/simd_avx2.h"
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include "kernel/simd/simd_neon.h"
#else
#error "no vectors for this instruction set"
#endif

#endif
