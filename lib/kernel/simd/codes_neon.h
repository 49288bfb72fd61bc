/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Codes to numbers with NEON; see codes.h.
 *
 * A table of bytes turns the codes into small signed numbers, one in each byte;
 * a second look-up moves one byte of each lane to the top and clears the
 * others, and the conversion from fixed point divides by 2^24.
 */
#ifndef W4_KERNEL_SIMD_CODES_NEON_H
#define W4_KERNEL_SIMD_CODES_NEON_H

#define W4_HAVE_PLACE_UNITS 0

struct w4_codes {
    uint8x16_t table;
    /* Byte b of each lane to the top. */
    uint8x16_t to_top[4];
    float base;
    float unit;
};

W4_INLINE void
w4_codes_init(struct w4_codes *codes, w4moe_code code, int raw)
{
    uint8_t values[16];
    codes->unit = code == W4MOE_CODE_E2M1 ? 0.5f : 1.0f;
    codes->base = code == W4MOE_CODE_E2M1 || raw ? 0.0f : -W4_ZERO_SYMMETRIC;
    for (int i = 0; i < 16; i++) {
        float value = code == W4MOE_CODE_E2M1 ? w4_e2m1_values[i]
                                              : (float)i + codes->base;
        values[i] = (uint8_t)(int8_t)(value / codes->unit);
    }
    codes->table = vld1q_u8(values);
    for (unsigned b = 0; b < 4; b++) {
        for (unsigned i = 0; i < 16; i++) {
            /* A place beyond the table gives 0. */
            values[i] = (uint8_t)(i % 4 == 3 ? i - 3 + b : 0xFF);
        }
        codes->to_top[b] = vld1q_u8(values);
    }
}

W4_INLINE w4_vf
w4_codes_unit(const struct w4_codes *codes, w4_vf sums)
{
    return w4_vf_mul(sums, w4_vf_set1(codes->unit));
}

/* Numbers of the codes at whole bytes, and of those four bits above. */
struct w4_words {
    uint8x16_t low;
    uint8x16_t high;
};

W4_INLINE struct w4_words
w4_words_load(const struct w4_codes *codes, const uint32_t *p, uint32_t mask)
{
    (void)mask;
    uint8x16_t bytes = vreinterpretq_u8_u32(vld1q_u32(p));
    return (struct w4_words){
            .low = vqtbl1q_u8(codes->table, vandq_u8(bytes, vdupq_n_u8(15))),
            .high = vqtbl1q_u8(codes->table, vshrq_n_u8(bytes, 4)),
    };
}

W4_INLINE w4_vf
w4_words_decode(const struct w4_codes *codes, const struct w4_words *words,
        const unsigned step, const int read_on)
{
    (void)read_on;
    const unsigned bit = w4_code_bit(step);
    uint8x16_t numbers = bit % 8 == 0 ? words->low : words->high;
    uint8x16_t top = vqtbl1q_u8(numbers, codes->to_top[bit / 8]);
    return vcvtq_n_f32_s32(vreinterpretq_s32_u8(top), 24);
}

#endif
