/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * GGUF's types of blocks that a container cannot hold and that are rounded: of
 * more than 4 bits, or of 4 bits that are not evenly spaced.
 *
 *   Q5_0    32 codes   fp16 d, 4 bytes h, 16 bytes l      (code - 16) * d
 *   Q5_1    32 codes   fp16 d, fp16 m, h, l               code * d + m
 *   Q8_0    32 codes   fp16 d, 32 signed bytes            code * d
 *   IQ4_NL  32 codes   fp16 d, 16 bytes l                 table[code] * d
 *   Q5_K    256 codes  as Q4_K, with 32 bytes h before l  code * (d * s) -
 *                                                         dmin * m
 *   Q6_K    256 codes  128 bytes l, 64 bytes h, 16 signed bytes s, fp16 d
 *                                                         (code - 32) * (d * s)
 *
 * l are the low 4 bits of the codes and h the bits above. A product of fp32 is
 * exact in all of them; sums are rounded once.
 */
#include "base/half.h"
#include "format/gguf_source.h"
#include "format/round.h"

enum { BLOCK = 32, K_BLOCK = 256 };

/* --------------------------------------------------------------------- rows */

/* Each reads one block. */
typedef void read_fn(float *dst, const unsigned char *src);

static inline float
read_f16(const unsigned char *src)
{
    return w4_float_of_f16(w4_load_le16(src));
}

/* 32 codes of 5 bits. */
static inline void
read_five_bits(int32_t codes[BLOCK], const unsigned char *high,
        const unsigned char *low)
{
    uint32_t bits = w4_load_le32(high);
    for (unsigned j = 0; j < BLOCK / 2; j++) {
        codes[j] = (int32_t)((low[j] & 15u) | (bits >> j & 1u) << 4);
        codes[j + 16] =
                (int32_t)((unsigned)low[j] >> 4 | (bits >> (j + 16) & 1u) << 4);
    }
}

static void
read_q5_0(float *dst, const unsigned char *src)
{
    int32_t codes[BLOCK];
    float d = read_f16(src);
    read_five_bits(codes, src + 2, src + 6);
    for (size_t j = 0; j < BLOCK; j++) {
        dst[j] = (float)(codes[j] - 16) * d;
    }
}

static void
read_q5_1(float *dst, const unsigned char *src)
{
    int32_t codes[BLOCK];
    float d = read_f16(src);
    float m = read_f16(src + 2);
    read_five_bits(codes, src + 4, src + 8);
    for (size_t j = 0; j < BLOCK; j++) {
        dst[j] = (float)codes[j] * d + m;
    }
}

static void
read_q8_0(float *dst, const unsigned char *src)
{
    float d = read_f16(src);
    for (size_t j = 0; j < BLOCK; j++) {
        dst[j] = (float)(int8_t)src[2 + j] * d;
    }
}

static void
read_iq4_nl(float *dst, const unsigned char *src)
{
    static const signed char table[16] = {-127, -104, -83, -65, -49, -35, -22,
            -10, 1, 13, 25, 38, 53, 69, 89, 113};
    float d = read_f16(src);
    float values[16];
    for (size_t code = 0; code < 16; code++) {
        values[code] = (float)table[code] * d;
    }
    for (size_t j = 0; j < BLOCK / 2; j++) {
        dst[j] = values[src[2 + j] & 15];
        dst[j + 16] = values[src[2 + j] >> 4];
    }
}

static void
read_q5_k(float *dst, const unsigned char *src)
{
    float scales[W4_K_GROUPS];
    float offsets[W4_K_GROUPS];
    const unsigned char *high = src + 16;
    const unsigned char *low = src + 48;
    w4_gguf_k_head(scales, offsets, src);
    for (unsigned g = 0; g < W4_K_GROUPS; g++) {
        unsigned shift = 4 * (g % 2);
        for (size_t j = 0; j < BLOCK; j++) {
            unsigned code = (low[j] >> shift & 15u) | (high[j] >> g & 1u) << 4;
            dst[j] = (float)(int32_t)code * scales[g] + offsets[g];
        }
        dst += BLOCK;
        low += g % 2 * BLOCK;
    }
}

static void
read_q6_k(float *dst, const unsigned char *src)
{
    float d = read_f16(src + 208);
    for (unsigned quarter = 0; quarter < 8; quarter++) {
        const unsigned char *low = src + quarter / 4 * 64 + quarter % 2 * 32;
        const unsigned char *high = src + 128 + quarter / 4 * 32;
        unsigned low_shift = quarter % 4 / 2 * 4;
        unsigned high_shift = quarter % 4 * 2;
        for (size_t j = 0; j < BLOCK; j++) {
            unsigned code = (low[j] >> low_shift & 15u) |
                            (high[j] >> high_shift & 3u) << 4;
            float scale = d * (float)(int8_t)src[192 + 2 * quarter + j / 16];
            dst[j] = (float)((int32_t)code - 32) * scale;
        }
        dst += BLOCK;
    }
}

/* The types, by their numbers. */
static const struct wide_type {
    size_t block;
    size_t n_bytes;
    read_fn *read;
} types[] = {
        [W4_GGUF_Q5_0] = {BLOCK, 22, read_q5_0},
        [W4_GGUF_Q5_1] = {BLOCK, 24, read_q5_1},
        [W4_GGUF_Q8_0] = {BLOCK, 34, read_q8_0},
        [W4_GGUF_Q5_K] = {K_BLOCK, 176, read_q5_k},
        [W4_GGUF_Q6_K] = {K_BLOCK, 210, read_q6_k},
        [W4_GGUF_IQ4_NL] = {BLOCK, 18, read_iq4_nl},
};

