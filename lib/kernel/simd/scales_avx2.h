/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Zero points and E8M0 scales with AVX2; see codes.h. */
#ifndef W4_KERNEL_SIMD_SCALES_AVX2_H
#define W4_KERNEL_SIMD_SCALES_AVX2_H

W4_INLINE w4_vf
w4_zeros_load(const uint32_t *zeros, uint64_t place, uint32_t mask)
{
    (void)mask;
    const __m256i shifts = _mm256_set_epi32(28, 24, 20, 16, 12, 8, 4, 0);
    __m256i word = _mm256_set1_epi32((int)zeros[place / W4_WORD_ZEROS]);
    __m256i next = _mm256_add_epi32(
            _mm256_srlv_epi32(word, shifts), _mm256_set1_epi32(1));
    return _mm256_cvtepi32_ps(_mm256_and_si256(next, _mm256_set1_epi32(15)));
}

W4_INLINE w4_vf
w4_e8m0_load(const uint8_t *p, uint32_t mask)
{
    (void)mask;
    __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
    __m256i next = _mm256_add_epi32(e, _mm256_set1_epi32(1));
    __m256i special =
            _mm256_cmpeq_epi32(_mm256_and_si256(next, _mm256_set1_epi32(0xFE)),
                    _mm256_setzero_si256());
    return _mm256_castsi256_ps(_mm256_or_si256(_mm256_slli_epi32(e, 23),
            _mm256_and_si256(special, _mm256_set1_epi32(0x400000))));
}

#endif
