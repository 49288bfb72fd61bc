/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Matrices of arch.h by gfx12's v_wmma_f32_16x16x16, wave32.
 */
#ifndef W4_LAYOUT_GFX12_H
#define W4_LAYOUT_GFX12_H

#include "host_matrix.h"

enum {
    GPU_ROW_PAD = 4,
    GPU_STAGE = 2,
    GPU_ACC_ROWS = 8,
    GPU_ACC_COLUMNS = 1,
    GPU_K_STEPS = 2,
    GPU_N_STEPS = 2,
    GPU_STEP_WORDS = 1
};

/** Pairs of a half of a row's 16 k of a step. */
struct gpu_a {
    uint32_t v[4];
};

GPU_INLINE unsigned
gpu_acc_row(unsigned lane, unsigned i)
{
    return 8 * (lane / 16) + i % 8;
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
gpu_word_row(unsigned lane, unsigned s, unsigned)
{
    return 2 * s + lane / 16;
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
    gpu_host_load_row("gpu_load_a", site, a.v,
            rows + lane % 16 * stride + 4 * gpu_word_row(lane, s, 0), 4);
    return a;
}

/* The instruction. A: lane L has row L % 16, k = 8 (L / 16) + 0 .. 7. B: column
 * L % 16, the same k. C: element e is row 8 (L / 16) + e, column L % 16. */
GPU_INLINE void
gpu_host_wmma(const char *name, const gpu_site &site, gpu_host_decode decode,
        float c[8], const uint32_t a[4], const uint32_t b[4])
{
    uint32_t words[16];
    unsigned lane = gpu_host_lane();
    gpu_host_unpack(words, decode, a, 4);
    gpu_host_unpack(words + 8, decode, b, 4);
    const gpu_shim_lanes &lanes = gpu_shim_gather(name, site, words, 16);
    for (unsigned e = 0; e < 8; e++) {
        unsigned row = 8 * (lane / 16) + e;
        double sum = c[e];
        for (unsigned k = 0; k < 16; k++) {
            const uint32_t *of_a = lanes.word[row + 16 * (k / 8)];
            const uint32_t *of_b = lanes.word[lane % 16 + 16 * (k / 8)] + 8;
            sum += gpu_host_product(of_a[k % 8], of_b[k % 8]);
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
