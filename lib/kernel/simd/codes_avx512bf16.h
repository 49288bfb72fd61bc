/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Codes to pairs of bf16 numbers, and their dot products, with AVX-512; see
 * codes.h.
 *
 * Codes 2m and 2m + 1 stand 16 bits apart. One permutation of a table of bf16
 * numbers makes their exact values at once: it looks at the low five bits of
 * each half of a lane, and the table holds each number twice, so that the fifth
 * does not matter. bf16 has no number for tiny activations: those below 2^-126
 * count as 0 in VDPBF16PS.
 */
#ifndef W4_KERNEL_SIMD_CODES_AVX512BF16_H
#define W4_KERNEL_SIMD_CODES_AVX512BF16_H

#include "base/half.h"

#define W4_HAVE_PLACE_UNITS 0

enum { W4_TOGETHER = 2 };

typedef __m512i w4_decoded;

struct w4_codes {
    __m512i table;
    float base;
};

W4_INLINE void
w4_codes_init(struct w4_codes *codes, w4moe_code code, int raw)
{
    uint16_t values[32];
    codes->base = code == W4MOE_CODE_E2M1 || raw ? 0.0f : -W4_ZERO_SYMMETRIC;
    for (int i = 0; i < 32; i++) {
        float value = code == W4MOE_CODE_E2M1 ? w4_e2m1_values[i % 16]
                                              : (float)(i % 16) + codes->base;
        values[i] = w4_bf16_of_float(value);
    }
    codes->table = _mm512_loadu_si512(values);
}

W4_INLINE w4_vf
w4_codes_unit(const struct w4_codes *codes, w4_vf sums)
{
    (void)codes;
    return sums;
}

struct w4_words {
    const uint32_t *p;
    __m512i words;
    __mmask16 mask;
};

W4_INLINE struct w4_words
w4_words_load(const struct w4_codes *codes, const uint32_t *p, uint32_t mask)
{
    (void)codes;
    struct w4_words words = {.p = p, .mask = (__mmask16)mask};
    words.words = _mm512_maskz_loadu_epi32(words.mask, p);
    return words;
}

W4_INLINE w4_decoded
w4_words_decode(const struct w4_codes *codes, const struct w4_words *words,
        const unsigned step, const int read_on)
{
    const unsigned bit = w4_code_bit(W4_TOGETHER * step);
    __m512i index;
    if (read_on && bit == 8) {
        index = _mm512_maskz_loadu_epi32(
                words->mask, (const char *)words->p + 1);
    } else {
        index = _mm512_srli_epi32(words->words, bit);
    }
    return _mm512_permutexvar_epi16(index, codes->table);
}

W4_INLINE w4_vf
w4_multiply_add(w4_vf sums, const float *a, w4_decoded decoded)
{
    int32_t pair;
    memcpy(&pair, a, sizeof(pair));
    return _mm512_dpbf16_ps(
            sums, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)decoded);
}

#endif
