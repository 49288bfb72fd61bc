/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Cheap random numbers (splitmix64), the same in every run. Not for secrets.
 */
#ifndef W4_TOOLS_RANDOM_H
#define W4_TOOLS_RANDOM_H

#include <stdint.h>

struct random_state {
    uint64_t counter;
};

static inline uint64_t
random_next(struct random_state *state)
{
    uint64_t z = state->counter += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/** A number in [0, n). The bias is far below what matters here. */
static inline uint32_t
random_below(struct random_state *state, uint32_t n)
{
    return (uint32_t)((random_next(state) >> 32) * n >> 32);
}

#endif
