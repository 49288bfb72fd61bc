/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * What the machine itself can do, measured: reading memory and multiplying.
 */
#ifndef W4_TOOLS_LIMITS_H
#define W4_TOOLS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

enum { LIMITS_PROBES_MAX = 4 };

struct limits {
    unsigned n_threads;
    /** Bytes of the last-level cache, 0 if not known, and of the buffer that
     * was read. */
    uint64_t cache_bytes;
    uint64_t buffer_bytes;
    /** Bytes per second, all threads reading, with the loads that did it
     * fastest. */
    double read_rate;
    const char *read_name;
    /** Each probe that this processor has, and the one that did most. */
    struct {
        const char *name;
        /** Floating-point operations per second, a multiply-add is two. */
        double rate;
    } probes[LIMITS_PROBES_MAX];
    size_t n_probes;
    size_t best;
};

/** Threads that OpenMP would use; 1 without it. */
extern unsigned limits_default_threads(void);

/** Measures with n_threads threads, reading from huge pages if asked to and
 * there are any; takes one or two seconds. Returns an exit code, after printing
 * why. */
extern int limits_measure(
        struct limits *limits, unsigned n_threads, int huge_pages);

#endif
