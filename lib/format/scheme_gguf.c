/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/*
 * GGUF's types of 4 bits that a container holds exactly. A row is one block
 * after the other:
 *
 *   Q4_0    32 codes   fp16 d, 16 bytes              (code - 8) * d
 *   Q4_1    32 codes   fp16 d, fp16 m, 16 bytes      code * d + m
 *   Q4_K    256 codes  fp16 d, fp16 dmin, 12 bytes of 8 pairs (s, m) of 6
 *                      bits, 128 bytes               code * (d * s) - dmin * m
 *   MXFP4   32 codes   E8M0 e, 16 bytes              E2M1[code] * 2^(e - 127)
 *
 * In n bytes of codes the low halves are n codes and the high halves the n
 * codes after them; n is 32 in Q4_K, else 16.
 *
 * GGUF's own programs compute in fp32. d * s and dmin * m have 17 bits, their
 * products with a code 21: all exact in fp32, so there is one rounding, that
 * of the sum. A container's weight, scale * code + offset in float64, is exact
 * until it is rounded to fp32, for all of it are multiples of 2^-24 below
 * 2^27. So both are the same number, and the same zero, for -dmin * m is -0
 * where it is subtracted as 0. MXFP4 in GGUF is half the scale and twice the
 * table, which is the same but for code 8: 0 there, -0 here.
 */
#include "base/half.h"
#include "format/gguf_source.h"
#include "io/text.h"

enum {
    /* Codes of a block, and of a group. */
    BLOCK = 32,
    K_BLOCK = 256,
    /* Bytes of a block: in front of the codes, and all. */
    Q4_0_HEAD = 2,
    Q4_1_HEAD = 4,
    MXFP4_HEAD = 1,
    BLOCK_CODES = BLOCK / 2,
    K_HEAD = 16,
    K_CODES = K_BLOCK / 2,
    E8M0_NAN = 255,
};

/* --------------------------------------------------------------------- rows */

/* Eight codes in the low halves of 8 bytes, as a word. */
static inline uint32_t
join_halves(uint64_t x)
{
    x = (x | x >> 4) & 0x00FF00FF00FF00FFu;
    x = (x | x >> 8) & 0x0000FFFF0000FFFFu;
    return (uint32_t)(x | x >> 16);
}

static inline void
store_word(unsigned char *dst, uint32_t word)
{
    w4_swap_le(&word, sizeof(word), 1);
    memcpy(dst, &word, sizeof(word));
}

/* n bytes, whose low halves are codes 0 .. n - 1 and whose high halves n ..
 * 2n - 1, to n bytes of codes in their order. */
static inline void
put_in_order(unsigned char *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t bytes = w4_load_le64(src + i);
        uint64_t low = bytes & 0x0F0F0F0F0F0F0F0Fu;
        uint64_t high = bytes >> 4 & 0x0F0F0F0F0F0F0F0Fu;
        store_word(dst + i / 2, join_halves(low));
        store_word(dst + n / 2 + i / 2, join_halves(high));
    }
}

/* The blocks of a row. */
static inline const unsigned char *
row_of(const struct w4_weight *weight, size_t n, size_t block, size_t n_bytes)
{
    return (const unsigned char *)weight->codes +
           w4_weight_row(weight, n) * (weight->n_in / block * n_bytes);
}

/* The codes of a row of blocks of 32, each behind a head. */
static void
order_blocks(struct w4_rows *out, size_t r, const unsigned char *src,
        size_t n_in, size_t head)
{
    unsigned char *codes = out->words + r * (n_in / 2);
    out->codes[r] = codes;
    for (size_t b = 0; b < n_in / BLOCK; b++) {
        put_in_order(codes + b * BLOCK_CODES,
                src + b * (head + BLOCK_CODES) + head, BLOCK_CODES);
    }
}

static w4moe_status
q4_0_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    (void)err;
    uint16_t *scale = out->scales;
    size_t step = Q4_0_HEAD + BLOCK_CODES;
    for (size_t r = 0; r < n; r++) {
        const unsigned char *src = row_of(weight, rows[r], BLOCK, step);
        order_blocks(out, r, src, weight->n_in, Q4_0_HEAD);
        for (size_t b = 0; b < weight->n_in / BLOCK; b++) {
            *scale++ = w4_load_le16(src + b * step);
        }
    }
    return W4MOE_OK;
}

