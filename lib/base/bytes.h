/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Little-endian data: loads from any address, and conversion of whole arrays
 * (nothing to do on a little-endian host).
 */
#ifndef W4_BASE_BYTES_H
#define W4_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define W4_BIG_ENDIAN 1
#else
#define W4_BIG_ENDIAN 0
#endif

static inline uint16_t
w4_load_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return W4_BIG_ENDIAN ? __builtin_bswap16(v) : v;
}

static inline uint32_t
w4_load_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return W4_BIG_ENDIAN ? __builtin_bswap32(v) : v;
}

static inline uint64_t
w4_load_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return W4_BIG_ENDIAN ? __builtin_bswap64(v) : v;
}

static inline void
w4_store_le64(void *p, uint64_t v)
{
    if (W4_BIG_ENDIAN) {
        v = __builtin_bswap64(v);
    }
    memcpy(p, &v, sizeof(v));
}

/** Turns n elements of `size` bytes from host to little-endian order or
 * back, in place. */
static inline void
w4_swap_le(void *data, size_t size, size_t n)
{
    if (!W4_BIG_ENDIAN) {
        return;
    }
    unsigned char *p = data;
    for (size_t i = 0; i < n; i++, p += size) {
        for (size_t j = 0; j < size / 2; j++) {
            unsigned char t = p[j];
            p[j] = p[size - 1 - j];
            p[size - 1 - j] = t;
        }
    }
}

#endif
