/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
#include "gguf_blocks.h"

#include <check.h>
#include <math.h>

#include "gguf_helpers.h"

/* Elements and bytes of a block, and where its fp16 numbers stand. */
struct block {
    enum gguf_type type;
    size_t n;
    size_t n_bytes;
    size_t n_halves;
    size_t halves;
};

static const struct block blocks[] = {
        {TYPE_F32, 1, 4, 0, 0},
        {TYPE_F16, 1, 2, 1, 0},
        {TYPE_BF16, 1, 2, 0, 0},
        {TYPE_Q4_0, 32, 18, 1, 0},
        {TYPE_Q4_1, 32, 20, 2, 0},
        {TYPE_Q5_0, 32, 22, 1, 0},
        {TYPE_Q5_1, 32, 24, 2, 0},
        {TYPE_Q8_0, 32, 34, 1, 0},
        {TYPE_IQ4_NL, 32, 18, 1, 0},
        {TYPE_MXFP4, 32, 17, 0, 0},
        {TYPE_Q2_K, 256, 84, 2, 80},
        {TYPE_Q4_K, 256, 144, 2, 0},
        {TYPE_Q5_K, 256, 176, 2, 0},
        {TYPE_Q6_K, 256, 210, 1, 208},
};

/* No assertions where a test looks at every weight: each costs a line to
 * Check. */
static const struct block *
block_of(enum gguf_type type)
{
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (blocks[i].type == type) {
            return &blocks[i];
        }
    }
    ck_abort_msg("type %d", (int)type);
}

size_t
gguf_type_bytes(enum gguf_type type, size_t n)
{
    const struct block *block = block_of(type);
    if (n % block->n != 0) {
        ck_abort_msg("%zu weights of type %d", n, (int)type);
    }
    return n / block->n * block->n_bytes;
}

static uint32_t
load(const unsigned char *bytes, size_t n)
{
    uint32_t value = 0;
    while (n-- > 0) {
        value = value << 8 | bytes[n];
    }
    return value;
}

/* A number of `mantissa` bits and the exponent above them, without Inf. */
static double
number(uint32_t bits, int mantissa, int exponent, int bias)
{
    uint32_t m = bits & ((1u << mantissa) - 1);
    uint32_t e = bits >> mantissa & ((1u << exponent) - 1);
    double value = e != 0 ? ldexp(1.0 + ldexp(m, -mantissa), (int)e - bias)
                          : ldexp(m, 1 - bias - mantissa);
    return bits >> (mantissa + exponent) != 0 ? -value : value;
}

static double
half(const unsigned char *bytes)
{
    return number(load(bytes, 2), 10, 5, 15);
}

/* A number of an exponent in [low, low + 4). */
static void
set_exponent(unsigned char *bytes, size_t n_bytes, int mantissa, int exponent,
        unsigned low)
{
    uint32_t bits = load(bytes, n_bytes);
    uint32_t e = low + (bits >> mantissa & 3u);
    bits &= ~(((1u << exponent) - 1) << mantissa);
    gguf_store(bytes, n_bytes, bits | e << mantissa);
}

void
gguf_type_fill(enum gguf_type type, unsigned char *bytes, size_t n_bytes,
        struct test_random *random)
{
    const struct block *block = block_of(type);
    for (size_t i = 0; i < n_bytes; i++) {
        bytes[i] = (unsigned char)test_random(random);
    }
    for (size_t at = 0; at < n_bytes; at += block->n_bytes) {
        for (size_t h = 0; h < block->n_halves; h++) {
            set_exponent(bytes + at + block->halves + 2 * h, 2, 10, 5, 4);
        }
        if (type == TYPE_F32) {
            set_exponent(bytes + at, 4, 23, 8, 118);
        } else if (type == TYPE_BF16) {
            set_exponent(bytes + at, 2, 7, 8, 118);
        } else if (type == TYPE_MXFP4) {
            /* All but NaN. */
            bytes[at] %= 255;
        }
    }
}

/* Four bits: of the low halves of n bytes first, then of the high ones. */
static int
four_bits(const unsigned char *bytes, size_t n, size_t i)
{
    return i < n ? bytes[i] % 16 : bytes[i - n] / 16;
}

/* The numbers of 6 bits of sub-block j: scale, and minimum. */
static void
six_bits(int *scale, int *minimum, const unsigned char *bytes, size_t j)
{
    if (j < 4) {
        *scale = bytes[j] % 64;
        *minimum = bytes[4 + j] % 64;
    } else {
        *scale = bytes[4 + j] % 16 + bytes[j - 4] / 64 * 16;
        *minimum = bytes[4 + j] / 16 + bytes[j] / 64 * 16;
    }
}

/* Q4_K and Q5_K: sub-block j of 32, byte l of it. */
static double
weight_k(const unsigned char *block, size_t i, int five)
{
    size_t j = i / 32;
    size_t l = i % 32;
    int scale;
    int minimum;
    six_bits(&scale, &minimum, block + 4, j);
    int code = four_bits(
            block + (five ? 48 : 16) + j / 2 * 32, 32, j % 2 * 32 + l);
    if (five && (block[16 + l] >> j) % 2 != 0) {
        code += 16;
    }
    return half(block) * scale * code - half(block + 2) * minimum;
}

static double
weight_q6_k(const unsigned char *block, size_t i)
{
    const unsigned char *low = block + i / 128 * 64;
    const unsigned char *high = block + 128 + i / 128 * 32;
    size_t r = i % 128;
    int code = four_bits(low, 64, r) + (high[r % 32] >> r / 32 * 2) % 4 * 16;
    int scale = (signed char)block[192 + i / 16];
    return half(block + 208) * scale * (code - 32);
}

static double
weight_32(enum gguf_type type, const unsigned char *block, size_t i)
{
    static const int iq4_nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1,
            13, 25, 38, 53, 69, 89, 113};
    static const double e2m1[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
    double d = half(block);
    int code;
    switch (type) {
    case TYPE_Q4_0:
        return (four_bits(block + 2, 16, i) - 8) * d;
    case TYPE_Q4_1:
        return four_bits(block + 4, 16, i) * d + half(block + 2);
    case TYPE_Q5_0:
        code = four_bits(block + 6, 16, i) +
               (int)(load(block + 2, 4) >> i) % 2 * 16;
        return ((code & 31) - 16) * d;
    case TYPE_Q5_1:
        code = four_bits(block + 8, 16, i);
        code += (load(block + 4, 4) >> i & 1u) != 0 ? 16 : 0;
        return code * d + half(block + 2);
    case TYPE_Q8_0:
        return (signed char)block[2 + i] * d;
    case TYPE_IQ4_NL:
        return iq4_nl[four_bits(block + 2, 16, i)] * d;
    default: /* MXFP4 */
        code = four_bits(block + 1, 16, i);
        d = ldexp(e2m1[code % 8], block[0] - 127);
        return code < 8 ? d : -d;
    }
}

double
gguf_type_weight(enum gguf_type type, const unsigned char *row, size_t i)
{
    const struct block *info = block_of(type);
    const unsigned char *block = row + i / info->n * info->n_bytes;
    switch (type) {
    case TYPE_F32:
        return number(load(block, 4), 23, 8, 127);
    case TYPE_F16:
        return half(block);
    case TYPE_BF16:
        return number(load(block, 2), 7, 8, 127);
    case TYPE_Q4_K:
    case TYPE_Q5_K:
        return weight_k(block, i % 256, type == TYPE_Q5_K);
    case TYPE_Q6_K:
        return weight_q6_k(block, i % 256);
    default:
        return weight_32(type, block, i % 32);
    }
}
