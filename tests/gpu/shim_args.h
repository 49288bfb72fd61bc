/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Arguments of the kernels that test the shim itself.
 */
#ifndef GPU_SHIM_ARGS_H
#define GPU_SHIM_ARGS_H

#include <stdint.h>

enum { SHIM_TEST_THREADS = 128 };

/** Reads `in`, writes `out`; what n is differs from kernel to kernel. */
struct shim_test_args {
    uint32_t *out;
    const uint32_t *in;
    uint32_t n;
};

/** c[16][32] += a[16][32] b[32][32] (k, column); 16-bit patterns. */
struct shim_mma_args {
    float *c;
    const uint16_t *a;
    const uint16_t *b;
    uint32_t f16;
    /** If not 0, of this lane: brings wrong codes. */
    uint32_t wrong_lane;
};

#endif
