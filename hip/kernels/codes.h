/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Words of 8 codes as pairs of numbers of the activations' type, in the order
 * of k. A pair holds what a dot product takes:
 *
 *   int4, bf16:  128 + q, exact in 8 bits of mantissa
 *   int4, f16:   4 (256 + q) in the pairs 0 and 2, 64 (16 + q) in 1 and 3: the
 *                less stands beside q, the less is lost when it is taken off
 *   e2m1:        the value itself
 *
 * Zero points come in with the sum: sum a (base + q) - (base + z) sum a.
 *
 * Matrices have one sum for all pairs: numbers() gives q - 8 there, or of bf16
 * 128 + q where pairs of it cannot be added; raw() what takes the fewest
 * instructions, RAW_BASE + q. All are exact.
 */
#ifndef W4_HIP_CODES_H
#define W4_HIP_CODES_H

#include "numbers.h"

/** HIGH_PAIRS: whether the pairs 1 and 3 have 64 q and the others 4 q; BASE:
 * what stands beside that; ZEROS: whether there are zero points. */
template <class TYPE> struct gpu_int4;

template <> struct gpu_int4<gpu_bf16> {
    typedef gpu_bf16 type;
    static constexpr bool HIGH_PAIRS = false;
    static constexpr float BASE = 128.0f;
#ifdef GPU_HAS_FMA_BF16
    static constexpr float NUMBER_BASE = -8.0f;
#else
    static constexpr float NUMBER_BASE = 128.0f;
#endif
    static constexpr bool ZEROS = true;

    static GPU_INLINE void pairs(uint32_t b[4], uint32_t word)
    {
        const uint32_t mask = 0x000F000Fu;
        const uint32_t magic = 0x43004300u;
        b[0] = gpu_and_or(word, mask, magic);
        b[1] = gpu_and_or(word >> 4, mask, magic);
        b[2] = gpu_and_or(word >> 8, mask, magic);
        b[3] = gpu_and_or(word >> 12, mask, magic);
    }

    static constexpr float RAW_BASE = BASE;

    static GPU_INLINE void raw(uint32_t b[4], uint32_t word)
    {
        pairs(b, word);
    }

    static GPU_INLINE void numbers(uint32_t b[4], uint32_t word)
    {
        pairs(b, word);
#ifdef GPU_HAS_FMA_BF16
        /* 1 and -136 */
        GPU_UNROLL
        for (int i = 0; i < 4; i++) {
            b[i] = gpu_fma_bf16(b[i], 0x3F803F80u, 0xC308C308u);
        }
#endif
    }
};

template <> struct gpu_int4<gpu_f16> {
    typedef gpu_f16 type;
    static constexpr bool HIGH_PAIRS = true;
    static constexpr float BASE = 1024.0f;
    static constexpr float NUMBER_BASE = -8.0f;
    static constexpr bool ZEROS = true;

    static GPU_INLINE void pairs(uint32_t b[4], uint32_t word)
    {
        const uint32_t magic = 0x64006400u;
#ifdef GPU_DOTS_PAIR
        uint32_t low = gpu_shift_halves(word, 2);
#else
        uint32_t low = word << 2;
#endif
        uint32_t high = word >> 6;
        b[0] = gpu_and_or(low, 0x003C003Cu, magic);
        b[1] = gpu_and_or(low, 0x03C003C0u, magic);
        b[2] = gpu_and_or(high, 0x003C003Cu, magic);
        b[3] = gpu_and_or(high, 0x03C003C0u, magic);
    }

    /* 64 + q */
    static constexpr float RAW_BASE = 64.0f;

    static GPU_INLINE void raw(uint32_t b[4], uint32_t word)
    {
        const uint32_t mask = 0x00F000F0u;
        const uint32_t magic = 0x54005400u;
        b[0] = gpu_and_or(word << 4, mask, magic);
        b[1] = gpu_and_or(word, mask, magic);
        b[2] = gpu_and_or(word >> 4, mask, magic);
        b[3] = gpu_and_or(word >> 8, mask, magic);
    }

    static GPU_INLINE void numbers(uint32_t b[4], uint32_t word)
    {
        /* 1/4 and -264; 1/64 and -24 */
        pairs(b, word);
        b[0] = gpu_fma_f16(b[0], 0x34003400u, 0xDC20DC20u);
        b[1] = gpu_fma_f16(b[1], 0x24002400u, 0xCE00CE00u);
        b[2] = gpu_fma_f16(b[2], 0x34003400u, 0xDC20DC20u);
        b[3] = gpu_fma_f16(b[3], 0x24002400u, 0xCE00CE00u);
    }
};

/** Values without sign are looked up by bytes of codes. */
template <class TYPE> struct gpu_e2m1;

template <> struct gpu_e2m1<gpu_bf16> {
    typedef gpu_bf16 type;
    static constexpr bool HIGH_PAIRS = false;
    static constexpr float BASE = 0.0f;
    static constexpr float NUMBER_BASE = 0.0f;
    static constexpr float RAW_BASE = 0.0f;
    static constexpr bool ZEROS = false;

    /* 0 0.5 1 1.5, 2 3 4 6 */
    static GPU_INLINE void pairs(uint32_t b[4], uint32_t word)
    {
        GPU_UNROLL
        for (int odd = 0; odd < 2; odd++) {
            uint32_t codes = word >> 4 * odd & 0x07070707u;
            uint32_t high = gpu_perm(0x40404040u, 0x3F3F3F00u, codes);
            uint32_t low = gpu_perm(0xC0804000u, 0xC0800000u, codes);
            b[odd] = gpu_and_or(word << (12 - 4 * odd), 0x80008000u,
                    gpu_perm(high, low, 0x06020400u));
            b[odd + 2] = gpu_and_or(word << (4 - 4 * odd), 0x80008000u,
                    gpu_perm(high, low, 0x07030501u));
        }
    }

    static GPU_INLINE void raw(uint32_t b[4], uint32_t word)
    {
        pairs(b, word);
    }

    static GPU_INLINE void numbers(uint32_t b[4], uint32_t word)
    {
        pairs(b, word);
    }
};

template <> struct gpu_e2m1<gpu_f16> {
    typedef gpu_f16 type;
    static constexpr bool HIGH_PAIRS = false;
    static constexpr float BASE = 0.0f;
    static constexpr float NUMBER_BASE = 0.0f;
    static constexpr float RAW_BASE = 0.0f;
    static constexpr bool ZEROS = false;

    /* The low bytes are 0. */
    static GPU_INLINE void pairs(uint32_t b[4], uint32_t word)
    {
        GPU_UNROLL
        for (int odd = 0; odd < 2; odd++) {
            uint32_t codes = word >> 4 * odd & 0x07070707u;
            uint32_t high = gpu_perm(0x46444240u, 0x3E3C3800u, codes);
            b[odd] = gpu_and_or(word << (12 - 4 * odd), 0x80008000u,
                    gpu_perm(high, 0, 0x06020400u));
            b[odd + 2] = gpu_and_or(word << (4 - 4 * odd), 0x80008000u,
                    gpu_perm(high, 0, 0x07030501u));
        }
    }

    static GPU_INLINE void raw(uint32_t b[4], uint32_t word)
    {
        pairs(b, word);
    }

    static GPU_INLINE void numbers(uint32_t b[4], uint32_t word)
    {
        pairs(b, word);
    }
};

#endif
