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
    GPU_STAGE = 2,
    GPU_ACC_ROWS = 4,
    GPU_ACC_COLUMNS = 2,
    GPU_K_STEPS = 1,
    GPU_N_STEPS = 2,
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

/* 8 rows, 16 columns, 32 k. */
GPU_INLINE void
gpu_host_part(const char *name, const gpu_site &site, gpu_host_decode decode,
        float c[4], const uint32_t b[8], const uint32_t *rows)
{
    const uint32_t first[4] = {b[0], b[4], b[1], b[5]};
    const uint32_t second[4] = {b[2], b[6], b[3], b[7]};
    gpu_host_m16n8k16(name, site, decode, c, first, rows);
    gpu_host_m16n8k16(name, site, decode, c, second, rows + 2);
}

GPU_INLINE void
gpu_host_mma(const char *name, const gpu_site &site, gpu_host_decode decode,
        float c[8], const struct gpu_a *a, const uint32_t b[8])
{
    gpu_host_part(name, site, decode, c, b, a->v);
    gpu_host_part(name, site, decode, c + 4, b, a->v + 4);
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

/* 8 rows alone. */

#define GPU_HAS_PARTS 1

struct gpu_part {
    float v[4];
};

GPU_INLINE unsigned
gpu_part_line(unsigned lane)
{
    return lane / 4;
}

GPU_INLINE unsigned
gpu_part_word(unsigned lane)
{
    return lane % 4;
}

GPU_INLINE unsigned
gpu_part_row(unsigned lane, unsigned i)
{
    return 2 * (lane % 4) + i % 2;
}

GPU_INLINE void
gpu_part_bf16(struct gpu_part *part, const uint32_t b[8], const uint32_t x[4],
        gpu_site site = gpu_here())
{
    gpu_host_part("gpu_part_bf16", site, gpu_host_bf16, part->v, b, x);
}

GPU_INLINE void
gpu_part_f16(struct gpu_part *part, const uint32_t b[8], const uint32_t x[4],
        gpu_site site = gpu_here())
{
    gpu_host_part("gpu_part_f16", site, gpu_f16_to_float, part->v, b, x);
}

/* Copies. */

#define GPU_HAS_ASYNC 1

typedef uint32_t *gpu_shared_place;

GPU_INLINE gpu_shared_place
gpu_place_of(uint32_t *p)
{
    return p;
}

GPU_INLINE gpu_shared_place
gpu_place_at(gpu_shared_place place, uint32_t i)
{
    return place + static_cast<int32_t>(i);
}

GPU_INLINE void
gpu_copy4_async(gpu_shared_place to, const void *from, bool is_there,
        gpu_site site = gpu_here())
{
    gpu_host_aligned("gpu_copy4_async", site, to, 16);
    gpu_host_aligned("gpu_copy4_async", site, from, 16);
    gpu_shim_copy(site, to, is_there ? from : nullptr);
}

GPU_INLINE void
gpu_copies_end(void)
{
    gpu_shim_copies_end();
}

template <int N>
GPU_INLINE void
gpu_copies_wait(void)
{
    gpu_shim_copies_wait(N);
}

GPU_INLINE void
gpu_wave_barrier(gpu_site site = gpu_here())
{
    uint32_t nothing = 0;
    gpu_shim_gather("gpu_wave_barrier", site, &nothing, 1);
}

GPU_INLINE struct gpu_u4
gpu_get4(gpu_shared_place p, gpu_site site = gpu_here())
{
    struct gpu_u4 r;
    gpu_host_load_row("gpu_get4", site, r.v, p, 4);
    return r;
}

GPU_INLINE struct gpu_u2
gpu_get2(gpu_shared_place p, gpu_site site = gpu_here())
{
    struct gpu_u2 r;
    gpu_host_load_row("gpu_get2", site, r.v, p, 2);
    return r;
}

GPU_INLINE struct gpu_a
gpu_get_a(gpu_shared_place p, unsigned stride, gpu_site site = gpu_here())
{
    struct gpu_a a;
    gpu_host_load_row("gpu_get_a", site, a.v, p, 4);
    gpu_host_load_row("gpu_get_a", site, a.v + 4, p + 8 * stride, 4);
    return a;
}

#endif
