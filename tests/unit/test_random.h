/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Random numbers for tests (splitmix64): the same in every run from the same
 * seed, which a failing test prints.
 */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct test_random {
    uint64_t counter;
};

static inline uint64_t
test_random(struct test_random *random)
{
    uint64_t z = random->counter += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/** A number in [0, n). The bias does not matter here. */
static inline size_t
test_random_below(struct test_random *random, size_t n)
{
    return (size_t)(test_random(random) % n);
}

#endif
