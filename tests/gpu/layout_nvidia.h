/* SPDX-License-Identifier: MIT
 * Copyright (C) 2026 The w4moe authors */
/**
 * Matrices of arch.h by NVIDIA's mma.m16n8k16, whose first operand, of 16 rows,
 * are the weights: a step is two of them for each 8 rows of activations, over
 * 32 k in an order in which a lane has the 8 of one word; row m of the
 * instruction is column 2 (m % 8) + m / 8 of the half.
 */
#ifndef W4_LAYOUT_NVIDIA_H
#define W4_LAYOUT_NVIDIA_H

#include "host_matrix.h"

#define GPU_HAS_FMA_BF16 1

enum {
    GPU_ROW_PAD = 16,
    GPU_STAGE = 2,
    GPU_WORDS_AHEAD = 2,
    GPU_ACC_ROWS = 4,
    GPU_ACC_COLUMNS = 2,
    GPU_K_STEPS = 1,
    GPU_N_STEPS = 2,
    GPU_WORD_PAIRS = 1,
    GPU_STEP_WORDS = 2
};

/** Pairs of a word's 8 k of the rows lane / 4 and lane / 4 + 8. */
struct gpu_a {
    uint32_t v[8];
};

GPU_INLINE unsigned
gpu_acc_row_index(unsigned i)
{
    return 2 * (i / 4 % 2) + i % 2;
}

GPU_INLINE unsigned
gpu_acc_row(unsigned lane, unsigned i)
{
    return 8 * (i / 4 % 2) + 2 * (lane % 4) + i % 2;
}

GPU_INLINE unsigned
gpu_acc_column_index(unsigned i)
{
    return i / 2 % 2;
}

GPU_INLINE unsigned
gpu_acc_column(unsigned lane, unsigned i)
{
    return 16 * (i / 8) + 2 * (lane / 4) + i / 2 % 2;
}

GPU_INLINE unsigned
gpu_word_row(unsigned lane, unsigned, unsigned)
{
    return lane % 4;
}

GPU_INLINE unsigned
gpu_word_column(unsigned lane, unsigned n, unsigned i)
{
    return 16 * n + 2 * (lane / 4) + i;
}

GPU_INLINE struct gpu_a
gpu_load_a(const uint32_t *rows, unsigned stride, unsigned lane, unsigned,
        gpu_site site = gpu_here())
{
    struct gpu_a a;
    const uint32_t *row = rows + lane / 4 * stride + 4 * (lane % 4);
    gpu_host_load_row(site, a.v, row, 4);
    gpu_host_load_row(site, a.v + 4, row + 8 * stride, 4);
    return a;
}

/* The instruction. A: register r of lane L has row L / 4 + 8 (r % 2),
 * k = 2 (L % 4) + 8 (r / 2) and the next. B: register r has column L / 4,
 * k = 2 (L % 4) + 8 r and the next. C: element e is row L / 4 + 8 (e / 2),
 * column 2 (L % 4) + e % 2. */
GPU_INLINE void
gpu_host_m16n8k16(const char *name, const gpu_site &site,
        gpu_host_decode decode, float c[4], const uint32_t a[4],
        const uint32_t b[2])
{
    uint32_t words[12];
    unsigned lane = gpu_host_lane();
    gpu_host_unpack(words, decode, a, 4);
    gpu_host_unpack(words + 8, decode, b, 2);
    const gpu_shim_lanes &lanes = gpu_shim_gather(name, site, words, 12);
    for (unsigned e = 0; e < 4; e++) {
        unsigned row = lane / 4 + 8 * (e / 2);
        unsigned column = 2 * (lane % 4) + e % 2;
        double sum = c[e];
        for (unsigned k = 0; k < 16; k++) {
            unsigned quarter = k % 8 / 2;
            const uint32_t *of_a = lanes.word[row % 8 * 4 + quarter];
            const uint32_t *of_b = lanes.word[column * 4 + quarter] + 8;
            sum += gpu_host_product(of_a[4 * (k / 8) + 2 * (row / 8) + k % 2],
                    of_b[2 * (k / 8) + k % 2]);
        }
        c[e] = static_cast<float>(sum);
    }
}

GPU_INLINE void
gpu_host_mma(const char *name, const gpu_site &site, gpu_host_decode decode,
        float c[8], const struct gpu_a *a, const uint32_t b[8])
{
    const uint32_t first[4] = {b[0], b[4], b[1], b[5]};
    const uint32_t second[4] = {b[2], b[6], b[3], b[7]};
    for (unsigned half = 0; half < 2; half++) {
        const uint32_t *rows = a->v + 4 * half;
        float *part = c + 4 * half;
        gpu_host_m16n8k16(name, site, decode, part, first, rows);
        gpu_host_m16n8k16(name, site, decode, part, second, rows + 2);
    }
}

GPU_INLINE void
gpu_mma_bf16(struct gpu_acc *acc, const struct gpu_a *a, const uint32_t *b,
        unsigned n, gpu_site site = gpu_here())
{
    gpu_host_mma("gpu_mma_bf16", site, gpu_host_bf16, acc->v + 8 * n, a, b);
}

GPU_INLINE void
gpu_mma_f16(struct gpu_acc *acc, const struct gpu_a *a, const uint32_t *b,
        unsigned n, gpu_site site = gpu_here())
{
    gpu_host_mma("gpu_mma_f16", site, gpu_f16_to_float, acc->v + 8 * n, a, b);
}

#endif
