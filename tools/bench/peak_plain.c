/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/* The probes in plain C; see peak.h. */
#include "peak.h"

/* Enough independent sums to hide the latency of an addition. */
enum { SUMS = 64 };

static float
run(uint64_t n_rounds, float seed)
{
    float sums[SUMS];
    float a = seed;
    float b = seed * 0.5f;
    for (int i = 0; i < SUMS; i++) {
        sums[i] = seed + (float)i;
    }
    for (uint64_t round = 0; round < n_rounds; round++) {
        for (int i = 0; i < SUMS; i++) {
            sums[i] = sums[i] * a + b;
        }
    }
    float total = 0.0f;
    for (int i = 0; i < SUMS; i++) {
        total += sums[i];
    }
    return total;
}

const struct peak_probe *
peak_plain(void)
{
    static const struct peak_probe probe = {"plain C", 2.0 * SUMS, run};
    return &probe;
}

/* 16 bytes; compilers make of it what the target has. */
typedef uint64_t words __attribute__((vector_size(16)));

static uint64_t
sum(const void *p, size_t n_bytes)
{
    const words *data = p;
    words sums[4] = {{0}, {0}, {0}, {0}};
    for (size_t i = 0; i < n_bytes / sizeof(words); i += 4) {
        sums[0] += data[i];
        sums[1] += data[i + 1];
        sums[2] += data[i + 2];
        sums[3] += data[i + 3];
    }
    words all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    return all[0] + all[1];
}

const struct peak_reader *
peak_plain_reader(void)
{
    static const struct peak_reader reader = {"16-byte loads", sum};
    return &reader;
}