static w4moe_status
wide_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    const struct wide_type *type = &types[weight->variant];
    size_t n_blocks = weight->n_in / type->block;
    w4moe_status status = W4MOE_OK;
    for (size_t r = 0; r < n && status == W4MOE_OK; r++) {
        const unsigned char *src = weight->codes;
        src += w4_weight_row(weight, rows[r]) * n_blocks * type->n_bytes;
        for (size_t b = 0; b < n_blocks; b++) {
            type->read(out->values + b * type->block, src + b * type->n_bytes);
        }
        status = w4_round_row(err, weight, rows[r], r, out->values, out);
    }
    return status;
}

/* ----------------------------------------------------------- the second way */

/* Number i of fp16 at an address. */
static float
half_at(const unsigned char *block, size_t i)
{
    return w4_read_number(block, W4MOE_F16, i);
}

/* Half byte i % n of n bytes: the low one below n, else the high one. */
static int
nibble(const unsigned char *bytes, size_t n, size_t i)
{
    return i % (2 * n) < n ? bytes[i % n] & 15 : bytes[i % n] >> 4;
}

/* Bit i of an array. */
static int
bit(const unsigned char *bytes, size_t i)
{
    return bytes[i / 8] >> i % 8 & 1;
}

/* Element i of a block of Q5_K. */
static float
element_q5_k(const unsigned char *block, size_t i)
{
    const unsigned char *q = block + 4;
    size_t j = i / 32;
    int s = j < 4 ? q[j] & 63 : (q[j + 4] & 15) + 16 * (q[j - 4] >> 6);
    int m = j < 4 ? q[j + 4] & 63 : (q[j + 4] >> 4) + 16 * (q[j] >> 6);
    int code = nibble(block + 48 + i / 64 * 32, 32, i) +
               16 * bit(block + 16, i % 32 * 8 + j);
    return half_at(block, 0) * (float)s * (float)code -
           half_at(block, 1) * (float)m;
}

/* Of Q6_K, whose halves of 128 stand one after the other in all arrays. */
static float
element_q6_k(const unsigned char *block, size_t i)
{
    size_t half = i / 128;
    size_t rest = i % 128;
    const unsigned char *high = block + 128 + 32 * half + rest % 32;
    int code = nibble(block + 64 * half, 64, rest) +
               16 * (*high / (1 << rest / 32 * 2) % 4);
    int s = block[192 + i / 16];
    s = s < 128 ? s : s - 256;
    return half_at(block + 208, 0) * (float)s * (float)(code - 32);
}

/* Of the types in blocks of 32. */
static float
element_32(unsigned type, const unsigned char *block, size_t i)
{
    static const float iq4_nl[16] = {-127.0f, -104.0f, -83.0f, -65.0f, -49.0f,
            -35.0f, -22.0f, -10.0f, 1.0f, 13.0f, 25.0f, 38.0f, 53.0f, 69.0f,
            89.0f, 113.0f};
    int byte;
    switch (type) {
    case W4_GGUF_Q5_0:
        return half_at(block, 0) *
               (float)(nibble(block + 6, 16, i) + 16 * bit(block + 2, i) - 16);
    case W4_GGUF_Q5_1:
        return half_at(block, 0) * (float)(nibble(block + 8, 16, i) +
                                           16 * bit(block + 4, i)) +
               half_at(block, 1);
    case W4_GGUF_IQ4_NL:
        return half_at(block, 0) * iq4_nl[nibble(block + 2, 16, i)];
    default: /* Q8_0 */
        byte = block[2 + i];
        return half_at(block, 0) * (float)(byte < 128 ? byte : byte - 256);
    }
}

static void
wide_read_row(const struct w4_weight *weight, size_t n, float *row)
{
    const unsigned char *tensor = weight->codes;
    size_t first = w4_weight_row(weight, n) * weight->n_in;
    for (size_t k = 0; k < weight->n_in; k++) {
        size_t i = first + k;
        switch (weight->variant) {
        case W4_GGUF_Q5_K:
            row[k] = element_q5_k(tensor + i / 256 * 176, i % 256);
            break;
        case W4_GGUF_Q6_K:
            row[k] = element_q6_k(tensor + i / 256 * 210, i % 256);
            break;
        case W4_GGUF_Q8_0:
            row[k] = element_32(W4_GGUF_Q8_0, tensor + i / 32 * 34, i % 32);
            break;
        case W4_GGUF_Q5_0:
            row[k] = element_32(W4_GGUF_Q5_0, tensor + i / 32 * 22, i % 32);
            break;
        case W4_GGUF_Q5_1:
            row[k] = element_32(W4_GGUF_Q5_1, tensor + i / 32 * 24, i % 32);
            break;
        default:
            row[k] = element_32(W4_GGUF_IQ4_NL, tensor + i / 32 * 18, i % 32);
            break;
        }
    }
}

const struct w4_scheme w4_scheme_gguf_wide = {
        .name = "GGUF",
        .code = W4MOE_CODE_INT4,
        .rounded = 1,
        .rows = wide_rows,
        .read_row = wide_read_row,
};
