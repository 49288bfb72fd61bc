/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/** Zero points and E8M0 scales with NEON; see codes.h. */
#ifndef W4_KERNEL_SIMD_SCALES_NEON_H
#define W4_KERNEL_SIMD_SCALES_NEON_H

W4_INLINE w4_vf
w4_zeros_load(const uint32_t *zeros, uint64_t place, uint32_t mask)
{
    (void)mask;
    const int32_t right[4] = {0, -4, -8, -12};
    uint32_t word = zeros[place / W4_WORD_ZEROS] >> 4 * (place % W4_WORD_ZEROS);
    uint32x4_t stored = vshlq_u32(vdupq_n_u32(word), vld1q_s32(right));
    uint32x4_t next = vaddq_u32(stored, vdupq_n_u32(1));
    return vcvtq_f32_u32(vandq_u32(next, vdupq_n_u32(15)));
}

W4_INLINE w4_vf
w4_e8m0_load(const uint8_t *p, uint32_t mask)
{
    (void)mask;
    uint32_t bytes[4] = {p[0], p[1], p[2], p[3]};
    uint32x4_t e = vld1q_u32(bytes);
    uint32x4_t next =
            vandq_u32(vaddq_u32(e, vdupq_n_u32(1)), vdupq_n_u32(0xFE));
    uint32x4_t special = vceqq_u32(next, vdupq_n_u32(0));
    return vreinterpretq_f32_u32(vorrq_u32(
            vshlq_n_u32(e, 23), vandq_u32(special, vdupq_n_u32(0x400000))));
}

#endif
