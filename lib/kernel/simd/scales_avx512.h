/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Zero points and E8M0 scales with AVX-512F; see codes.h. */
#ifndef W4_KERNEL_SIMD_SCALES_AVX512_H
#define W4_KERNEL_SIMD_SCALES_AVX512_H

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

#endif