static w4moe_status
q4_1_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    (void)err;
    uint16_t *scale = out->scales;
    uint16_t *offset = out->offsets;
    size_t step = Q4_1_HEAD + BLOCK_CODES;
    for (size_t r = 0; r < n; r++) {
        const unsigned char *src = row_of(weight, rows[r], BLOCK, step);
        order_blocks(out, r, src, weight->n_in, Q4_1_HEAD);
        for (size_t b = 0; b < weight->n_in / BLOCK; b++) {
            *scale++ = w4_load_le16(src + b * step);
            *offset++ = w4_load_le16(src + b * step + 2);
        }
    }
    return W4MOE_OK;
}

static w4moe_status
mxfp4_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    unsigned char *scale = out->scales;
    size_t step = MXFP4_HEAD + BLOCK_CODES;
    for (size_t r = 0; r < n; r++) {
        const unsigned char *src = row_of(weight, rows[r], BLOCK, step);
        order_blocks(out, r, src, weight->n_in, MXFP4_HEAD);
        for (size_t b = 0; b < weight->n_in / BLOCK; b++) {
            *scale = src[b * step];
            if (*scale++ == E8M0_NAN) {
                return w4_fail(err, W4MOE_FORMAT,
                        "tensor \"%s\": the scale of row %zu, columns %zu to "
                        "%zu, is NaN",
                        w4_show_string(weight->name).text,
                        w4_weight_row(weight, rows[r]), b * BLOCK,
                        b * BLOCK + BLOCK - 1);
            }
        }
    }
    return W4MOE_OK;
}

/* The 6-bit numbers of four groups stand in the low bits of 4 bytes; those of
 * the other four have their low bits in the last 4 bytes and their high ones
 * above the first. */
void
w4_gguf_k_head(float scales[W4_K_GROUPS], float offsets[W4_K_GROUPS],
        const unsigned char *src)
{
    float d = w4_float_of_f16(w4_load_le16(src));
    float dmin = w4_float_of_f16(w4_load_le16(src + 2));
    uint32_t a = w4_load_le32(src + 4);
    uint32_t b = w4_load_le32(src + 8);
    uint32_t c = w4_load_le32(src + 12);
    const uint32_t s[2] = {
            a & 0x3F3F3F3Fu,
            (c & 0x0F0F0F0Fu) | (a >> 2 & 0x30303030u),
    };
    const uint32_t m[2] = {
            b & 0x3F3F3F3Fu,
            (c >> 4 & 0x0F0F0F0Fu) | (b >> 2 & 0x30303030u),
    };
    for (unsigned g = 0; g < W4_K_GROUPS; g++) {
        scales[g] = d * (float)(s[g / 4] >> 8 * (g % 4) & 63u);
        offsets[g] = -(dmin * (float)(m[g / 4] >> 8 * (g % 4) & 63u));
    }
}

static w4moe_status
q4_k_rows(struct w4_err *err, const struct w4_weight *weight,
        const uint32_t *rows, size_t n, struct w4_rows *out)
{
    (void)err;
    float *scales = out->scales;
    float *offsets = out->offsets;
    for (size_t r = 0; r < n; r++) {
        const unsigned char *src =
                row_of(weight, rows[r], K_BLOCK, K_HEAD + K_CODES);
        unsigned char *codes = out->words + r * (weight->n_in / 2);
        out->codes[r] = codes;
        for (size_t b = 0; b < weight->n_in / K_BLOCK; b++) {
            w4_gguf_k_head(scales, offsets, src);
            for (size_t i = 0; i < K_CODES; i += BLOCK) {
                put_in_order(codes + i, src + K_HEAD + i, BLOCK);
            }
            src += K_HEAD + K_CODES;
            codes += K_CODES;
            scales += W4_K_GROUPS;
            offsets += W4_K_GROUPS;
        }
    }
    return W4MOE_OK;
}

/* ----------------------------------------------------------- the second way */

/* The block of a row that has column i, by the type's number of bytes. */
static const unsigned char *
block_of(const struct w4_weight *weight, size_t n, size_t i)
{
    size_t block = 32;
    size_t n_bytes = 18;
    switch (weight->variant) {
    case W4_GGUF_Q4_1:
        n_bytes = 20;
        break;
    case W4_GGUF_Q4_K:
        block = 256;
        n_bytes = 144;
        break;
    case W4_GGUF_MXFP4:
        n_bytes = 17;
        break;
    default:
        break;
    }
    const unsigned char *tensor = weight->codes;
    size_t element = w4_weight_row(weight, n) * weight->n_in + i;
    return tensor + element / block * n_bytes;
}

