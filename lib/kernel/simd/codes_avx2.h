/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Codes to numbers with AVX2; see codes.h.
 *
 * A byte shuffle turns the codes into small numbers that are not negative, one
 * in each byte. A mask and a conversion make floats of one byte of each lane,
 * without a shift: they are 2^8 or 2^16 times too large, which is taken back on
 * the side of the activations (exactly: the smallest bf16 number times 2^-16
 * still is an fp32 number).
 */
#ifndef W4_KERNEL_SIMD_CODES_AVX2_H
#define W4_KERNEL_SIMD_CODES_AVX2_H

#define W4_HAVE_PLACE_UNITS 1

/* By w4_code_bit(): bytes 0, 2, 0, 2, 1, 3, 1, 3, of which the last is
 * shifted. */
static const float w4_place_units[W4_WORD_CODES] = {
        1.0f, 0x1p-16f, 1.0f, 0x1p-16f, 0x1p-8f, 1.0f, 0x1p-8f, 1.0f};

struct w4_codes {
    __m256i table;
    float base;
    float unit;
};

W4_INLINE void
w4_codes_init(struct w4_codes *codes, w4moe_code code, int raw)
{
    (void)raw;
    uint8_t values[32];
    int is_e2m1 = code == W4MOE_CODE_E2M1;
    codes->unit = is_e2m1 ? 0.5f : 1.0f;
    /* The smallest E2M1 number is -6. */
    codes->base = is_e2m1 ? 6.0f : 0.0f;
    for (int i = 0; i < 32; i++) {
        int q = i % 16;
        float value = is_e2m1 ? w4_e2m1_values[q] : (float)q;
        values[i] = (uint8_t)((value + codes->base) / codes->unit);
    }
    codes->table = _mm256_loadu_si256((const void *)values);
}

W4_INLINE w4_vf
w4_codes_unit(const struct w4_codes *codes, w4_vf sums)
{
    return w4_vf_mul(sums, w4_vf_set1(codes->unit));
}

/* Numbers of the codes at whole bytes, and of those four bits above. */
struct w4_words {
    __m256i low;
    __m256i high;
};

W4_INLINE struct w4_words
w4_words_load(const struct w4_codes *codes, const uint32_t *p, uint32_t mask)
{
    (void)mask;
    const __m256i nibbles = _mm256_set1_epi8(15);
    __m256i words = _mm256_loadu_si256((const void *)p);
    return (struct w4_words){
            .low = _mm256_shuffle_epi8(
                    codes->table, _mm256_and_si256(words, nibbles)),
            .high = _mm256_shuffle_epi8(codes->table,
                    _mm256_and_si256(_mm256_srli_epi32(words, 4), nibbles)),
    };
}

W4_INLINE w4_vf
w4_words_decode(const struct w4_codes *codes, const struct w4_words *words,
        const unsigned step, const int read_on)
{
    (void)codes;
    (void)read_on;
    const unsigned bit = w4_code_bit(step);
    __m256i numbers = bit % 8 == 0 ? words->low : words->high;
    if (bit / 8 == 3) {
        return _mm256_cvtepi32_ps(_mm256_srli_epi32(numbers, 24));
    }
    __m256i byte = _mm256_set1_epi32(0xFF << bit / 8 * 8);
    return _mm256_cvtepi32_ps(_mm256_and_si256(numbers, byte));
}

#endif
