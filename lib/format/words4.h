/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Four 32-bit words at a time, in what every compiler has for vectors; on
 * machines without them it makes plain instructions.
 */
#ifndef W4_FORMAT_WORDS4_H
#define W4_FORMAT_WORDS4_H

#include <string.h>

#include "base/bytes.h"

enum { W4_WORDS4 = 4 };

typedef uint32_t w4_words4 __attribute__((vector_size(16)));

/** From any address, in host order. */
static inline w4_words4
w4_words4_load(const void *p)
{
    w4_words4 w;
    memcpy(&w, p, sizeof(w));
    return w;
}

/** From any address, where they are little-endian. */
static inline w4_words4
w4_words4_load_le(const unsigned char *p)
{
    if (!W4_BIG_ENDIAN) {
        return w4_words4_load(p);
    }
    return (w4_words4){w4_load_le32(p), w4_load_le32(p + 4),
            w4_load_le32(p + 8), w4_load_le32(p + 12)};
}

static inline void
w4_words4_store(void *p, w4_words4 w)
{
    memcpy(p, &w, sizeof(w));
}

/** Words 0 of both, words 1 of both; or words 2 of both, words 3. */
static inline w4_words4
w4_words4_low(w4_words4 a, w4_words4 b)
{
    return (w4_words4){a[0], b[0], a[1], b[1]};
}

static inline w4_words4
w4_words4_high(w4_words4 a, w4_words4 b)
{
    return (w4_words4){a[2], b[2], a[3], b[3]};
}

/** Turns a square of four times four words: word i of rows[j] is word j of
 * rows[i] afterwards. */
static inline void
w4_words4_turn(w4_words4 rows[W4_WORDS4])
{
    w4_words4 a = w4_words4_low(rows[0], rows[2]);
    w4_words4 b = w4_words4_low(rows[1], rows[3]);
    w4_words4 c = w4_words4_high(rows[0], rows[2]);
    w4_words4 d = w4_words4_high(rows[1], rows[3]);
    rows[0] = w4_words4_low(a, b);
    rows[1] = w4_words4_high(a, b);
    rows[2] = w4_words4_low(c, d);
    rows[3] = w4_words4_high(c, d);
}

#endif
