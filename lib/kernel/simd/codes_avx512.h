/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Codes to numbers with AVX-512F; see codes.h.
 *
 * A permutation of a table of 16 numbers turns the code in the low four bits of
 * each lane into its exact value, whatever stands in the other bits. A shift
 * brings a code there, or, for those at whole bytes, a load from that byte: on
 * the ports of the loads, which have time for it.
 */
#ifndef W4_KERNEL_SIMD_CODES_AVX512_H
#define W4_KERNEL_SIMD_CODES_AVX512_H

#define W4_HAVE_PLACE_UNITS 0

struct w4_codes {
    w4_vf table;
    float base;
};

W4_INLINE void
w4_codes_init(struct w4_codes *codes, w4moe_code code, int raw)
{
    float values[16];
    codes->base = code == W4MOE_CODE_E2M1 || raw ? 0.0f : -W4_ZERO_SYMMETRIC;
    for (int i = 0; i < 16; i++) {
        values[i] = code == W4MOE_CODE_E2M1 ? w4_e2m1_values[i]
                                            : (float)i + codes->base;
    }
    codes->table = _mm512_loadu_ps(values);
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

W4_INLINE w4_vf
w4_words_decode(const struct w4_codes *codes, const struct w4_words *words,
        const unsigned step, const int read_on)
{
    const unsigned bit = w4_code_bit(step);
    __m512i index;
    if (read_on && bit % 8 == 0 && bit != 0) {
        index = _mm512_maskz_loadu_epi32(
                words->mask, (const char *)words->p + bit / 8);
    } else {
        index = _mm512_srli_epi32(words->words, bit);
    }
    return _mm512_permutexvar_ps(index, codes->table);
}

#endif
