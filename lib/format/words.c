/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* Words of codes and of zero points. */
#include <w4moe/format.h>

#include "format/layout.h"

void
w4moe_shuffle(uint32_t *dst, const uint32_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = w4_word_shuffle(src[i]);
    }
}

void
w4moe_unshuffle(uint32_t *dst, const uint32_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = w4_word_unshuffle(src[i]);
    }
}

void
w4moe_zeros_pack(uint32_t *words, const uint8_t *zeros, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word = 0;
        for (unsigned m = 0; m < W4_WORD_ZEROS; m++) {
            uint32_t stored = (zeros[W4_WORD_ZEROS * i + m] + 15u) & 15u;
            word |= stored << 4 * m;
        }
        words[i] = word;
    }
}

void
w4moe_zeros_unpack(uint8_t *zeros, const uint32_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (unsigned m = 0; m < W4_WORD_ZEROS; m++) {
            zeros[W4_WORD_ZEROS * i + m] =
                    (uint8_t)w4_zero_of_word(words[i], m);
        }
    }
}

void
w4moe_zeros_fill(uint32_t *words, size_t n, unsigned zero)
{
    uint32_t word = ((zero + 15u) & 15u) * 0x11111111u;
    for (size_t i = 0; i < n; i++) {
        words[i] = word;
    }
}
