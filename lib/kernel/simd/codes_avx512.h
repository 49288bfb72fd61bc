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

#define W4_CODES_HAVE_UNITS 0

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
        const unsigned j, const int read_on)
{
    const unsigned bit = w4_code_bit(j);
    __m512i index;
    if (read_on && bit % 8 == 0 && bit != 0) {
        index = _mm512_maskz_loadu_epi32(
                words->mask, (const char *)words->p + bit / 8);
    } else {
        index = _mm512_srli_epi32(words->words, bit);
    }
    return _mm512_permutexvar_ps(index, codes->table);
}

W4_INLINE w4_vf
w4_zeros_load(const uint32_t *zeros, uint64_t place, uint32_t mask)
{
    const __m512i shifts = _mm512_set_epi32(
            28, 24, 20, 16, 12, 8, 4, 0, 28, 24, 20, 16, 12, 8, 4, 0);
    const uint32_t *words = zeros + place / W4_WORD_ZEROS;
    uint32_t second = mask == 0xFFFF ? words[1] : 0;
    __m512i both = _mm512_mask_set1_epi32(
            _mm512_set1_epi32((int)words[0]), 0xFF00, (int)second);
    __m512i stored = _mm512_srlv_epi32(both, shifts);
    __m512i zero =
            _mm512_and_si512(_mm512_add_epi32(stored, _mm512_set1_epi32(1)),
                    _mm512_set1_epi32(15));
    return _mm512_cvtepi32_ps(zero);
}

W4_INLINE w4_vf
w4_e8m0_load(const uint8_t *p, uint32_t mask)
{
    uint8_t bytes[W4_LANES] = {0};
    memcpy(bytes, p, mask == 0xFFFF ? 16 : 8);
    __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)bytes));
    __m512i next = _mm512_add_epi32(e, _mm512_set1_epi32(1));
    __mmask16 special = _mm512_testn_epi32_mask(next, _mm512_set1_epi32(0xFE));
    return _mm512_castsi512_ps(_mm512_mask_or_epi32(_mm512_slli_epi32(e, 23),
            special, _mm512_slli_epi32(e, 23), _mm512_set1_epi32(0x400000)));
}

W4_INLINE w4_vf
w4_vf_load_mask(const float *p, uint32_t mask)
{
    return _mm512_maskz_loadu_ps((__mmask16)mask, p);
}

W4_INLINE void
w4_vf_store_mask(float *p, w4_vf v, uint32_t mask)
{
    _mm512_mask_storeu_ps(p, (__mmask16)mask, v);
}

#endif
