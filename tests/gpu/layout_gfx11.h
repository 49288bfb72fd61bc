/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Matrices of arch.h by gfx11's v_wmma_f32_16x16x16.
 */
#ifndef W4_LAYOUT_GFX11_H
#define W4_LAYOUT_GFX11_H

#include "host_matrix.h"

enum {
    GPU_ROW_PAD = 4,
    GPU_STAGE = 2,
    GPU_ACC_ROWS = 8,
    GPU_ACC_COLUMNS = 1,
    GPU_K_STEPS = 2,
    GPU_N_STEPS = 2,
    GPU_STEP_WORDS = 2
};

/** Pairs of a row's 16 k of a step; lanes L and L + 16 have the same row. */
struct gpu_a {
    uint32_t v[8];
};

GPU_INLINE unsigned
gpu_acc_row(unsigned lane, unsigned i)
{
    return 2 * (i % 8) + lane / 16;
}

GPU_INLINE unsigned
gpu_acc_row_index(unsigned i)
{
    return i % 8;
}

GPU_INLINE unsigned
gpu_acc_column_index(unsigned)
{
    return 0;
}

GPU_INLINE unsigned
gpu_acc_column(unsigned lane, unsigned i)
{
    return 16 * (i / 8) + lane % 16;
}

GPU_INLINE unsigned
gpu_word_row(unsigned, unsigned s, unsigned i)
{
    return 2 * s + i;
}

GPU_INLINE unsigned
gpu_word_column(unsigned lane, unsigned n, unsigned)
{
    return 16 * n + lane % 16;
}

GPU_INLINE struct gpu_a
gpu_load_a(const uint32_t *rows, unsigned stride, unsigned lane, unsigned s,
        gpu_site site = gpu_here())
{
    struct gpu_a a;
    gpu_host_load_row(
            "gpu_load_a", site, a.v, rows + lane % 16 * stride + 8 * s, 8);
    return a;
}

/* The instruction. A: lane L has row L % 16, all 16 k; so has L + 16, and the
 * hardware counts on it. B: column L % 16 alike. C: element e is row
 * 2 e + L / 16, column L % 16. */
GPU_INLINE void
gpu_host_wmma(const char *name, const gpu_site &site, gpu_host_decode decode,
        float c[8], const uint32_t a[8], const uint32_t b[8])
{
    uint32_t words[32];
    unsigned lane = gpu_host_lane();
    gpu_host_unpack(words, decode, a, 8);
    gpu_host_unpack(words + 16, decode, b, 8);
    const gpu_shim_lanes &lanes = gpu_shim_gather(name, site, words, 32);
    if (memcmp(words, lanes.word[lane ^ 16], sizeof(words)) != 0) {
        gpu_shim_fail(site, "%s: lane %u has another row of A or column of B",
                name, lane ^ 16);
    }
    for (unsigned e = 0; e < 8; e++) {
        const uint32_t *row = lanes.word[2 * e + lane / 16];
        double sum = c[e];
        for (unsigned k = 0; k < 16; k++) {
            sum += gpu_host_product(row[k], words[16 + k]);
        }
        c[e] = static_cast<float>(sum);
    }
}

GPU_INLINE void
gpu_mma_bf16(struct gpu_acc *acc, const struct gpu_a *a, const uint32_t *b,
        unsigned n, gpu_site site = gpu_here())
{
    gpu_host_wmma("gpu_mma_bf16", site, gpu_host_bf16, acc->v + 8 * n, a->v, b);
}

GPU_INLINE void
gpu_mma_f16(struct gpu_acc *acc, const struct gpu_a *a, const uint32_t *b,
        unsigned n, gpu_site site = gpu_here())
{
    gpu_host_wmma(
            "gpu_mma_f16", site, gpu_f16_to_float, acc->v + 8 * n, a->v, b);
}

#endif
