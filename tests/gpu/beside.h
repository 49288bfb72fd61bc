/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * The bytes around an array in its pages: a pattern, poisoned for the address
 * sanitizer, and checked without it.
 */
#ifndef GPU_BESIDE_H
#define GPU_BESIDE_H

#include <string.h>

#include "sanitizers.h"

enum { GPU_FRESH = 0xFF, GPU_BESIDE = 0xA5 };

/** Fills an array of n bytes at `offset` in `room` bytes, and around it. */
static inline void
gpu_fill_around(char *pages, size_t room, size_t offset, size_t n_bytes)
{
    size_t end = offset + n_bytes;
    gpu_unpoison(pages, room);
    memset(pages, GPU_BESIDE, offset);
    memset(pages + offset, GPU_FRESH, n_bytes);
    memset(pages + end, GPU_BESIDE, room - end);
    gpu_poison(pages, offset);
    gpu_poison(pages + end, room - end);
}

/* They are poisoned: this may read them. */
__attribute__((no_sanitize("address"))) static inline bool
gpu_all_beside(const char *bytes, size_t n)
{
    bool same = true;
    for (size_t i = 0; i < n; i++) {
        same = same && static_cast<unsigned char>(bytes[i]) == GPU_BESIDE;
    }
    return same;
}

/** Whether nothing was written around the array. */
static inline bool
gpu_intact_around(const char *pages, size_t room, size_t offset, size_t n_bytes)
{
    size_t end = offset + n_bytes;
    return gpu_all_beside(pages, offset) &&
           gpu_all_beside(pages + end, room - end);
}

#endif