/* The codes of 2 * half columns, which stand in half bytes. */
static void
read_run(unsigned char *room, const unsigned char *bytes, size_t half)
{
    for (size_t j = 0; j < 2 * half; j++) {
        unsigned char byte = bytes[j % half];
        unsigned code = j < half ? byte & 15u : byte >> 4;
        room[j / 2] =
                (unsigned char)(j % 2 == 0 ? code : room[j / 2] | code << 4);
    }
}

/* The codes are the last bytes of a block. */
static const unsigned char *
gguf_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    static const unsigned char first[] = {
            [W4_GGUF_Q4_0] = 2,
            [W4_GGUF_Q4_1] = 4,
            [W4_GGUF_MXFP4] = 1,
    };
    for (size_t i = 0; i < weight->n_in; i += 32) {
        read_run(room + i / 2, block_of(weight, n, i) + first[weight->variant],
                16);
    }
    return room;
}

static const unsigned char *
q4_k_read_words(const struct w4_weight *weight, size_t n, unsigned char *room)
{
    for (size_t i = 0; i < weight->n_in; i += 64) {
        const unsigned char *codes = block_of(weight, n, i) + 16;
        read_run(room + i / 2, codes + i % 256 / 2, 32);
    }
    return room;
}

static void
q4_0_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    const unsigned char *block = block_of(weight, n, 32 * group);
    float d = w4_read_number(block, W4MOE_F16, 0);
    for (int code = 0; code < 16; code++) {
        values[code] = (float)(code - 8) * d;
    }
}

static void
q4_1_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    const unsigned char *block = block_of(weight, n, 32 * group);
    float d = w4_read_number(block, W4MOE_F16, 0);
    float m = w4_read_number(block, W4MOE_F16, 1);
    for (int code = 0; code < 16; code++) {
        values[code] = (float)code * d + m;
    }
}

static void
q4_k_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    const unsigned char *block = block_of(weight, n, 32 * group);
    const unsigned char *q = block + 4;
    size_t j = group % 8;
    int s = j < 4 ? q[j] & 63 : (q[j + 4] & 15) | q[j - 4] >> 6 << 4;
    int m = j < 4 ? q[j + 4] & 63 : q[j + 4] >> 4 | q[j] >> 6 << 4;
    float scale = w4_read_number(block, W4MOE_F16, 0) * (float)s;
    float least = w4_read_number(block, W4MOE_F16, 1) * (float)m;
    for (int code = 0; code < 16; code++) {
        values[code] = (float)code * scale - least;
    }
}

static void
mxfp4_read_values(const struct w4_weight *weight, size_t n, size_t group,
        float values[16])
{
    /* Doubled. */
    static const signed char magnitudes[] = {0, 1, 2, 3, 4, 6, 8, 12};
    const unsigned char *block = block_of(weight, n, 32 * group);
    float half = w4_read_number(block, W4MOE_F8_E8M0, 0) * 0.5f;
    for (size_t code = 0; code < 8; code++) {
        values[code] = (float)magnitudes[code] * half;
        values[code + 8] = -values[code];
    }
}

const struct w4_scheme w4_scheme_q4_0 = {
        .name = "Q4_0",
        .code = W4MOE_CODE_INT4,
        .rows = q4_0_rows,
        .read_words = gguf_read_words,
        .read_values = q4_0_read_values,
};

const struct w4_scheme w4_scheme_q4_1 = {
        .name = "Q4_1",
        .code = W4MOE_CODE_INT4,
        .rows = q4_1_rows,
        .read_words = gguf_read_words,
        .read_values = q4_1_read_values,
};

const struct w4_scheme w4_scheme_q4_k = {
        .name = "Q4_K",
        .code = W4MOE_CODE_INT4,
        .rows = q4_k_rows,
        .read_words = q4_k_read_words,
        .read_values = q4_k_read_values,
};

const struct w4_scheme w4_scheme_gguf_mxfp4 = {
        .name = "MXFP4",
        .code = W4MOE_CODE_E2M1,
        .rows = mxfp4_rows,
        .read_words = gguf_read_words,
        .read_values = mxfp4_read_values,
};
